# out x: F:packed pipe
# out y: F:plain process
gzip -c $IN/a.txt > ${F}packed.txt
zcat < ${F}packed.txt | cut -f1 > ${OUT}x.txt
cut -f1 $IN/h.txt > ${F}aside.txt
cut -f1 $IN/b.txt > ${F}plain.txt
sort ${F}plain.txt > ${OUT}y.txt
