/* pipeline/demo/question_facts.c
 * Lexical rules over the sentences of a question: who has, gives, shares or compares
 * which number. */
#include "pipeline/demo/question_facts.h"

uint32_t pipe_fact_count(const struct pipe_question *q)
{
    return q->count ? q->count - 1 : 0;
}

bool pipe_fact_compares(const struct pipe_sentence *s, uint32_t name)
{
    return s->name_count >= 2 && s->names[0] == name &&
           pipe_sentence_has_word(s, "has") &&
           (pipe_sentence_has_word(s, "than") || pipe_sentence_has_word(s, "as"));
}

bool pipe_fact_starts_with(const struct pipe_question *q, uint32_t name, int64_t number)
{
    for (uint32_t i = 0; i < pipe_fact_count(q); i++) {
        const struct pipe_sentence *s = &q->sentences[i];
        if (s->name_count && s->names[0] == name && !pipe_fact_compares(s, name) &&
            pipe_sentence_has_word(s, "has") && pipe_sentence_states(s, number))
            return true;
    }
    return false;
}

bool pipe_fact_gives(const struct pipe_question *q, uint32_t name, int64_t number)
{
    for (uint32_t i = 0; i < pipe_fact_count(q); i++)
        if (pipe_sentence_names(&q->sentences[i], name) &&
            pipe_sentence_gives(&q->sentences[i], number))
            return true;
    return false;
}

bool pipe_fact_states(const struct pipe_question *q, uint32_t name, int64_t number)
{
    for (uint32_t i = 0; i < pipe_fact_count(q); i++)
        if (pipe_sentence_names(&q->sentences[i], name) &&
            pipe_sentence_states(&q->sentences[i], number))
            return true;
    return false;
}

bool pipe_fact_shares(const struct pipe_question *q, uint32_t name, int64_t number)
{
    for (uint32_t i = 0; i < pipe_fact_count(q); i++)
        if (pipe_sentence_names(&q->sentences[i], name) &&
            pipe_sentence_implies(&q->sentences[i], number))
            return true;
    return false;
}

/* +1: the sentence adds its number to the name's quantity, -1: it takes it away, 0: it
 * does not say. */
static int polarity(const struct pipe_sentence *s, uint32_t name)
{
    if (pipe_sentence_has_word(s, "gives"))
        return s->name_count && s->names[0] == name ? -1 : 1;
    static const char *const less[] = { "loses", "sells", "fewer", "less" };
    static const char *const more[] = { "finds", "buys", "more" };
    for (size_t i = 0; i < RT_COUNT(less); i++)
        if (pipe_sentence_has_word(s, less[i]))
            return -1;
    for (size_t i = 0; i < RT_COUNT(more); i++)
        if (pipe_sentence_has_word(s, more[i]))
            return 1;
    return 0;
}

bool pipe_fact_against(const struct pipe_question *q, uint32_t name, int64_t number,
                       char op)
{
    bool against = false;
    for (uint32_t i = 0; i < pipe_fact_count(q); i++) {
        const struct pipe_sentence *s = &q->sentences[i];
        if (!pipe_sentence_names(s, name) || !pipe_sentence_states(s, number))
            continue;
        const int sign = polarity(s, name);
        if (sign == (op == '+' ? 1 : -1))
            return false;
        against = against || sign != 0;
    }
    return against;
}

const struct pipe_sentence *pipe_fact_pair(const struct pipe_question *q, uint32_t name,
                                           int64_t a, int64_t b, bool has)
{
    for (uint32_t i = 0; i < pipe_fact_count(q); i++) {
        const struct pipe_sentence *s = &q->sentences[i];
        if (s->name_count && s->names[0] == name && s->stated_count >= 2 &&
            pipe_sentence_states_both(s, a, b) && pipe_sentence_has_word(s, "has") == has)
            return s;
    }
    return NULL;
}

bool pipe_fact_price(const struct pipe_sentence *s)
{
    return s->stated_count == 2 && pipe_sentence_has_word(s, "dollars") &&
           pipe_sentence_has_word(s, "each");
}

const struct pipe_sentence *pipe_fact_sharing(const struct pipe_question *q)
{
    for (uint32_t i = pipe_fact_count(q); i-- > 0;)
        if (q->sentences[i].name_count == 1 &&
            pipe_sentence_has_word(&q->sentences[i], "shares"))
            return &q->sentences[i];
    return NULL;
}
