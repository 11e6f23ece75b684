/* runtime/text/jinja.c
 * The entries of the evaluator of chat templates: compile and render; its messages. */
#include "runtime/text/jinja_compile.h"

#include "runtime/base/utf8.h"

#include <stdio.h>
#include <string.h>

/* what the analyzer sees of them */
#undef jinja_fail
#undef jinja_unsupported
#undef jinja_limit

const struct text_jinja_limits text_jinja_limits_default = {
    .steps = 20000000,
    .value_bytes = 64u << 20,
    .output_bytes = 16u << 20,
    .depth = 600,
};

/* ---- failures of compiling ---- */

bool jinja_refuse(struct jinja_compiler *c, uint32_t line, const char *fmt, ...)
{
    char words[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    if (c->st == RT_OK)
        c->st = rt_fail(c->ctx, RT_ERR_INPUT,
                        "'%s': the chat template cannot be used, line %u: %s", c->t->path,
                        line, words);
    return false;
}

bool jinja_out_of_memory(struct jinja_compiler *c)
{
    if (c->st == RT_OK)
        c->st = rt_fail(c->ctx, RT_ERR_HOST_MEMORY,
                        "'%s': not enough memory for the chat template", c->t->path);
    return false;
}

const struct jinja_text *jinja_copy_text(struct jinja_compiler *c, const char *data,
                                         size_t size)
{
    struct jinja_text *text =
        pipe_pool_take(c->ctx, &c->t->pool, sizeof *text + size + 1, 1);
    if (!text) {
        jinja_out_of_memory(c);
        return NULL;
    }
    memcpy(text->data, data, size);
    text->size = size;
    text->count = jinja_code_points(data, size);
    return text;
}

/* ---- failures of a rendering: the first one counts ---- */

static bool run_fail(struct jinja_run *run, enum text_jinja_outcome outcome,
                     const char *what, const char *words)
{
    if (run->st == RT_OK) {
        run->outcome = outcome;
        run->st =
            rt_fail(run->ctx, RT_ERR_INPUT, "'%s': the chat template%s, line %u: %s",
                    run->t->path, what, run->line, words);
    }
    return false;
}

bool jinja_fail(struct jinja_run *run, const char *fmt, ...)
{
    char words[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return run_fail(run, TEXT_JINJA_FAILED, " fails", words);
}

bool jinja_unsupported(struct jinja_run *run, const char *fmt, ...)
{
    char words[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return run_fail(run, TEXT_JINJA_UNSUPPORTED, " needs what is not supported", words);
}

bool jinja_raise(struct jinja_run *run, const char *words)
{
    return run_fail(run, TEXT_JINJA_RAISED, " refuses this conversation", words);
}

bool jinja_limit(struct jinja_run *run, const char *what, uint64_t limit)
{
    char words[200];
    snprintf(words, sizeof words, "more than %llu %s", (unsigned long long)limit, what);
    return run_fail(run, TEXT_JINJA_LIMIT, " takes too much", words);
}

bool jinja_no_memory(struct jinja_run *run)
{
    if (run->st == RT_OK) {
        run->outcome = TEXT_JINJA_LIMIT;
        run->st =
            rt_fail(run->ctx, RT_ERR_HOST_MEMORY,
                    "'%s': not enough memory to render the chat template", run->t->path);
    }
    return false;
}

bool jinja_step(struct jinja_run *run, uint64_t steps)
{
    run->steps += steps;
    return run->steps <= run->limits->steps ||
           jinja_limit(run, "steps", run->limits->steps);
}

bool jinja_enter(struct jinja_run *run)
{
    if (run->depth >= run->limits->depth)
        return jinja_limit(run, "levels inside each other", run->limits->depth);
    run->depth++;
    return true;
}

void *jinja_take(struct jinja_run *run, size_t count, size_t size)
{
    const uint64_t limit = run->limits->value_bytes;
    if (size && count > limit / size) {
        jinja_limit(run, "bytes of values", limit);
        return NULL;
    }
    run->value_bytes += count * size + 16;
    if (run->value_bytes > limit) {
        jinja_limit(run, "bytes of values", limit);
        return NULL;
    }
    void *memory = pipe_pool_take(run->ctx, &run->pool, count, size);
    if (!memory)
        jinja_no_memory(run);
    return memory;
}

/* ---- compile ---- */

/* A copy with \n for \r\n and \r, without one line end at the end. */
static bool normalise(struct jinja_compiler *c, const char *text, size_t size)
{
    char *copy = pipe_pool_take(c->ctx, &c->t->pool, size + 1, 1);
    size_t n = 0, bad;
    if (!copy)
        return jinja_out_of_memory(c);
    for (size_t i = 0; i < size;) {
        const size_t good = utf8_character((const uint8_t *)text + i, size - i, &bad);
        if (!good)
            return jinja_refuse(c, c->line, "byte %zu is not UTF-8", i);
        if (text[i] == '\r') {
            copy[n++] = '\n';
            i += i + 1 < size && text[i + 1] == '\n' ? 2 : 1;
            continue;
        }
        memcpy(copy + n, text + i, good);
        n += good;
        i += good;
    }
    if (n && copy[n - 1] == '\n')
        n--;
    copy[n] = 0;
    c->text = copy;
    c->size = n;
    return true;
}

rt_status text_jinja_compile(struct rt_ctx *ctx, const char *path, const char *text,
                             size_t size, struct text_jinja **out)
{
    struct jinja_compiler c = { .ctx = ctx, .line = 1 };
    *out = NULL;
    c.t = rt_alloc(ctx, 1, sizeof *c.t);
    if (!c.t)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY,
                       "'%s': not enough memory for the chat template", path);
    c.t->path = path;
    const char *copy = pipe_pool_copy(ctx, &c.t->pool, path, strlen(path));
    if (!copy)
        jinja_out_of_memory(&c);
    else
        c.t->path = copy;
    const bool good = copy && normalise(&c, text, size) && jinja_lex(&c) &&
                      jinja_parse(&c) && jinja_bind_names(&c);
    rt_free(c.tokens);
    if (good) {
        *out = c.t;
        return RT_OK;
    }
    text_jinja_free(c.t);
    return c.st;
}

bool text_jinja_reads(const struct text_jinja *t, const char *name)
{
    for (uint32_t i = 0; i < t->global_count; i++)
        if (strcmp(t->globals[i]->data, name) == 0)
            return true;
    return false;
}

void text_jinja_free(struct text_jinja *t)
{
    if (!t)
        return;
    pipe_pool_deinit(&t->pool);
    rt_free(t);
}

/* ---- render ---- */

/* What the template reads of its caller: variables first, then the functions that are
 * always there; strftime_now is there if there is a date. */
static bool read_globals(struct jinja_run *run, const json_t *variables)
{
    const struct text_jinja *t = run->t;
    run->globals = jinja_take(run, t->global_count + 1, sizeof *run->globals);
    if (!run->globals)
        return false;
    for (uint32_t i = 0; i < t->global_count; i++) {
        const char *name = t->globals[i]->data;
        const json_t *value = variables ? json_object_get(variables, name) : NULL;
        const struct jinja_function *function = jinja_global(name);
        if (value) {
            if (!jinja_from_json(run, value, &run->globals[i]))
                return false;
        } else if (function && !(run->date == TEXT_JINJA_NO_DATE &&
                                 strcmp(name, "strftime_now") == 0)) {
            run->globals[i] =
                (struct jinja_value){ .kind = JINJA_FUNCTION, .as.function = function };
        }
    }
    return true;
}

static bool render(struct jinja_run *run, const json_t *variables)
{
    enum jinja_type flow = NODE_OUTPUT;
    if (!read_globals(run, variables))
        return false;
    run->frame = jinja_frame_make(run, run->t->scope, NULL);
    return run->frame && jinja_enter_scope(run, run->t->scope) &&
           jinja_statements(run, &run->t->body, &flow);
}

rt_status text_jinja_render(struct rt_ctx *ctx, const struct text_jinja *t,
                            const json_t *variables, int64_t date,
                            const struct text_jinja_limits *limits,
                            enum text_jinja_outcome *outcome, char **out, size_t *size)
{
    struct jinja_buffer buffer = { 0 };
    struct jinja_run run = {
        .ctx = ctx,
        .t = t,
        .limits = limits ? limits : &text_jinja_limits_default,
        .date = date,
        .out = &buffer,
        .line = 1,
    };
    *out = NULL;
    *size = 0;
    if (render(&run, variables) && jinja_write(&run, &buffer, "", 1)) {
        *size = buffer.size - 1;
        *out = buffer.data;
    } else {
        rt_free(buffer.data);
    }
    pipe_pool_deinit(&run.pool);
    *outcome = run.outcome;
    return run.st;
}
