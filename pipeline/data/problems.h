/* pipeline/data/problems.h
 * Problem files: JSON Lines, one problem per line, or one JSON list of them; UTF-8, gzip or
 * not. Fields:
 *
 *   id        text, required, unique in the file
 *   question  text, required, not blank
 *   answer    text (or whole number of any length), required
 *   solution  text, optional: a reference solution
 *   steps     array of { label, expr, value }, optional: the gold program of generated
 *             problems, whole-number values
 *   skills    array of texts, optional: joined by '+' as the subject
 *   subject, level  text, optional; without a level it is the number of gold steps
 *   weight, spans   optional: what the solution counts as calibration text
 *                   (text_weights.h); not written back
 *
 * Other fields are ignored; blank lines are skipped. Anything else is RT_ERR_INPUT with
 * file, line and, for broken JSON, column. Order is kept. */
#ifndef PIPELINE_DATA_PROBLEMS_H
#define PIPELINE_DATA_PROBLEMS_H

#include "pipeline/record.h"
#include "runtime/base/text_pool.h"

#include <stdio.h>

/* Owns all strings its problems point to. Zero is a valid, empty start. */
struct pipe_problem_set {
    const char *name;           /* as given: "data/mine.jsonl[0:500]" */
    const char *label;          /* for people, without folders; null: not named yet */
    struct pipe_problem *items; /* in file order */
    uint32_t count;
    char hash[72]; /* "sha256:<64 hex>", see pipe_problems_rehash */
    struct pipe_pool pool;
};

/* Reads `spec`: a path, or a split of it "path[from:to]", half-open, counted from 0;
 * either bound may be left out. A range beyond the end of the file is RT_ERR_USAGE. On
 * failure the set is empty. */
RT_CHECKED rt_status pipe_problems_read(struct rt_ctx *ctx, const char *spec,
                                        struct pipe_problem_set *out);
/* The same from memory; `name` is for messages. */
RT_CHECKED rt_status pipe_problems_parse(struct rt_ctx *ctx, const char *name,
                                         const char *text, size_t size, uint32_t from,
                                         uint32_t to, struct pipe_problem_set *out);
void pipe_problems_deinit(struct pipe_problem_set *set);

/* Writes the set back: reading the result gives the same problems and the same hash. */
RT_CHECKED rt_status pipe_problems_write(struct rt_ctx *ctx,
                                         const struct pipe_problem_set *set, FILE *file);
/* The same to a file that appears whole or not at all. */
RT_CHECKED rt_status pipe_problems_save(struct rt_ctx *ctx,
                                        const struct pipe_problem_set *set,
                                        const char *path);

/* Sets set->hash: SHA-256 over id, normalised question (text_set.h) and answer of each
 * problem in order. Spacing, letter case and fields beside these do not change it. */
RT_CHECKED rt_status pipe_problems_rehash(struct rt_ctx *ctx,
                                          struct pipe_problem_set *set);

/* Problems of `a` whose normalised question is also one of `b`, or that have the id of a
 * problem of a data set ("NAME/SPLIT/...") that `b` has too. Ids of files are not compared:
 * each file counts for itself. Near copies: near_copy.h. */
struct pipe_leak {
    uint32_t count;
    uint32_t a, b; /* indices of the first such pair; valid if count > 0 */
};
RT_CHECKED rt_status pipe_problems_leak(struct rt_ctx *ctx,
                                        const struct pipe_problem_set *a,
                                        const struct pipe_problem_set *b,
                                        struct pipe_leak *out);

/* The problem with this id, or null. Linear; for many look-ups build a text set. */
const struct pipe_problem *pipe_problems_find(const struct pipe_problem_set *set,
                                              const char *id);

#endif
