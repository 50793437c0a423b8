# needs: Rscript
# out x: a process
# out y: a process, b pipe
# out z: c process
Rscript --vanilla -e '
    inside <- Sys.getenv("IN"); out <- Sys.getenv("OUT")
    a <- read.table(file.path(inside, "a.txt")); write.table(a, paste0(out, "x.txt"))
    b <- read.table(pipe(paste0("cut -f1 ", inside, "/b.txt"))); write.table(b, paste0(out, "y.txt"))
    system(paste0("sort ", inside, "/c.txt > ", out, "z.txt"))
'
