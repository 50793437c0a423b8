# out x: a process
# out y: b process
# The process that opened the output has read h, and is another program when it writes.
bash -c 'exec > ${OUT}x.txt; read -r line < $IN/h.txt; exec sort $IN/a.txt'
bash -c 'read -r line < $IN/h.txt; exec bash -c "exec sort \$IN/b.txt" > ${OUT}y.txt'
