/* runtime/format/quant_rules.h
 * Settings of single modules in a quantization config:
 *   compressed-tensors  config_groups, each with targets: names of modules, "re:" and a
 *                       regular expression, or classes ("Linear"). A name goes before
 *                       expressions, these in alphabetical order before classes
 *   gptq, awq           dynamic: regular expressions, the first that fits counts; "-:" in
 *                       front: the module is not packed, else settings that differ
 * An expression fits from the start of the name on, as in Python's re.match. What cannot
 * be read is refused only if a module of the folder is packed so. */
#ifndef RUNTIME_FORMAT_QUANT_RULES_H
#define RUNTIME_FORMAT_QUANT_RULES_H

#include "runtime/format/quant_config.h"

struct fmt_quant_rule;

struct fmt_quant_rules {
    struct fmt_quant_rule *items; /* owned */
    uint32_t count;
    bool closed; /* a packed module that no rule fits is an error */
};

/* Reads a quantization config with its rules; what the base says is in *q.
 * RT_ERR_INPUT: the base cannot be read, a rule is no rule. */
RT_CHECKED rt_status fmt_quant_rules_read(struct rt_ctx *ctx, const char *path,
                                          const json_t *config,
                                          struct fmt_quantization *q,
                                          struct fmt_quant_rules *rules);
void fmt_quant_rules_free(struct fmt_quant_rules *rules); /* accepts one that is zero */
/* Settings of a packed module; `base` where no rule fits. `where` is for messages.
 * RT_ERR_INPUT: its rule cannot be read, or says that the module is not packed. */
RT_CHECKED rt_status fmt_quant_rules_find(struct rt_ctx *ctx, const char *where,
                                          const struct fmt_quant_rules *rules,
                                          const struct fmt_quantization *base,
                                          const char *module,
                                          struct fmt_quantization *out);

#endif
