# out a: a pipe
# out b: a pipe, b pipe
# out c: c process
# The shell keeps what it was told.
for name in a b; do
    count=$(wc -l < $IN/$name.txt)
    echo "$count" > ${OUT}$name.txt
done
sort $IN/c.txt > ${OUT}c.txt
