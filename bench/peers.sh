#!/bin/sh
# Side by side with llama.cpp's Vulkan backend: the same device (lavapipe of Mesa 26), the
# same file, one core and one worker thread each, in turns; both run inside a Debian unstable
# system that has llama.cpp (packages llama.cpp-tools, llama.cpp-tools-extra) and that driver.
# Rates are the best of the turns: other work on the machine slows a turn, nothing makes it
# faster. llama.cpp runs at its best settings there: matrix cores and f16 arithmetic off.
# Prints tokens per second and ratios: a prompt of 512 tokens, 64 tokens after it at one
# sequence, 32 sequences at once.
# Usage: bench/peers.sh ROOT [MODEL.gguf]   ROOT: folder of that system. Without a model, one
# with random weights in the shape of Qwen2.5-0.5B is made. TURNS (3), CORE (0), BUILD.
set -eu
cd "$(dirname "$0")/.."
root=${1:?usage: bench/peers.sh ROOT [MODEL.gguf]}
model=${2:-}
turns=${TURNS:-3} core=${CORE:-0} build=${BUILD:-build/release}
inside=/tmp/faultline-peers
there=$root$inside
[ -x "$root/usr/bin/llama-batched-bench" ] || { echo "peers: $root has no llama-batched-bench" >&2; exit 1; }
mkdir -p "$there/lib"

# Our program with the libraries it was linked to, but for the C library and the loader.
cp "$build/faultline" "$there/faultline"
ldd "$build/faultline" | awk '/=>/ { print $3 }' |
    grep -vE '/lib(c|m|pthread|dl|rt|vulkan|stdc\+\+|gcc_s)\.so' | xargs -I{} cp -L {} "$there/lib/"
if [ -z "$model" ]; then
    model=$there/random.gguf
    [ -f "$model" ] || { cc -O2 -o "$there/random_gguf" bench/random_gguf.c && "$there/random_gguf" "$model"; }
elif [ ! "$model" -ef "$there/$(basename "$model")" ]; then
    cp "$model" "$there/"
fi
file=$inside/$(basename "$model")

enter() { taskset -c "$core" chroot "$root" env LP_NUM_THREADS=1 "$@" 2>/dev/null; }
ours() # SUITE CASE
{
    enter LD_LIBRARY_PATH=$inside/lib XDG_CACHE_HOME=$inside/cache $inside/faultline bench --suite "$1" --case "$2" \
        --model "$file" --passes 1 --seconds 5 --store $inside/bench.db -o csv | awk -F, -f bench/value.awk
}
peer() { enter GGML_VK_VISIBLE_DEVICES=0 GGML_VK_DISABLE_COOPMAT=1 GGML_VK_DISABLE_F16=1 "$@"; }
peer_bench() { peer llama-bench -m "$file" -ngl 99 -t 1 -r 1 "$@" -o csv | awk -F'","' 'END { print $(NF - 1) }'; }
peer_batch()
{
    peer llama-batched-bench -m "$file" -ngl 99 -t 1 -c 2048 -npp 16 -ntg 16 -npl 32 |
        awk -F'|' '$4 ~ /^ *32 *$/ { print $9 + 0 }'
}

best() { printf '%s\n' "$@" | sort -rn | head -1; }
o512= o64= o32= p512= p64= p32=
turn=0
while [ $turn -lt "$turns" ]; do
    p512=$(best $p512 "$(peer_bench -p 512 -n 0)")
    o512=$(best $o512 "$(ours prefill 'prefill, 512 tokens')")
    p64=$(best $p64 "$(peer_bench -p 0 -n 64)")
    o64=$(best $o64 "$(ours decode 'decode, batch 1')")
    p32=$(best $p32 "$(peer_batch)")
    o32=$(best $o32 "$(ours decode 'decode, batch 32')")
    turn=$((turn + 1))
    printf '%-24s %10s %10s %7s %5s  (best of %d)\n' 'tokens per second' faultline llama.cpp ratio bar $turn
    printf '%s\n' "prompt-of-512 $o512 $p512 2.5" "one-sequence $o64 $p64 2.0" "32-sequences $o32 $p32 2.5" |
        awk '{ printf "%-24s %10.2f %10.2f %7.2f %5.1f\n", $1, $2, $3, ($3 > 0 ? $2 / $3 : 0), $4 }'
done
