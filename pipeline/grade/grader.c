/* pipeline/grade/grader.c
 * The grader itself: reads both answers in each way that makes sense and asks whether
 * one pair is equal. */
#include "pipeline/grade/grade.h"

#include "pipeline/grade/answer_text.h"
#include "pipeline/grade/choice_label.h"
#include "pipeline/grade/tree_compare.h"
#include "pipeline/grade/extract.h"
#include "pipeline/grade/extract_find.h"
#include "pipeline/grade/parse.h"

#include <string.h>

enum { UNITS_MAX = 3000000 }; /* of one pair: about 30 ms */

struct pipe_grader {
    struct pipe_policies policies;
    struct evaluator *evaluator;
    struct line *line;
    struct tree *gold, *pred;
    bool prose;                  /* what is compared was found in prose */
    char *gold_text, *pred_text; /* extracted from prose; PIPE_ANSWER_MAX bytes */
};

rt_status pipe_grader_create(struct rt_ctx *ctx, const struct pipe_policies *policies,
                             struct pipe_grader **out)
{
    struct pipe_grader *g = rt_alloc(ctx, 1, sizeof *g);
    *out = g;
    if (g) {
        g->evaluator = grade_evaluator_create(ctx);
        g->line = grade_line_create(ctx);
        g->gold = rt_alloc(ctx, 1, sizeof *g->gold);
        g->pred = rt_alloc(ctx, 1, sizeof *g->pred);
        g->gold_text = rt_alloc(ctx, PIPE_ANSWER_MAX, 1);
        g->pred_text = rt_alloc(ctx, PIPE_ANSWER_MAX, 1);
    }
    if (!g || !g->evaluator || !g->line || !g->gold || !g->pred || !g->gold_text ||
        !g->pred_text) {
        if (g)
            pipe_grader_destroy(out);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the grader");
    }
    if (policies)
        g->policies = *policies;
    for (uint32_t i = 0; i < TREE_NODES_MAX; i++) { /* a zero value is 0/1 */
        fmpq_init(&g->gold->nodes[i].value);
        fmpq_init(&g->pred->nodes[i].value);
    }
    grade_tree_reset(g->gold);
    grade_tree_reset(g->pred);
    return RT_OK;
}

void pipe_grader_destroy(struct pipe_grader **grader)
{
    struct pipe_grader *g = *grader;
    if (!g)
        return;
    if (g->gold)
        grade_tree_reset(g->gold);
    if (g->pred)
        grade_tree_reset(g->pred);
    grade_evaluator_destroy(&g->evaluator);
    rt_free(g->line);
    rt_free(g->gold);
    rt_free(g->pred);
    rt_free(g->gold_text);
    rt_free(g->pred_text);
    rt_free(g);
    *grader = NULL;
}

static void read_again(struct pipe_grader *g, struct tree *t, enum reading reading)
{
    const uint32_t size = t->size;
    grade_tree_reset(t);
    t->size = size;
    grade_parse_answer(t, &g->policies, reading);
}

static int compare_trees(struct pipe_grader *g, int places, const char **rule)
{
    struct comparer c = { .e = g->evaluator,
                          .policies = &g->policies,
                          .places = places,
                          .prose = g->prose,
                          .line = g->line,
                          .rule = "limit" };
    int verdict = PIPE_VERDICT_UNDECIDED;
    if (g->gold->root != TREE_NONE && g->pred->root != TREE_NONE)
        verdict = grade_compare(&c, (struct item){ g->gold, g->gold->root, 0 },
                                (struct item){ g->pred, g->pred->root, 0 });
    *rule = c.rule;
    return verdict;
}

static bool is_list(const struct tree *t)
{
    const struct node *n = &t->nodes[t->root];
    return (n->kind == N_LIST || n->kind == N_TUPLE || n->kind == N_SET) && n->count > 1;
}

static bool has_parts(const struct tree *t)
{
    const uint8_t kind = t->nodes[t->root].kind;
    return is_list(t) || kind == N_SETOP || kind == N_RELATION || kind == N_MATRIX;
}

/* What reading of t the other answer calls for: 1,234 as a list of two, 1,22 as a decimal
 * number, the m of 5m as a unit. */
static enum reading other_reading(const struct pipe_grader *g, const struct tree *t,
                                  const struct tree *other)
{
    const struct node *n = &t->nodes[t->root], *o = &other->nodes[other->root];
    if (t->grouped && has_parts(other) &&
        (o->kind != N_TUPLE || n->kind != N_NUMBER || (n->flags & IS_BRACKETED)))
        return READ_COMMA_LIST;
    if (t->comma && is_list(t) && !is_list(other) &&
        !g->policies.off[PIPE_POLICY_DECIMAL_COMMA])
        return READ_DECIMAL_COMMA;
    if (g->policies.off[PIPE_POLICY_DEGREE_RADIAN] && n->kind == N_DEGREE &&
        o->kind != N_DEGREE)
        return READ_RADIANS;
    const bool units =
        o->kind == N_UNIT || (o->kind == N_LIST && other->nodes[o->first].kind == N_UNIT);
    const bool in_a_row = n->kind == N_LIST && n->op == SEP_AND; /* 2 kg 500 g */
    if (units && n->kind == N_BAD)                               /* 2h15min */
        return READ_UNITS;
    if (units && (n->flags & HAS_SYMBOL) &&
        (n->kind == N_MUL || n->kind == N_DIV || n->kind == N_UNIT || in_a_row))
        return READ_UNITS;
    if ((o->flags & IS_EXACT) && n->kind == N_DIV && (n->flags & HAS_SYMBOL))
        return READ_UNITS; /* 15 m/s: more than one letter of chance */
    return READ_PLAIN;
}

