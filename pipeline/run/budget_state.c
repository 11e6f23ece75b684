/* pipeline/run/budget_state.c
 * Widths as files: what is written of one, and read again. */
#include "pipeline/run/budget_state.h"

#include "pipeline/run/select_kind.h"
#include "runtime/base/file.h"
#include "runtime/quant/quant_files.h"

#include <stdio.h>
#include <string.h>

enum { PATH = 4300 };

static void file_of(const char *folder, char path[PATH])
{
    snprintf(path, PATH, "%.4200s.json", folder);
}

rt_status pipe_budget_state_write(struct rt_ctx *ctx, const char *folder, const char *key,
                                  const struct pipe_budget *b, uint32_t width,
                                  uint32_t measured)
{
    char path[PATH];
    json_t *errors = json_array(), *kl = json_array();
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_budget_cell *c = &b->groups[i].cell[width];
        json_array_append_new(errors, pipe_select_number(c->error));
        if (i < measured)
            json_array_append_new(kl, pipe_select_number(c->kl));
    }
    json_t *state =
        json_pack("{s:s, s:I, s:o, s:o}", "key", key, "tokens",
                  (json_int_t)(measured ? b->tokens : 0), "errors", errors, "kl", kl);
    file_of(folder, path);
    const rt_status st =
        state ? fmt_json_write(ctx, path, state)
              : rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    json_decref(state);
    return st;
}

static bool take(const json_t *state, uint32_t most, struct pipe_budget *b,
                 uint32_t width, uint32_t *measured)
{
    bool good = true;
    const json_t *errors = json_object_get(state, "errors");
    const json_t *kl = json_object_get(state, "kl");
    const uint64_t tokens = pipe_select_count_of(state, "tokens", &good);
    if (json_array_size(errors) != b->count || json_array_size(kl) > b->count)
        return false;
    const uint32_t known = (uint32_t)json_array_size(kl);
    *measured = known < most ? known : most;
    for (uint32_t i = 0; i < b->count; i++) {
        struct pipe_budget_cell *c = &b->groups[i].cell[width];
        c->error = pipe_select_number_of(json_array_get(errors, i), &good);
        c->measured = i < *measured;
        if (c->measured)
            c->kl = pipe_select_number_of(json_array_get(kl, i), &good);
    }
    if (*measured)
        b->tokens = tokens;
    return good;
}

bool pipe_budget_state_read(struct rt_ctx *ctx, const char *folder, const char *key,
                            uint32_t most, struct pipe_budget *b, uint32_t width,
                            uint32_t *measured)
{
    char path[PATH];
    json_t *state = NULL;
    *measured = 0;
    file_of(folder, path);
    if (!fmt_exists(path) || fmt_json_read(ctx, path, &state) != RT_OK)
        return false; /* or it is not ours to read: made anew */
    const char *stored = json_string_value(json_object_get(state, "key"));
    const bool found =
        stored && strcmp(stored, key) == 0 && take(state, most, b, width, measured);
    json_decref(state);
    return found;
}

void pipe_budget_state_remove(const char *folder)
{
    char path[PATH];
    file_of(folder, path);
    remove(path); /* first: a folder without it is none */
    quant_files_remove(folder);
}
