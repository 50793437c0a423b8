# out w:
# out x: a process
# out y: a ancestor
# out z: a ancestor, b process
# out v: c process
echo nothing > ${OUT}w.txt
mapfile -t rows < $IN/a.txt
wc -l $IN/h.txt > /dev/null
printf '%s\n' "${rows[@]}" > ${OUT}x.txt
( printf '%s\n' "${rows[0]}" > ${OUT}y.txt )
( read -r line < $IN/b.txt; echo "$line ${rows[1]}" > ${OUT}z.txt )
sort $IN/c.txt > ${OUT}v.txt
