# out w: c process
# out x: a ancestor
# out y: b process
# out z: a process
sort $IN/c.txt > ${OUT}w.txt
exec 3< $IN/a.txt
sort <&3 > ${OUT}x.txt
exec 3<&-
sort $IN/b.txt > ${OUT}y.txt
echo done > ${OUT}z.txt
