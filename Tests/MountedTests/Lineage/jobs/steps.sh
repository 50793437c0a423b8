# out x: S:sorted process, b process
# out y: O:x process
# out z: S:count pipe
cut -f1,2 $IN/a.txt > ${S}cut.txt
sort -k2n ${S}cut.txt > ${S}sorted.txt
paste ${S}sorted.txt $IN/b.txt > ${OUT}x.txt
wc -l $IN/h.txt > ${S}count.txt
head -n 5 ${OUT}x.txt > ${OUT}y.txt
cat ${S}count.txt | tr a-z A-Z > ${OUT}z.txt
