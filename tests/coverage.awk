# Line coverage per folder from `gcov --stdout` of all objects: a line counts once, and as
# run if it ran in any of them (runtime/ref is compiled twice, headers many times).
#   awk -v root=FOLDER/ -f coverage.awk
# Input: "  count:  number:text"; count "-" is no code, "#####" or "=====" did not run.
{
    split($0, part, ":")
    count = part[1]
    number = part[2]
    gsub(/ /, "", count)
    gsub(/ /, "", number)
}
number == "0" && index($0, "0:Source:") {
    file = $0
    sub(/.*0:Source:/, "", file)
    if (index(file, root) == 1)
        file = substr(file, length(root) + 1)
    gsub(/^(\.\.\/)+/, "", file)
    ours = file ~ /^(runtime|pipeline|store)\/.*\.[ch]$/
    next
}
ours && number ~ /^[0-9]+$/ && count != "-" {
    line = file ":" number
    if (!(line in seen)) {
        seen[line] = 0
        folder = file
        sub(/\/[^\/]*$/, "", folder)
        lines[folder]++
    }
    if (count !~ /^[#=]/ && !seen[line]) {
        seen[line] = 1
        ran[folder_of(file)]++
    }
}
function folder_of(name)
{
    sub(/\/[^\/]*$/, "", name)
    return name
}
END {
    sort = "sort"
    printf "%-22s %8s %8s %7s\n", "folder", "lines", "run", "share"
    for (f in lines) {
        printf "%-22s %8d %8d %6.1f%%\n", f, lines[f], ran[f], 100 * ran[f] / lines[f] | sort
        all += lines[f]
        all_ran += ran[f]
    }
    close(sort)
    if (!all) {
        print "no counts were found"
        exit 1
    }
    printf "%-22s %8d %8d %6.1f%%\n", "all", all, all_ran, 100 * all_ran / all
}
