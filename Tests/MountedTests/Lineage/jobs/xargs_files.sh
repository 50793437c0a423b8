# out x: a process, b process, c process
# out y: d process, e process
printf '%s\n' $IN/a.txt $IN/b.txt $IN/c.txt | xargs -n 1 cat > ${OUT}x.txt
printf '%s\n' $IN/h.txt | xargs wc -l > /dev/null
printf '%s\0' $IN/d.txt $IN/e.txt | xargs -0 sort > ${OUT}y.txt
