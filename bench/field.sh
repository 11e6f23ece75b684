#!/bin/sh
# Our GPTQ and AWQ beside GPTQModel's and llm-compressor's on one model: the table "Against the field" of docs/quantizers.md.
# A run that was cut goes on: what lies in WORK is kept. A folder is made anew if WORK/NAME.made.json is missing.
#
#   bench/field.sh PYTHON_GPTQ PYTHON_AWQ GGUF TEXT [WORK]
#
# PYTHON_GPTQ: with gptqmodel, gguf and safetensors; PYTHON_AWQ: with llmcompressor. TEXT: train.jsonl.gz of GSM8K.
# By environment: CALIBRATION, AWQ_WINDOWS and HELD, windows of 512 tokens for GPTQ, AWQ and held out; LOCK, a command in front
# of each measured run; OUT, where the figures go.
set -e
cd "$(dirname "$0")/.."
gptq=$1 awq=$2 gguf=$3 text=$4 work=${5:-build/field}
calibration=${CALIBRATION:-32} few=${AWQ_WINDOWS:-8} held=${HELD:-16}
mkdir -p "$work"

# step PYTHON STEP OPTION...
step()
{
    python=$1 name=$2
    shift 2
    "$python" bench/field.py "$name" --work "$work" "$@"
}
# measured PYTHON STEP OPTION...: alone on the machine, if LOCK sees to it.
measured()
{
    python=$1 name=$2
    shift 2
    # shellcheck disable=SC2086
    ${LOCK:-} "$python" bench/field.py "$name" --work "$work" "$@"
}

step "$gptq" prepare --gguf "$gguf" --text "$text" --calibration "$calibration" --held "$held"
measured "$gptq" gptqmodel --name gptqmodel-sym --windows "$calibration"
measured "$gptq" ours --name gptq-sym --windows "$calibration" -- --bits 3 --method gptq --calibrated
measured "$awq" awq --name llmcompressor-awq-asym --windows "$few" --asym
measured "$gptq" ours --name awq-asym --windows "$few" -- --bits 3 --method awq --asym --calibrated
for grid in sym asym; do
    step "$gptq" ours --name rtn-$grid -- --bits 3 $([ $grid = sym ] || echo --asym)
    step "$gptq" ours --name rtn-search-$grid -- --bits 3 --search $([ $grid = sym ] || echo --asym)
done
step "$gptq" moments
step "$gptq" score --held "$held" --names rtn-sym rtn-asym gptqmodel-sym gptq-sym llmcompressor-awq-asym awq-asym \
    rtn-search-sym rtn-search-asym
step "$gptq" table --pairs gptq-sym/gptqmodel-sym awq-asym/llmcompressor-awq-asym gptq-sym/rtn-sym awq-asym/rtn-asym \
    rtn-search-sym/rtn-sym ${OUT:+--out "$OUT"}
