# out x: S:mid process
# out y: S:mid pipe
# sha256 x S:mid a
# sha256 y S:mid b
# A draft is overwritten between two reads: each edge names the bytes of its own.
cp $IN/a.txt ${S}mid.txt
sort ${S}mid.txt > ${OUT}x.txt
cp $IN/b.txt ${S}mid.txt
cat ${S}mid.txt | sort > ${OUT}y.txt
cp $IN/c.txt ${S}mid.txt
