# needs: make
# out a: a process
# out b: b pipe
# out c: c process
mkdir $T/one $T/two
printf 'all: $(OUT)a.txt $(OUT)b.txt\n$(OUT)a.txt:\n\tsort $(IN)/a.txt > $@\n$(OUT)b.txt:\n\tcut -f1 $(IN)/b.txt | sort > $@\n' > $T/one/Makefile
printf 'all: $(OUT)c.txt\n$(OUT)c.txt:\n\twc -l $(IN)/h.txt > /dev/null\n\tsort $(IN)/c.txt > $@\n' > $T/two/Makefile
printf 'all: one two\none:\n\t$(MAKE) -C one\ntwo:\n\t$(MAKE) -C two\n.PHONY: one two\n' > $T/Makefile
make -s -j 4 -C $T
