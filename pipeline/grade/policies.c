/* pipeline/grade/policies.c
 * Names and words of the grading rules that can be switched off. */
#include "pipeline/grade/grade.h"

#include <string.h>

static const struct {
    const char *name, *text;
} policies[] = {
#define POLICY(id, name, text) { name, text },
#include "pipeline/grade/policies.def"
#undef POLICY
};

/* Finer names, under which a rule may be switched off too. */
static const struct {
    const char *name;
    enum pipe_policy policy;
} aliases[] = {
    { "unevaluated", PIPE_POLICY_UNREDUCED }, { "units-glued", PIPE_POLICY_UNITS },
    { "fullwidth", PIPE_POLICY_UNICODE },     { "dash", PIPE_POLICY_UNICODE },
    { "nfc", PIPE_POLICY_UNICODE },
};

const char *pipe_policy_name(enum pipe_policy policy)
{
    return policies[policy].name;
}

const char *pipe_policy_text(enum pipe_policy policy)
{
    return policies[policy].text;
}

static bool is_named(const char *names, size_t n, const char *name)
{
    return strlen(name) == n && strncmp(names, name, n) == 0;
}

bool pipe_policies_switch_off(struct pipe_policies *out, const char *names,
                              const char **unknown)
{
    while (*names) {
        const size_t n = strcspn(names, ",");
        bool known = n == 0;
        for (size_t i = 0; i < PIPE_POLICY_COUNT; i++) {
            const bool meant =
                is_named(names, n, policies[i].name) || is_named(names, n, "all");
            known |= meant;
            out->off[i] |= meant;
        }
        for (size_t i = 0; i < RT_COUNT(aliases); i++) {
            const bool meant = is_named(names, n, aliases[i].name);
            known |= meant;
            out->off[aliases[i].policy] |= meant;
        }
        if (!known) {
            *unknown = names;
            return false;
        }
        names += n + (names[n] == ',');
    }
    return true;
}
