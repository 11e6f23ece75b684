/* pipeline/demo/generator.c
 * Fresh problems of the demo's distribution: draws a draft of a family, keeps it if it
 * is valid and new. */
#include "pipeline/demo/generator.h"

#include "pipeline/demo/draft.h"
#include "runtime/base/text_set.h"

#include <stdio.h>
#include <string.h>

enum { COUNT_MAX = 1000000, ATTEMPTS_MAX = 100000, QUESTION_BYTES = 2048 };

static void draft_fill(struct draft *d)
{
    const double family = draft_unit(d);
    if (family < 0.66)
        draft_entity(d);
    else if (family < 0.84)
        draft_money(d);
    else
        draft_units(d);
    if (d->step_count < 1 || d->step_count > DEMO_STEPS_MAX ||
        d->steps[d->step_count - 1].value != d->answer)
        d->bad = true;
}

static void join_question(const struct draft *d, char out[QUESTION_BYTES])
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < d->sentences && at < QUESTION_BYTES; i++)
        at += (size_t)snprintf(out + at, QUESTION_BYTES - at, "%s%s", i ? " " : "",
                               d->text[i]);
}

static void join_skills(unsigned skills, char out[128])
{
    static const char *const names[10] = { "addsub",   "compare", "distract", "div",
                                           "frac",     "money",   "mul",      "percent",
                                           "transfer", "unit" };
    size_t at = 0;
    for (int i = 0; i < 10; i++)
        if ((skills ? skills : SKILL_ADDSUB) >> i & 1u)
            at += (size_t)snprintf(out + at, 128 - at, "%s%s", at ? "+" : "", names[i]);
}

/* The program and the solution text of a draft, into the set's memory. */
static bool keep_steps(struct rt_ctx *ctx, struct pipe_pool *pool, const struct draft *d,
                       struct pipe_problem *p)
{
    char solution[1024];
    size_t at = 0;
    struct pipe_gold_step *program =
        pipe_pool_take(ctx, pool, d->step_count, sizeof *program);
    if (!program)
        return false;
    for (uint32_t i = 0; i < d->step_count; i++) {
        const struct draft_step *s = &d->steps[i];
        program[i] = (struct pipe_gold_step){
            .label = pipe_pool_copy(ctx, pool, s->label, strlen(s->label)),
            .expr = pipe_pool_format(ctx, pool, "%d%c%d", s->a, s->op, s->b),
            .value = s->value,
        };
        if (!program[i].label || !program[i].expr)
            return false;
        at += (size_t)snprintf(solution + at, sizeof solution - at, "%s: %d%c%d=%d\n",
                               s->label, s->a, s->op, s->b, s->value);
    }
    p->program = program;
    p->program_count = d->step_count;
    p->level = pipe_pool_format(ctx, pool, "%u", d->step_count);
    p->answer = pipe_pool_format(ctx, pool, "%d", d->answer);
    p->reference = pipe_pool_format(ctx, pool, "%s#### %d", solution, d->answer);
    return p->level && p->answer && p->reference;
}

static rt_status no_memory(struct rt_ctx *ctx, uint32_t count)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to generate %u problems", count);
}

