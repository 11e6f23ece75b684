/* pipeline/locate/locate_impl.h
 * Private to the locators of the loop: one wrong answer under search. */
#ifndef PIPELINE_LOCATE_LOCATE_IMPL_H
#define PIPELINE_LOCATE_LOCATE_IMPL_H

#include "pipeline/run/ask_list.h"
#include "pipeline/locate/locate.h"
#include "pipeline/run/work.h"
#include "pipeline/locate/evidence.h"
#include "pipeline/prompt/contrast.h"
#include "pipeline/prompt/mend.h"

/* Full's continuations after the first k steps: sample 0 is greedy, the others are
 * drawn. What is known does not depend on the order in which they come. */
struct locate_known {
    uint32_t done;     /* bit s: sample s is known; 0: not asked yet */
    uint32_t asked;    /* bit s: sample s was written, */
    uint32_t right;    /* and is right */
    uint32_t sample;   /* whose text it is: the first right one, else the greedy one */
    bool can;          /* one of them reaches the right answer */
    bool greedy_right; /* sample 0 does */
    bool text_right;
    char *text; /* owned */
};

/* Adds sample `sample` of what full writes; takes *text where it is the one to keep. */
void locate_learn(struct locate_known *known, uint32_t sample, bool right, char **text);

struct locate_search {
    uint32_t problem;    /* index in the split */
    const char *text;    /* the wrong answer, borrowed */
    const uint32_t *ids; /* its tokens, borrowed */
    const float *margin; /* of the model that gave it, NULL if not known */
    uint32_t n;
    char gen[STORE_ID]; /* row of the answer; empty: an injected one, not in the store */
    int32_t truth;      /* step of the judge, never part of the verdict; -1: not known */
    bool shared;        /* the judge finds a fault in full's own right answer too */
    struct pipe_step *steps; /* owned, with token ranges */
    double *unsure; /* owned, per step (evidence.h); NULL: no margins are known */
    uint32_t step_count;
    struct locate_known *known; /* owned, step_count + 1 */
    uint32_t asked;             /* kept steps of the question that is open */
    bool pending;
    struct pipe_checked check;
    struct pipe_mended mended;
    struct pipe_contrasted contrast;
    struct pipe_rollout_result rollout;
    struct pipe_twin_suspect suspect;
    int32_t twin;
    /* Steps that other locators name, -1: none, or not asked. Those of full's answer: the one
     * that quant cannot make (handover), the first that it would write otherwise (twin-back). */
    int32_t handover, twin_back;
    double *judge;         /* owned, per step (pipe_judgement.first); NULL: not read */
    int32_t judge_step;    /* its most probable step; -1: none */
    uint64_t judge_tokens; /* that it read, now or before */
    int32_t substitute;    /* of this answer: the earliest that full's step mends */
    /* Both were asked after the verdict's step; one of quant's draws is right; full's greedy
     * continuation or one of its draws is. */
    bool forced, forced_right, forced_full;
    uint32_t tokens; /* that the model wrote in continuations of the search */
    uint32_t substitute_tokens, forced_tokens;
    struct pipe_fault verdict;
};

/* Answers under search, and the model that reads and continues them. Full reads quant's wrong
 * answers. In the mirror quant reads full's right answers to the same problems, in the same
 * order, and what is searched is the first step after which it can finish. */
struct locating {
    struct pipe_session *session;
    const struct pipe_bench *bench;
    const struct pipe_variant *reader;
    const char *locator; /* whose continuations these are: "rollout", "handover" */
    bool mirror;
    struct locate_search *list;
    uint32_t count, samples, more, forced_most;
    struct locating *back; /* the mirror, borrowed; NULL: not asked */
    char run_id[STORE_ID];
    /* Makes a continuation durable of list[search], which has no row; NULL: nobody does. */
    rt_status (*keep)(void *keeper, uint32_t search, const struct pipe_job *job,
                      bool right);
    void *keeper;          /* borrowed */
    bool open;             /* a transaction is open */
    struct pipe_job *jobs; /* of the round; job i belongs to list[i / per_search] */
    uint32_t per_search;
    struct rt_engine *engine[2]; /* of full, owned: greedy, drawn; null until needed */
};

