#!/bin/sh
# The tables of docs/quantizers.md: the bundled model by every method, right answers to 2,000
# problems each and KL to the full model on 500 others.
# A run that was cut goes on: folders and answers that are there are kept.
# Usage: bench/quantizers.sh [FOLDER] [DEVICE]
cd "$(dirname "$0")/.." || exit 1
folder=${1:-build/quantizers}
device=${2:-auto}
faultline=build/release/faultline
demo=pipeline/demo
mkdir -p "$folder" || exit 1

variants=
# row NAME OPTION...: one variant.
row()
{
    name=$1
    shift
    [ -d "$folder/$name" ] || $faultline quantize --model $demo --out "$folder/$name" "$@" \
        --calib $demo/calibrate.jsonl --select none --device "$device" --store "$folder/results.db" \
        --progress none >"$folder/$name.txt" || exit 1
    variants=$variants${variants:+,}$folder/$name
    printf '%-20s %s\n' "$name" "$(tail -n 1 "$folder/$name.txt")"
    $faultline eval --model "$folder/$name" --role quant --problems $demo/measure.jsonl \
        --device "$device" --store "$folder/results.db" --progress none || exit 1
}

$faultline eval --model $demo --problems $demo/measure.jsonl --device "$device" \
    --store "$folder/results.db" --progress none || exit 1
for bits in "3 --group row" "2 --group 32 --asym"; do
    for method in rtn gptq; do
        for search in "" --search; do
            # shellcheck disable=SC2086
            row "$method${search:+-search}-${bits%% *}" --bits $bits --method $method $search
        done
    done
done
$faultline quantize --compare "$variants" --model $demo --text $demo/validate.jsonl \
    --device "$device" --store "$folder/results.db" --progress none
