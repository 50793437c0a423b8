# holds
# out w: e pipe
# out x: a pipe
# out y: d process
# out z:
( grep -q 1 $IN/b.txt; cat $IN/a.txt ) | sort > ${OUT}x.txt
{ grep -q 1 $IN/c.txt && cat $IN/d.txt; } > ${OUT}y.txt
{ cat $IN/e.txt; wc -l $IN/f.txt >&2; } 2> /dev/null | sort > ${OUT}w.txt
grep nothing $IN/g.txt | wc -l > ${OUT}z.txt
true
