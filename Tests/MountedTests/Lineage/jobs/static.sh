# needs: static
# out x: a process, b process
# out y: c pipe
# out z: d pipe
$STATIC $IN/h.txt > ${S}aside.txt
$STATIC $IN/a.txt $IN/b.txt > ${OUT}x.txt
$STATIC $IN/c.txt | sort > ${OUT}y.txt
cat $IN/d.txt | $STATIC /dev/stdin > ${OUT}z.txt
