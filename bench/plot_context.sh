#!/bin/sh
# usage: bench/plot_context.sh RESULTS.db > plot.svg
# Decode speed over sequences at once, a line for each number of keys, from the best
# result of each case of `faultline bench --suite context`. Both axes are logarithmic.
set -eu
[ $# = 1 ] || { sed -n 2,4p "$0" >&2; exit 2; }
sqlite3 -separator ' ' "$1" "
    SELECT json_extract(c.params, '\$.length'), json_extract(c.params, '\$.batch'),
           max(r.value)
    FROM bench_result r JOIN bench_case c USING(case_id)
    WHERE c.suite = 'context' AND r.status = 'ok' GROUP BY 1, 2 ORDER BY 1, 2" |
awk '
function log2(v) { return log(v) / log(2) }
function x(batch) { return 60 + 80 * log2(batch) }
function y(speed) { return 320 - 60 * (log2(speed) - low) }
{ keys[NR] = $1; batch[NR] = $2; speed[NR] = $3
  if (NR == 1 || $3 < least) least = $3 }
END {
    if (NR == 0) { print "no results of the suite context" > "/dev/stderr"; exit 1 }
    split("#1b6ca8 #c8553d #3a7d44 #7d5ba6", color, " ")
    low = int(log2(least)); if (low > log2(least)) low--
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 680 370\" font-family=\"sans-serif\" font-size=\"12\">"
    print "<rect width=\"680\" height=\"370\" fill=\"white\"/>"
    for (b = 1; b <= 64; b *= 2)
        printf "<text x=\"%d\" y=\"340\" text-anchor=\"middle\">%d</text>\n", x(b), b
    for (i = 0; i <= 5; i++)
        printf "<path d=\"M60 %dH540\" stroke=\"#ddd\"/><text x=\"52\" y=\"%d\" text-anchor=\"end\">%g</text>\n", 320 - 60 * i, 324 - 60 * i, 2 ^ (low + i)
    print "<text x=\"300\" y=\"360\" text-anchor=\"middle\">sequences at once</text><text x=\"8\" y=\"14\">tokens/s</text>"
    for (i = 1; i <= NR; i++) {
        fresh = i == 1 || keys[i] != keys[i - 1]
        if (fresh) n++
        if (!fresh) printf "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"2\"/>\n", x(batch[i - 1]), y(speed[i - 1]), x(batch[i]), y(speed[i]), color[n]
        printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x(batch[i]), y(speed[i]), color[n]
        if (i == NR || keys[i + 1] != keys[i]) printf "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%d keys</text>\n", x(batch[i]) + 8, y(speed[i]) + 4, color[n], keys[i]
    }
    print "</svg>"
}'
