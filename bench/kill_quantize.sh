#!/bin/sh
# usage: bench/kill_quantize.sh PROGRAM MODEL CALIB [options of quantize]
# A quantize run that is killed (SIGKILL) ten times at moments spread over its length, and one that is not: their files must be
# equal byte for byte. One candidate: several begin anew with the first one. KILLS and FOLDER may be set. Prints one line per kill and the verdict.
set -eu
program=$1 model=$2 calib=$3
shift 3
folder=${FOLDER:-$(mktemp -d)}
kills=${KILLS:-10}
run() {
    out=$1
    shift
    exec "$program" quantize --model "$model" --calib "$calib" --out "$out" --store "$folder/results.db" \
        --select none --progress none "$@"
}
start=$(date +%s%N)
(run "$folder/once" "$@") >/dev/null 2>"$folder/log"
whole=$(($(date +%s%N) - start))
i=0
while [ $i -lt "$kills" ] && [ ! -d "$folder/killed" ]; do
    i=$((i + 1))
    (run "$folder/killed" "$@") >/dev/null 2>>"$folder/log" &
    pid=$!
    # between a tenth and a half of the whole, another one each time
    sleep "$(awk -v w=$whole -v i=$i 'BEGIN { printf "%.3f", w / 1e9 * (0.1 + 0.4 * ((i * 0.618) % 1)) }')"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    echo "kill $i: $(find "$folder/killed.part" -name 'layer-*.safetensors' 2>/dev/null | wc -l) layers are there"
done
[ -d "$folder/killed" ] || (run "$folder/killed" "$@") >/dev/null 2>>"$folder/log"
for file in "$folder"/once/*; do
    cmp "$file" "$folder/killed/$(basename "$file")"
done
[ ! -e "$folder/killed.part" ] || { echo "killed.part is left"; exit 1; }
echo "$i kills: all files equal"
[ -n "${FOLDER:-}" ] || rm -r "$folder"
