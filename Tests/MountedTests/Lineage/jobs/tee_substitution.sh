# out x: a pipe
# out y: a pipe
# out z: a process
wc $IN/h.txt > /dev/null
tee >(sort > ${OUT}x.txt) >(cut -f1 > ${OUT}y.txt) < $IN/a.txt > ${OUT}z.txt
wc $IN/g.txt > /dev/null
