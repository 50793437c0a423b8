# needs: make
# out a: a process
# out b: b pipe
# out c: c ancestor
# out all: S:a process, O:b process, O:c process
cat > $T/rules.mk <<'END'
all: $(OUT)all.txt
$(OUT)a.txt $(S)a.txt: $(IN)/a.txt
	sort $< > $(OUT)a.txt
	cut -f1 $(OUT)a.txt > $(S)a.txt
$(OUT)b.txt: $(IN)/b.txt
	@wc -l $(IN)/h.txt > /dev/null
	cat $< | sort > $@
$(OUT)c.txt: $(IN)/c.txt
	sort < $< > $@
$(OUT)all.txt: $(S)a.txt $(OUT)b.txt $(OUT)c.txt
	cat $^ > $@
END
make -s -j 3 -f $T/rules.mk all
