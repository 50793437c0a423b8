# needs: snakemake
# out a: a process
# out b: b pipe
# out c: d process
# out sum: O:a process, O:b process, O:c process, S:part process
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
rule third:
    input: I + "/d.txt"
    output: O + "c.txt"
    run:
        with open(input[0]) as read, open(output[0], "w") as write:
            write.write(read.read())
rule total:
    input: O + "a.txt", O + "b.txt", O + "c.txt", S + "part.txt"
    output: O + "sum.txt"
    shell: "cat {input} > {output}"
END
cd $T && $SNAKEMAKE -q all -j 2
