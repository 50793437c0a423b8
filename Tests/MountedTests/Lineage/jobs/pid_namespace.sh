# needs: root, unshare
# out v: d process
# out w: e ancestor
# out x: a pipe
# out y: b process
# out z: c pipe
exec 3< $IN/e.txt
unshare --pid --fork --mount-proc bash -c 'exec 4<&3 3<&-; sort <&4 > ${OUT}w.txt; exec 4<&-
    cat $IN/a.txt | sort > ${OUT}x.txt; wc -l $IN/h.txt > /dev/null
    sort < $IN/b.txt > ${OUT}y.txt'
exec 3<&-
unshare --pid --fork --mount-proc bash -c 'c=$(cut -f1 $IN/c.txt); echo "$c" > ${OUT}z.txt; sort $IN/d.txt > ${OUT}v.txt'
