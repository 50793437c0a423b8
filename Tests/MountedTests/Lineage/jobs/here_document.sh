# out x:
# out y: a pipe
# out z: a pipe, b pipe
cat > ${OUT}x.txt <<END
nothing is read
END
rows=$(cut -f1 $IN/a.txt)
wc -l $IN/h.txt > /dev/null
sort > ${OUT}y.txt <<END
$rows
one more
END
cat > ${OUT}z.txt <<END
head
$(head -n 3 $IN/b.txt)
END
