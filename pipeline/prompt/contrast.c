/* pipeline/prompt/contrast.c
 * Equations of a wrong answer, looked up among those of right ones. */
#include "pipeline/prompt/contrast.h"

#include "pipeline/prompt/equation.h"

#include <ctype.h>
#include <string.h>

enum { TOKENS_MAX = 1024, FACTS_MAX = 128, PARTS_MAX = 8, WORDS_MAX = 64 };

/* Words that say nothing of whose a number is. */
static const char function_words[] = " a an the of for and or but nor so if then than "
                                     "that this these those there here it its is "
                                     "are was were be been being am do does did has have "
                                     "had he she they them him her his hers "
                                     "their theirs we us our you your i me my who whom "
                                     "whose which what when where how why not no "
                                     "in on at by to from with without into onto over "
                                     "under after before between through during "
                                     "per as up down out off about around all any both "
                                     "each every some many much more most less "
                                     "least few other others another same such only also "
                                     "too just again now will would can could "
                                     "shall should may must might get gets got gives "
                                     "give makes make made takes take taken ";

/* Different words of the question that are no function words, borrowed from it. */
struct words {
    const char *at[WORDS_MAX];
    uint32_t size[WORDS_MAX], count;
};

/* An equation without its order: numbers and signs of the left side, sorted, and the result.
 * Without parts: a number that stands alone. */
struct fact {
    struct pipe_exact numbers[PARTS_MAX], result;
    char signs[PARTS_MAX];
    uint32_t number_count, sign_count;
    uint64_t words; /* of the question, in its sentence: bit i is word i */
    bool whole;     /* all parts are here */
    bool is_false;  /* under every reading (equation.h) */
};

struct facts {
    struct fact equations[FACTS_MAX];
    uint32_t equation_count;
    struct pipe_exact last; /* the last number; unknown: there is none */
};

/* A right text as facts and numbers. */
struct right {
    uint32_t kept;
    struct facts facts;
    struct pipe_exact numbers[TOKENS_MAX];
    uint32_t number_count;
};

struct reading {
    struct words words;
    struct pipe_math_token tokens[TOKENS_MAX];
    struct facts facts; /* of the step at hand */
};

/* ---- words ---- */

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The next word of [at, end) and its bytes; NULL: there is none. */
static const char *next_word(const char *at, const char *end, uint32_t *size)
{
    while (at < end && !is_letter(*at))
        at++;
    *size = 0;
    while (at + *size < end && is_letter(at[*size]))
        (*size)++;
    return *size ? at : NULL;
}

/* Without the s of a plural. */
static uint32_t stem_size(const char *word, uint32_t size)
{
    return size > 3 && tolower((unsigned char)word[size - 1]) == 's' ? size - 1 : size;
}

static bool same_letters(const char *a, const char *b, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
            return false;
    return true;
}

static bool is_function_word(const char *word, uint32_t size)
{
    for (const char *at = function_words + 1; *at; at += strcspn(at, " ") + 1)
        if (strcspn(at, " ") == size && same_letters(at, word, size))
            return true;
    return false;
}

/* WORDS_MAX: no such word. */
static uint32_t word_index(const struct words *w, const char *word, uint32_t size)
{
    const uint32_t stem = stem_size(word, size);
    for (uint32_t i = 0; i < w->count; i++)
        if (stem_size(w->at[i], w->size[i]) == stem && same_letters(w->at[i], word, stem))
            return i;
    return WORDS_MAX;
}

static void read_words(const char *question, struct words *out)
{
    uint32_t size;
    const char *end = question + strlen(question);
    out->count = 0;
    for (const char *at = question; (at = next_word(at, end, &size)); at += size)
        if (out->count < WORDS_MAX && !is_function_word(at, size) &&
            word_index(out, at, size) == WORDS_MAX) {
            out->at[out->count] = at;
            out->size[out->count++] = size;
        }
}

