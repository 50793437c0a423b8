# out x: a pipe
# out y: a pipe, b pipe
# out z: a pipe, c process
cat $IN/a.txt | grep 1 | sort > ${OUT}x.txt
cat $IN/a.txt | paste - $IN/b.txt | sort > ${OUT}y.txt
cut -f1 $IN/h.txt | sort | uniq > ${S}aside.txt
cat $IN/a.txt | sort | paste - $IN/c.txt > ${OUT}z.txt
