# out x: a pipe, b pipe, c pipe
# out y: d pipe, e pipe, f pipe
{ cat $IN/a.txt; cat $IN/b.txt | sort; } | { while read -r line; do echo "$line"; done | cat - $IN/c.txt | tac; } > ${OUT}x.txt
for name in d e f; do cat $IN/$name.txt; done | sort > ${OUT}y.txt
for name in g h; do wc -l $IN/$name.txt; done | sort > ${S}aside.txt
