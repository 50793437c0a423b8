# needs: root, unshare
# out x: a process
# out y: b pipe
wc -l $IN/h.txt > /dev/null
unshare --mount bash -c 'sort $IN/a.txt > ${OUT}x.txt; cut -f1 $IN/b.txt | sort > ${OUT}y.txt'
