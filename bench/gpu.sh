#!/bin/sh
# bench/gpu.sh [FOLDER [SECONDS]]: checks and timings on a real GPU, offline and unattended.
#   FOLDER   where everything is written (build/gpu); SECONDS for all parts together (600)
#   bench/gpu.sh --pack FOLDER   puts what another machine needs into a folder: programs
#            without debug symbols, their libraries, goldens and the bundled model; some
#            200 MB, a quarter of it as an archive (tar -cJ). TESTS="..." takes fewer programs.
#            There: FOLDER/bench/gpu.sh OUT SECONDS
# Parts run one after the other, each a process with its own limit of time: self-test, tests
# under validation, tune, ops against limits, prefill, decode, batches, training at 0.5B, the
# same at 7B with random weights, rounded products, llama-bench if it is there.
# FOLDER/gpu.json is written anew after each part, so a run that is cut keeps what it has:
#   passed, failed (with the last line that was said), timeout, stuck (it could not be
#   ended), skipped (with the reason). NAME.log has all of a part, NAME.json what it measured.
# A device that is gone for three parts in a row ends the parts that need it.
# Exit: 0 all passed or skipped, 1 a part failed, 2 usage, 3 no device, 4 FOLDER cannot be
# written.
# Needs: a Vulkan driver and loader (libvulkan.so.1; Debian: libvulkan1). Of a build: the
# programs in BUILD (build/release, or the packed folder's bin), a C compiler or
# BUILD/random_gguf for the models, 6 GB of disk for the one of 7B.
# Also: DEVICE (a name of `faultline devices`; default: the first GPU, else a software one),
# SIZE, LARGE (0.5B, 7B: shapes of random models; "tiny" to try this script; LARGE=none).
here=$(cd "$(dirname "$0")/.." && pwd) || exit 1
[ "${1:-}" = --pack ] && { packing=1; shift; }
OUT=${1:-$here/build/gpu}
LIMIT=${2:-600}
case $LIMIT in '' | *[!0-9]*) echo "gpu: SECONDS is a whole number, not '$LIMIT'" >&2; exit 2 ;; esac
if [ -z "${BUILD:-}" ]; then
    BUILD=$here/build/release
    [ -x "$here/bin/faultline" ] && BUILD=$here/bin
fi
SIZE=${SIZE:-0.5B} LARGE=${LARGE:-7B}
TESTS=${TESTS:-test_ops test_matmul_pairs test_products test_tune test_logits test_bindings
    test_golden_gradients test_demo_answers}

say() { echo "gpu: $*" >&2; }
[ -x "$BUILD/faultline" ] || { say "no $BUILD/faultline: ./run build first"; exit 1; }

# ---- what another machine needs ----

pack()
{
    mkdir -p "$OUT/bin/lib" "$OUT/bench" "$OUT/tests" "$OUT/pipeline" || return 4
    cc -O2 -o "$OUT/bin/random_gguf" "$here/bench/random_gguf.c" || return 1
    for p in faultline $TESTS; do
        [ -x "$BUILD/$p" ] || { say "no $BUILD/$p: build all first"; return 1; }
        strip -o "$OUT/bin/$p" "$BUILD/$p" || return 4
        ldd "$BUILD/$p" | awk '/=> \// { print $3 }'
    done | sort -u | grep -vE '/lib(c|m|pthread|dl|rt)\.so' | xargs cp -L -t "$OUT/bin/lib" || return 4
    cp "$here/bench/gpu.sh" "$OUT/bench/" && cp -r "$here/tests/golden" "$OUT/tests/" &&
        cp -r "$here/pipeline/demo" "$OUT/pipeline/" && echo "$here" >"$OUT/source" || return 4
    git -C "$here" rev-parse --short HEAD >"$OUT/commit" 2>/dev/null
    du -sh "$OUT"
}
[ -n "${packing:-}" ] && { pack; exit; }

# ---- where it is written ----

