#!/bin/sh
# Damages one matrix of the demo model at a time on purpose (2 bits, the rest 8) and counts how
# often faultline blame names its layer and itself first.
# Usage: bench/blame.sh [FAULTLINE [MATRICES [PROBLEMS]]]    20 of the 28, drawn by a fixed rule;
# each takes about 10 s of one core with 8 problems.
set -u
cd "$(dirname "$0")/.." || exit 1
faultline=${1:-build/release/faultline}
matrices=${2:-20}
problems=${3:-8}
demo=pipeline/demo
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

modules='self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj
mlp.gate_proj mlp.up_proj mlp.down_proj'
for layer in 0 1 2 3; do
    for module in $modules; do echo "model.layers.$layer.$module"; done
done >"$work/all"
# Every 13th of the list, round and round: 13 and 28 have no common divisor.
awk -v n="$matrices" '{ m[NR - 1] = $0 }
    END { for (i = 0; i < n && i < NR; i++) print m[(13 * i) % NR] }' "$work/all" >"$work/drawn"

named=0
layers=0
count=0
while read -r matrix; do
    echo "$matrix int2" >"$work/plan"
    "$faultline" quantize --model $demo --bits 8 --plan "$work/plan" --out "$work/damaged" \
        --force >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    "$faultline" blame --full $demo --quant "$work/damaged" --worst 1 --mend 0 --progress none \
        --text "self:$demo/mine.jsonl[0:$problems]" --store "$work/store.db" \
        >"$work/table" 2>"$work/log" || { cat "$work/log"; exit 1; }
    rest=${matrix#model.layers.}
    layer=$(awk '$1 == "layer" { print $3; exit }' "$work/table")
    first=$(awk '$1 == "matrix" { print $2; exit }' "$work/table")
    count=$((count + 1))
    [ "$layer" = "${rest%%.*}" ] && layers=$((layers + 1))
    [ "$first" = "$matrix" ] && named=$((named + 1))
    echo "$matrix: layer $layer, $first, $(awk '$1 == "matrix" { print $(NF - 1) " %"; exit }' "$work/table") of a KL of $(awk 'NR == 1 { print $3 }' "$work/table")"
done <"$work/drawn"
echo "named first: $named of $count matrices; their layer: $layers of $count"
