# out x: a process, b process
# out y: c process
# out z: d pipe
sort -T $T -S 1k --parallel=2 $IN/a.txt $IN/b.txt > ${OUT}x.txt
sort -T $T -o ${OUT}y.txt $IN/c.txt
wc -l $IN/h.txt > /dev/null
cat $IN/d.txt | sort -T $T -S 1k -o ${OUT}z.txt -
