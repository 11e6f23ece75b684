#!/bin/sh
# The table of docs/quantizers.md, "Refining": the bundled model's scales trained on the first
# 332 and 1,000 problems of mine.jsonl, three seeds of the item order, 2,000 problems each.
# A run that was cut goes on: folders, checkpoints and answers that are there are kept.
# Usage: bench/refine.sh [FOLDER] [DEVICE]
cd "$(dirname "$0")/.." || exit 1
folder=${1:-build/refine}
device=${2:-auto}
faultline=build/release/faultline
demo=pipeline/demo
mkdir -p "$folder" || exit 1

# measure NAME: the answers of a folder.
measure()
{
    $faultline eval --model "$folder/$1" --role quant --problems $demo/measure.jsonl \
        --device "$device" --store "$folder/results.db" --progress none |
        sed "s/^/$1: /" || exit 1
}

# start NAME OPTION...: a quantized folder.
start()
{
    name=$1
    shift
    [ -d "$folder/$name" ] || $faultline quantize --model $demo --out "$folder/$name" \
        --method gptq --calib $demo/calibrate.jsonl --select none --device "$device" "$@" \
        --store "$folder/results.db" --progress none || exit 1
    measure "$name"
}

start 3-row --bits 3 --group row --search
start 2-g32 --bits 2 --group 32 --asym
for name in 3-row 2-g32; do
    for items in 332 1000; do
        for seed in 1 2 3; do
            to=$name-$items-$seed
            [ -d "$folder/$to" ] || $faultline refine --full $demo --model "$folder/$name" \
                --out "$folder/$to" --on "$demo/mine.jsonl[0:$items]" --seed $seed \
                --device "$device" --store "$folder/results.db" --progress none || exit 1
            measure "$to"
        done
    done
done