/* Steps, check and the tokens of each step. `reader` is the reader's own answer: full's right
 * one, quant's wrong one in the mirror. */
RT_CHECKED rt_status locate_search_init(struct locating *l, struct locate_search *s,
                                        const char *reader);
void locate_free(struct locating *l);
/* Gives the memory of the caches back; the next question makes an engine again. */
void locate_close_engines(struct locating *l);
/* The first suspects, by teacher-forcing full along every wrong answer. */
RT_CHECKED rt_status locate_twins(struct locating *l);
/* Runs every search on what is known: how many need continuations. */
RT_CHECKED rt_status locate_pending(struct locating *l, uint32_t *pending);
/* Rounds of continuations until every search is settled. */
RT_CHECKED rt_status locate_rollouts(struct locating *l);
/* One greedy continuation, or all drawn ones where that failed, after the first kept[i] steps
 * of every search i that lacks them; -1: none. Durable as those of the search. */
RT_CHECKED rt_status locate_continue_at(struct locating *l, const int32_t *kept,
                                        bool drawn);
/* What an earlier, killed run asked already. */
RT_CHECKED rt_status locate_find_again(struct locating *l);
/* Empty fault rows of a locator, which continuations hang on. */
RT_CHECKED rt_status locate_announce(struct locating *l, const char *locator);
/* What the search and the twin say, as rows; `evidence` holds `size` bytes for them. */
struct pipe_fault locate_fault_of_search(const struct locate_search *s,
                                         const char *locator, char *evidence,
                                         size_t size);
struct pipe_fault locate_fault_of_twin(const struct locate_search *s, const char *locator,
                                       char *evidence, size_t size);
/* Full's own answers under quant as reader: fills `back` (locate_free) and what the searches
 * of l know from it. */
RT_CHECKED rt_status locate_handover(struct locating *l, const struct pipe_variant *quant,
                                     const struct pipe_answers *f, struct locating *back);
/* The judge's readings of all answers, by full; not read where full cannot be asked so, which
 * is said. Outside the attempt at the run: they are runs of their own. */
RT_CHECKED rt_status locate_judgements(struct locating *l);
/* Its row of an answer that was read, in an open transaction. */
RT_CHECKED rt_status locate_put_judge(struct locating *l, const struct locate_search *s);
/* The row of the search, with the success rates of what was drawn; in an open transaction. */
RT_CHECKED rt_status locate_put_search(struct locating *l, const struct locate_search *s);
/* The success rates, a line each, as information. */
void locate_tell_rates(const struct locating *l);
/* The same wrong step given to both: draws after the verdict's step of forced_most answers, by
 * quant, and by full if its search draws none. */
RT_CHECKED rt_status locate_forced(struct locating *l, const struct pipe_variant *quant);
RT_CHECKED rt_status locate_put_forced(struct locating *l);
/* What else a run that does so is known by, members of its configuration; nothing where all
 * answers are asked with the samples of the search. */
void locate_forced_config(const struct locating *l, char *out, size_t size);
/* Where verdicts lie and what that is worth: metrics of the run, and lines for people. */
RT_CHECKED rt_status locate_put_places(struct locating *l, const char *prefix);
/* Their rows, in an open transaction. */
RT_CHECKED rt_status locate_put_handover(struct locating *back);
RT_CHECKED rt_status locate_put_substitutes(struct locating *l);
/* Quant after full's step, at the step that the search or the verdict names and its
 * neighbours. After locate_verdicts. */
RT_CHECKED rt_status locate_substitutes(struct locating *l,
                                        const struct pipe_variant *quant);
/* The answers beside full's right ones, which the search has asked for. */
RT_CHECKED rt_status locate_contrasts(struct locating *l);
/* What all locators say about one answer. */
struct pipe_testimony locate_testimony(const struct locate_search *s);
/* Verdict and category of every search. */
RT_CHECKED rt_status locate_verdicts(struct locating *l);
/* How often each locator names the judge's step: metrics of the run under names that
 * begin with `prefix`, and one line for people. */
RT_CHECKED rt_status locate_judge(struct locating *l, const char *prefix,
                                  const char *what);

#endif
