/* pipeline/grade/parse_words.c
 * Words within an answer: units, and phrases that the grader knows. */
#include "pipeline/grade/answer_text.h"
#include "pipeline/grade/parse_impl.h"

struct token grade_next_token(struct parser *p)
{
    if (p->holding) {
        p->holding = false;
        return p->held;
    }
    return grade_lex_next(&p->lex);
}

void grade_hold_token(struct parser *p, struct token t)
{
    p->held = t;
    p->holding = true;
}

/* ---- units ---- */

struct unit {
    uint64_t known, all; /* sums of hashes, each times its exponent */
    uint64_t last;       /* the last one's hash, sign included */
    uint64_t exponent;   /* of the next */
    uint64_t sign;       /* of the next: 1 or -1 */
    bool last_known;
    uint8_t kind;
};

static bool add_unit_word(struct unit *u, const char *text, uint32_t size)
{
    static const struct {
        const char *word;
        uint64_t exponent; /* 0: a word to skip */
    } rows[] = { { "square", 2 }, { "sq", 2 },  { "cubic", 3 }, { "cu", 3 },
                 { "of", 0 },     { "the", 0 }, { "a", 0 },     { "an", 0 } };
    for (size_t i = 0; i < RT_COUNT(rows); i++)
        if (grade_word_is(text, size, rows[i].word)) {
            u->exponent = rows[i].exponent ? rows[i].exponent : u->exponent;
            return true;
        }
    if (grade_word_is(text, size, "per")) {
        u->sign = (uint64_t)-1;
        return true;
    }
    if (grade_word_is(text, size, "squared") || grade_word_is(text, size, "cubed")) {
        const uint64_t more = u->last * (size == 7 ? 1 : 2);
        u->all += more;
        u->known += u->last_known ? more : 0;
        return true;
    }
    const struct unit_row *row = grade_unit_find(text, size);
    const char *same = row ? row->same : NULL;
    uint32_t length = 0;
    while (same && same[length])
        length++;
    const uint64_t hash =
        row ? (length ? grade_hash_bytes(same, length) : 0) : grade_word_hash(text, size);
    u->last = hash * u->sign;
    u->last_known = row && row->kind != UNIT_OTHER;
    const uint64_t sum = u->last * u->exponent * (row ? (uint64_t)row->exponent : 1);
    u->all += sum;
    if (u->last_known) {
        u->known += sum;
        u->kind = row->kind > u->kind ? row->kind : u->kind;
    }
    u->exponent = 1;
    u->sign = 1;
    return true;
}

/* The exponent after ^ in a unit: a digit, in braces or not. 0: something else. */
static uint64_t unit_exponent(struct parser *p)
{
    struct token t = grade_next_token(p);
    const bool brace = t.kind == T_OPEN && t.op == '{';
    if (brace)
        t = grade_next_token(p);
    if (t.kind != T_NUMBER || t.end - t.start != 1) {
        p->bad = true;
        return 0;
    }
    const uint64_t n = (uint64_t)(p->lex.text[t.start] - '0');
    if (brace) {
        t = grade_next_token(p);
        p->bad |= t.kind != T_CLOSE;
    }
    return n;
}

static bool is_unit_letter(const struct parser *p, struct token t)
{
    return t.kind == T_SYMBOL && grade_unit_find(p->lex.text + t.start, t.end - t.start);
}

void grade_unit_phrase(struct parser *p, struct token first)
{
    struct unit u = { .exponent = 1, .sign = 1 };
    struct token t = first;
    uint32_t end = first.end;
    for (;; t = grade_next_token(p)) {
        if (t.kind == T_WORD || is_unit_letter(p, t)) {
            add_unit_word(&u, p->lex.text + t.start, t.end - t.start);
            end = t.end;
        } else if (t.kind == T_CARET) {
            const uint64_t n = unit_exponent(p);
            const uint64_t more = u.last * (n - 1);
            u.all += more;
            u.known += u.last_known ? more : 0;
            end = p->lex.at;
        } else if (t.kind == T_OVER || (t.kind == T_CURRENCY && u.sign != 1)) {
            u.sign = (uint64_t)-1;
        } else if (t.kind != T_TIMES && !(t.kind == T_MINUS && u.all)) {
            break;
        }
    }
    grade_hold_token(p, t);
    uint32_t a = grade_pop_operand(p);
    a = grade_tree_node(p->t, N_UNIT, u.known ? u.kind : UNIT_OTHER,
                        u.known ? u.known : u.all, &a, 1);
    p->t->nodes[a].to = end;
    grade_push_operand(p, a);
    p->have = true;
}

/* ---- other words ---- */

static bool ends_phrase(struct token t, uint32_t depth)
{
    return t.kind == T_END || t.kind == T_ROW || t.kind == T_COLUMN ||
           (depth == 0 && (t.kind == T_SEP || t.kind == T_REL || t.kind == T_CLOSE));
}

/* What some phrases mean. */
static uint32_t phrase_node(struct parser *p, uint32_t from, uint32_t to)
{
    static const struct {
        const char *view;
        uint8_t kind, op;
    } rows[] = {
        { "allrealnumbers", N_NAMED, 'R' },
        { "realnumbers", N_NAMED, 'R' },
        { "allreals", N_NAMED, 'R' },
        { "thereals", N_NAMED, 'R' },
        { "allreal", N_NAMED, 'R' },
        { "anyrealnumber", N_NAMED, 'R' },
        { "allrealvalues", N_NAMED, 'R' },
        { "allrealx", N_NAMED, 'R' },
        { "thesetofallrealnumbers", N_NAMED, 'R' },
        { "thesetofrealnumbers", N_NAMED, 'R' },
        { "allintegers", N_NAMED, 'Z' },
        { "integers", N_NAMED, 'Z' },
        { "emptyset", N_NAMED, 0 },
        { "theemptyset", N_NAMED, 0 },
        { "positiveinfinity", N_CONST, C_INFINITY },
    };
    if (!p->lex.policies->off[PIPE_POLICY_SET_NAMES])
        for (size_t i = 0; i < RT_COUNT(rows); i++)
            if (grade_view_is(p->lex.text, from, to, rows[i].view))
                return grade_leaf(p, rows[i].kind, rows[i].op, 0, from, to);
    return grade_leaf(p, N_TEXT, 0, 0, from, to);
}

void grade_text_phrase(struct parser *p, struct token first)
{
    uint32_t depth = 0, end = first.end;
    for (;;) {
        const struct token t = grade_next_token(p);
        if (ends_phrase(t, depth)) {
            grade_hold_token(p, t);
            break;
        }
        depth += t.kind == T_OPEN;
        depth -= t.kind == T_CLOSE && depth;
        end = t.end;
    }
    grade_complete(p, phrase_node(p, first.start, end));
}
