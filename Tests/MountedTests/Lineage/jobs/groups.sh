# out x: a process, b process
# out y: c process
# out z: d pipe, e pipe
# out aside: g process
# out w: d pipe, e pipe
{ head -n 1 $IN/a.txt; wc -l $IN/h.txt > /dev/null; sort $IN/b.txt; echo end; } > ${OUT}x.txt
( cut -f1 $IN/c.txt; echo end ) > ${OUT}y.txt
( cat $IN/d.txt; wc -l $IN/g.txt > ${S}aside.txt; cat $IN/e.txt ) | sort > ${OUT}z.txt
( cat $IN/d.txt; wc -l $IN/g.txt > ${OUT}aside.txt; cat $IN/e.txt ) | sort > ${OUT}w.txt
