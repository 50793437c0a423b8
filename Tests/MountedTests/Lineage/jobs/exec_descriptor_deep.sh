# out x: a ancestor
# out y: a ancestor, b process
wc -l $IN/h.txt > /dev/null
exec 4< $IN/a.txt
bash -c 'bash -c "sort <&4; true"; true' > ${OUT}x.txt
sh -c 'sort $IN/b.txt > ${OUT}y.txt; true'
exec 4<&-
