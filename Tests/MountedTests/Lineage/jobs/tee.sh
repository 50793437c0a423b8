# out x: a pipe
# out y: a pipe
# out z: a pipe
# out v: b process
# out w: b process
cat $IN/a.txt | tee ${OUT}x.txt ${OUT}y.txt | sort > ${OUT}z.txt
wc $IN/h.txt > /dev/null
tee ${OUT}v.txt < $IN/b.txt > ${OUT}w.txt
