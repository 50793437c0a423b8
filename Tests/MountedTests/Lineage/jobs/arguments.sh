# out x: a process, b process
# out y: c process
head -n 3 $IN/h.txt > ${S}aside.txt
sort $IN/a.txt $IN/b.txt > ${OUT}x.txt
cut -f2 $IN/c.txt > ${OUT}y.txt
tail -n 3 $IN/a.txt > /dev/null
