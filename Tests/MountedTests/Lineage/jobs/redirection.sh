# out x: a process
# out y: b process
cut -f1 < $IN/h.txt > ${S}aside.txt
sort < $IN/a.txt > ${OUT}x.txt
wc -l < $IN/g.txt > /dev/null
> ${OUT}y.txt sort -r < $IN/b.txt
