# Tests of cmake/kernels.cmake: a line of kernels.txt with such words is refused, and the
# message says why and shows the line.
set(number 0)
function(refuse words message)
    set(name kernels_refuse_${number})
    set(file ${CMAKE_BINARY_DIR}/wrong_kernels/${number}.txt)
    file(WRITE ${file} "add  any  elementwise/add.comp  auto  ss  ${words}\n")
    add_test(NAME ${name}
             COMMAND ${CMAKE_COMMAND} -DKERNELS=${file} -DATTRIBUTES=${ATTRIBUTES_DEF}
                     -P ${CMAKE_SOURCE_DIR}/cmake/kernels.cmake)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 60
                         PASS_REGULAR_EXPRESSION "${message}: add  any")
    math(EXPR next "${number} + 1")
    set(number ${next} PARENT_SCOPE)
endfunction()

refuse("WIDHT=64" "has no WIDHT")
refuse("WIDTH=64 WIDTH=8" "WIDTH stands there twice")
refuse("WIDTH" "'WIDTH' is not NAME=value")
refuse("WIDTH=wide" "WIDTH takes a number, not 'wide'")
refuse("WIDTH=64 TEXEL=2" "TEXEL takes 0 or 1, not 2")

# Kernels of other sources are refused as FAULTLINE_SHADERS.
set(folder ${CMAKE_BINARY_DIR}/wrong_kernels)
file(WRITE ${folder}/sources.hash "0123456789abcdef\n")
add_test(NAME kernels_refuse_stale
         COMMAND ${SHADER_HASH} -DGIVEN=${folder} -P ${SHADER_HASH_CMAKE})
set_tests_properties(kernels_refuse_stale PROPERTIES LABELS unit TIMEOUT 60
                     PASS_REGULAR_EXPRESSION "are not made from the sources here")
