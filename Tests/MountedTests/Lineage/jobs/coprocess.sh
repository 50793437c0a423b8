# out x: a pipe
coproc SORT { sort; }
wc -l $IN/h.txt > /dev/null
cat $IN/a.txt >&${SORT[1]}
exec {SORT[1]}>&-
cat <&${SORT[0]} > ${OUT}x.txt
wait
