#!/bin/sh
# Makes the SPIR-V of kernels that Debian 12's glslc cannot compile (cooperative matrices,
# integer dot products) and that is therefore committed: shaders/spirv/NAME.inc from
# shaders/matmul/NAME.comp. Run it after a change of one of these or of what they include.
# Usage: [GLSLC=...] bench/spirv.sh [--check]
#   GLSLC     a glslc of 2024 or newer and its options; of a Debian unstable system in a folder:
#             "R/lib64/ld-linux-x86-64.so.2 --library-path R/usr/lib/x86_64-linux-gnu R/usr/bin/glslc"
#   --check   compares instead of writing; exit code 77 where the compiler is too old, or
#             another version than the one that made them
set -eu
cd "$(dirname "$0")/.."
GLSLC=${GLSLC:-glslc}
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
version=$($GLSLC --version | head -1)
code=0
for name in matmul_f16 matmul_int8 matmul_w8a8_dots matmul_w8a8_dots_few; do
    kept=shaders/spirv/$name.inc
    if ! $GLSLC -O --target-env=vulkan1.2 -fshader-stage=compute -mfmt=c -I. \
        -o "$scratch/words" "shaders/matmul/$name.comp" 2>"$scratch/log"; then
        grep -q 'extension not supported\|not supported' "$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
        echo "skipped: $version is too old for $name" >&2
        exit 77
    fi
    { echo "/* bench/spirv.sh, $version */"; cat "$scratch/words"; } >"$scratch/$name.inc"
    if [ "${1:-}" != --check ]; then
        mv "$scratch/$name.inc" "$kept"
    elif [ "$(head -1 "$kept")" != "$(head -1 "$scratch/$name.inc")" ]; then
        echo "skipped: $version did not make $kept" >&2
        exit 77
    elif ! cmp -s "$kept" "$scratch/$name.inc"; then
        echo "$kept does not match its source: run bench/spirv.sh" >&2
        code=1
    fi
done
exit $code
