# The hash of everything that compiled kernels are made from: sources, kernels.txt and the
# compiler's options. As a script:
#   cmake -DSOURCE=tree -DOPTIONS=glslc's -DOUT=folder/sources.hash -P shader_hash.cmake    writes it
#   cmake -DSOURCE=tree -DOPTIONS=glslc's -DGIVEN=folder -P shader_hash.cmake               compares it
cmake_policy(VERSION 3.25)
file(GLOB_RECURSE files RELATIVE ${SOURCE} ${SOURCE}/shaders/*.comp ${SOURCE}/shaders/*.glsl)
list(APPEND files shaders/push.h shaders/kernels.txt)
list(SORT files)
set(text "${OPTIONS}\n")
foreach(name IN LISTS files)
    file(SHA256 ${SOURCE}/${name} hash)
    string(APPEND text "${hash} ${name}\n")
endforeach()
string(SHA256 hash "${text}")
if(OUT)
    file(WRITE ${OUT} "${hash}\n")
    return()
endif()
set(given "")
if(EXISTS ${GIVEN}/sources.hash)
    file(STRINGS ${GIVEN}/sources.hash given)
endif()
if(NOT given STREQUAL hash)
    message(FATAL_ERROR " FAULTLINE_SHADERS: the kernels in ${GIVEN} are not made from the sources here "
            "(its sources.hash differs or is not there). Build the tree that they come from again, or "
            "configure without FAULTLINE_SHADERS.")
endif()
