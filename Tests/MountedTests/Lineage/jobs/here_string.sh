# out x: a pipe
# out y:
# out z: b pipe
sort <<< "$(cut -f1 $IN/a.txt)" > ${OUT}x.txt
cut -f1 $IN/h.txt > ${S}aside.txt
tr a-z A-Z <<< "nothing read" > ${OUT}y.txt
rows=$(head -n 4 $IN/b.txt)
sort -r <<< "$rows" > ${OUT}z.txt
