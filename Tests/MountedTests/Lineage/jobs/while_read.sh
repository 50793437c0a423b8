# out x: a process
# out y: b process
# out z: c process, d ancestor
while read -r name rest; do echo "$name"; done < $IN/a.txt > ${OUT}x.txt
sort $IN/b.txt > ${OUT}y.txt
while read -r name rest; do grep "${name#d}" $IN/c.txt | head -n 1 > /dev/null; cut -f1 $IN/c.txt; break; done < $IN/d.txt > ${OUT}z.txt
