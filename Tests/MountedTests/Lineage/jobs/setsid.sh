# needs: setsid
# out x: a pipe
# out y: b process
# out z: c process
setsid -w bash -c 'sort $IN/a.txt | cut -f1 > ${OUT}x.txt; wc -l $IN/h.txt > /dev/null; sort $IN/b.txt > ${OUT}y.txt'
setsid -f sh -c 'sort $IN/c.txt > ${OUT}z.tmp; mv ${OUT}z.tmp ${OUT}z.txt'
for i in $(seq 500); do [ -e ${OUT}z.txt ] && break; sleep 0.01; done
