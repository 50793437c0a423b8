# out a: a process, S:a process
# out b: b pipe, S:b pipe
cat > $T/part.sh <<'END'
step() { touch $T/$1; until [ -e $T/$2 ]; do sleep 0.01; done; }
sort $IN/$1.txt > ${S}$1.txt
step $1.1 $2.1
if [ $1 = a ]; then sort $IN/a.txt ${S}a.txt > ${OUT}a.txt; else cat $IN/b.txt ${S}b.txt | sort > ${OUT}b.txt; fi
step $1.2 $2.2
END
bash $T/part.sh a b &
bash $T/part.sh b a &
wait
