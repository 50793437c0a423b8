# out x: a pipe, b pipe, c pipe
grep 2 $IN/h.txt > /dev/null
cut -f1,2 < $IN/a.txt | paste - $IN/b.txt | grep 1 | cat - $IN/c.txt | sort > ${OUT}x.txt
