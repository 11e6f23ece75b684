/* pipeline/cli/exit_code.c
 * What a status means to the shell and to the user. */
#include "pipeline/cli/cli.h"

#include <stdio.h>
#include <string.h>

/* The table of `faultline help exit-codes`; stable. */
int cli_exit_code(rt_status status)
{
    switch (status) {
    case RT_OK:
        return 0;
    case RT_ERR_USAGE:
        return 2;
    case RT_ERR_NO_DEVICE:
        return 3;
    case RT_ERR_INPUT:
        return 4;
    case RT_ERR_TIME_LIMIT:
        return 5;
    case RT_ERR_GATE:
        return 6;
    case RT_ERR_STORE:
        return 7;
    case RT_ERR_DEVICE_LOST:
    case RT_ERR_DEVICE_MEMORY:
        return 8;
    case RT_ERR_INTERRUPTED:
        return 130;
    case RT_ERR_IO:
    case RT_ERR_HOST_MEMORY:
    case RT_ERR_INTERNAL:
        break;
    }
    return 1;
}

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
