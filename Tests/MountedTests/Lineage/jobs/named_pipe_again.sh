# out x: a pipe
# out y: b pipe
# out z: c pipe
mkfifo $T/one
cut -f1 $IN/a.txt > $T/one &
sort < $T/one > ${OUT}x.txt
wait
cat $IN/b.txt > $T/one &
sort -r < $T/one > ${OUT}y.txt
wait
wc -l $IN/h.txt > /dev/null
python3 -c 'import sys; sys.stdout.write(open(sys.argv[1]).read())' $IN/c.txt > $T/one &
awk 1 $T/one > ${OUT}z.txt
wait
