# out part-aa: a process
# out part-ab: a process
# out part-ac: b pipe
# out part-ad: b pipe
split -l 8 --additional-suffix=.txt $IN/a.txt ${OUT}part-
wc -l $IN/h.txt > /dev/null
cat $IN/b.txt | (split -l 8 --additional-suffix=.txt - ${S}part-; cat ${S}part-aa.txt ${S}part-ab.txt > /dev/null)
cut -f1 $IN/b.txt | head -n 8 | tee ${OUT}part-ac.txt | sort > ${OUT}part-ad.txt
