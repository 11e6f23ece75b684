/* pipeline/demo/question_facts.h
 * What the sentences of a word problem say about who has what: lexical rules, no parser.
 * The last sentence asks, all others tell facts. A `name` is an index into q->names. */
#ifndef PIPELINE_DEMO_QUESTION_FACTS_H
#define PIPELINE_DEMO_QUESTION_FACTS_H

#include "pipeline/demo/question.h"

/* The sentences that tell facts: all but the last, which asks. */
uint32_t pipe_fact_count(const struct pipe_question *q);
/* "L has 5 more pens than M": L is compared with another name. */
bool pipe_fact_compares(const struct pipe_sentence *s, uint32_t name);
/* What a name has at the start, as far as `number` may be it. */
bool pipe_fact_starts_with(const struct pipe_question *q, uint32_t name, int64_t number);
/* Some sentence of the name gives the number. */
bool pipe_fact_gives(const struct pipe_question *q, uint32_t name, int64_t number);
/* Some sentence of the name states the number. */
bool pipe_fact_states(const struct pipe_question *q, uint32_t name, int64_t number);
/* Some sentence of the name implies the number: a share or a percentage. */
bool pipe_fact_shares(const struct pipe_question *q, uint32_t name, int64_t number);
/* No sentence of the name speaks for adding (or taking) this number, and one speaks
 * against it. */
bool pipe_fact_against(const struct pipe_question *q, uint32_t name, int64_t number,
                       char op);
/* The sentence of the name that states both numbers and says "has" (or, for `has` false,
 * does not): null if there is none. */
const struct pipe_sentence *pipe_fact_pair(const struct pipe_question *q, uint32_t name,
                                           int64_t a, int64_t b, bool has);
/* "3 cups at 12 dollars each" */
bool pipe_fact_price(const struct pipe_sentence *s);
/* "N shares the pens equally among 5 friends", or null. */
const struct pipe_sentence *pipe_fact_sharing(const struct pipe_question *q);

#endif
