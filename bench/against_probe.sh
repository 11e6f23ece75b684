#!/bin/sh
# Our matmul kernels against the best form of bench/probe on the same device, in turns, in
# one run on one core, so that a second is a CPU second for both: lavapipe, and SwiftShader
# where Chromium's files are. Needs ./run build, gcc, glslc. Prints rates and ratios; the
# rates of a whole evaluation and of training steps come from `faultline bench`.
# Usage: bench/against_probe.sh [CORE]        BUILD: folder of the build (build/release)
set -eu
cd "$(dirname "$0")/.."
core=${1:-0}
program=$PWD/${BUILD:-build/release}/faultline
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
gcc -O2 -o "$scratch/probe" bench/probe/probe.c -lvulkan -lm

# kernel NAME FLAG...: one form of the probe's matmul.
kernel()
{
    name=$1
    shift
    glslc -O --target-env=vulkan1.1 -fshader-stage=compute "$@" bench/probe/gemm.comp -o "$scratch/$name.spv"
}
for path in t s; do
    macro=
    [ $path = t ] || macro='-DL_SSBO -DU_SSBO'
    for tile in 16x8 8x8 8x4; do
        kernel f32-$tile-$path -DBL=8 -DTU=${tile%x*} -DTL=${tile#*x} $macro
        kernel q4-$tile-$path -DBL=8 -DBITS=4 -DGROUP=0 -DTU=${tile%x*} -DTL=${tile#*x} $macro
        kernel q3-$tile-$path -DBL=8 -DBITS=3 -DGROUP=0 -DTU=${tile%x*} -DTL=${tile#*x} $macro
    done
done

# probe FORMAT M N K: the best rate of its forms, GFLOP per second.
probe()
{
    for tile in 16x8 8x8 8x4; do
        for path in $paths; do
            case $1 in
            f32) operands="W.k4:$path" ;;
            q*) operands="W.q:$([ $path = t ] && echo u || echo s) W.s:$path bits=${1#q} G=0" ;;
            esac
            tl=$((8 * ${tile#*x}))
            [ $(($2 % tl)) = 0 ] || continue
            # shellcheck disable=SC2086
            taskset -c "$core" "$scratch/probe" "$scratch/$1-$tile-$path.spv" $operands "X.row:$path" D.nm:s \
                M="$2" N="$3" K="$4" gx=$(($2 / tl)) gy=$(($3 / ${tile%x*})) 2>&1 |
                awk -v form="$1-$tile-$path" '/ok$/ { print $1, form }'
        done
    done | sort -rn | head -1
}

# ours CASE: its median rate.
ours()
{
    taskset -c "$core" "$program" bench --suite ops --case "$1" --passes 1 --store "$scratch/bench.db" -o csv 2>/dev/null |
        awk -F, -f bench/value.awk
}

compare()
{
    p= o=
    for turn in 1 2 3; do
        p=$(printf '%s\n%s\n' "$p" "$(probe "$2" "$3" "$4" "$5")" | sort -rn | head -1)
        o=$(printf '%s\n%s\n' "$o" "$(ours "$1")" | sort -rn | head -1)
    done
    awk -v name="$1" -v o="$o" -v p="${p%% *}" -v form="${p#* }" \
        'BEGIN { printf "%-58s %8.2f %8.2f %6.2f  %s\n", name, o, p, (p > 0 ? o / p : 0), form }'
}

for icd in ${ICDS:-/usr/share/vulkan/icd.d/lvp_icd.x86_64.json /usr/lib/chromium/vk_swiftshader_icd.json}; do
    [ -f $icd ] || { echo "skipped $icd: not there"; continue; }
    export VK_ICD_FILENAMES=$icd LP_NUM_THREADS=1
    paths="t s"
    case $icd in *swiftshader*) paths=s ;; esac
    echo "$icd, core $core"
    printf '%-58s %8s %8s %6s\n' 'GFLOP per second' ours probe ratio
    compare "matmul 512x512 f32, 512 rows" f32 512 512 512
    compare "matmul 512x512 4 bits, 64 rows" q4 512 64 512
    compare "matmul 512x512 3 bits, 64 rows" q3 512 64 512
    compare "matmul demo qkv 256x128 3 bits, 64 rows" f32 256 64 128
    compare "matmul demo gate and up 768x128 3 bits, 64 rows" f32 768 64 128
    compare "matmul demo down 128x384 3 bits, 64 rows" f32 128 64 384
    compare "matmul demo head 576x128 f32, 64 rows" f32 576 64 128
done
