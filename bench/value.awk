# Of `faultline bench -o csv`: the value of the last row. Counted from the end, because the names before it hold commas.
NR == 1 { for (i = 1; i <= NF; i++) if ($i == "value") after = NF - i }
END { print $(NF - after) }
