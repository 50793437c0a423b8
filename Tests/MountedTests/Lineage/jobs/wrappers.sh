# out s: a process
# out t: b process
# out u: c process
# out v: d pipe
# out w: e process
# out x: f process
# out y: g ancestor
env -i PATH=$PATH sort $IN/a.txt > ${OUT}s.txt
nice -n 1 sort < $IN/b.txt > ${OUT}t.txt
timeout 20 sort $IN/c.txt > ${OUT}u.txt
timeout 20 env X=1 nice cat $IN/d.txt | stdbuf -oL sort > ${OUT}v.txt
nohup sort $IN/e.txt > ${OUT}w.txt 2> /dev/null
wc -l $IN/h.txt > /dev/null
bash -c 'exec sort "$1"' - $IN/f.txt > ${OUT}x.txt
timeout 20 sort < $IN/g.txt > ${OUT}y.txt
