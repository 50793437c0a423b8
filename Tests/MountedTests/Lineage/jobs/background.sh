# out x: a process
# out y: b pipe
# out z: O:x process, O:y process
sort $IN/a.txt > ${OUT}x.txt &
cat $IN/b.txt | sort > ${OUT}y.txt &
wc -l $IN/h.txt > /dev/null &
wait
cat ${OUT}x.txt ${OUT}y.txt > ${OUT}z.txt
