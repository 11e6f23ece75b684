/* pipeline/data/data_gold.h
 * The gold answer within the field that a data set keeps it in. */
#ifndef PIPELINE_DATA_DATA_GOLD_H
#define PIPELINE_DATA_DATA_GOLD_H

#include <stdbool.h>

enum pipe_gold_rule {
    PIPE_GOLD_PLAIN,  /* the field itself */
    PIPE_GOLD_HASHES, /* what follows the last "####", without commas between digits */
    PIPE_GOLD_BOXED,  /* the last \boxed{...} or \fbox{...} whose braces balance; without
                         braces, what follows up to a '$' or a space */
    PIPE_GOLD_UNIT,   /* the field without what stands in brackets: "9 (apples)" */
};

/* Writes the answer, spaces at its ends removed, to `out` (strlen(text) + 1 bytes). False:
 * there is none. An empty answer is true for a box only: MATH has one such problem. */
bool pipe_gold_extract(enum pipe_gold_rule rule, const char *text, char *out);

#endif
