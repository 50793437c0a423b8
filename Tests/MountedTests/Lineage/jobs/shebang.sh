# out x: a process
# out y: b process
# out z: c ancestor|process
printf '#!/bin/sh\nexec sort "$@"\n' > $T/tool
printf '#!/usr/bin/env bash\nwc -l $IN/h.txt > /dev/null\nexec cut -f1 "$@"\n' > $T/other
printf '#!/bin/bash\ntrue\nsort -r\n' > $T/third
chmod +x $T/tool $T/other $T/third
$T/tool $IN/a.txt > ${OUT}x.txt
$T/other $IN/b.txt > ${OUT}y.txt
$T/third < $IN/c.txt > ${OUT}z.txt
