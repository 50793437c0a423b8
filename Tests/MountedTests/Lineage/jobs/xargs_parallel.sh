# out a: a process
# out b: b process
# out c: c pipe
# out d: d pipe
printf '%s\n' a b | xargs -P 2 -I{} sh -c 'sort $IN/{}.txt > ${OUT}{}.txt; wc -l $IN/h.txt > /dev/null'
printf '%s\n' c d | xargs -P 2 -I{} bash -c 'cat $IN/{}.txt | sort > ${OUT}{}.txt'
