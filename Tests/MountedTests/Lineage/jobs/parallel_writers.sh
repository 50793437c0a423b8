# out x: a process, b process
# out y: c pipe, d pipe
{ cat $IN/a.txt & cat $IN/b.txt & wait; } > ${OUT}x.txt
wc -l $IN/h.txt > /dev/null
{ cut -f1 $IN/c.txt & cut -f1 $IN/d.txt & wait; } | sort > ${OUT}y.txt
