# Size of functions, from pmccabe's lines (the files are its arguments):
#   complexity  where each case of a switch counts  <= 20, as lizard counts it too
#   length      of 9 functions in 10                <= 40 lines
# Conditions of an assert count as well. A grammar is a table of cases, held by its corpora
# (docs/grader.md): the complexity of pipeline/grade is not limited.
NF < 7 || $5 !~ /^[0-9]+$/ {
    print "this is no line of pmccabe: " $0
    exit bad = 1
}
{
    file = $6
    sub(/\([0-9]+\):?$/, "", file)
    lines[NR] = $5
    if ($2 > 20 && file !~ /^pipeline\/grade\//) {
        printf "%s: %s has a complexity of %d, 20 is the most\n", file, $7, $2
        bad = 1
    }
}
END {
    if (bad && !(NR in lines))
        exit 1
    if (!NR) {
        print "pmccabe printed nothing"
        exit 1
    }
    for (i = 1; i <= NR; i++) # a counting sort: lengths are small
        of[lines[i]]++
    for (n = 0; seen < 0.9 * NR; n++)
        seen += of[n]
    if (n - 1 > 40) {
        printf "9 functions in 10 have up to %d lines, 40 is the most\n", n - 1
        bad = 1
    }
    exit bad
}
