#!/bin/sh
# usage: bench/memory.sh PROGRAM MODEL [options of generate]
#        bench/memory.sh PROGRAM MODEL quantize --out DIR [options of quantize]
# Peak of the anonymous memory of `generate` or `quantize` (RssAnon + RssShmem of /proc, every 20 ms), in bytes and over the file's. On CPU
# devices and on ref that is all there is: device memory is host memory and counted once. What a GPU holds on its own comes on
# top: `model show` prints it.
set -eu
program=$1 model=$2
shift 2
weights=$model
[ ! -d "$model" ] || weights=$model/model*.safetensors
# shellcheck disable=SC2086
file=$(stat -L -c %s $weights | awk '{ n += $1 } END { print n + 0 }')
[ "$file" -gt 0 ] || exit 1
if [ "${1:-}" = quantize ]; then
    shift
    "$program" quantize --model "$model" --progress none "$@" >/dev/null 2>&1 &
else
    "$program" generate --model "$model" --prompt 'def fibonacci(n):' --n 2 --progress none "$@" >/dev/null 2>&1 &
fi
pid=$!
peak=0
while kill -0 $pid 2>/dev/null; do
    now=$(awk '/^Rss(Anon|Shmem)/ { kib += $2 } END { print kib + 0 }' /proc/$pid/status 2>/dev/null || echo 0)
    [ "${now:-0}" -gt $peak ] && peak=$now
    sleep 0.02
done
wait $pid
awk -v peak=$peak -v file="$file" 'BEGIN { printf "%.1f MB anonymous, file %.1f MB: %.2f of it\n", peak * 1024 / 1e6, file / 1e6, peak * 1024 / file }'
