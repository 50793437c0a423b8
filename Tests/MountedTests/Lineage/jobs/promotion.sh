# out x: a process
# out y: S:cut pipe
wc -l $IN/h.txt > /dev/null
sort $IN/a.txt > ${S}x.txt
mv ${S}x.txt ${OUT}x.txt
cut -f1 $IN/b.txt > ${S}cut.txt
cat ${S}cut.txt | sort > ${S}y.txt
mv ${S}y.txt ${OUT}y.txt
