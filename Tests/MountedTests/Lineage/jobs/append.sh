# out x: a process, b process, c pipe
sort $IN/a.txt > ${OUT}x.txt
wc -l $IN/h.txt > /dev/null
sort $IN/b.txt >> ${OUT}x.txt
cat $IN/c.txt | cut -f1 >> ${OUT}x.txt
