# out x: a process
# out y: a process, b pipe
# out z: a process, b pipe, c process
x=$(< $IN/a.txt)
wc -l $IN/h.txt > /dev/null
printf '%s\n' "$x" > ${OUT}x.txt
y=$(grep -c 1 $IN/b.txt)
{ echo "$y"; } > ${OUT}y.txt
{ echo "$y"; cat $IN/c.txt; } > ${OUT}z.txt
