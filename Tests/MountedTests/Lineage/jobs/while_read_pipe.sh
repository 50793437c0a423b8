# out x: a pipe
# out y: b pipe
# out z: b pipe
cat $IN/a.txt | while read -r name rest; do echo "$name"; done > ${OUT}x.txt
wc -l $IN/h.txt > /dev/null
cut -f1 $IN/b.txt | { read -r first; echo "$first" > ${OUT}y.txt; cat > ${OUT}z.txt; }
