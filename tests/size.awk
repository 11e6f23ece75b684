# Size of functions, from pmccabe's lines (the files are its arguments):
#   complexity  where each case of a switch counts  <= 20, as lizard counts it too
#   length      of 9 functions in 10                <= 40 lines
# Those who are exempt are listed here with the reason; a name that is no longer needed is an
# offence as well.
BEGIN {
    # A grammar is a table of cases; its corpora hold it (docs/grader.md).
    exempt_folder = "^pipeline/grade/"
    # Being split with the table of ops (issue 13, section 2).
    exempt["rt_op_cost_of"] = exempt["item_count"] = 1
}
{
    file = $6
    sub(/\([0-9]+\):?$/, "", file)
    lines[NR] = $5
    if ($2 > 20 && file !~ exempt_folder) {
        if ($7 in exempt)
            used[$7] = 1
        else {
            printf "%s: %s has a complexity of %d, 20 is the most\n", file, $7, $2
            bad = 1
        }
    }
}
END {
    for (name in exempt)
        if (!(name in used)) {
            printf "%s is exempt and need not be\n", name
            bad = 1
        }
    # Counting sort: lengths are small.
    for (i = 1; i <= NR; i++)
        of[lines[i]]++
    for (n = 0; seen < 0.9 * NR; n++)
        seen += of[n]
    if (n - 1 > 40) {
        printf "9 functions in 10 have up to %d lines, 40 is the most\n", n - 1
        bad = 1
    }
    exit bad
}
