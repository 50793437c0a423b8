# needs: perl
# out v: a process
# out w: a process, b process
# out x: a process, b process, c pipe
# out y: d process
# out z: a pipe, b pipe, c pipe
perl -ne 'print if /3/' $IN/h.txt > ${S}aside.txt
perl -e '
    my ($in, $out) = ($ENV{IN}, $ENV{OUT});
    sub save { my ($name, @rows) = @_; open my $file, ">", "${out}$name.txt" or die $!; print $file @rows; close $file or die $!; }
    sub load { open my $file, "<", "$in/$_[0].txt" or die $!; my @rows = <$file>; close $file; @rows }
    my @a = load("a"); save("v", @a);
    my @b = load("b"); save("w", @a, @b);
    open my $cut, "-|", "cut -f1 $in/c.txt" or die $!; my @c = <$cut>; close $cut or die; save("x", @a, @c);
    system("sort $in/d.txt > ${out}y.txt") == 0 or die;
    open my $sort, "|-", "sort > ${out}z.txt" or die $!; print $sort @a, @c; close $sort or die;
'