static bool ends_sentence(const char *at)
{
    return *at == '\n' || (*at == '.' && (at[1] == ' ' || at[1] == '\n'));
}

/* The words in the sentence around byte `at` of text[from, to). */
static uint64_t words_around(const struct words *w, const char *text, uint32_t from,
                             uint32_t to, uint32_t at)
{
    uint64_t mask = 0;
    uint32_t start = at, end = at, size;
    while (start > from && !ends_sentence(text + start - 1))
        start--;
    while (end < to && !ends_sentence(text + end))
        end++;
    for (const char *p = text + start; (p = next_word(p, text + end, &size)); p += size) {
        const uint32_t i = word_index(w, p, size);
        if (i < WORDS_MAX)
            mask |= (uint64_t)1 << i;
    }
    return mask;
}

/* ---- equations ---- */

static bool is_less(struct pipe_exact a, struct pipe_exact b)
{
    return a.num != b.num ? a.num < b.num : a.den < b.den;
}

static void add_number(struct fact *f, struct pipe_exact value)
{
    uint32_t i = f->number_count;
    f->whole &= i < PARTS_MAX;
    if (i == PARTS_MAX)
        return;
    for (; i > 0 && is_less(value, f->numbers[i - 1]); i--)
        f->numbers[i] = f->numbers[i - 1];
    f->numbers[i] = value;
    f->number_count++;
}

static void add_sign(struct fact *f, char sign)
{
    uint32_t i = f->sign_count;
    f->whole &= i < PARTS_MAX;
    if (i == PARTS_MAX)
        return;
    for (; i > 0 && sign < f->signs[i - 1]; i--)
        f->signs[i] = f->signs[i - 1];
    f->signs[i] = sign;
    f->sign_count++;
}

static struct fact fact_of(const struct pipe_math_token *t, const struct pipe_sides *s)
{
    struct fact f = { .whole = true };
    for (uint32_t i = s->left; i < s->equals; i++) {
        if (t[i].kind == PIPE_MATH_NUMBER)
            add_number(&f, t[i].value);
        if (t[i].kind == PIPE_MATH_SIGN)
            add_sign(&f, t[i].sign);
    }
    for (uint32_t i = s->right; i < s->end && !pipe_exact_known(f.result); i++)
        if (t[i].kind == PIPE_MATH_NUMBER)
            f.result = t[i].value;
    return f;
}

/* Of text[from, to), into `out`. Returns the number of tokens, which stay in the reading. */
static uint32_t read_facts(struct reading *r, const char *text, uint32_t from,
                           uint32_t to, struct facts *out)
{
    struct pipe_sides sides;
    const struct pipe_math_token *t = r->tokens;
    const uint32_t count = pipe_math_tokens(text, from, to, r->tokens, TOKENS_MAX);
    out->equation_count = 0;
    out->last = (struct pipe_exact){ 0, 0 };
    for (uint32_t i = 0; i < count; i++) {
        if (t[i].kind == PIPE_MATH_NUMBER)
            out->last = t[i].value;
        if (t[i].kind != PIPE_MATH_EQUALS || out->equation_count == FACTS_MAX ||
            !pipe_sides_read(t, count, i, &sides) || sides.signs == 0)
            continue;
        struct fact f = fact_of(t, &sides);
        f.is_false = pipe_sides_false(t, &sides);
        f.words = words_around(&r->words, text, from, to, t[i].at);
        if (pipe_exact_known(f.result))
            out->equations[out->equation_count++] = f;
    }
    return count;
}

static void read_right(struct reading *r, const struct pipe_right_text *text,
                       struct right *out)
{
    const uint32_t count =
        read_facts(r, text->text, 0, (uint32_t)strlen(text->text), &out->facts);
    out->kept = text->kept;
    out->number_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (r->tokens[i].kind == PIPE_MATH_NUMBER)
            out->numbers[out->number_count++] = r->tokens[i].value;
}

