/* pipeline/grade/latex_commands.h */
#ifndef PIPELINE_GRADE_LATEX_COMMANDS_H
#define PIPELINE_GRADE_LATEX_COMMANDS_H

#include "pipeline/grade/lex.h"

enum {                     /* beside those of enum token_kind */
       COMMAND_SKIP = 200, /* nothing */
       COMMAND_DROP,       /* nothing, its argument too */
       COMMAND_SIDE,       /* nothing, a full stop after it too */
       COMMAND_STYLE,      /* its argument as if alone; op 1: of words */
};

struct command {
    const char *name;
    uint8_t kind, op;
};

const struct command *grade_command_find(const char *text, uint32_t size);
const struct command *grade_name_find(const char *text, uint32_t size);

#endif
