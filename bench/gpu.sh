#!/bin/sh
# Checks and timings on a real GPU, offline, at most ten minutes. Needs nothing but a
# build (build/release, or the folder in BUILD) and a Vulkan driver. Writes to $OUT:
#   gpu.json      devices, what passed, seconds of each part; device.json, bench.json and
#   *.log         details
# Usage: OUT=folder bench/gpu.sh [DEVICE]     DEVICE: a name of `faultline devices`
cd "$(dirname "$0")/.." || exit 1
OUT=${OUT:-build/gpu}
BUILD=${BUILD:-build/release}
DEVICE=${1:-auto}
LIMIT=${LIMIT:-570} # seconds for all parts together
mkdir -p "$OUT" || exit 1
start=$(date +%s)
rows=

left() { echo $((LIMIT - $(date +%s) + start)); }

# part NAME SECONDS COMMAND...: runs it within its own and the common limit.
part()
{
    name=$1 most=$2
    shift 2
    [ "$(left)" -lt "$most" ] && most=$(left)
    if [ "$most" -lt 5 ]; then
        verdict=skipped seconds=0
    else
        began=$(date +%s)
        timeout "$most" "$@" >"$OUT/$name.log" 2>&1
        code=$?
        seconds=$(($(date +%s) - began))
        case $code in
        0) verdict=passed ;;
        77) verdict=skipped ;;
        124) verdict=timeout ;;
        *) verdict=failed ;;
        esac
    fi
    echo "$verdict  $name  ${seconds} s"
    rows="$rows${rows:+,}
    {\"part\":\"$name\",\"verdict\":\"$verdict\",\"seconds\":$seconds}"
}

[ -x "$BUILD/faultline" ] || { echo "no $BUILD/faultline: ./run build first" >&2; exit 1; }
if [ "$DEVICE" = auto ]; then
    # The first hardware device; a software one only where nothing else is there.
    DEVICE=$("$BUILD/faultline" devices --json |
        awk -F'"' '/"name"/ { n = $4 } /"software": false/ { s = 1 } /"software": true/ { s = 0 }
            /"usable": true/ { u = 1 } /"usable": false/ { u = 0 }
            /}/ { if (s && u && n != "ref" && !hit) hit = n; if (u && !any) any = n }
            END { print hit ? hit : any }')
fi
echo "device $DEVICE"
# The tests take whatever driver the loader finds, not the software ones of CI.
export FAULTLINE_TEST_DEVICES="$DEVICE"
if [ -z "$VK_ICD_FILENAMES$VK_DRIVER_FILES" ]; then
    VK_DRIVER_FILES=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d \
        /usr/local/nvidia/share/vulkan/icd.d -name '*.json' 2>/dev/null | paste -sd:)
    export VK_DRIVER_FILES
fi
"$BUILD/faultline" devices --json >"$OUT/device.json" 2>"$OUT/device.log"

part doctor 60 "$BUILD/faultline" doctor --device "$DEVICE"
for t in "$BUILD"/test_ops "$BUILD"/test_matmul_pairs "$BUILD"/test_products "$BUILD"/test_tune "$BUILD"/test_logits \
    "$BUILD"/test_golden_gradients "$BUILD"/test_demo_answers; do
    [ -x "$t" ] && part "$(basename "$t")" 150 "$t"
done
bench() # NAME OPTION...
{
    name=$1
    shift
    part "bench_$name" 180 "$BUILD/faultline" bench --device "$DEVICE" --passes 2 \
        --store "$OUT/bench.db" --json --fail-if 'invalid>0' "$@"
}
# `ops` measures the device's limits (suite `peak`) first and holds the ops against them.
for suite in decode prefill train ops; do
    bench $suite --suite $suite
done
# Matrix units and integer dots, where the device has them: rows must be the same bits in
# other chunks and batches there too.
for products in f16 int8; do
    "$BUILD/faultline" doctor --device "$DEVICE" --products $products >"$OUT/$products.log" 2>&1 &&
        bench "$products" --suite decode,prefill --products $products
done

cat >"$OUT/gpu.json" <<JSON
{
  "device": "$DEVICE",
  "date": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "commit": "$(git rev-parse --short HEAD 2>/dev/null)",
  "seconds": $(($(date +%s) - start)),
  "parts": [$rows
  ]
}
JSON
cat "$OUT/gpu.json"
! grep -qE '"(failed|timeout)"' "$OUT/gpu.json"
