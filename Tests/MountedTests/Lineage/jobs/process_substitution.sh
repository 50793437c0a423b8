# out x: a pipe, b pipe
# out y: c pipe, d process
paste <(cut -f1 $IN/a.txt) <(cut -f2 < $IN/b.txt) > ${OUT}x.txt
wc <(cut -f1 $IN/h.txt) > /dev/null
sort <(cat $IN/c.txt | cut -f1) $IN/d.txt > ${OUT}y.txt