mkdir -p "$OUT" 2>/dev/null && : >"$OUT/.writable" 2>/dev/null || { say "'$OUT' cannot be written"; exit 4; }
rm -f "$OUT/.writable"
OUT=$(cd "$OUT" && pwd)
start=$(date +%s)
rows='' failures=0 gone=0 stuck=0
commit=$(git -C "$here" rev-parse --short HEAD 2>/dev/null || cat "$here/commit" 2>/dev/null)
# Of packed libraries those that this system lacks: a driver needs the system's own.
libraries=${LD_LIBRARY_PATH:-}
if [ -d "$BUILD/lib" ]; then
    mkdir -p "$OUT/lib"
    for l in "$BUILD"/lib/*; do
        ldconfig -p 2>/dev/null | grep -qF "$(basename "$l") " || ln -sf "$l" "$OUT/lib/"
    done
    libraries=$OUT/lib${libraries:+:$libraries}
fi
ours() { env LD_LIBRARY_PATH="$libraries" "$@"; }
# A packed program looks for files of the tree it was compiled in.
if [ -f "$here/source" ] && [ ! -e "$(cat "$here/source")" ]; then
    mkdir -p "$(dirname "$(cat "$here/source")")" 2>/dev/null && ln -s "$here" "$(cat "$here/source")" 2>/dev/null
fi
export FAULTLINE_DEMO="$here/pipeline/demo" FAULTLINE_TEST_GOLDEN="$here/tests/golden"

left() { echo $((LIMIT - $(date +%s) + start)); }
quote() { printf '%s' "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'; } # for JSON

# The whole file, in one step: what was there stays if it cannot be written.
write_json()
{
    {
        printf '{\n  "device": "%s",\n  "description": "%s",\n' "$(quote "$DEVICE")" "$(quote "$described")"
        printf '  "date": "%s",\n  "commit": "%s",\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$commit"
        printf '  "finished": %s,\n  "seconds": %s,\n  "parts": [%s\n  ]\n}\n' "$1" $(($(date +%s) - start)) "$rows"
    } >"$OUT/gpu.json.new" 2>/dev/null && mv "$OUT/gpu.json.new" "$OUT/gpu.json" 2>/dev/null && return
    rm -f "$OUT/gpu.json.new"
    [ -n "${told:-}" ] || say "gpu.json cannot be written (disk full?); results follow on the standard output"
    told=1
}

# note NAME VERDICT SECONDS [WORDS]
note()
{
    printf '%-8s %-20s %4s s  %s\n' "$2" "$1" "$3" "${4:-}"
    rows="$rows${rows:+,}
    {\"part\":\"$1\",\"verdict\":\"$2\",\"seconds\":$3,\"words\":\"$(quote "${4:-}")\"}"
    write_json false
}

# Runs a command, its output in $log; 124: its time was over, 125: it cannot be ended.
limited() # SECONDS COMMAND...
{
    most=$1
    shift
    timeout -k 5 "$most" env LD_LIBRARY_PATH="$libraries" "$@" >"$log" 2>&1 &
    pid=$! end=$(($(date +%s) + most + 15))
    while kill -0 $pid 2>/dev/null; do
        [ "$(date +%s)" -gt $end ] && return 125 # a driver holds it; it is left behind
        sleep 0.2
    done
    wait $pid
}

# part NAME SECONDS COMMAND...: within its own and the common limit.
part()
{
    name=$1 most=$2
    shift 2
    log=$OUT/$name.log
    # What a full disk would lose is kept in memory.
    : >"$log" 2>/dev/null || log=/dev/null
    [ "$(left)" -lt "$most" ] && most=$(left)
    if [ $stuck = 1 ]; then note "$name" skipped 0 "a part before holds the device"; return 1; fi
    if [ $gone -ge 3 ]; then note "$name" skipped 0 "the device is gone"; return 1; fi
    if [ "$most" -lt 5 ]; then note "$name" skipped 0 "no time left"; return 1; fi
    began=$(date +%s)
    limited "$most" "$@"
    code=$?
    took=$(($(date +%s) - began))
    last=$(grep -av '^ *$' "$log" 2>/dev/null | grep -aE 'error|FAIL|ERROR|lost|skip' | tail -1 | cut -c1-300)
    [ -n "$last" ] || last=$(grep -av '^ *$' "$log" 2>/dev/null | tail -1 | cut -c1-300)
    room=$(df -Pk "$OUT" | awk 'NR == 2 { print $4 }')
    [ "$code" != 0 ] && [ "${room:-0}" -lt 1024 ] && last="no space left in $OUT; $last"
    case $code in
    3) gone=$((gone + 1)) ;;
    *) gone=0 ;;
    esac
    case $code in
    0) note "$name" passed $took ;;
    77) note "$name" skipped $took "$last" ;;
    124 | 137) note "$name" timeout $took "$last" ;;
    125) stuck=1; note "$name" stuck $took "$last" ;;
    *) note "$name" failed $took "exit $code: $last" ;;
    esac
    case $code in 0 | 77) ;; *) failures=$((failures + 1)) ;; esac
    return $code
}

# ---- the device ----

DEVICE=${DEVICE:-auto} described=''
if [ -z "${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-}" ]; then
    VK_DRIVER_FILES=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d \
        /usr/local/nvidia/share/vulkan/icd.d -name '*.json' 2>/dev/null | paste -sd:)
    [ -n "$VK_DRIVER_FILES" ] && export VK_DRIVER_FILES
fi
{
    date -u; uname -a; nproc; free -m; df -h "$OUT"
    echo "drivers ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}"
    nvidia-smi 2>/dev/null; vulkaninfo --summary 2>/dev/null
    ours ldd "$BUILD/faultline" | grep 'not found'
} >"$OUT/machine.log" 2>&1
missing=$(ours ldd "$BUILD/faultline" | awk '/not found/ { printf "%s ", $1 }')
if [ -n "$missing" ]; then
    note programs failed 0 "libraries are missing: $missing(use --pack, or ./run deps)"
    write_json true
    exit 1
fi
log=$OUT/devices.log
limited 60 "$BUILD/faultline" devices --json || note devices failed 0 "$(tail -1 "$log" 2>/dev/null)"
cp "$log" "$OUT/device.json" 2>/dev/null
if [ "$DEVICE" = auto ]; then
    # The first hardware device; a software one only where nothing else is there.
    DEVICE=$(awk -F'"' '/"name"/ { n = $4 } /"software": false/ { s = 1 } /"software": true/ { s = 0 }
            /"usable": true/ { u = 1 } /"usable": false/ { u = 0 }
            /}/ { if (s && u && n != "ref" && !hit) hit = n; if (u && n != "ref" && !any) any = n }
            END { print hit ? hit : any }' "$log" 2>/dev/null)
fi
if [ -z "$DEVICE" ]; then
    note devices failed 0 "no Vulkan device; drivers: ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} (machine.log)"
    write_json true
    exit 3
fi
described=$(ours "$BUILD/faultline" devices 2>/dev/null | grep -F "$DEVICE" | head -1 | tr -s ' ')
echo "device $DEVICE, at most $LIMIT s, into $OUT"

# ---- checks ----

export FAULTLINE_TEST_DEVICES="$DEVICE" # whatever the loader finds, not CI's software ones
export XDG_CACHE_HOME="$OUT/cache"
faultline="$BUILD/faultline"
# Each form of validation is named in gpu.json, so that a run without says so.
if ours "$faultline" doctor --device "$DEVICE" --validation >"$OUT/validation.log" 2>&1; then
    note validation passed 0 "the layer is on in all tests"
else
    export FAULTLINE_TEST_NO_VALIDATION=1
    note validation skipped 0 "off (the layer is in Debian's vulkan-validationlayers): $(grep -aE 'BAD|error' "$OUT/validation.log" | tail -1)"
fi
part doctor 60 "$faultline" doctor --device "$DEVICE"
for t in $TESTS; do # at most two fifths of the time
    if [ ! -x "$BUILD/$t" ]; then
        note "$t" skipped 0 "not built"
    elif [ "$(left)" -lt $((LIMIT * 3 / 5)) ]; then
        note "$t" skipped 0 "the time for tests is used up"
    else
        part "$t" $((LIMIT / 10 + 5)) "$BUILD/$t"
    fi
done

# ---- timings ----

# bench NAME SECONDS OPTION...: into the store of all parts, and NAME.json.
bench()
{
    name=$1 most=$2
    shift 2
    part "$name" "$most" "$faultline" bench --device "$DEVICE" --passes "${PASSES:-2}" \
        --store "$OUT/bench.db" --json --fail-if 'invalid>0' --progress none "$@"
    code=$?
    # A part that was cut has the cases that it finished in the store, with those before.
    from=$OUT/$name.log
    if [ $code != 0 ] && [ $stuck = 0 ] && [ -s "$OUT/bench.db" ]; then
        from=$OUT/$name.kept log=$OUT/$name.kept
        limited 20 "$faultline" sql --store "$OUT/bench.db" --json \
            "SELECT run_id, case_name, status, value, ci_lo, ci_hi, unit FROM v_bench"
    fi
    # From the first line that begins a value: messages come before it.
    sed -n '/^[[{]/,$p' "$from" >"$OUT/$name.json" 2>/dev/null
    return $code
}

# `ops` measures the device's limits (suite `peak`) first and holds the ops against them.
bench ops 150 --suite ops
bench demo 60 --suite decode,prefill,train

# model FILE SHAPE: one with random weights, if there is room.
model()
{
    [ -s "$1" ] && return
    case $2 in 7B) need=6000000 ;; 0.5B) need=700000 ;; *) need=10000 ;; esac
    room=$(df -Pk "$OUT" | awk 'NR == 2 { print $4 }')
    [ "${room:-0}" -gt $need ] || { note "model_$2" skipped 0 "no room: $need KiB are needed, ${room:-0} free"; return 1; }
    [ -x "$BUILD/random_gguf" ] && make=$BUILD/random_gguf || make=$OUT/random_gguf
    [ -x "$make" ] || cc -O2 -o "$make" "$here/bench/random_gguf.c" 2>"$OUT/cc.log" ||
        { note "model_$2" skipped 0 "no C compiler and no $BUILD/random_gguf"; return 1; }
    part "model_$2" 120 "$make" "$1.new" "$2" && mv "$1.new" "$1" && return
    rm -f "$1.new"
    return 1
}

# Bench parts of one model; the first is its tune.
measure()
{
    bench "tune_$2" 90 --suite decode --case '*batch 1' --model "$1"
    bench "prefill_$2" 60 --suite prefill --model "$1"
    bench "decode_$2" 60 --suite decode --model "$1" # 1, 8 and 64 sequences
    bench "context_$2" 60 --suite context --model "$1"
    bench "train_$2" 90 --suite train --model "$1"
}
if model "$OUT/small.gguf" "$SIZE"; then
    measure "$OUT/small.gguf" "$SIZE"
    # Rows must be the same bits in other chunks and batches there too.
    for products in f16 int8; do
        log=$OUT/$products.log
        if limited 60 "$faultline" doctor --device "$DEVICE" --products $products; then
            bench "${products}_$SIZE" 60 --suite decode,prefill --model "$OUT/small.gguf" --products $products
        else
            note "${products}_$SIZE" skipped 0 "$(grep -a 'has no' "$log" | head -1)"
        fi
    done
    llama=$(command -v llama-bench || true)
    if [ -n "$llama" ]; then
        part llama_bench 120 "$llama" -m "$OUT/small.gguf" -ngl 99 -p 512 -n 128 -o json
        sed -n '/^\[/,/^\]/p' "$OUT/llama_bench.log" >"$OUT/llama_bench.json" 2>/dev/null
    else
        note llama_bench skipped 0 "no llama-bench in PATH"
    fi
fi
if [ "$LARGE" != none ] && model "$OUT/large.gguf" "$LARGE"; then
    measure "$OUT/large.gguf" "$LARGE"
fi

# ---- end ----

rm -f "$OUT/small.gguf" "$OUT/large.gguf"
find "$OUT/cache" -name 'tune-*' -exec cp {} "$OUT/" \; 2>/dev/null # which kernels it chose
rm -rf "$OUT/cache"
write_json true
[ -n "${told:-}" ] && printf '{"device":"%s","parts":[%s\n]}\n' "$(quote "$DEVICE")" "$rows"
echo "$(echo "$rows" | grep -c '"passed"') passed, $failures failed, $(echo "$rows" | grep -c '"skipped"') skipped, $(($(date +%s) - start)) s: $OUT/gpu.json"
[ $gone -lt 3 ] || exit 3
[ $failures = 0 ]
