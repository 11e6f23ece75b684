# Run at every build: writes OUT, a C file with the version and the commit it was built
# from (empty outside of a git checkout), only where it would change.
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git -C ${SOURCE} diff-index --quiet HEAD --
                RESULT_VARIABLE changed OUTPUT_QUIET ERROR_QUIET)
if(commit AND NOT changed EQUAL 0)
    set(dirty true)
else()
    set(dirty false)
endif()
set(text "#include \"runtime/base/version.h\"\n
const char rt_version[] = \"${VERSION}\", rt_commit[] = \"${commit}\";
const bool rt_commit_changed = ${dirty};\n")
file(CONFIGURE OUTPUT ${OUT} CONTENT "${text}" @ONLY)
