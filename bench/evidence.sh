#!/bin/sh
# The campaign on a real model: what quantizers cost it on real problems, where the damage
# arises, and what a repair brings back, beside its controls. Stage by stage; what is done
# is kept, and the same command goes on. Figures go to OUT as JSON, the page to WORK.
# Usage: bench/evidence.sh FULL.gguf DATA [WORK] [STAGE...]
#   DATA    folder with gsm8k/, svamp/, multiarith/ (as published), processbench/
#   STAGE   data damage restore blame judge (all, in this order)
#     data     data sets into the results file; problems drawn by SEED
#     damage   RTN, AWQ, GPTQ at 3 bits and GPTQ at 2 answer the drawn problems
#     restore  mine, locate, repair and measure on Q, which is GPTQ at 2 bits
#     blame    layers of Q back in full precision, one at a time
#     judge    ProcessBench with JUDGE (a larger model: bench/models.sh --judge) reading. Every
#              solution is kept as it is read; a stage that was stopped goes on with the next one
#   FAULTLINE (build/release/faultline)  DRAW ("60 70 70" of gsm8k, svamp, multiarith)  SEED (1)
#   MINE, VALIDATE, CALIB  parts of gsm8k:train ("0:400", "7000:7020", "7100:7200")  EPOCHS (1)  RECIPES
#   GROUP (64)  NEW, tokens of an answer (320)  OUT (docs/evidence)  OPTIONS, of every command
#   LIMIT, a stage's seconds (7200): then it is interrupted and the script ends with 5
set -u
cd "$(dirname "$0")/.." || exit 1
full=${1:?usage: bench/evidence.sh FULL.gguf DATA [WORK] [STAGE...]} data=${2:?no folder of data}
work=${3:-build/evidence}
shift $(($# < 3 ? $# : 3))
[ $# -gt 0 ] || set -- data damage restore blame ${JUDGE:+judge}
program=${FAULTLINE:-build/release/faultline}
out=${OUT:-docs/evidence} seed=${SEED:-1} group=${GROUP:-64} new=${NEW:-320}
export FAULTLINE_STORE="$work/evidence.db"
mkdir -p "$work" "$out" || exit 1
name=$(basename "$full" .gguf)

# go COMMAND...: faultline within the limit of a stage.
began=$(date +%s)
go()
{
    left=$((${LIMIT:-7200} - $(date +%s) + began))
    [ "$left" -gt 0 ] || left=1
    # shellcheck disable=SC2086
    timeout -s INT "$left" "$program" "$@" ${OPTIONS:-} --progress none
    rc=$?
    [ $rc -ne 124 ] || { echo "evidence: stopped after ${LIMIT:-7200} s; the same command goes on" >&2; exit 5; }
    [ $rc -eq 0 ] || { echo "evidence: faultline $1 ended with $rc" >&2; exit "$rc"; }
}

# draw NAME COUNT: ids of so many problems of NAME:test, the same for the same seed.
draw()
{
    go data show "$1:test[0:]" >"$work/$1.all" # no pipe: its exit code would be lost
    cut -f 1 "$work/$1.all" | awk -v seed="$seed" '
            BEGIN { x = seed * 7919 + 17 }
            { x = (x * 48271) % 2147483647; printf "%d\t%s\n", x, $1 }' |
        sort -n | head -n "$2" | cut -f 2 | sort >"$work/$1.ids"
    rm "$work/$1.all"
}

stage_data()
{
    for set in gsm8k svamp multiarith; do
        go data add $set --from "$data/$set"
    done
    # shellcheck disable=SC2086
    set -- ${DRAW:-60 70 70}
    draw gsm8k "$1"
    draw svamp "$2"
    draw multiarith "$3"
}

measured="gsm8k:test@$work/gsm8k.ids,svamp:test@$work/svamp.ids,multiarith:test@$work/multiarith.ids"

# folder METHOD BITS: a quantized copy, with zero points, calibrated on CALIB.
folder()
{
    [ -d "$work/$1-$2" ] && return
    calib="--calib gsm8k:train[${CALIB:-7100:7200}] --format chat-boxed --select none"
    [ "$1" != rtn ] || calib=
    # shellcheck disable=SC2086
    go quantize --model "$full" --out "$work/$1-$2" --method "$1" --bits "$2" --group "$group" --asym $calib
}

stage_damage()
{
    set -- --variant "full=$full"
    for q in gptq-2 gptq-3 awq-3 rtn-3; do
        folder "${q%-*}" "${q#*-}"
        set -- "$@" --variant "quant=$work/$q"
    done
    go eval "$@" --problems "$measured" --format chat-boxed --max-new "$new" --json >"$work/damage.jsonl"
    {
        printf '{"model":"%s, in place of full precision","group":%s,"seed":%s,"answers":[' "$name" "$group" "$seed"
        paste -sd, "$work/damage.jsonl"
        printf ']}\n'
    } >"$out/$name-damage.json"
}

stage_restore()
{
    folder gptq 2
    # shellcheck disable=SC2086
    go restore --full "$full" --quant "$work/gptq-2" --mine "gsm8k:train[${MINE:-0:400}]" \
        --validate "gsm8k:train[${VALIDATE:-7000:7020}]" --measure "$measured" --format chat-boxed --max-new "$new" \
        --epochs "${EPOCHS:-1}" --recipes "${RECIPES:-refine,refine-random,refine-kept,more-bits,on-full}" \
        --work "$work" --out "$work/report.html" >"$work/restore.txt"
    cat "$work/restore.txt"
    go compare --json >"$out/$name-restore.json"
}

stage_blame()
{
    folder gptq 2
    go blame --full "$full" --quant "$work/gptq-2" --text "self:gsm8k:train[7000:7020]" --format chat-boxed --json \
        >"$work/blame.json"
    cp "$work/blame.json" "$out/$name-blame.json"
}

stage_judge()
{
    judge=$(basename "${JUDGE:?the judging model}" .gguf)
    for set in gsm8k math olympiadbench; do
        file=$(ls "$data/processbench/$set".dev.jsonl* | head -1)
        case $set in
        gsm8k) drawn= ;;
        math) drawn=150 ;;
        *) drawn=50 ;;
        esac
        # shellcheck disable=SC2086
        go locate --score processbench "$file" --model "$JUDGE" --final-known ${drawn:+--limit $drawn} --seed "$seed" --json >"$work/judge-$set.jsonl"
        {
            printf '{"judge":"%s","set":"processbench %s, dev half","drawn":%s,"seed":%s,"rows":[' "$judge" $set "${drawn:-null}" "$seed"
            sed 's,"file":"[^"]*/,"file":",' "$work/judge-$set.jsonl" | paste -sd, # no path of this machine
            printf ']}\n'
        } >"$out/$judge-processbench-$set.json"
        echo "$(date +%T) judge: $set is read"
    done
}

for stage; do
    case $stage in
    data | damage | restore | blame | judge) ;;
    *) echo "evidence: no stage '$stage'" >&2; exit 2 ;;
    esac
done
for stage; do
    began=$(date +%s)
    echo "$(date +%T) $stage"
    "stage_$stage"
done
