#include "pipeline/grade/grade.h"

#include <string.h>

static const struct {
    const char *name, *text;
} policies[] = {
#define POLICY(id, name, text) { name, text },
#include "pipeline/grade/policies.def"
#undef POLICY
};

const char *pipe_policy_name(enum pipe_policy policy)
{
    return policies[policy].name;
}

const char *pipe_policy_text(enum pipe_policy policy)
{
    return policies[policy].text;
}

bool pipe_policies_switch_off(struct pipe_policies *out, const char *names,
                              const char **unknown)
{
    while (*names) {
        const size_t n = strcspn(names, ",");
        bool known = n == 0;
        for (size_t i = 0; i < PIPE_POLICY_COUNT; i++) {
            const bool meant = (strlen(policies[i].name) == n &&
                                strncmp(policies[i].name, names, n) == 0) ||
                               (n == 3 && strncmp(names, "all", 3) == 0);
            known |= meant;
            out->off[i] |= meant;
        }
        if (!known) {
            *unknown = names;
            return false;
        }
        names += n + (names[n] == ',');
    }
    return true;
}
