/* pipeline/cli/hint.c
 * What a user may type after a failure. */
#include "pipeline/cli/cli.h"

#include <stdio.h>
#include <string.h>

const char *cli_hint(rt_status status, const char *command, char *buffer, size_t size)
{
    switch (status) {
    case RT_ERR_USAGE:
        if (!command || strcmp(command, "help") == 0)
            return "faultline help";
        snprintf(buffer, size, "faultline help %s", command);
        return buffer;
    case RT_ERR_NO_DEVICE:
    case RT_ERR_DEVICE_LOST:
        return command && strcmp(command, "doctor") == 0 ? NULL : "faultline doctor";
    case RT_ERR_INTERNAL:
        return "faultline doctor --json, and open an issue with its output: this is a "
               "bug";
    default:
        return NULL;
    }
}
