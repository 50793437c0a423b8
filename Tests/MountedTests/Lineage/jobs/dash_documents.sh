# with: dash
# out x: a pipe
# out y: b process
# out z: c process, d ancestor
x=$(cut -f1 $IN/a.txt)
wc -l $IN/h.txt > /dev/null
sort > ${OUT}x.txt <<END
$x
END
{ cut -f1 $IN/b.txt; } > ${OUT}y.txt
while read -r name rest; do sort $IN/c.txt; break; done < $IN/d.txt > ${OUT}z.txt
