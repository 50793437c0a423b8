# with: dash
# out w: a ancestor
# out x: b ancestor
# out y: c process
# out z: S:mid ancestor
# The shell opens all of these by itself, and writes none of them.
sort < $IN/a.txt > ${OUT}w.txt
sort < $IN/b.txt > ${OUT}x.txt
cut -f1 < $IN/h.txt > ${S}mid.txt
sort $IN/c.txt > ${OUT}y.txt
tr a-z A-Z < ${S}mid.txt > ${OUT}z.txt
