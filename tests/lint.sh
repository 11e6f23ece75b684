#!/bin/sh
# Every rule a machine can hold, one line each: ok or FAILED with what offends.
# Called by ./run lint, which has built build/release (gcc, -Werror) before.
# Usage: tests/lint.sh RELEASE_BUILD CLANG_BUILD    Ends with the line of counts.
cd "$(dirname "$0")/.." || exit 1
release=$1
clang=$2
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0 skipped=0
sources=$(git ls-files --cached --others --exclude-standard '*.c' '*.h' 2>/dev/null |
    while read -r f; do [ -f "$f" ] && echo "$f"; done)
sources=$(echo "$sources" | grep -E '^(shaders|runtime|pipeline|store|tests)/|^bench/[^/]*$')
[ -n "$sources" ] ||
    sources=$(find shaders runtime pipeline store tests -name '*.[ch]'; ls bench/*.c)
product=$(echo "$sources" | grep -E '^(runtime|pipeline|store)/')

# check NAME COMMAND...: passes where the command succeeds; its output is shown if not.
check()
{
    name=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then
        echo "ok      $name"
        passed=$((passed + 1))
    else
        echo "FAILED  $name"
        head -60 "$scratch/out" | sed 's/^/        /'
        failed=$((failed + 1))
    fi
}
skip()
{
    echo "skipped $1: $2"
    skipped=$((skipped + 1))
}

# absent PATTERN FILES: succeeds where no line of code matches. A line that must stay
# says why in a comment with the word "lint:".
absent()
{
    pattern=$1
    shift
    ! grep -nHE "$pattern" "$@" /dev/null | grep -v 'lint:' | grep -vE ':[0-9]+: *(\*|/\*|//)'
}

headers_alone()
{
    flags="-std=c11 -fsyntax-only -Wall -Wextra -Wpedantic -D_POSIX_C_SOURCE=200809L -DVK_NO_PROTOTYPES -I."
    good=0
    for h in $(echo "$sources" | grep '\.h$'); do
        printf '#include "%s"\n#include "%s"\nextern int unused;\n' "$h" "$h" >"$scratch/h.c"
        # shellcheck disable=SC2086
        gcc $flags "$scratch/h.c" || { echo "$h does not compile alone"; good=1; }
    done
    return $good
}

shaders_valid()
{
    mkdir -p "$scratch/spv"
    FAULTLINE_SPIRV_DIR=$scratch/spv "$release/test_spirv" >"$scratch/spirv.log" 2>&1 ||
        { cat "$scratch/spirv.log"; return 1; }
    count=$(find "$scratch/spv" -name '*.spv' | wc -l)
    [ "$count" -gt 0 ] || { echo "no kernels were written"; return 1; }
    good=0
    for f in "$scratch"/spv/*.spv; do
        case $f in
        *matmul_f16_*) continue ;; # newer than this spirv-val; bench/spirv.sh made it
        *matmul_int8_* | *matmul_w8a8_dots_*) env=vulkan1.2 ;;
        *) env=vulkan1.1 ;;
        esac
        spirv-val --target-env $env "$f" || { echo "$(basename "$f") is not valid"; good=1; }
    done
    return $good
}

formatted()
{
    # shellcheck disable=SC2086
    clang-format --dry-run -Werror $sources 2>&1 | grep -oE '^[^:]+:[0-9]+' | sort -t: -u -k1,1 >"$scratch/fmt"
    [ ! -s "$scratch/fmt" ] || { cat "$scratch/fmt"; echo "./run fmt puts them right"; return 1; }
}

static_analysis()
{
    # shellcheck disable=SC2046
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --suppressions-list=tests/cppcheck.txt --error-exitcode=1 -j2 -I. \
        -D_POSIX_C_SOURCE=200809L -DVK_NO_PROTOTYPES $(echo "$product" | grep '\.c$')
}

# One unit in the whole tree must not be named twice, or an error names the wrong one.
names_unique()
{
    twice=$(echo "$sources" | sed 's,.*/,,' | sort | uniq -d)
    [ -z "$twice" ] || { echo "$twice"; return 1; }
}

# Complexity and length of functions (Debian's pmccabe, each case of a switch counts).
small_functions()
{
    # shellcheck disable=SC2046
    pmccabe $(echo "$sources" | grep '\.c$') | awk -f tests/size.awk
}

small_files()
{
    # shellcheck disable=SC2086
    wc -l $sources | awk '$1 > 600 && $2 != "total" {
        print $2 " has " $1 " lines, 600 are the most"; bad = 1 } END { exit bad }'
}

check 'layers' tests/layers.sh
check 'gcc, all warnings are errors' cmake --build "$release"
if command -v clang >/dev/null; then
    check 'clang, all warnings are errors' cmake --build "$clang"
else
    skip 'clang' 'not installed'
fi
if command -v clang-format >/dev/null; then
    check 'clang-format' formatted
else
    skip 'clang-format' 'not installed'
fi
if command -v cppcheck >/dev/null; then
    check 'cppcheck' static_analysis
else
    skip 'cppcheck' 'not installed'
fi
check 'spirv-val on every kernel' shaders_valid
check 'every header compiles alone' headers_alone
check 'file names are unique' names_unique
# shellcheck disable=SC2086
check 'external names begin with their layer' tests/prefixes.sh "$release"
if command -v pmccabe >/dev/null; then
    check 'functions: complexity 20, 9 in 10 up to 40 lines' small_functions
else
    skip 'complexity of functions' 'pmccabe is not installed'
fi
check 'files: up to 600 lines' small_files
# shellcheck disable=SC2086
check 'banned calls' absent '\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|alloca)\(' $sources
# shellcheck disable=SC2046
check 'memory only through rt_alloc, no system()' absent '\b(malloc|calloc|realloc|free|strdup|system)\(' \
    $(echo "$product" | grep -v '^runtime/base/rt\.c$')
# shellcheck disable=SC2046
check 'no output and no exit below cli' absent '\b(printf|puts|putchar|exit|_exit|abort)\(|\b(stdout|stderr)\b' \
    $(echo "$product" | grep -v '^pipeline/cli/')
# shellcheck disable=SC2046
check 'no machine paths, no package registries' absent \
    '/wor[k]/|/tmp/f[l]/|/hom[e]/[a-z]|[p]ypi\.org|[n]pmjs|[c]rates\.io|[f]iles\.pythonhosted|[p]roxy\.golang' \
    $(git ls-files | grep -vE '\.(png|safetensors|f32|jsonl)$')

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