static int other_readings(struct pipe_grader *g, int places, int verdict,
                          const char **rule)
{
    struct tree *const trees[2] = { g->pred, g->gold };
    for (int i = 0; i < 3; i++) { /* the first once more: the other may have units now */
        const enum reading reading = other_reading(g, trees[i % 2], trees[1 - i % 2]);
        if (reading == READ_PLAIN)
            continue;
        read_again(g, trees[i % 2], reading);
        verdict = compare_trees(g, places, rule);
        if (verdict == PIPE_VERDICT_EQUAL)
            break;
    }
    return verdict;
}

static bool read_answer(struct pipe_grader *g, struct tree *t, const char *answer)
{
    grade_tree_reset(t);
    return grade_answer_text(answer, &g->policies, t->text, sizeof t->text, &t->size);
}

static void grade_pair(struct pipe_grader *g, const char *gold, const char *pred,
                       int places, struct pipe_grading *out)
{
    *out = (struct pipe_grading){ PIPE_VERDICT_EQUAL, "same text" };
    if (strcmp(gold, pred) == 0)
        return;
    if (memchr(gold, 0, PIPE_ANSWER_MAX) == NULL ||
        memchr(pred, 0, PIPE_ANSWER_MAX) == NULL || !read_answer(g, g->gold, gold) ||
        !read_answer(g, g->pred, pred)) {
        *out = (struct pipe_grading){ PIPE_VERDICT_UNDECIDED, "too long" };
        return;
    }
    if (g->gold->size == g->pred->size &&
        memcmp(g->gold->text, g->pred->text, g->gold->size) == 0 && g->gold->size > 0)
        return;
    grade_parse_answer(g->gold, &g->policies, READ_PLAIN);
    grade_parse_answer(g->pred, &g->policies, READ_PLAIN);
    grade_evaluator_allow(g->evaluator, UNITS_MAX);
    int verdict = compare_trees(g, places, &out->rule);
    if (verdict != PIPE_VERDICT_EQUAL && g->gold->root != TREE_NONE &&
        g->pred->root != TREE_NONE)
        verdict = other_readings(g, places, verdict, &out->rule);
    out->verdict = (enum pipe_verdict)verdict;
}

/* ---- a choice and its value ---- */

enum { LABELLED_MAX = 1024 };

struct labelled {
    bool is; /* \textbf{(B)} 12 */
    char letter[2];
    char value[LABELLED_MAX];
};

static void read_label(const char *text, struct labelled *out)
{
    size_t at, size;
    out->is = memchr(text, 0, LABELLED_MAX) != NULL &&
              grade_choice_split(text, out->letter, &at, &size);
    out->letter[1] = '\0';
    if (!out->is)
        return;
    memcpy(out->value, text + at, size);
    out->value[size] = '\0';
}

/* One that names a letter and a value is that letter and that value. Of two, both count. */
static void grade_labelled(struct pipe_grader *g, const char *gold, const char *pred,
                           int places, struct pipe_grading *out)
{
    struct labelled a, b;
    struct pipe_grading part;
    read_label(gold, &a);
    read_label(pred, &b);
    if (!a.is && !b.is)
        return;
    if (a.is && b.is && a.letter[0] != b.letter[0])
        return;
    if (!(a.is && b.is)) {
        grade_pair(g, a.is ? a.letter : gold, b.is ? b.letter : pred, -1, &part);
        if (part.verdict == PIPE_VERDICT_EQUAL)
            *out = (struct pipe_grading){ PIPE_VERDICT_EQUAL, "choice and value" };
    }
    if (out->verdict == PIPE_VERDICT_EQUAL)
        return;
    grade_pair(g, a.is ? a.value : gold, b.is ? b.value : pred, places, &part);
    if (part.verdict == PIPE_VERDICT_EQUAL)
        *out = (struct pipe_grading){ PIPE_VERDICT_EQUAL, "choice and value" };
}

void pipe_grader_answers(struct pipe_grader *grader, const char *gold, const char *pred,
                         int places, struct pipe_grading *out)
{
    grade_pair(grader, gold, pred, places, out);
    if (out->verdict != PIPE_VERDICT_EQUAL &&
        !grader->policies.off[PIPE_POLICY_CHOICE_VALUE])
        grade_labelled(grader, gold, pred, places, out);
}

/* ---- prose ---- */

/* The answer in prose, or the prose where none is marked. */
static const char *marked(const char *text, char *out)
{
    const char *rule;
    return pipe_extract(pipe_answer_style_find("text"), text, out, PIPE_ANSWER_MAX, &rule)
               ? out
               : text;
}

static bool is_prose(const char *text)
{
    struct found found = { .count = 0 };
    return !grade_find_whole((struct span){ text, strlen(text) }, &found);
}

void pipe_grader_texts(struct pipe_grader *grader, const char *gold, const char *pred,
                       int places, struct pipe_grading *out)
{
    const char *known = marked(gold, grader->gold_text), *rule;
    const char *said = marked(pred, grader->pred_text);
    grader->prose = true;
    pipe_grader_answers(grader, known, said, places, out);
    if (out->verdict == PIPE_VERDICT_DIFFERENT && said == pred && is_prose(pred) &&
        pipe_extract(pipe_answer_style_find("gsm8k"), pred, grader->pred_text,
                     PIPE_ANSWER_MAX, &rule))
        pipe_grader_answers(grader, known, grader->pred_text, places, out);
    grader->prose = false;
}
