#!/bin/sh
# usage: bench/kill_quantize.sh PROGRAM MODEL CALIB [options of quantize]
# With `--method gguf` among the options it is a file.
# A quantize run that is killed (SIGKILL) ten times at moments spread over its length, and one that is not: their files must be
# equal byte for byte. One candidate: several begin anew with the first one. KILLS and FOLDER may be set. Prints one line per kill and the verdict.
set -eu
program=$1 model=$2 calib=$3
shift 3
folder=${FOLDER:-$(mktemp -d)}
kills=${KILLS:-10}
select="--select none" end="" state=killed.part
case " $* " in *" --method gguf "*) end=.gguf state=killed.gguf.state ;; esac
run() {
    out=$1$end
    shift
    # shellcheck disable=SC2086
    exec "$program" quantize --model "$model" --calib "$calib" --out "$out" --store "$folder/results.db" \
        $select --progress none "$@"
}
start=$(date +%s%N)
(run "$folder/once" "$@") >/dev/null 2>"$folder/log"
whole=$(($(date +%s%N) - start))
i=0
while [ $i -lt "$kills" ] && [ ! -e "$folder/killed$end" ]; do
    i=$((i + 1))
    (run "$folder/killed" "$@") >/dev/null 2>>"$folder/log" &
    pid=$!
    # between a tenth and a half of the whole, another one each time
    sleep "$(awk -v w=$whole -v i=$i 'BEGIN { printf "%.3f", w / 1e9 * (0.1 + 0.4 * ((i * 0.618) % 1)) }')"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    echo "kill $i: $(find "$folder/$state" -name 'layer-*.safetensors' 2>/dev/null | wc -l) layers are there"
done
[ -e "$folder/killed$end" ] || (run "$folder/killed" "$@") >/dev/null 2>>"$folder/log"
if [ -n "$end" ]; then
    cmp "$folder/once$end" "$folder/killed$end"
else
    for file in "$folder"/once/*; do
        cmp "$file" "$folder/killed/$(basename "$file")"
    done
fi
for rest in "$state" "killed$end.part"; do
    [ ! -e "$folder/$rest" ] || { echo "$rest is left"; exit 1; }
done
echo "$i kills: all files equal"
[ -n "${FOLDER:-}" ] || rm -r "$folder"
