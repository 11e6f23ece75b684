#!/bin/sh
# Holds the order of layers: an include that points the wrong way fails the tests.
#   shaders <- runtime <- pipeline <- store <- stages <- pipeline/cli, store/report on store.
# Stages (pipeline/exchange, bench, ...) do the work of commands and may use the store.
# Vulkan headers are included below runtime/vk only. Prints every offence.
cd "$(dirname "$0")/.." || exit 1
bad=0

# may FOLDER ALLOWED EXCEPT: files in FOLDER include only what matches ALLOWED
# (an extended regular expression); files that match EXCEPT are another layer's.
may()
{
    offences=$(grep -rnE '^#[[:space:]]*include "' "$1" --include='*.c' --include='*.h' \
        --include='*.comp' --include='*.glsl' 2>/dev/null | grep -vE "^($3)" |
        grep -vE "include \"($2)")
    if [ -n "$offences" ]; then
        echo "$1 may not include:"
        echo "$offences" | sed 's/^/    /'
        bad=1
    fi
}

none='/nothing'
may shaders 'shaders/' $none
may runtime 'shaders/|runtime/' $none
may pipeline 'shaders/ops|runtime/(rt|device|plan|op/op|weight)\.h|runtime/ref/philox\.h|runtime/(model|engine|observe|train|quant|format|text)/|pipeline/[a-z_]+\.h|pipeline/data/|pipeline/prompt/|pipeline/grade/|pipeline/demo/' \
    'pipeline/(cli|exchange|run|bench)/'
stage='shaders/ops|runtime/(rt|device|plan|op/op|weight)\.h|runtime/(model|engine|observe|train|quant|format|text)/|pipeline/[a-z_]+\.h|pipeline/(data|prompt|grade|demo)/|store/'
may pipeline/exchange "$stage|pipeline/exchange/" $none
may pipeline/bench "$stage|runtime/op/op_(trial|cases)\.h|pipeline/bench/" $none
# pipeline/run/session.h until it is moved to pipeline/run
may pipeline/run "$stage|pipeline/run/|pipeline/cli/loop\.h" $none
may store 'runtime/(rt|device|plan|op/op|version)\.h|runtime/format/|pipeline/[a-z_]+\.h|store/' store/report
may store/report 'runtime/rt\.h|runtime/format/|pipeline/[a-z_]+\.h|store/' $none
# The command line reads options and prints; models run in stages. loop* and restore* are
# stages that still lie beside it.
may pipeline/cli 'runtime/(rt|device|plan|version)\.h|runtime/(format|text)/|pipeline/|store/' \
    'pipeline/cli/(loop|restore)'
may pipeline/cli 'shaders/ops|runtime/(rt|device|plan|op/op|version|weight)\.h|runtime/(model|engine|observe|train|quant|format|text)/|pipeline/|store/' $none

vulkan=$(grep -rnE 'include <(vulkan/|volk)' runtime pipeline store tests 2>/dev/null |
    grep -vE '^(runtime/vk|tests/support/layer)/')
if [ -n "$vulkan" ]; then
    echo "Vulkan outside runtime/vk:"
    echo "$vulkan" | sed 's/^/    /'
    bad=1
fi
[ $bad = 0 ] && echo "layers: in order"
exit $bad
