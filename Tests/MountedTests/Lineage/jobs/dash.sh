# with: dash
# out v: b process
# out w: a pipe
# out x: c pipe
# out y: d ancestor
# out z: c pipe, d process
# The shell opens what it redirects a program's input from by itself: it counts as a reader from then on.
cat $IN/a.txt | sort > ${OUT}w.txt
sort $IN/b.txt > ${OUT}v.txt
wc -l $IN/h.txt > /dev/null
x=$(cut -f1 $IN/c.txt)
echo "$x" > ${OUT}x.txt
sort < $IN/d.txt > ${OUT}y.txt
echo "$x" > ${OUT}z.txt
