# out x: a ancestor, b process
# out y: a ancestor
# out z: c process
# All that a script runs has its standard input open.
bash -c 'head -n 1 $IN/b.txt > ${OUT}x.txt; sort > ${OUT}y.txt' < $IN/a.txt
wc -l $IN/h.txt > /dev/null
bash -c 'sort $IN/c.txt > ${OUT}z.txt'
