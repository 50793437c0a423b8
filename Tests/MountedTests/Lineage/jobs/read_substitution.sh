# out x: a pipe
# out y: a pipe, b pipe
# out z: c process
mapfile -t rows < <(cut -f1 $IN/a.txt)
wc -l < <(cut -f1 $IN/h.txt) > /dev/null
printf '%s\n' "${rows[@]}" > ${OUT}x.txt
while read -r line; do echo "$line"; done < <(sort $IN/b.txt) > ${OUT}y.txt
sort $IN/c.txt > ${OUT}z.txt