static bool is_same(const struct fact *a, const struct fact *b)
{
    if (!a->whole || !b->whole || a->number_count != b->number_count ||
        a->sign_count != b->sign_count || !pipe_exact_same(a->result, b->result) ||
        memcmp(a->signs, b->signs, a->sign_count) != 0)
        return false;
    for (uint32_t i = 0; i < a->number_count; i++)
        if (!pipe_exact_same(a->numbers[i], b->numbers[i]))
            return false;
    return true;
}

/* What the right texts that keep at most k steps say of one equation of step k. */
static enum pipe_contrast look_up(const struct right *right, uint32_t count, uint32_t k,
                                  const struct fact *f)
{
    enum pipe_contrast found = PIPE_CONTRAST_NEW;
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t e = 0; right[r].kept <= k && e < right[r].facts.equation_count;
             e++) {
            const struct fact *other = &right[r].facts.equations[e];
            const bool owner = f->words & ~other->words && other->words & ~f->words;
            if (is_same(f, other) && !owner)
                return PIPE_CONTRAST_SAME;
            if (is_same(f, other))
                found = PIPE_CONTRAST_OWNER;
            if (found == PIPE_CONTRAST_NEW && !f->is_false &&
                pipe_exact_same(f->result, other->result))
                found = PIPE_CONTRAST_VALUE;
        }
    return found;
}

static enum pipe_contrast look_up_number(const struct right *right, uint32_t count,
                                         uint32_t k, struct pipe_exact number)
{
    if (!pipe_exact_known(number))
        return PIPE_CONTRAST_NONE;
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t i = 0; right[r].kept <= k && i < right[r].number_count; i++)
            if (pipe_exact_same(number, right[r].numbers[i]))
                return PIPE_CONTRAST_VALUE;
    return PIPE_CONTRAST_NEW;
}

static enum pipe_contrast step_contrast(const struct facts *step,
                                        const struct right *right, uint32_t count,
                                        uint32_t k)
{
    enum pipe_contrast worst = PIPE_CONTRAST_SAME;
    for (uint32_t e = 0; e < step->equation_count; e++) {
        const enum pipe_contrast one = look_up(right, count, k, &step->equations[e]);
        worst = one > worst ? one : worst;
    }
    return step->equation_count ? worst : look_up_number(right, count, k, step->last);
}

static void name_step(uint32_t count, struct pipe_contrasted *out)
{
    for (uint32_t k = 0; k < count && out->step < 0; k++)
        if (out->of[k] >= PIPE_CONTRAST_OWNER)
            out->step = (int32_t)k;
    out->end = out->step < 0;
    if (out->end)
        out->step = (int32_t)count - 1;
}

rt_status pipe_contrast(struct rt_ctx *ctx, const char *question, const char *output,
                        const struct pipe_step *steps, uint32_t count,
                        const struct pipe_right_text *right, uint32_t right_count,
                        struct pipe_contrasted *out)
{
    uint32_t equations = 0;
    struct reading *r = rt_alloc(ctx, 1, sizeof *r);
    struct right *rights = rt_alloc(ctx, right_count, sizeof *rights);
    *out = (struct pipe_contrasted){ .step = -1 };
    if (!r || !rights) {
        rt_free(r);
        rt_free(rights);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "contrast: no memory");
    }
    read_words(question, &r->words);
    for (uint32_t i = 0; i < right_count; i++) {
        read_right(r, &right[i], &rights[i]);
        equations += rights[i].facts.equation_count;
    }
    for (uint32_t k = 0; equations && k < count; k++) {
        (void)read_facts(r, output, steps[k].char_start, steps[k].char_end, &r->facts);
        out->of[k] = (uint8_t)step_contrast(&r->facts, rights, right_count, k);
    }
    if (equations && count)
        name_step(count, out);
    rt_free(r);
    rt_free(rights);
    return RT_OK;
}
