# needs: find
# out x: a pipe, b pipe
# out y: c process
find $IN -name '[ab].txt' -exec cat {} + | sort > ${OUT}x.txt
find $IN -name h.txt -exec wc -l {} \; > /dev/null
find $IN -name c.txt -exec sh -c 'sort "$1" > ${OUT}y.txt' - {} \;
