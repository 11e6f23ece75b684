/* pipeline/demo/demo_folder.c
 * Looks for the folder of the bundled model. */
#include "pipeline/demo/demo_folder.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"

#include <stdio.h>
#include <string.h>

/* Empty where the place of the program cannot be known. */
static void demo_beside_program(char *out, size_t size)
{
    char program[512];
    out[0] = '\0';
    if (!os_program_path(program, sizeof program))
        return;
    for (int i = 0; i < 2; i++) { /* the name, then its folder */
        char *slash = strrchr(program, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
    snprintf(out, size, "%s/share/faultline/demo", program);
}

rt_status pipe_demo_folder(struct rt_ctx *ctx, const struct pipe_demo_places *places,
                           char beside[PIPE_DEMO_PATH_MAX], const char **out)
{
    const char *const folders[] = { beside, places->source, places->installed };
    char config[700];
    *out = NULL;
    if (places->given && places->given[0]) {
        *out = places->given;
        return RT_OK;
    }
    demo_beside_program(beside, PIPE_DEMO_PATH_MAX);
    for (size_t i = 0; i < RT_COUNT(folders); i++) {
        snprintf(config, sizeof config, "%s/config.json", folders[i]);
        if (folders[i][0] && fmt_exists(config)) {
            *out = folders[i];
            return RT_OK;
        }
    }
    return rt_fail(
        ctx, RT_ERR_INPUT,
        "the bundled model is missing (looked in '%.200s', '%s' and '%s'); set "
        "FAULTLINE_DEMO to its folder",
        folders[0], folders[1], folders[2]);
}
