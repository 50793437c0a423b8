# out a: a process
# out b: b process
# out c: c process
# out d: d pipe
# out e: e pipe
for name in a b c; do sort < $IN/$name.txt > ${OUT}$name.txt; done
for name in d e; do cat $IN/$name.txt | sort > ${OUT}$name.txt; done
