# out x: a pipe, b pipe
# out y: c pipe
wc -l $IN/h.txt > /dev/null
exec 3> >(sort > ${OUT}x.txt)
writer=$!
cat $IN/a.txt >&3
cut -f1 $IN/b.txt >&3
exec 3>&-
wait $writer
cat $IN/c.txt > >(sort > ${OUT}y.txt)
wait $!
