#!/bin/sh
# What becomes of an adapter that is not kept beside its model (llama.cpp issue 13485), on a
# small model (the bundled one) at 2 bits in groups of 32:
#   full-then-quantize   supervised on full, merged, quantized
#   merged-f16           supervised on quant, merged, halves: no longer 2 bits
#   merged-quantized     the same, quantized again
#   beside               supervised on quant, adapter beside it
# All on full's answers to the same problems that quant lost. Right answers to the measured
# problems and KL to full on others. A run that was cut goes on.
# Usage: bench/three_orders.sh [FOLDER] [DEVICE]
#   FAULTLINE   the program (build/release/faultline)
#   MEASURE     measured problems (2000), MINE lost problems that are trained on (332)
#   MODEL       folder or GGUF file (pipeline/demo), FORMAT its prompt format (demo)
#   PROBLEMS    folder with mine, measure, validate and calibrate .jsonl (MODEL)
#   TEXT        other problems, for KL ("PROBLEMS/validate.jsonl[100:500]")
# The second demo model:
#   python3 bench/demo2_problems.py build/text.jsonl 400 15 demo2-text tests/demo2/*.jsonl
#   MODEL=tests/demo2 FORMAT=chat-steps MEASURE=500 TEXT='build/text.jsonl[0:100]' bench/three_orders.sh build/orders2
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build/three-orders}
device=${2:-auto}
program=${FAULTLINE:-build/release/faultline}
model=${MODEL:-pipeline/demo}
problems=${PROBLEMS:-$model}
text=${TEXT:-$problems/validate.jsonl[100:500]}
mkdir -p "$folder"
common="--format ${FORMAT:-demo} --device $device --store $folder/results.db --progress none"
quantize()
{
    # shellcheck disable=SC2086
    [ -d "$2" ] || "$program" quantize --model "$1" --out "$2" --method gptq --bits 2 --group 32 --asym \
        --calib "$problems/calibrate.jsonl" --select none $common -q
}
# train RECIPE: the adapter's folder.
train()
{
    # shellcheck disable=SC2086
    "$program" train --full "$model" --quant "$folder/quant" --mine "$problems/mine.jsonl" --mine-until "${MINE:-332}" \
        --items "${MINE:-332}" --validate "$problems/validate.jsonl[0:100]" --measure "$problems/measure.jsonl" \
        --recipe "$1" --work "$folder/work" $common -q | tail -n 1
}
# measure NAME MODEL [ADAPTER]
measure()
{
    # shellcheck disable=SC2086
    printf '%-20s %s\n' "$1" "$("$program" eval --model "$2" ${3:+--adapter "$3"} --role control \
        --problems "$problems/measure.jsonl[0:${MEASURE:-2000}]" $common | tail -n 1)"
    # shellcheck disable=SC2086
    [ -n "${3:-}" ] || "$program" quantize --compare "$2" --model "$model" --text "$text" $common | tail -n 1
}
quantize "$model" "$folder/quant"
on_full=$(train on-full)
on_quant=$(train sft)
merge()
{
    [ -d "$3" ] || "$program" merge --model "$1" --adapter "$2" --out "$3" --type "$4" -q
}
merge "$model" "$on_full" "$folder/full-merged" f32
quantize "$folder/full-merged" "$folder/full-then-quantize"
merge "$folder/quant" "$on_quant" "$folder/merged-f16" f16
merge "$folder/quant" "$on_quant" "$folder/merged-f32" f32
quantize "$folder/merged-f32" "$folder/merged-quantized"
measure full "$model"
measure quant "$folder/quant"
measure full-merged "$folder/full-merged"
measure full-then-quantize "$folder/full-then-quantize"
measure merged-f16 "$folder/merged-f16"
measure merged-quantized "$folder/merged-quantized"
measure beside "$folder/quant" "$on_quant"
