# out x: a pipe
# out y: b pipe
mkfifo $T/one
sort < $T/one > ${OUT}x.txt &
{ echo one; cut -f1 $IN/a.txt; } > $T/one
wait
sort -r < $T/one > ${OUT}y.txt &
{ echo two; cat $IN/b.txt; } > $T/one
wait
