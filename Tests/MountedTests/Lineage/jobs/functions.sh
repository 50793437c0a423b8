# out x: a pipe
# out y: b process, c process
# out z: d pipe, e process
clean() { grep -v 13 "$1"; }
rank() { sort -k3n; }
both() { cat $IN/b.txt; cat $IN/c.txt; }
beside() { local other=$1; paste - "$other"; }
clean $IN/h.txt > /dev/null
clean $IN/a.txt | rank > ${OUT}x.txt
both > ${OUT}y.txt
clean $IN/d.txt | beside $IN/e.txt > ${OUT}z.txt
