# needs: tar
# out a: a pipe, b pipe
# out b: a pipe, b pipe
# out x: F:pack pipe
tar -C $IN -cf - a.txt b.txt | tar -C $(dirname $OUT) --transform "s,^,$(basename $OUT)," -xf -
wc -l $IN/h.txt > /dev/null
tar -C $IN -cf ${F}pack.txt c.txt d.txt
tar -xOf ${F}pack.txt c.txt | sort > ${OUT}x.txt
