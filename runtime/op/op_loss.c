/* runtime/op/op_loss.c
 * Ops on rows of logits and on pairs of answers: logits_stat, ce_back, kl, sample, dpo. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

#include <float.h>
#include <math.h>

/* ---- logits_stat ---- */

static struct rt_op_cost stat_cost(const void *push, double context)
{
    const struct logits_stat_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->vocab, 4, 1);
}

static uint64_t stat_items(const void *push)
{
    return ((const struct logits_stat_push *)push)->rows;
}

static void stat_needs(const void *push, struct rt_op_needs *needs)
{
    needs->columns = ((const struct logits_stat_push *)push)->vocab;
}

static void stat_operands(struct rt_op_case *c)
{
    const struct logits_stat_push *p = &c->push.logits_stat;
    c->operand[0] = rt_operand_rows(p->rows, p->ldl, RT_FILL_LOGITS);
    c->operand[1] = rt_operand_plain(p->rows, RT_FILL_IDS);
    c->operand[1].arg = p->vocab;
    c->operand[2] = rt_operand_plain(8ull * p->rows, RT_FILL_ZERO);
    c->operand[2].ld = 8;
    c->operand[2].content = RT_CONTENT_STAT;
}

const struct rt_op_row rt_op_row_logits_stat = {
    .cost = stat_cost,
    .items = stat_items,
    .needs = stat_needs,
    .operands = stat_operands,
    .tolerance = { .relative = 2e-6 },
};

/* ---- ce_back ---- */

static struct rt_op_cost ce_back_cost(const void *push, double context)
{
    const struct ce_back_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->vocab, 4, 2);
}

static uint64_t ce_back_items(const void *push)
{
    const struct ce_back_push *p = push;
    return (uint64_t)p->rows * (p->ldl / 4);
}

static void ce_back_operands(struct rt_op_case *c)
{
    const struct ce_back_push *p = &c->push.ce_back;
    c->operand[0] = rt_operand_plain(8ull * p->rows, RT_FILL_STAT);
    c->operand[0].arg = p->vocab;
    c->operand[1] = rt_operand_plain(p->rows, RT_FILL_UNIT);
    c->operand[2] = rt_operand_plain(0, RT_FILL_ZERO);
    c->operand[3] = rt_operand_rows(p->rows, p->ldl, RT_FILL_LOGITS);
}

const struct rt_op_row rt_op_row_ce_back = {
    .cost = ce_back_cost,
    .items = ce_back_items,
    .operands = ce_back_operands,
    .filled = 3, /* the logits */
    .tolerance = { .relative = 5e-6, .of_row = 1e-6 },
};

/* ---- kl ---- */

static struct rt_op_cost kl_cost(const void *push, double context)
{
    const struct kl_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->vocab, 10, p->want_grad ? 5 : 4);
}

static uint64_t kl_items(const void *push)
{
    return ((const struct kl_push *)push)->rows;
}

static void kl_needs(const void *push, struct rt_op_needs *needs)
{
    needs->columns = ((const struct kl_push *)push)->vocab;
}

static void kl_operands(struct rt_op_case *c)
{
    const struct kl_push *p = &c->push.kl;
    c->operand[0] = rt_operand_rows(p->rows, p->ldl, RT_FILL_LOGITS);
    c->operand[1] = rt_operand_plain(p->rows, RT_FILL_POSITIVE);
    c->operand[2] = rt_operand_rows(p->rows, p->ldl, RT_FILL_LOGITS);
    c->operand[3] = rt_operand_plain(4ull * p->rows, RT_FILL_ZERO);
    c->operand[3].ld = 4;
    c->operand[3].content = RT_CONTENT_KLSTAT;
}

const struct rt_op_row rt_op_row_kl = {
    .cost = kl_cost,
    .items = kl_items,
    .needs = kl_needs,
    .operands = kl_operands,
    /* p - q of two softmaxes: each has the error of a sum of thousands of terms. */
    .tolerance = { .relative = 1e-5, .of_row = 5e-6 },
};

/* ---- sample ---- */

static struct rt_op_cost sample_cost(const void *push, double context)
{
    const struct sample_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->vocab, 40, 20);
}

static uint64_t sample_items(const void *push)
{
    return ((const struct sample_push *)push)->rows;
}

static void sample_needs(const void *push, struct rt_op_needs *needs)
{
    needs->columns = ((const struct sample_push *)push)->vocab;
}

static void sample_operands(struct rt_op_case *c)
{
    const struct sample_push *p = &c->push.sample;
    c->operand[0] = rt_operand_rows(p->rows, p->ldl, RT_FILL_LOGITS);
    c->operand[1] =
        rt_operand_plain(4ull * p->rows, c->length ? RT_FILL_META : RT_FILL_WORDS);
    c->operand[2] = rt_operand_plain(2ull * p->rows, RT_FILL_ZERO);
    c->operand[2].content = RT_CONTENT_WORDS;
}

/* The key of a row is its number, so that its random words are known. */
static void sample_meta(const struct rt_op_case *c, uint32_t *words)
{
    for (uint32_t r = 0; r < c->push.sample.rows; r++)
        words[4 * r] = r;
}

const struct rt_op_row rt_op_row_sample = {
    .cost = sample_cost,
    .items = sample_items,
    .needs = sample_needs,
    .operands = sample_operands,
    .meta = sample_meta,
};

/* ---- dpo ---- */

static uint64_t dpo_items(const void *push)
{
    return ((const struct dpo_push *)push)->pairs;
}

/* Tokens of the chosen and rejected range of pair i: different, the first short. */
static uint32_t dpo_chosen(uint32_t i)
{
    return 1 + 3 * i;
}

static uint32_t dpo_rejected(uint32_t i)
{
    return 7 + 2 * i;
}

static void dpo_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const uint32_t pairs = c->push.dpo.pairs;
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < pairs; i++)
        tokens += dpo_chosen(i) + dpo_rejected(i);
    o[0] = rt_operand_plain(8ull * tokens, RT_FILL_STAT);
    o[0].arg = 100;
    o[1] = rt_operand_plain(tokens, RT_FILL_UNIT);
    o[2] = rt_operand_plain(4ull * pairs, RT_FILL_META);
    o[3] = rt_operand_plain(0, RT_FILL_ZERO);
    o[4] = rt_operand_plain(tokens, RT_FILL_UNIT);
    o[5] = rt_operand_plain(8ull * pairs, RT_FILL_UNIT);
    o[5].ld = 8;
}

static void dpo_meta(const struct rt_op_case *c, uint32_t *words)
{
    uint32_t token = 0;
    for (uint32_t i = 0; i < c->push.dpo.pairs; i++, words += 4) {
        words[0] = token;
        words[1] = dpo_chosen(i);
        words[2] = words[0] + words[1];
        words[3] = dpo_rejected(i);
        token = words[2] + words[3];
    }
}

/* The sigmoid is known as well as beta times a float sum over the tokens of a pair, of
 * log-probabilities down to -20. */
static void dpo_widen(const struct rt_op_case *c, struct rt_op_tolerance *t)
{
    const struct dpo_push *p = &c->push.dpo;
    if (p->pairs == 0)
        return;
    const double tokens = (double)c->operand[1].checked / 4 / p->pairs;
    t->relative = fmax(t->relative, (double)p->beta * 20 * tokens * (FLT_EPSILON / 2));
}

const struct rt_op_row rt_op_row_dpo = {
    .items = dpo_items,
    .operands = dpo_operands,
    .meta = dpo_meta,
    .tolerance = { .relative = 5e-6, .of_row = 5e-6 },
    .widen = dpo_widen,
};
