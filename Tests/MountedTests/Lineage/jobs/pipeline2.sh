# out x: a pipe
# out y: b pipe
wc -l $IN/h.txt > /dev/null
cat $IN/a.txt | sort > ${OUT}x.txt
wc -l $IN/g.txt > ${S}aside.txt
cut -f1 < $IN/b.txt | sort -u > ${OUT}y.txt
