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
#   ended), cut (the script was told to end), skipped (with the reason). NAME.log has all of a
#   part, NAME.json what it measured; what an earlier run left goes to FOLDER/earlier-N.
# A part whose device is lost runs again, at most twice: the tune leaves out what lost it.
# A device that is gone for three parts in a row ends the parts that need it.
# Exit: 0 all passed or skipped, 1 a part failed, 2 usage, 3 no device, 4 FOLDER cannot be
# written, 130 or 143 it was told to end.
# Needs: a Vulkan driver and loader (libvulkan.so.1; Debian: libvulkan1). Of a build: the
# programs in BUILD (build/release, or the packed folder's bin), a C compiler or
# random_gguf for the models, 6 GB of disk for the one of 7B.
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
command -v timeout >/dev/null || { say "no timeout (coreutils) in PATH"; exit 1; }

# ---- what another machine needs ----

pack()
{
    mkdir -p "$OUT/bin/lib" "$OUT/bench" "$OUT/tests" "$OUT/pipeline" || return 4
    cc -O2 -o "$OUT/bin/random_gguf" "$here/bench/random_gguf.c" || return 1
    for p in faultline $TESTS; do
        [ -x "$BUILD/$p" ] || { say "no $BUILD/$p: build all first"; return 1; }
    done
    for p in faultline $TESTS; do
        strip -o "$OUT/bin/$p" "$BUILD/$p" || return 4
    done
    for p in faultline $TESTS; do
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
if [ -e "$OUT/gpu.json" ]; then
    n=1
    while [ -e "$OUT/earlier-$n" ]; do n=$((n + 1)); done
    mkdir "$OUT/earlier-$n"
    for f in "$OUT"/*.json "$OUT"/*.log "$OUT"/bench.db* "$OUT"/tune-*; do
        [ -f "$f" ] && mv "$f" "$OUT/earlier-$n/"
    done
fi
start=$(date +%s)
rows='' failures=0 gone=0 stuck=0 pid='' name='' DEVICE=${DEVICE:-auto} described=''
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
share() { echo $((LIMIT * $1 / 600 + 5)); } # seconds of a part that may have $1 of 600
# For JSON. Plain characters only: a line that was cut may end within one of several bytes.
quote() { printf '%s' "$1" | LC_ALL=C tr -cd '\040-\176' | sed 's/\\/\\\\/g; s/"/\\"/g'; }

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

# Whether a file looks like whole JSON: nothing is here that could read it.
is_json()
{
    case $(head -c 1 "$1" 2>/dev/null)$(tail -c 2 "$1" 2>/dev/null | tr -d '\n ') in
    '['*']' | '{'*'}') return 0 ;;
    *) return 1 ;;
    esac
}

# Runs a command, its output in $log, or what it writes on the standard output in $out;
# 124: its time was over, 125: it cannot be ended.
limited() # SECONDS COMMAND...
{
    most=$1
    shift
    set -- timeout -k 5 "$most" env LD_LIBRARY_PATH="$libraries" "$@"
    if [ -n "${out:-}" ]; then "$@" >"$out" 2>"$log" & else "$@" >"$log" 2>&1 & fi
    pid=$! end=$(($(date +%s) + most + 30))
    while kill -0 $pid 2>/dev/null; do
        [ "$(date +%s)" -gt $end ] && return 125 # a driver holds it; it is left behind
        sleep 0.05
    done
    wait $pid
    code=$?
    pid=''
    return $code
}

# Told to end: the part is ended too, within seconds, and what is done is kept.
told_to_end() # EXIT-CODE
{
    trap '' INT TERM HUP
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null
        n=0
        while kill -0 "$pid" 2>/dev/null && [ $n -lt 30 ]; do sleep 0.2; n=$((n + 1)); done
    fi
    note "${name:-run}" cut 0 "the script was told to end"
    rm -f "$OUT"/model_*.gguf "$OUT"/model_*.gguf.new "$OUT"/*.json.new
    exit "$1"
}
trap 'told_to_end 130' INT
trap 'told_to_end 143' TERM HUP

# part NAME SECONDS COMMAND...: within its own and the common limit.
part()
{
    name=$1 most=$2
    shift 2
    log=$OUT/$name.log
    : >"$log" 2>/dev/null || log=/dev/null
    [ -z "${out:-}" ] || : >"$out" 2>/dev/null || out=/dev/null
    [ "$(left)" -lt "$most" ] && most=$(left)
    ran=0
    n=0 # what could not be ended may end late
    while [ $stuck != 0 ] && [ $n -lt 5 ]; do
        kill -0 $stuck 2>/dev/null && sleep 1 || stuck=0
        n=$((n + 1))
    done
    if [ $stuck != 0 ]; then note "$name" skipped 0 "a part before holds the device"; return 1; fi
    if [ $gone -ge 3 ]; then note "$name" skipped 0 "the device is gone"; return 1; fi
    if [ "$most" -lt 5 ]; then note "$name" skipped 0 "no time left"; return 1; fi
    ran=1 began=$(date +%s) tries=1
    limited "$most" "$@"
    code=$?
    while [ $code = 8 ] && grep -aq 'was lost' "$log" && [ $tries -lt 3 ] && [ "$(left)" -gt 5 ]; do
        tries=$((tries + 1))
        [ "$(left)" -lt "$most" ] && most=$(left)
        limited "$most" "$@"
        code=$?
    done
    took=$(($(date +%s) - began))
    last=$(grep -av '^ *$' "$log" 2>/dev/null | grep -aE 'error|FAIL|ERROR|lost|skip' | tail -1 | cut -c1-300)
    [ -n "$last" ] || last=$(grep -av '^ *$' "$log" 2>/dev/null | tail -1 | cut -c1-300)
    room=$(df -Pk "$OUT" | awk 'NR == 2 { print $4 }')
    [ "$code" != 0 ] && [ "${room:-0}" -lt 1024 ] && last="no space left in $OUT; $last"
    [ $tries -gt 1 ] && last="device lost, tried $tries times; $last"
    case $code in
    3) gone=$((gone + 1)) ;;
    *) gone=0 ;;
    esac
    [ $code = 137 ] && [ $took -lt "$most" ] && code=9 # not by the limit: by the system, for memory
    case $code in
    0) [ $tries = 1 ] && last=''; note "$name" passed $took "$last" ;;
    77) note "$name" skipped $took "$last" ;;
    124 | 137) note "$name" timeout $took "$last" ;;
    125) stuck=$pid; note "$name" stuck $took "$last" ;;
    9) note "$name" failed $took "killed, out of memory?: $last" ;;
    *) note "$name" failed $took "exit $code: $last" ;;
    esac
    case $code in 0 | 77) ;; *) failures=$((failures + 1)) ;; esac
    name=''
    return $code
}

# ---- the device ----

# The tests see software devices only, if no drivers are named. NVIDIA's containers put
# theirs where no loader looks.
if [ -z "${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-}" ]; then
    for d in /usr/local/share /usr/share /etc "${HOME:-/root}/.local/share" /usr/local/nvidia/share; do
        for f in "$d"/vulkan/icd.d/*.json; do
            case $f:${VK_DRIVER_FILES:-} in /usr/local/nvidia/*nvidia_icd*:*nvidia_icd*) continue ;; esac
            [ -f "$f" ] && export VK_DRIVER_FILES="${VK_DRIVER_FILES:-}${VK_DRIVER_FILES:+:}$f"
        done
    done
fi
drivers=${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}
if [ ! -x "$BUILD/faultline" ]; then
    note programs failed 0 "no $BUILD/faultline: ./run build first"
    write_json true
    exit 1
fi
write_json false
log=$OUT/machine.log
{
    date -u; uname -a; nproc; free -m; df -h "$OUT"
    echo "drivers $drivers"
    timeout -k 5 20 nvidia-smi; timeout -k 5 20 vulkaninfo --summary
    ours ldd "$BUILD/faultline" | grep 'not found'
} >"$log" 2>/dev/null
missing=$(ours ldd "$BUILD/faultline" | awk '/not found/ { printf "%s ", $1 }')
if [ -n "$missing" ]; then
    note programs failed 0 "libraries are missing: $missing(use --pack, or ./run deps)"
    write_json true
    exit 1
fi
log=$OUT/devices.log
out=$(mktemp 2>/dev/null || echo "$OUT/device.json.new") # elsewhere: this disk may be full
limited 60 "$BUILD/faultline" devices --json || note devices failed 0 "$(tail -1 "$log" 2>/dev/null)"
if [ "$DEVICE" = auto ]; then
    # The first hardware device; a software one only where nothing else is there.
    DEVICE=$(awk -F'"' '/"name"/ { n = $4 } /"software": false/ { s = 1 } /"software": true/ { s = 0 }
            /"usable": true/ { u = 1 } /"usable": false/ { u = 0 }
            /}/ { if (s && u && n != "ref" && !hit) hit = n; if (u && n != "ref" && !any) any = n }
            END { print hit ? hit : any }' "$out" 2>/dev/null)
fi
if [ -z "$DEVICE" ]; then
    note devices failed 0 "no Vulkan device; drivers: ${drivers:-none} (machine.log, devices.log)"
    write_json true
    rm -f "$out"
    exit 3
fi
described=$(awk -F'"' -v d="$DEVICE" '/"name"/ { n = $4 } n == d && /"description"/ { a = $4 }
        n == d && /"driver"/ { print a ", " $4; exit }' "$out" 2>/dev/null)
software=$(awk -F'"' -v d="$DEVICE" '/"name"/ { n = $4 } n == d && /"software": true/ { print 1 }' "$out" 2>/dev/null)
is_json "$out" && cp "$out" "$OUT/device.json" 2>/dev/null || rm -f "$OUT/device.json"
rm -f "$out"
out=''
echo "device $DEVICE, at most $LIMIT s, into $OUT"

# ---- checks ----

# Whatever the loader finds, not CI's software ones; of a GPU the kernels that it takes.
export FAULTLINE_TEST_DEVICES="$DEVICE"
[ -n "$software" ] || FAULTLINE_TEST_DEVICES=$DEVICE/tiled
export XDG_CACHE_HOME="$OUT/cache"
faultline="$BUILD/faultline"
# Each form of validation is named in gpu.json, so that a run without says so.
log=$OUT/validation.log
if limited 60 "$faultline" doctor --device "$DEVICE" --validation; then
    note validation passed 0 "the layer is on in all tests"
else
    export FAULTLINE_TEST_NO_VALIDATION=1
    note validation skipped 0 "off (the layer is in Debian's vulkan-validationlayers): $(grep -aE 'BAD|error' "$log" | tail -1)"
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

# bench NAME SHARE OPTION...: into the store of all parts, and NAME.json.
bench()
{
    measured=$1 most=$(share "$2")
    shift 2
    out=$OUT/$measured.json.new
    part "$measured" "$most" "$faultline" bench --device "$DEVICE" --passes "${PASSES:-2}" \
        --store "$OUT/bench.db" --json --fail-if 'invalid>0' --progress none "$@"
    result=$?
    # A part that was cut has the cases that it finished in the store, with those before.
    if [ $result != 0 ] && [ $ran = 1 ] && [ $stuck = 0 ] && [ -s "$OUT/bench.db" ]; then
        log=$OUT/$measured.kept.log
        limited 20 "$faultline" sql --store "$OUT/bench.db" --json \
            "SELECT run_id, case_name, status, value, ci_lo, ci_hi, unit FROM v_bench"
    fi
    is_json "$out" && mv "$out" "$OUT/$measured.json" 2>/dev/null || rm -f "$OUT/$measured.json.new"
    out=''
    return $result
}

# `ops` measures the device's limits (suite `peak`) first and holds the ops against them.
bench ops 150 --suite ops
bench demo 60 --suite decode,prefill,train

# model SHAPE: $file, one with random weights, if there is room.
model()
{
    file=$OUT/model_$1.gguf
    [ -s "$file" ] && return
    case $1 in 7B) need=6000000 ;; 0.5B) need=700000 ;; *) need=10000 ;; esac
    room=$(df -Pk "$OUT" | awk 'NR == 2 { print $4 }')
    [ "${room:-0}" -gt $need ] || { note "model_$1" skipped 0 "no room: $need KiB are needed, ${room:-0} free"; return 1; }
    for make in "$BUILD/random_gguf" "$BUILD/bench_random_gguf" "$OUT/random_gguf"; do
        [ -x "$make" ] && break
    done
    [ -x "$make" ] || cc -O2 -o "$make" "$here/bench/random_gguf.c" 2>"$OUT/cc.log" ||
        { note "model_$1" skipped 0 "no C compiler and no $BUILD/random_gguf"; return 1; }
    part "model_$1" 120 "$make" "$file.new" "$1" && mv "$file.new" "$file" && return
    rm -f "$file.new"
    return 1
}

# Bench parts of one model; the first is its tune.
measure() # NAME
{
    bench "tune_$1" 90 --suite decode --case '*batch 1' --model "$file"
    bench "prefill_$1" 60 --suite prefill --model "$file"
    bench "decode_$1" 60 --suite decode --model "$file" # 1, 8 and 64 sequences
    bench "context_$1" 60 --suite context --model "$file"
    bench "train_$1" 90 --suite train --model "$file"
}
if model "$SIZE"; then
    measure "$SIZE"
    # Rows must be the same bits in other chunks and batches there too.
    for products in f16 int8; do
        log=$OUT/$products.log
        if limited 60 "$faultline" doctor --device "$DEVICE" --products $products; then
            bench "${products}_$SIZE" 60 --suite decode,prefill --model "$file" --products $products
        else
            note "${products}_$SIZE" skipped 0 "$(grep -a 'has no' "$log" | head -1)"
        fi
    done
    llama=$(command -v llama-bench || true)
    if [ -n "$llama" ]; then
        part llama_bench 120 "$llama" -m "$file" -ngl 99 -p 512 -n 128 -o json
        sed -n '/^\[/,/^\]/p' "$OUT/llama_bench.log" >"$OUT/llama_bench.json" 2>/dev/null
        is_json "$OUT/llama_bench.json" || rm -f "$OUT/llama_bench.json"
    else
        note llama_bench skipped 0 "no llama-bench in PATH"
    fi
fi
rm -f "$OUT"/model_*.gguf
if [ "$LARGE" != none ] && model "$LARGE"; then
    measure "${LARGE}_large"
fi

# ---- end ----

rm -f "$OUT"/model_*.gguf "$OUT/random_gguf"
find "$OUT/cache" -name 'tune-*' -exec cp {} "$OUT/" \; 2>/dev/null # which kernels it chose
rm -rf "$OUT/cache"
write_json true
[ -n "${told:-}" ] && printf '{"device":"%s","parts":[%s\n]}\n' "$(quote "$DEVICE")" "$rows"
echo "$(echo "$rows" | grep -c '"passed"') passed, $failures failed, $(echo "$rows" | grep -c '"skipped"') skipped, $(($(date +%s) - start)) s: $OUT/gpu.json"
[ $gone -lt 3 ] || exit 3
[ $failures = 0 ]
