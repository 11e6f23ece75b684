#!/bin/sh
# The campaign on a real model: what quantizers cost it on real problems, where the damage
# arises, and what a repair brings back, beside its controls. Stage by stage; what is done
# is kept, and the same command goes on. Figures go to OUT as JSON, the page to WORK.
# Usage: bench/evidence.sh FULL.gguf DATA [WORK] [STAGE...]
#   DATA    folder with gsm8k/, svamp/, multiarith/ (as published), processbench/
#   STAGE   data damage restore blame judge rollout (all, in this order)
#     data     data sets into the results file; problems drawn by SEED
#     damage   RTN, AWQ, GPTQ at 3 bits and GPTQ at 2 answer the drawn problems: one table of
#              accuracy, paired tests against full and the measures beside accuracy
#     restore  mine, locate, repair and measure on Q, which is GPTQ at 2 bits
#     blame    layers of Q back in full precision, one at a time
#     judge    ProcessBench with JUDGE (a larger model: bench/models.sh --judge) reading. Every
#              solution is kept as it is read; a stage that was stopped goes on with the next one
#     rollout  roll-outs of JUDGE on ROLLOUTS records of ProcessBench's gsm8k (76, of which 40 are faulty at seed 1),
#              SAMPLES draws where the greedy one fails (0); needs the stage data. Continuations of up to NEW (here 512)
#              tokens: what is cut off counts as wrong. Every one is kept
#   FAULTLINE (build/release/faultline)  DRAW ("60 70 70" of gsm8k, svamp, multiarith)  SEED (1)
#   MEASURE  other problems instead of the drawn ones  FORMAT (chat-boxed)
#   MINE, VALIDATE, CALIB, BLAME  problems ("gsm8k:train[0:7000]", "[7000:7020]", "[7100:7200]", as
#            VALIDATE); of MINE so many are answered as it takes until UNTIL (332) are lost
#   RECIPES  EPOCHS (1)  ITEMS (332)  RETAIN (CONTRIBUTING.md: perplexity of a text; "" for none)
#   GROUP (64)  NEW, tokens of an answer (320)  OUT (docs/evidence)  OPTIONS, of every command
#   A handful on the second demo model, in some minutes:
#     MEASURE=tests/demo2/measure.jsonl[0:30] MINE=tests/demo2/mine.jsonl VALIDATE=tests/demo2/validate.jsonl[0:8] \
#     CALIB=tests/demo2/calibrate.jsonl[0:32] FORMAT=chat-steps GROUP=32 UNTIL=8 NEW=200 OUT=build/ev bench/evidence.sh tests/demo2 none build/ev
#   LIMIT, a stage's seconds (7200), LIMIT_restore and the like of one stage: then it is
#            interrupted and the script ends with 5; the same command goes on where it stopped
# Cost: docs/restore.md, "A campaign on a real model".
set -u
cd "$(dirname "$0")/.." || exit 1
full=${1:?usage: bench/evidence.sh FULL.gguf DATA [WORK] [STAGE...]} data=${2:?no folder of data}
work=${3:-build/evidence}
shift $(($# < 3 ? $# : 3))
[ $# -gt 0 ] || set -- data damage restore blame ${JUDGE:+judge rollout}
program=${FAULTLINE:-build/release/faultline}
out=${OUT:-docs/evidence} seed=${SEED:-1} group=${GROUP:-64} new=${NEW:-320} format=${FORMAT:-chat-boxed}
mine=${MINE:-gsm8k:train[0:7000]} validate=${VALIDATE:-gsm8k:train[7000:7020]} calib=${CALIB:-gsm8k:train[7100:7200]}
recipes=${RECIPES:-refine,refine-random,refine-kept,more-bits,nearest,on-full} retain=${RETAIN-CONTRIBUTING.md}
export FAULTLINE_STORE="$work/evidence.db"
mkdir -p "$work" "$out" || exit 1
name=$(basename "$full" .gguf)
case $full in
*.gguf) stands="$name, in place of full precision" ;;
*) stands=$name ;;
esac

# go COMMAND...: faultline within the limit of a stage.
began=$(date +%s) limit=${LIMIT:-7200}
go()
{
    left=$((limit - $(date +%s) + began))
    [ "$left" -gt 0 ] || left=1
    # shellcheck disable=SC2086
    timeout -s INT "$left" "$program" "$@" ${OPTIONS:-} --progress none
    rc=$?
    [ $rc -ne 124 ] || { echo "evidence: stopped after $limit s; the same command goes on" >&2; exit 5; }
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
        if [ -z "${MEASURE:-}" ] || [ -d "$data/$set" ]; then
            go data add $set --from "$data/$set"
        fi
    done
    [ -z "${MEASURE:-}" ] || return 0
    # shellcheck disable=SC2086
    set -- ${DRAW:-60 70 70}
    draw gsm8k "$1"
    draw svamp "$2"
    draw multiarith "$3"
}

measured=${MEASURE:-gsm8k:test@$work/gsm8k.ids,svamp:test@$work/svamp.ids,multiarith:test@$work/multiarith.ids}

# folder METHOD BITS: a quantized copy, with zero points, calibrated on CALIB.
folder()
{
    [ -d "$work/$1-$2" ] && return
    method=$1 bits=$2
    set --
    [ "$method" = rtn ] || set -- --calib "$calib" --format "$format" --select none
    go quantize --model "$full" --out "$work/$method-$bits" --method "$method" --bits "$bits" --group "$group" --asym "$@"
}

# rows FILE: its JSON Lines between commas, lists without the path of their file.
rows() { sed 's|@[^",]*/|@|g; s|\("bench[a-z]*":"\)[^",:]*/|\1|' "$1" | paste -sd, -; }

stage_damage()
{
    set -- --variant "full=$full"
    for q in gptq-2 gptq-3 awq-3 rtn-3; do
        folder "${q%-*}" "${q#*-}"
        set -- "$@" --variant "quant:$q=$work/$q"
    done
    set -- "$@" --problems "$measured" --format "$format" --max-new "$new" --damage
    go eval "$@" >"$work/damage.txt"
    sed -n '/^damage against/,$p' "$work/damage.txt"
    go eval "$@" --json >"$work/damage.jsonl"
    go report --out "$work/damage.html"
    grep '^{"variant"' "$work/damage.jsonl" >"$work/answers.part"
    grep '^{"damage"' "$work/damage.jsonl" >"$work/damage.part"
    printf '{"model":"%s","group":%s,"seed":%s,"answers":[%s],"damage":[%s]}\n' \
        "$stands" "$group" "$seed" "$(rows "$work/answers.part")" "$(rows "$work/damage.part")" >"$out/$name-damage.json"
}

# The controls that are quantized get Q's text and no candidates, as Q.
stage_restore()
{
    folder gptq 2
    go restore --full "$full" --quant "$work/gptq-2" --calib "$calib" --select none --mine "$mine" \
        --mine-until "${UNTIL:-332}" --items "${ITEMS:-332}" --validate "$validate" --measure "$measured" \
        --format "$format" --max-new "$new" --epochs "${EPOCHS:-1}" --recipes "$recipes" --retain "${retain:-none}" \
        --work "$work" --out "$work/report.html" >"$work/restore.txt"
    cat "$work/restore.txt"
    campaign=$("$program" sql "SELECT campaign_id FROM campaign WHERE name='restore' ORDER BY created_ms DESC LIMIT 1" | tail -n 1)
    : >"$work/restore.part"
    for arm in $(echo "$recipes" | tr , ' '); do # one that was left out has no run
        "$program" compare --campaign "$campaign" --restored "$arm" --json >>"$work/restore.part" 2>/dev/null ||
            echo "evidence: '$arm' is not among the arms" >&2
    done
    printf '[%s]\n' "$(rows "$work/restore.part")" >"$out/$name-restore.json"
}

stage_blame()
{
    folder gptq 2
    go blame --full "$full" --quant "$work/gptq-2" --text "self:${BLAME:-$validate}" --format "$format" --json \
        >"$work/blame.json"
    cp "$work/blame.json" "$out/$name-blame.json"
}

# labelled SET DRAWN NAME OPTION...: JUDGE on so many records of ProcessBench's SET (empty: all); NAME is of the file.
labelled()
{
    set=$1 drawn=$2 called=$3
    shift 3
    judge=$(basename "${JUDGE:?the model that reads solutions}" .gguf)
    file=$(ls "$data/processbench/$set".dev.jsonl* | head -1)
    # shellcheck disable=SC2086
    go locate --score processbench "$file" --model "$JUDGE" --final-known ${drawn:+--limit $drawn} --seed "$seed" --json "$@" >"$work/$called.jsonl"
    {
        printf '{"judge":"%s","set":"processbench %s, dev half","drawn":%s,"seed":%s,"rows":[' "$judge" "$set" "${drawn:-null}" "$seed"
        sed 's,"file":"[^"]*/,"file":",' "$work/$called.jsonl" | paste -sd, # no path of this machine
        printf ']}\n'
    } >"$out/$judge-$called.json"
    echo "$(date +%T) $called is done"
}

stage_judge()
{
    labelled gsm8k '' processbench-gsm8k
    labelled math 150 processbench-math
    labelled olympiadbench 50 processbench-olympiadbench
}

stage_rollout()
{
    labelled gsm8k "${ROLLOUTS:-76}" rollout-gsm8k --locators rollout --answers 'gsm8k:test[0:]' \
        --format "$format" --max-new "${NEW:-512}" --samples "${SAMPLES:-0}"
}

for stage; do
    case $stage in
    data | damage | restore | blame | judge | rollout) ;;
    *) echo "evidence: no stage '$stage'" >&2; exit 2 ;;
    esac
done
for stage; do
    began=$(date +%s)
    eval "limit=\${LIMIT_$stage:-${LIMIT:-7200}}"
    echo "$(date +%T) $stage"
    "stage_$stage"
done
