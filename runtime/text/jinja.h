/* runtime/text/jinja.h
 * Chat templates: an evaluator of the Jinja that they use, which renders as transformers
 * renders. It is total and bounded: no file, no network, no clock, no loop without end.
 *
 * What a template sees is what transformers gives it: jinja2's ImmutableSandboxedEnvironment
 * with trim_blocks, lstrip_blocks, break and continue, {% generation %}, raise_exception,
 * strftime_now, and a tojson without HTML escapes. Templates of other files (include, import,
 * extends, block) are refused by name, and so is every filter, test and method that is not
 * here: nothing is skipped in silence. Whole numbers have 64 bits; a larger one is refused.
 *
 * Source of the method: the template designer documentation of Jinja 3.1
 * (https://jinja.palletsprojects.com/en/stable/templates/), its sandbox
 * (https://jinja.palletsprojects.com/en/stable/sandbox/), and the documentation of chat
 * templates of transformers
 * (https://huggingface.co/docs/transformers/chat_templating_writing). Names are bound as
 * jinja2 compiles them: a name that a scope stores anywhere belongs to that scope. */
#ifndef RUNTIME_TEXT_JINJA_H
#define RUNTIME_TEXT_JINJA_H

#include "runtime/base/rt.h"

#include <jansson.h>

struct text_jinja; /* a compiled template, immutable; several threads may render it */

/* What one rendering may take. Beyond it the rendering ends with TEXT_JINJA_LIMIT. */
struct text_jinja_limits {
    uint64_t steps;        /* nodes evaluated, items visited, 64 bytes of text handled */
    uint64_t value_bytes;  /* memory of all values that are made, none is freed before
                              the end */
    uint64_t output_bytes; /* of the text */
    uint32_t depth;        /* nodes, calls and values inside each other */
};
/* 20 million steps, 64 MiB of values, 16 MiB of text, a depth of 600. */
extern const struct text_jinja_limits text_jinja_limits_default;

/* How a rendering ended. All but the first come with RT_ERR_INPUT and a message (or
 * with RT_ERR_HOST_MEMORY, which is TEXT_JINJA_LIMIT). */
enum text_jinja_outcome {
    TEXT_JINJA_RENDERED,
    TEXT_JINJA_RAISED,      /* the template called raise_exception: it refuses these
                          variables; the message ends with its words */
    TEXT_JINJA_FAILED,      /* an error that transformers has as well, as an attribute of
                          something undefined */
    TEXT_JINJA_UNSUPPORTED, /* something that this evaluator does not have, named */
    TEXT_JINJA_LIMIT,       /* a limit was reached, named */
};

/* Compiles `size` bytes of UTF-8. `path` names the file in messages and is copied.
 * RT_ERR_INPUT: the syntax is wrong, or a construct is not supported; the message names
 * path, line and construct. *out is null on failure; free it with text_jinja_free. */
RT_CHECKED rt_status text_jinja_compile(struct rt_ctx *ctx, const char *path,
                                        const char *text, size_t size,
                                        struct text_jinja **out);
/* No date is given: strftime_now is then not defined. */
#define TEXT_JINJA_NO_DATE INT64_MIN

/* Renders. `variables` is an object: messages, add_generation_prompt, bos_token and so on;
 * null is none, a missing key is undefined. `date` is what strftime_now sees: days since
 * 1970-01-01, at 00:00:00, or TEXT_JINJA_NO_DATE. `limits` may be null: the defaults.
 * *outcome is always set. *out is zero-terminated, in fresh memory (rt_free), null on
 * failure; *size is without the zero. */
RT_CHECKED rt_status text_jinja_render(struct rt_ctx *ctx, const struct text_jinja *t,
                                       const json_t *variables, int64_t date,
                                       const struct text_jinja_limits *limits,
                                       enum text_jinja_outcome *outcome, char **out,
                                       size_t *size);
/* Whether the template reads the variable of this name from its caller somewhere, as
 * `enable_thinking` or the function `strftime_now`. */
bool text_jinja_reads(const struct text_jinja *t, const char *name);
void text_jinja_free(struct text_jinja *t); /* accepts null */

#endif
