# needs: snakemake
# out a: a process
# out b: b pipe
# out sum: O:a process, O:b process, S:part process
cat > $T/Snakefile <<'END'
import os
I, O, S = os.environ["IN"], os.environ["OUT"], os.environ["S"]
rule all:
    input: O + "sum.txt"
rule first:
    input: I + "/a.txt"
    output: O + "a.txt"
    shell: "wc -l {I}/h.txt > /dev/null; sort {input} > {output}"
rule second:
    input: I + "/b.txt"
    output: O + "b.txt"
    shell: "cat {input} | sort > {output}"
rule part:
    input: I + "/c.txt"
    output: S + "part.txt"
    shell: "cut -f1 {input} > {output}"
rule total:
    input: O + "a.txt", O + "b.txt", S + "part.txt"
    output: O + "sum.txt"
    shell: "cat {input} > {output}"
END
cd $T && $SNAKEMAKE -q all -j 2
