# Compiles every line of shaders/kernels.txt to SPIR-V and writes kernels_table.c, a C table
# of all kernels with their code embedded. The format is explained in kernels.txt.
set(KERNELS_TXT ${CMAKE_SOURCE_DIR}/shaders/kernels.txt)
set(SHADER_DIR ${CMAKE_BINARY_DIR}/shaders)
# The sanitizer and clang builds of ./run take the kernels of build/release: they are the
# same bytes, and compiling them is the longest part of a build.
set(FAULTLINE_SHADERS "" CACHE PATH "folder of another build with kernels_table.c, up to date")
if(FAULTLINE_SHADERS)
    set(SHADER_DIR ${FAULTLINE_SHADERS})
    set(SHADER_TABLE ${SHADER_DIR}/kernels_table.c)
    file(GLOB spv CONFIGURE_DEPENDS ${SHADER_DIR}/*.inc)
    set_source_files_properties(${SHADER_TABLE} PROPERTIES OBJECT_DEPENDS "${spv}")
    return()
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${KERNELS_TXT})
file(MAKE_DIRECTORY ${SHADER_DIR})
file(STRINGS ${KERNELS_TXT} lines)
set(words "")
set(rows "")
set(spv "")
foreach(line ${lines})
    if(line MATCHES "^ *(#.*)?$")
        continue()
    endif()
    string(REGEX REPLACE " +" ";" field "${line}")
    list(POP_FRONT field op name file family paths)
    set(id ${op}_${name})
    set(flags "")
    foreach(define ${field})
        list(APPEND flags -D${define})
    endforeach()
    set(source "${id}.inc")
    if(line MATCHES "SPIRV=([a-z0-9_]+)")
        set(source "shaders/spirv/${CMAKE_MATCH_1}.inc")
        list(APPEND spv ${CMAKE_SOURCE_DIR}/${source})
    else()
        add_custom_command(
            OUTPUT ${SHADER_DIR}/${id}.inc
            COMMAND ${GLSLC} -O --target-env=vulkan1.1 -fshader-stage=compute -mfmt=c
                    -I${CMAKE_SOURCE_DIR} ${flags} -MD -MF ${SHADER_DIR}/${id}.d
                    -o ${SHADER_DIR}/${id}.inc ${CMAKE_SOURCE_DIR}/shaders/${file}
            DEPENDS ${CMAKE_SOURCE_DIR}/shaders/${file}
            DEPFILE ${SHADER_DIR}/${id}.d
            COMMENT "glslc ${id}"
            VERBATIM)
        list(APPEND spv ${SHADER_DIR}/${id}.inc)
    endif()
    string(TOUPPER ${family} family)
    string(JOIN " " defines ${field})
    string(APPEND words "static const uint32_t ${id}[] =\n#include \"${source}\"\n;\n")
    string(APPEND rows
           "    { RT_OP_${op}, \"${name}\", RT_FAMILY_${family}, \"${paths}\", \"${defines}\", ${id}, sizeof ${id} },\n")
endforeach()
file(CONFIGURE OUTPUT ${SHADER_DIR}/kernels_table.c CONTENT
"/* Generated from shaders/kernels.txt by cmake/shaders.cmake. */
#include \"runtime/vk/vk_kernel.h\"
@words@
const struct vk_kernel_info vk_kernel_table[] = {
@rows@};
const uint32_t vk_kernel_count = sizeof vk_kernel_table / sizeof vk_kernel_table[0];
" @ONLY)
set(SHADER_TABLE ${SHADER_DIR}/kernels_table.c)
set_source_files_properties(${SHADER_TABLE} PROPERTIES OBJECT_DEPENDS "${spv}")
