/* pipeline/restore/restore_mine.c
 * The answers that faults are mined from: to all problems of the list, or to the first ones
 * until enough of them are lost. */
#include "pipeline/restore/restore_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Problems of a shorter list: the first step, and what lengths are rounded up to. */
enum { MINE_FIRST = 512, MINE_UNIT = 64, MINE_FASTER = 4 };

static uint32_t count_lost(const struct restoring *r)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < r->mine_f.count; i++)
        lost += r->mine_f.items[i].correct && !r->mine_q.items[i].correct;
    return lost;
}

bool restore_nothing_lost(const struct restoring *r, char *out, size_t size)
{
    const uint32_t right = r->mine_f.correct, n = r->mine_f.count;
    if (count_lost(r))
        return false;
    if (right)
        snprintf(
            out, size,
            "nothing was lost: of %u mined problems full solves %u, and quant solves "
            "all of these; there is nothing to restore",
            n, right);
    else
        snprintf(out, size,
                 "nothing was lost: full solves none of %u mined problems; there is "
                 "nothing to restore",
                 n);
    return true;
}

/* Some more than the share of lost problems so far asks for. */
static uint32_t next_count(uint32_t count, uint32_t lost, uint32_t until)
{
    const double most = MINE_FASTER * (double)count;
    const double want = lost ? 1.06 * count * until / lost : most;
    const uint32_t next =
        (uint32_t)((want < most ? want : most) / MINE_UNIT + 1) * MINE_UNIT;
    return next > count ? next : count + MINE_UNIT;
}

/* The first `count` problems as a list of their own; answers that were made for another
 * list are found again. */
static rt_status cut_list(struct restoring *r, uint32_t count)
{
    rt_status st;
    struct store *s = r->session->store;
    r->mine = r->all;
    if (count >= r->all.set.count)
        return RT_OK;
    r->mine.set.count = count;
    TRY(store_begin(s));
    TRY(store_put_benchmark(s, r->mine.name, r->mine.split, r->mine.set.items, count,
                            r->mine.id));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status measure_mined(struct restoring *r, uint32_t count)
{
    rt_status st;
    TRY(cut_list(r, count));
    pipe_answers_deinit(&r->mine_f);
    pipe_answers_deinit(&r->mine_q);
    TRY(pipe_measure(r->session, &r->full_row, &r->mine, &r->mine_f));
    TRY(pipe_measure(r->session, &r->quant_row, &r->mine, &r->mine_q));

fail:
    return st;
}

static rt_status answer_mined(struct restoring *r)
{
    rt_status st = RT_OK;
    const uint32_t until = r->options.mine_until, all = r->all.set.count;
    uint32_t count = until && MINE_FIRST < all ? MINE_FIRST : all;
    for (;;) {
        TRY(measure_mined(r, count));
        const uint32_t lost = count_lost(r);
        assert(r->mine.set.count <= all);
        if (until && (lost >= until || count >= all))
            pipe_say(r->session->host, "mined %u of %u problems: %u lost, %u wanted",
                     r->mine.set.count, all, lost, until);
        if (!until || lost >= until || count >= all)
            break;
        count = next_count(count, lost, until);
    }

fail:
    return st;
}

/* Whether every answer is blank. */
static bool answers_nothing(const struct pipe_answers *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->items[i].text[strspn(a->items[i].text, " \t\r\n")])
            return false;
    return a->count > 0;
}

rt_status restore_mine(struct restoring *r)
{
    rt_status st;
    char nothing[256];
    TRY(answer_mined(r));
    if (restore_nothing_lost(r, nothing, sizeof nothing))
        pipe_say(r->session->host, "%s", nothing);
    if (answers_nothing(&r->mine_q))
        pipe_say(r->session->host,
                 "quant answers nothing: all of its answers to %u mined problems are "
                 "empty; is '%s' damaged, or is its end token another one?",
                 r->mine_q.count, r->quant_folder);
    TRY(pipe_locate(r->session, &r->full_row, &r->quant_row, &r->mine, &r->mine_f,
                    &r->mine_q, &r->options.locate, r->locate_run));
    TRY(pipe_faults_read(r->session, &r->mine, &r->mine_f, r->locate_run, &r->faults));
    return RT_OK;

fail:
    return st;
}
