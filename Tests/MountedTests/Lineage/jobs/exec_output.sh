# out x: a process, b pipe
exec > ${OUT}x.txt
cat $IN/a.txt
wc -l $IN/h.txt > /dev/null
cat $IN/b.txt | sort
echo end
