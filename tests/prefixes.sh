#!/bin/sh
# External names begin with the prefix of their folder, as tests/prefixes.txt says.
# Usage: tests/prefixes.sh BUILD    Prints every offence; needs nm.
cd "$(dirname "$0")/.." || exit 1
objects=$(cd "$1/CMakeFiles" && find . -name '*.c.o' | sed 's,^\./,,' |
    grep -E '^(rt|pipe|store|stages|faultline)\.dir/(runtime|pipeline|store)/')
[ -n "$objects" ] || { echo "no objects in $1"; exit 1; }
names=$(mktemp) || exit 1
trap 'rm -f "$names"' EXIT
for o in $objects; do
    source=${o#*.dir/}
    [ -f "${source%.o}" ] && echo "$o" # else of a file that was moved since
done | (cd "$1/CMakeFiles" && xargs nm -gA --defined-only) |
    sed -nE 's/^[a-z]+\.dir\/(.*)\.o:[0-9a-f]+ [A-Z] (.*)$/\1 \2/p' >"$names"
[ -s "$names" ] || { echo "nm found no names in $1"; exit 1; }
awk 'FNR == NR {
         if ($0 !~ /^#/ && NF > 1) {
             folder = $1
             $1 = ""
             allowed[folder] = $0
         }
         next
     }
     # Instrumentation, the entry, and the copy of volk (github.com/zeux/volk) in vk_volk.c.
     $2 == "main" || $2 ~ /^__/ || ($1 ~ /vk_volk\.c$/ && $2 ~ /^(volk|vk)[A-Z]/) { next }
     {
         folder = $1
         do
             sub("/[^/]*$", "", folder)
         while (!(folder in allowed) && folder ~ "/")
         n = split(allowed[folder], prefix, " ")
         good = 0
         for (i = 1; i <= n; i++)
             good = good || index($2, prefix[i]) == 1
         if (!good) {
             print $1 ": " $2 " begins with none of:" allowed[folder]
             bad = 1
         }
     }
     END { exit bad }' tests/prefixes.txt "$names"
