#!/bin/sh
# What rounding activations costs: KL to the full model of 8-bit weights alone, of W8A8 as it
# is, of SmoothQuant with all inputs rounded and weights to nearest, and of SmoothQuant,
# dynamic and static. The bar: SmoothQuant at most twice the first.
# Usage: bench/w8a8.sh MODEL CALIB.txt HELDOUT.txt [OPTIONS of faultline, as --device llvmpipe]
#   FAULTLINE   the program (build/release/faultline)
#   WORK        where the folders go (a temporary one, removed at the end)
#   ITEMS, LENGTH, CONTEXT   calibration texts (16) of so many tokens (512); tokens of a window (512)
set -eu
model=$1 calib=$2 text=$3
shift 3
program=${FAULTLINE:-$(dirname "$0")/../build/release/faultline}
work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -r "$work"' EXIT
make() {
    name=$1
    shift
    [ -d "$work/$name" ] || "$program" quantize --model "$model" --out "$work/$name" --bits 8 "$@"
}
seen="--calib $calib --calib-items ${ITEMS:-16} --calib-length ${LENGTH:-512} --select none"
make w8
make w8a8 --activations dynamic
make all --method smoothquant --rounding nearest --float-inputs 0 $seen "$@"
make smooth --method smoothquant $seen "$@"
make static --method smoothquant --activations static $seen "$@"
for name in w8 w8a8 all smooth static; do
    echo "$name"
    "$program" perplexity --model "$work/$name" --base "$model" --text "$text" --context "${CONTEXT:-512}" "$@"
done
