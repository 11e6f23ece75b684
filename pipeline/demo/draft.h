/* pipeline/demo/draft.h
 * Private to the generator: one problem in the making. */
#ifndef PIPELINE_DEMO_DRAFT_H
#define PIPELINE_DEMO_DRAFT_H

#include "runtime/base/rt.h"

enum {
    DRAFT_STEPS_MAX = 12,
    DRAFT_SENTENCES_MAX = 16,
    DRAFT_SENTENCE_BYTES = 160,
    DRAFT_VALUE_MAX = 999,
    DEMO_STEPS_MAX = 6,
};

/* Bits in alphabetical order of their names. */
enum draft_skill {
    SKILL_ADDSUB = 1 << 0,
    SKILL_COMPARE = 1 << 1,
    SKILL_DISTRACT = 1 << 2,
    SKILL_DIV = 1 << 3,
    SKILL_FRAC = 1 << 4,
    SKILL_MONEY = 1 << 5,
    SKILL_MUL = 1 << 6,
    SKILL_PERCENT = 1 << 7,
    SKILL_TRANSFER = 1 << 8,
    SKILL_UNIT = 1 << 9,
};

struct draft_step {
    const char *label; /* static */
    int a, b, value;
    char op;
};

struct draft {
    uint64_t seed;
    uint32_t problem, attempt, drawn; /* counter of the random numbers */
    char text[DRAFT_SENTENCES_MAX][DRAFT_SENTENCE_BYTES];
    uint32_t sentences;
    struct draft_step steps[DRAFT_STEPS_MAX];
    uint32_t step_count;
    unsigned skills;
    int answer;
    bool bad; /* a value left its range, or a choice had no option: throw it away */
};

/* Random numbers: 0 <= draft_unit < 1; a whole number from low to high, both included. */
double draft_unit(struct draft *d);
int draft_between(struct draft *d, int low, int high);
const char *draft_choice(struct draft *d, const char *const *from, int count);
/* `count` different ones, in random order. */
void draft_sample(struct draft *d, const char *const *from, int total, int count,
                  const char **out);

void draft_say(struct draft *d, const char *fmt, ...) RT_PRINTF(2, 3);
/* Moves the sentence said last to position `at`. */
void draft_move_last(struct draft *d, uint32_t at);
/* Adds a step and returns its value; sets `bad` if the value is not allowed. */
int draft_step(struct draft *d, const char *label, int a, char op, int b);
/* Picks a divisor of `value` from low to high (below `value` if `proper`); 0 and bad if
 * there is none. */
int draft_divisor(struct draft *d, int value, int low, int high, bool proper);

extern const char *const draft_names[16], *const draft_items[10], *const draft_others[6];

/* The families. */
void draft_entity(struct draft *d);
void draft_money(struct draft *d);
void draft_units(struct draft *d);

#endif
