# out x: a pipe
# out y: b pipe, c process
mkfifo $T/one $T/two
cut -f1 $IN/a.txt > $T/one &
sort < $T/one > ${OUT}x.txt
wc -l $IN/h.txt > /dev/null
cat $IN/b.txt > $T/two &
paste $T/two $IN/c.txt > ${OUT}y.txt
wait
