# needs: awk
# out x: a process, b pipe
# out y: a pipe, b pipe
# out z: c process
awk -F'\t' -v out=$OUT 'BEGIN { while (("cut -f1 " ENVIRON["IN"] "/b.txt") | getline line) count++ }
    { print count, $0 > (out "x.txt"); print | ("sort > " out "y.txt") }' $IN/a.txt
awk '{ n++ } END { print n }' $IN/h.txt > ${S}aside.txt
awk -F'\t' '$2 > 3' $IN/c.txt > ${OUT}z.txt
