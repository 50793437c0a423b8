# out x: a process
# out y: b pipe
# out z: c process
# All that the script runs holds the pipe to its log.
exec > >(tee ${F}log.txt > /dev/null) 2>&1
sort $IN/a.txt > ${OUT}x.txt
wc -l $IN/h.txt
cat $IN/b.txt | sort > ${OUT}y.txt
( echo step; sort $IN/c.txt > ${OUT}z.txt; echo done ) | tee -a ${F}more.txt
