# out v: a process
# out w: b process
# out x: c process
# out y: S:draft process
# out z: d process
cp $IN/a.txt ${OUT}v.txt
dd if=$IN/b.txt of=${OUT}w.txt bs=100 2> /dev/null
cat $IN/c.txt > ${OUT}x.txt
cp $IN/h.txt ${S}draft.txt
cp -p ${S}draft.txt ${OUT}y.txt
dd < $IN/d.txt > ${OUT}z.txt 2> /dev/null
cp $IN/g.txt $T/away
