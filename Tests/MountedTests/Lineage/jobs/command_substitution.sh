# out x: a pipe
# out y: a pipe
# out z: b process
# out v: a ancestor|pipe
# out w: c process
sort $IN/c.txt > ${OUT}w.txt
x=$(cat $IN/a.txt)
echo "$x" > ${OUT}x.txt
echo "$x" | sort > ${OUT}y.txt
sort $IN/b.txt > ${OUT}z.txt
( echo "$x" > ${OUT}v.txt )