/* Problem i: attempts until a draft is good and its question new. */
static rt_status make(struct rt_ctx *ctx, uint64_t seed, uint32_t i,
                      struct pipe_text_set *known, struct pipe_problem_set *set)
{
    struct draft d;
    char question[QUESTION_BYTES], normal[QUESTION_BYTES], skills[128];
    for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        d = (struct draft){ .seed = seed, .problem = i, .attempt = attempt };
        draft_fill(&d);
        if (d.bad)
            continue;
        join_question(&d, question);
        const size_t length = pipe_text_normalise(question, normal);
        if (pipe_text_set_find(known, normal, NULL))
            continue;
        bool is_new;
        const char *key = pipe_pool_copy(ctx, &set->pool, normal, length);
        if (!key)
            return no_memory(ctx, i);
        const rt_status st = pipe_text_set_add(ctx, known, key, i, &is_new, NULL);
        if (st != RT_OK)
            return st;
        struct pipe_problem *p = &set->items[i];
        join_skills(d.skills, skills);
        p->id = pipe_pool_format(ctx, &set->pool, "demo-s%llu-%05u",
                                 (unsigned long long)seed, i);
        p->question = pipe_pool_copy(ctx, &set->pool, question, strlen(question));
        p->subject = pipe_pool_copy(ctx, &set->pool, skills, strlen(skills));
        if (!p->id || !p->question || !p->subject || !keep_steps(ctx, &set->pool, &d, p))
            return no_memory(ctx, i);
        return RT_OK;
    }
    return rt_fail(ctx, RT_ERR_USAGE,
                   "problem %u of seed %llu: no new question in %d attempts; use fewer "
                   "problems or another seed",
                   i, (unsigned long long)seed, ATTEMPTS_MAX);
}

/* The normal forms of all avoided questions; their text lives in the set's memory. */
static rt_status avoid_all(struct rt_ctx *ctx,
                           const struct pipe_problem_set *const *avoid,
                           uint32_t avoid_count, struct pipe_text_set *known,
                           struct pipe_pool *pool)
{
    for (uint32_t s = 0; s < avoid_count; s++)
        for (uint32_t i = 0; i < avoid[s]->count; i++) {
            const char *question = avoid[s]->items[i].question;
            bool is_new;
            char *form = pipe_pool_take(ctx, pool, strlen(question) + 1, 1);
            if (!form)
                return no_memory(ctx, avoid[s]->count);
            pipe_text_normalise(question, form);
            const rt_status st = pipe_text_set_add(ctx, known, form, i, &is_new, NULL);
            if (st != RT_OK)
                return st;
        }
    return RT_OK;
}

rt_status pipe_demo_generate(struct rt_ctx *ctx, uint64_t seed, uint32_t count,
                             const struct pipe_problem_set *const *avoid,
                             uint32_t avoid_count, struct pipe_problem_set *out)
{
    rt_status st;
    struct pipe_text_set known = { 0 };
    *out = (struct pipe_problem_set){ 0 };
    if (count == 0 || count > COUNT_MAX)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "the number of problems must be 1 to %d, not %u", COUNT_MAX,
                       count);
    out->name =
        pipe_pool_format(ctx, &out->pool, "demo seed %llu", (unsigned long long)seed);
    out->items = rt_alloc(ctx, count, sizeof *out->items);
    if (!out->name || !out->items) {
        st = no_memory(ctx, count);
        goto fail;
    }
    TRY(avoid_all(ctx, avoid, avoid_count, &known, &out->pool));
    for (uint32_t i = 0; i < count; i++) {
        TRY(make(ctx, seed, i, &known, out));
        out->count = i + 1;
    }
    TRY(pipe_problems_rehash(ctx, out));
    pipe_text_set_deinit(&known);
    return RT_OK;

fail:
    pipe_text_set_deinit(&known);
    pipe_problems_deinit(out);
    return st;
}

rt_status pipe_demo_fresh(struct rt_ctx *ctx, const char *folder, uint64_t seed,
                          uint32_t count, struct pipe_problem_set *out)
{
    static const char *const files[] = { "mine.jsonl", "validate.jsonl",
                                         "measure.jsonl" };
    rt_status st;
    struct pipe_problem_set bundled[RT_COUNT(files)] = { 0 };
    const struct pipe_problem_set *avoid[RT_COUNT(files)];
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        char path[700];
        snprintf(path, sizeof path, "%.600s/%s", folder, files[i]);
        TRY(pipe_problems_read(ctx, path, &bundled[i]));
        avoid[i] = &bundled[i];
    }
    TRY(pipe_demo_generate(ctx, seed, count, avoid, RT_COUNT(files), out));

fail:
    for (size_t i = 0; i < RT_COUNT(files); i++)
        pipe_problems_deinit(&bundled[i]);
    return st;
}
