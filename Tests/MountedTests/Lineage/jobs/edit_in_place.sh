# out x: S:mid process
# out y: S:mid pipe, S:other pipe
cp $IN/a.txt ${S}mid.txt
sed -i 's/1/one/' ${S}mid.txt
sort ${S}mid.txt > ${OUT}x.txt
cp $IN/b.txt ${S}other.txt
sort -o ${S}other.txt ${S}other.txt
cat ${S}mid.txt ${S}other.txt | uniq > ${OUT}y.txt
