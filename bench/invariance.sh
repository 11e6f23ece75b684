#!/bin/sh
# Batch invariance on real models: the answers of N problems, their tokens and
# log-probabilities, are the same bits with 1, 7 and 64 requests at once.
# Usage: bench/invariance.sh [--device NAME] [--problems N] [--tokens N] [MODEL.gguf...]
#   default: auto, 64, 8, and the two of bench/models.sh; says 'skipped' where a file is missing
set -eu
cd "$(dirname "$0")/.."
device=auto problems=64 tokens=8 program=build/release/faultline
while [ $# -gt 0 ]; do
    case $1 in
    --device) device=$2; shift 2 ;;
    --problems) problems=$2; shift 2 ;;
    --tokens) tokens=$2; shift 2 ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || set -- $(bench/models.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for model; do
    [ -f "$model" ] || { echo "skipped: $model is not there"; continue; }
    for slots in 1 7 64; do
        "$program" eval --model "$model" --problems "pipeline/demo/measure.jsonl[0:$problems]" --format chat-boxed \
            --max-new "$tokens" --slots "$slots" --device "$device" --progress none -q --store "$work/$slots.db" >/dev/null
        "$program" sql --store "$work/$slots.db" --json \
            'SELECT problem_id, output, n_gen, hex(t.ids) AS ids, hex(t.logprob) AS logprob FROM generation
             LEFT JOIN token_trace t USING(gen_id) ORDER BY problem_id' >"$work/$slots"
    done
    if cmp -s "$work/1" "$work/7" && cmp -s "$work/1" "$work/64"; then
        echo "$(basename "$model"): $problems answers of $tokens tokens, the same at 1, 7 and 64 at once"
    else
        echo "$(basename "$model"): answers depend on the batch"
        failed=1
    fi
    rm -f "$work"/*
done
exit $failed
