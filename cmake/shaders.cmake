# Compiles every line of shaders/kernels.txt to SPIR-V and writes kernels_table.c, a C table
# of all kernels with their code embedded. The format is explained in kernels.txt.
include(${CMAKE_CURRENT_LIST_DIR}/kernels.cmake)
set(KERNELS_TXT ${CMAKE_SOURCE_DIR}/shaders/kernels.txt)
set(ATTRIBUTES_DEF ${CMAKE_SOURCE_DIR}/shaders/attributes.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${KERNELS_TXT} ${ATTRIBUTES_DEF})
# The sanitizer and clang builds of ./run take the kernels of build/release: they are the
# same bytes, and compiling them is the longest part of a build.
set(FAULTLINE_SHADERS "" CACHE PATH "shaders/ of another build, with its compiled kernels up to date")
set(GLSLC_OPTIONS -O --target-env=vulkan1.1 -fshader-stage=compute -mfmt=c)
string(JOIN " " options ${GLSLC_OPTIONS})
set(SHADER_HASH ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} "-DOPTIONS=${options}")
set(SHADER_HASH_CMAKE ${CMAKE_CURRENT_LIST_DIR}/shader_hash.cmake)
if(FAULTLINE_SHADERS)
    set(SHADER_DIR ${FAULTLINE_SHADERS})
else()
    set(SHADER_DIR ${CMAKE_BINARY_DIR}/shaders)
    file(MAKE_DIRECTORY ${SHADER_DIR})
endif()

# Compiles the kernel `id` into SHADER_DIR.
function(kernel_compile id)
    set(flags "")
    foreach(word IN LISTS WORDS_${id})
        list(APPEND flags -D${word})
    endforeach()
    add_custom_command(
        OUTPUT ${SHADER_DIR}/${id}.inc
        COMMAND ${GLSLC} ${GLSLC_OPTIONS} -I${CMAKE_SOURCE_DIR} ${flags} -MD -MF ${SHADER_DIR}/${id}.d
                -o ${SHADER_DIR}/${id}.inc ${CMAKE_SOURCE_DIR}/shaders/${FILE_${id}}
        DEPENDS ${CMAKE_SOURCE_DIR}/shaders/${FILE_${id}}
        DEPFILE ${SHADER_DIR}/${id}.d
        COMMENT "glslc ${id}"
        VERBATIM)
endfunction()

attributes_read(${ATTRIBUTES_DEF})
kernels_read(${KERNELS_TXT})
set(words "")
set(rows "")
set(spv "")
foreach(id IN LISTS KERNEL_IDS)
    if("${WORDS_${id}}" MATCHES "SPIRV=([a-z0-9_]+)")
        set(source "shaders/spirv/${CMAKE_MATCH_1}.inc")
        list(APPEND spv ${CMAKE_SOURCE_DIR}/${source})
    else()
        set(source "${id}.inc")
        list(APPEND spv ${SHADER_DIR}/${source})
        if(NOT FAULTLINE_SHADERS)
            kernel_compile(${id})
        endif()
    endif()
    string(APPEND words "static const uint32_t ${id}[] =\n#include \"${source}\"\n;\n")
    string(APPEND rows "    { .op = RT_OP_${OP_${id}}, .name = \"${NAME_${id}}\", .family = RT_FAMILY_${FAMILY_${id}}, "
           ".paths = \"${PATHS_${id}}\", .words = ${id}, .size = sizeof ${id}${FIELDS_${id}} },\n")
endforeach()
set(SHADER_TABLE ${CMAKE_BINARY_DIR}/kernels_table.c)
file(CONFIGURE OUTPUT ${SHADER_TABLE} CONTENT
"/* Generated from shaders/kernels.txt by cmake/shaders.cmake. */
#include \"runtime/vk/vk_kernel.h\"
@words@
const struct vk_kernel_info vk_kernel_table[] = {
@rows@};
const uint32_t vk_kernel_count = sizeof vk_kernel_table / sizeof vk_kernel_table[0];
" @ONLY)
# A folder of kernels carries the hash of their sources; one that is given must have ours.
file(GLOB_RECURSE hashed CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/*.comp
     ${CMAKE_SOURCE_DIR}/shaders/*.glsl)
list(APPEND hashed ${CMAKE_SOURCE_DIR}/shaders/push.h ${KERNELS_TXT} ${SHADER_HASH_CMAKE})
if(FAULTLINE_SHADERS)
    set(checked ${CMAKE_BINARY_DIR}/shaders_checked)
    add_custom_command(
        OUTPUT ${checked} DEPENDS ${hashed} ${SHADER_DIR}/sources.hash
        COMMAND ${SHADER_HASH} -DGIVEN=${SHADER_DIR} -P ${SHADER_HASH_CMAKE}
        COMMAND ${CMAKE_COMMAND} -E touch ${checked}
        COMMENT "kernels of ${SHADER_DIR}: are they of these sources"
        VERBATIM)
    list(APPEND spv ${checked})
    execute_process(COMMAND ${SHADER_HASH} -DGIVEN=${SHADER_DIR} -P ${SHADER_HASH_CMAKE}
                    COMMAND_ERROR_IS_FATAL ANY)
else()
    add_custom_command(
        OUTPUT ${SHADER_DIR}/sources.hash DEPENDS ${hashed} ${spv}
        COMMAND ${SHADER_HASH} -DOUT=${SHADER_DIR}/sources.hash -P ${SHADER_HASH_CMAKE}
        COMMENT "hash of the shader sources"
        VERBATIM)
    list(APPEND spv ${SHADER_DIR}/sources.hash)
endif()
set_source_files_properties(${SHADER_TABLE} PROPERTIES OBJECT_DEPENDS "${spv}")
