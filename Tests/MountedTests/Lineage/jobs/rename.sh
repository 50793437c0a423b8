# out x: a process
# out y: b process, c process
sort $IN/h.txt > ${OUT}x.tmp
sort $IN/a.txt > ${OUT}x.tmp
mv ${OUT}x.tmp ${OUT}x.txt
wc -l $IN/g.txt > /dev/null
sort $IN/b.txt > ${OUT}y.tmp && cat $IN/c.txt >> ${OUT}y.tmp && mv ${OUT}y.tmp ${OUT}y.txt
