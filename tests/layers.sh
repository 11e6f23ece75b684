#!/bin/sh
# Holds the order of folders: an include that runs upward fails the tests. The table names
# every folder of the product once, lowest first; a folder includes itself and those above
# its line, narrowed by what stands behind the colon (folders, "-" for none).
# Also: Vulkan below runtime/vk only, SQL in store/ only, POSIX in runtime/base/os_posix.c
# only, names of the command line in pipeline/cli only, the insides of a model in runtime/ and
# tests/ only. Prints the table and every offence.
cd "$(dirname "$0")/.." || exit 1
table='
shaders             : -
runtime/base        : -
runtime/op          : shaders runtime/base
runtime/device      : runtime/base runtime/op
runtime/ref         : shaders runtime/base runtime/op runtime/device
runtime/vk          : shaders runtime/base runtime/op runtime/device runtime/ref
runtime/format      : runtime/base runtime/op
runtime/text        : runtime/base runtime/format
runtime/model       : runtime/base runtime/op runtime/device runtime/format
runtime/engine      : runtime/base runtime/op runtime/device runtime/format runtime/model
runtime/observe     : runtime/base runtime/op runtime/device runtime/format runtime/model
runtime/train       : runtime/base runtime/op runtime/device runtime/format runtime/model runtime/observe
runtime/quant       : runtime/base runtime/op runtime/format runtime/text runtime/model runtime/observe
pipeline            : runtime/base
pipeline/stats      : runtime/base pipeline
pipeline/data       : runtime/base pipeline
pipeline/grade      : runtime/base pipeline
pipeline/prompt     : runtime/base runtime/text pipeline pipeline/data pipeline/grade
pipeline/demo       : runtime/base pipeline pipeline/data pipeline/prompt
store               : runtime/base runtime/device pipeline pipeline/data
store/report        : runtime/base pipeline pipeline/stats store
pipeline/run        : runtime pipeline pipeline/stats pipeline/data pipeline/grade pipeline/prompt store
pipeline/exchange   : runtime/base pipeline pipeline/data pipeline/grade pipeline/prompt store pipeline/run
pipeline/locate     : runtime pipeline pipeline/stats pipeline/data pipeline/prompt store pipeline/run
pipeline/restore    : runtime pipeline pipeline/stats pipeline/data pipeline/grade pipeline/prompt store store/report pipeline/run pipeline/locate
pipeline/bench      : runtime pipeline store
pipeline/cli        : runtime/base runtime/device runtime/text runtime/format pipeline pipeline/stats pipeline/data pipeline/grade pipeline/prompt pipeline/demo pipeline/exchange pipeline/run pipeline/locate pipeline/restore pipeline/bench store store/report'
bad=0
code() { git ls-files --cached --others --exclude-standard "$@" 2>/dev/null | grep -E '\.([ch]|comp|glsl)$'; }

# folder_of FILE: the folder that a file stands in, of shaders the whole tree.
folders=$(echo "$table" | sed -n 's/ *:.*//p')
for dir in $(code 'runtime/*' 'pipeline/*' 'store/*' | sed 's,/[^/]*$,,' | sort -u); do
    echo "$folders" | grep -qx "$dir" || { echo "$dir is not in the table"; bad=1; }
done
seen=
while read -r line; do
    [ -n "$line" ] || continue
    folder=$(echo "${line%%:*}" | tr -d ' ')
    allowed=$(echo "${line#*:}" | tr -d '-')
    for a in $allowed; do # the order itself: nothing named before its own line
        case " $seen runtime " in
        *" $a "*) ;;
        *) echo "$folder names $a, which comes later in the table"; bad=1 ;;
        esac
    done
    pattern="$folder"
    for a in $allowed; do
        if [ "$a" = runtime ]; then a='runtime/[a-z]+'; fi
        pattern="$pattern|$a"
    done
    [ "$folder" = shaders ] && pattern='shaders(/[a-z]+)*'
    files=$(code "$folder/*" | if [ "$folder" = shaders ]; then cat; else grep -E "^$folder/[^/]*$"; fi)
    # shellcheck disable=SC2086
    offences=$(grep -nHE '^#[[:space:]]*include "' $files /dev/null | grep -vE "include \"($pattern)/[^/]*\"")
    if [ -n "$offences" ]; then
        echo "$folder may not include:"
        echo "$offences" | sed 's/^/    /'
        bad=1
    fi
    seen="$seen $folder"
done <<TABLE
$table
TABLE

# only PLACE WHAT PATTERN FILES: lines that match stand in PLACE only.
only()
{
    place=$1 what=$2 pattern=$3
    shift 3
    found=$(grep -nHE "$pattern" "$@" /dev/null | grep -vE "^($place)" | grep -v 'lint:' |
        grep -vE ':[0-9]+: *(\*|/\*|//)')
    [ -z "$found" ] && return
    echo "$what outside $place:"
    echo "$found" | sed 's/^/    /'
    bad=1
}
product=$(code 'runtime/*' 'pipeline/*' 'store/*')
# shellcheck disable=SC2046,SC2086
only '(runtime/vk|tests/support/layer)/' Vulkan 'include <(vulkan/|volk)' $product $(code 'tests/*')
# shellcheck disable=SC2086
only store/ SQL '"[^"]*(SELECT|INSERT INTO|DELETE FROM|UPDATE [a-z]+ SET) ' $product
# shellcheck disable=SC2086
only pipeline/cli/ 'The command line' '\bcli_[a-z]+|"pipeline/cli/' $product
# shellcheck disable=SC2046,SC2086
only '(runtime|tests)/' 'The insides of a model' 'include "runtime/model/model_impl\.h"' $product $(code 'bench/*' 'tests/*')
# The product is compiled as C11, which hides what headers of C hold of POSIX (strnlen, getline);
# these headers and files do not depend on that.
posix='include <(unistd|fcntl|dirent|signal|pthread|dlfcn|strings|poll|sched|semaphore|spawn'
posix="$posix|termios|glob|ftw|fnmatch|regex|wordexp|libgen|pwd|grp|netdb|syslog|aio|mqueue|utime"
posix="$posix|(sys|net|netinet|arpa|linux)/[a-z_]+)\.h>|define _[A-Z_]+_SOURCE\b|\"/(proc|sys|dev)/"
# shellcheck disable=SC2086
only 'runtime/base/os_posix\.c' POSIX "$posix" $product

if [ $bad = 0 ]; then
    echo "$table" | sed '/^$/d'
    echo "layers: in order"
fi
exit $bad
