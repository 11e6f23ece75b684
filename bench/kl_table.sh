#!/bin/sh
# KL of a real model by quantizer and grid: for a table in docs/quantizers.md.
# Rounded to nearest, ranges searched, AWQ, GPTQ, and GPTQ's scales refined, all with zero
# points, so that each column has one grid; calibrated on the same text.
# A run that was cut goes on: folders and figures that are there are kept.
# Usage: bench/kl_table.sh MODEL CALIB.txt HELDOUT.txt [WORK]
#   FAULTLINE        the program (build/release/faultline)
#   GRIDS, METHODS   some of them: "3:128 3:row", "rtn search gptq refine awq"
#   ITEMS, LENGTH    calibration: windows (32) of so many tokens (512)
#   REFINE           options of `refine` (windows of 256 tokens, 16 steps of two)
# Prints WORK/BITS-GROUP.json of each grid: what `quantize --compare --json` says.
set -eu
model=$1 calib=$2 text=$3 work=${4:-build/kl}
program=${FAULTLINE:-$(dirname "$0")/../build/release/faultline}
grids=${GRIDS:-2:64 3:row 3:128 4:128}
methods=${METHODS:-rtn search gptq refine awq}
mkdir -p "$work"

# make NAME COMMAND...: a folder, if it is not there; its log has time and layers.
make()
{
    name=$1
    shift
    [ -d "$work/$name" ] && return
    echo "$(date +%T) $name"
    "$program" "$@" --out "$work/$name" --store "$work/kl.db" --progress none >"$work/$name.txt"
}

for grid in $grids; do
    bits=${grid%:*} group=${grid#*:}
    at=$bits-$group
    set -- quantize --model "$model" --bits "$bits" --group "$group" --asym --select none
    seen="--calib $calib --calib-items ${ITEMS:-32} --calib-length ${LENGTH:-512}"
    for method in $methods; do
        # shellcheck disable=SC2086
        case $method in
        rtn) make "rtn-$at" quantize --model "$model" --bits "$bits" --group "$group" --asym ;;
        search) make "search-$at" quantize --model "$model" --bits "$bits" --group "$group" --asym --search ;;
        refine)
            make "refine-$at" refine --full "$model" --model "$work/gptq-$at" --on "$calib" \
                ${REFINE:---items 32 --length 256 --batch 2 --epochs 1}
            ;;
        *) make "$method-$at" "$@" --method "$method" $seen ;;
        esac
    done
done
for grid in $grids; do
    at=${grid%:*}-${grid#*:}
    variants=
    for method in $methods; do
        variants=$variants${variants:+,}$work/$method-$at
    done
    [ -s "$work/$at.json" ] || {
        "$program" quantize --compare "$variants" --model "$model" --text "$text" --context 512 --stride 511 \
            --store "$work/kl.db" --progress none --json >"$work/$at.json.part"
        mv "$work/$at.json.part" "$work/$at.json"
    }
    cat "$work/$at.json"
done
