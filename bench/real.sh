#!/bin/sh
# Real models against llama.cpp on the same file, converted to F32 (its quantized CPU path
# rounds activations): greedy tokens, log-probabilities, tokenization. bench/real.py says
# what must hold. llama.cpp is run from a chroot that has it (Debian unstable has packages
# llama.cpp and debootstrap makes one); root is needed for that.
# Usage: bench/real.sh [--root DIR] [--device NAME] [--prompts N] [--texts N] [MODEL.gguf...]
#   default: /srv/sid, auto, 20, 1000, and the two of bench/models.sh
set -eu
cd "$(dirname "$0")/.."
root=/srv/sid device=auto prompts=20 texts=1000 port=${PORT:-18431}
while [ $# -gt 0 ]; do
    case $1 in
    --root) root=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --prompts) prompts=$2; shift 2 ;;
    --texts) texts=$2; shift 2 ;;
    *) break ;;
    esac
done
[ -x "$root/usr/bin/llama-server" ] || { echo "real: no llama.cpp in $root" >&2; exit 1; }
[ $# -gt 0 ] || set -- $(bench/models.sh)
mkdir -p "$root/m"
failed=0 server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
for model; do
    name=$(basename "$model" .gguf)
    [ -f "$root/m/$name.gguf" ] || cp "$model" "$root/m/"
    [ -f "$root/m/$name.f32.gguf" ] ||
        chroot "$root" llama-quantize --allow-requantize "/m/$name.gguf" "/m/$name.f32.gguf" F32 >/dev/null 2>&1
    chroot "$root" llama-server -m "/m/$name.f32.gguf" --port "$port" --device none -ngl 0 -fa off \
        -ctk f32 -ctv f32 -c 1024 -np 1 >"build/real-$name.log" 2>&1 &
    server=$!
    python3 bench/real.py --program build/release/faultline --device "$device" --model "$model" \
        --log "build/real-$name.log" --port "$port" --prompts "$prompts" --texts "$texts" || failed=1
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
done
exit $failed
