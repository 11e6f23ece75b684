/* Random expressions against the grader: a rewriting that keeps the value is judged equal,
 * one that adds something is judged different, and verdicts do not depend on the order of
 * the two. FAULTLINE_GRADER_EXPRESSIONS sets how many (default 20,000). */
#include "pipeline/grade/grade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 400, TEXT_MAX = 16384 };

enum kind {
    NUMBER,
    VARIABLE,
    SUM,
    DIFFERENCE,
    PRODUCT,
    QUOTIENT,
    POWER,
    ROOT,
    SINE,
    COSINE,
    EXPONENTIAL,
    LOGARITHM
};

struct expression {
    enum kind kind;
    int value; /* number; which variable; exponent; index of a root */
    int a, b;  /* operands */
};

struct forest {
    struct expression nodes[NODES_MAX];
    int count;
    uint64_t seed, draws;
};

static uint32_t draw(struct forest *f, uint32_t below)
{
    uint64_t x = f->seed + ++f->draws * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) % below);
}

static int node(struct forest *f, enum kind kind, int value, int a, int b)
{
    assert_true(f->count < NODES_MAX);
    f->nodes[f->count] = (struct expression){ kind, value, a, b };
    return f->count++;
}

static int number(struct forest *f, int value)
{
    return node(f, NUMBER, value, 0, 0);
}

/* ---- what is drawn ---- */

/* Positive whatever the variables, which stand for positive numbers: a divisor. */
static int positive(struct forest *f, bool variables)
{
    const int n = number(f, 1 + (int)draw(f, 9));
    if (!variables)
        return n;
    const int v = node(f, VARIABLE, (int)draw(f, 3), 0, 0);
    return draw(f, 2) ? v : node(f, SUM, 0, v, n);
}

/* level 0: rational functions; 1: constants with roots; 2: everything. */
static int random_expression(struct forest *f, int depth, int level)
{
    const bool variables = level != 1;
    if (depth == 0)
        return variables && draw(f, 2) ? node(f, VARIABLE, (int)draw(f, 3), 0, 0)
                                       : number(f, 1 + (int)draw(f, 12));
    const int a = random_expression(f, depth - 1 - (int)draw(f, 2) * (depth > 1), level);
    switch (draw(f, level == 0 ? 5 : level == 1 ? 6 : 10)) {
    case 0:
        return node(f, SUM, 0, a, random_expression(f, depth - 1, level));
    case 1:
        return node(f, DIFFERENCE, 0, a, random_expression(f, depth - 1, level));
    case 2:
        return node(f, PRODUCT, 0, a, random_expression(f, depth - 1, level));
    case 3:
        return node(f, QUOTIENT, 0, a, positive(f, variables));
    case 4:
        return node(f, POWER, 2 + (int)draw(f, 2), a, 0);
    case 5:
    case 6:
        return node(f, ROOT, 2 + (int)draw(f, 2), positive(f, variables), 0);
    case 7:
        return node(f, SINE, 0, a, 0);
    case 8:
        return node(f, LOGARITHM, 0, positive(f, variables), 0);
    default:
        return node(f, EXPONENTIAL, 0, node(f, VARIABLE, (int)draw(f, 3), 0, 0), 0);
    }
}

/* ---- rewritings that keep the value ---- */

static int rewrite(struct forest *f, int at);

static int rewrite_sum(struct forest *f, int a, int b)
{
    switch (draw(f, 4)) {
    case 0:
        return node(f, SUM, 0, b, a);
    case 1: /* a - (-1) b */
        return node(f, DIFFERENCE, 0, a, node(f, PRODUCT, 0, number(f, -1), b));
    case 2: { /* (a + k) + (b - k) */
        const int k = 1 + (int)draw(f, 5);
        return node(f, SUM, 0, node(f, SUM, 0, a, number(f, k)),
                    node(f, DIFFERENCE, 0, b, number(f, k)));
    }
    default:
        return node(f, SUM, 0, a, b);
    }
}

static int rewrite_product(struct forest *f, int a, int b)
{
    const struct expression right = f->nodes[b];
    switch (draw(f, 3)) {
    case 0:
        return node(f, PRODUCT, 0, b, a);
    case 1: /* a (c + d) = a c + a d */
        if (right.kind == SUM || right.kind == DIFFERENCE)
            return node(f, right.kind, 0, node(f, PRODUCT, 0, a, right.a),
                        node(f, PRODUCT, 0, a, right.b));
        return node(f, PRODUCT, 0, a, b);
    default:
        return node(f, PRODUCT, 0, a, b);
    }
}

static int rewrite_other(struct forest *f, struct expression e, int a)
{
    switch (e.kind) {
    case QUOTIENT: {
        const int b = rewrite(f, e.b), k = number(f, 2 + (int)draw(f, 5));
        if (draw(f, 2)) /* k a / (k b) */
            return node(f, QUOTIENT, 0, node(f, PRODUCT, 0, k, a),
                        node(f, PRODUCT, 0, b, k));
        return node(f, PRODUCT, 0, a, node(f, QUOTIENT, 0, number(f, 1), b));
    }
    case POWER:
        return draw(f, 2) ? node(f, PRODUCT, 0, a, node(f, POWER, e.value - 1, a, 0))
                          : node(f, POWER, e.value, a, 0);
    case ROOT: /* the root of k^n a, over k */
        if (draw(f, 2)) {
            const int k = 2 + (int)draw(f, 3);
            const int power = e.value == 2 ? k * k : k * k * k;
            const int larger =
                node(f, ROOT, e.value, node(f, PRODUCT, 0, number(f, power), a), 0);
            return node(f, QUOTIENT, 0, larger, number(f, k));
        }
        return node(f, ROOT, e.value, a, 0);
    case SINE: /* sin a = cos a tan a is left out: it may divide by zero */
        if (draw(f, 2)) {
            const int half = node(f, QUOTIENT, 0, a, number(f, 2));
            return node(f, PRODUCT, 0,
                        node(f, PRODUCT, 0, number(f, 2), node(f, SINE, 0, half, 0)),
                        node(f, COSINE, 0, half, 0));
        }
        return node(f, SINE, 0, a, 0);
    case EXPONENTIAL: /* e^(a+1) / e */
        if (draw(f, 2))
            return node(f, QUOTIENT, 0,
                        node(f, EXPONENTIAL, 0, node(f, SUM, 0, a, number(f, 1)), 0),
                        node(f, EXPONENTIAL, 0, number(f, 1), 0));
        return node(f, EXPONENTIAL, 0, a, 0);
    case LOGARITHM: /* ln(k a) - ln k */
        if (draw(f, 2)) {
            const int k = number(f, 2 + (int)draw(f, 5));
            return node(f, DIFFERENCE, 0,
                        node(f, LOGARITHM, 0, node(f, PRODUCT, 0, k, a), 0),
                        node(f, LOGARITHM, 0, k, 0));
        }
        return node(f, LOGARITHM, 0, a, 0);
    default:
        return node(f, e.kind, e.value, a, 0);
    }
}

static int rewrite(struct forest *f, int at)
{
    const struct expression e = f->nodes[at];
    if (e.kind == VARIABLE)
        return at;
    if (e.kind == NUMBER) {
        const int k = (int)draw(f, 4);
        return k < 3 ? at : node(f, DIFFERENCE, 0, number(f, e.value + k), number(f, k));
    }
    const int a = rewrite(f, e.a);
    if (e.kind == SUM)
        return rewrite_sum(f, a, rewrite(f, e.b));
    if (e.kind == PRODUCT)
        return rewrite_product(f, a, rewrite(f, e.b));
    if (e.kind == DIFFERENCE) {
        const int b = rewrite(f, e.b);
        return draw(f, 2)
                   ? node(f, DIFFERENCE, 0, a, b)
                   : node(f, PRODUCT, 0, number(f, -1), node(f, DIFFERENCE, 0, b, a));
    }
    return rewrite_other(f, e, a);
}

/* ---- as text, in one of several manners ---- */

struct text {
    char bytes[TEXT_MAX];
    size_t size;
};

static void put(struct text *t, const char *word)
{
    const size_t n = strlen(word);
    assert_true(t->size + n < sizeof t->bytes);
    memcpy(t->bytes + t->size, word, n + 1);
    t->size += n;
}

static void print(struct forest *f, struct text *t, int at);

static void print_bracketed(struct forest *f, struct text *t, int at)
{
    const bool simple = (f->nodes[at].kind == NUMBER && f->nodes[at].value >= 0) ||
                        f->nodes[at].kind == VARIABLE;
    if (simple && draw(f, 4)) {
        print(f, t, at);
        return;
    }
    const bool large = draw(f, 2);
    put(t, large ? "\\left(" : "(");
    print(f, t, at);
    put(t, large ? "\\right)" : ")");
}

static void print_binary(struct forest *f, struct text *t, struct expression e)
{
    static const char *const times[] = { "*", " \\cdot ", "\\times ", " " };
    const char *between = e.kind == SUM          ? (draw(f, 2) ? " + " : "+")
                          : e.kind == DIFFERENCE ? (draw(f, 2) ? " - " : "-")
                                                 : times[draw(f, 3)];
    const bool bracketed = f->nodes[e.a].kind > VARIABLE && f->nodes[e.b].kind > VARIABLE;
    if (e.kind == PRODUCT && bracketed && draw(f, 2)) { /* side by side */
        put(t, "(");
        print(f, t, e.a);
        put(t, ")(");
        print(f, t, e.b);
        put(t, ")");
        return;
    }
    print_bracketed(f, t, e.a);
    put(t, between);
    print_bracketed(f, t, e.b);
}

static void print_quotient(struct forest *f, struct text *t, struct expression e)
{
    if (draw(f, 3)) {
        put(t, draw(f, 2) ? "\\frac{" : "\\dfrac{ ");
        print(f, t, e.a);
        put(t, "}{");
        print(f, t, e.b);
        put(t, "}");
        return;
    }
    print_bracketed(f, t, e.a);
    put(t, "/");
    print_bracketed(f, t, e.b);
}

static void print_call(struct forest *f, struct text *t, const char *name, int a)
{
    put(t, name);
    put(t, "(");
    print(f, t, a);
    put(t, ")");
}

static void print(struct forest *f, struct text *t, int at)
{
    static const char *const variables[] = { "x", "y", "a" };
    const struct expression e = f->nodes[at];
    char digits[16];
    snprintf(digits, sizeof digits, "%d", e.value);
    switch (e.kind) {
    case NUMBER:
        put(t, digits);
        break;
    case VARIABLE:
        put(t, variables[e.value]);
        break;
    case SUM:
    case DIFFERENCE:
    case PRODUCT:
        print_binary(f, t, e);
        break;
    case QUOTIENT:
        print_quotient(f, t, e);
        break;
    case POWER:
        put(t, "(");
        print(f, t, e.a);
        put(t, draw(f, 2) ? ")^{" : ")^");
        put(t, digits);
        put(t, t->bytes[t->size - 2] == '{' ? "}" : " ");
        break;
    case ROOT:
        if (draw(f, 2)) {
            put(t, e.value == 2 ? "\\sqrt{" : "\\sqrt[3]{");
            print(f, t, e.a);
            put(t, "}");
        } else {
            put(t, "(");
            print(f, t, e.a);
            put(t, e.value == 2 ? ")^{1/2}" : ")^{\\frac{1}{3}}");
        }
        break;
    case SINE:
        print_call(f, t, "\\sin", e.a);
        break;
    case COSINE:
        print_call(f, t, "\\cos ", e.a);
        break;
    case LOGARITHM:
        print_call(f, t, "\\ln", e.a);
        break;
    case EXPONENTIAL:
        put(t, "e^{");
        print(f, t, e.a);
        put(t, "}");
        break;
    }
}

/* ---- properties ---- */

static struct pipe_grader *grader;
static struct text first, second, third;

static enum pipe_verdict verdict(const struct text *a, const struct text *b)
{
    struct pipe_grading r;
    pipe_grader_answers(grader, a->bytes, b->bytes, -1, &r);
    return r.verdict;
}

struct tally {
    uint32_t expressions, undecided;
};

static void check_one(uint64_t seed, int level, struct tally *tally)
{
    struct forest f = { .seed = seed };
    const int a = random_expression(&f, 1 + (int)draw(&f, level == 1 ? 3 : 4), level);
    const int b = rewrite(&f, a);
    const int term = level == 1 || draw(&f, 2) ? number(&f, 1)
                                               : node(&f, PRODUCT, 0, number(&f, 3),
                                                      node(&f, VARIABLE, 0, 0, 0));
    const int c = node(&f, draw(&f, 2) ? SUM : DIFFERENCE, 0, b, term);
    first.size = second.size = third.size = 0;
    print(&f, &first, a);
    print(&f, &second, b);
    print(&f, &third, c);
    const enum pipe_verdict same = verdict(&first, &second),
                            other = verdict(&first, &third);
    if (same == PIPE_VERDICT_DIFFERENT || verdict(&second, &first) != same)
        fail_msg("seed %llu: %s and %s are equal", (unsigned long long)seed, first.bytes,
                 second.bytes);
    if (other == PIPE_VERDICT_EQUAL || verdict(&third, &first) != other)
        fail_msg("seed %llu: %s and %s differ", (unsigned long long)seed, first.bytes,
                 third.bytes);
    tally->expressions++;
    tally->undecided += same == PIPE_VERDICT_UNDECIDED ? 1u : 0u;
    tally->undecided += other == PIPE_VERDICT_UNDECIDED ? 1u : 0u;
}

static void rewritings_are_equal_and_additions_differ(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct tally tally[3] = { { 0 } };
    const char *asked = getenv("FAULTLINE_GRADER_EXPRESSIONS");
    const uint64_t count = asked ? strtoull(asked, NULL, 10) : 20000;
    assert_int_equal(pipe_grader_create(&ctx, NULL, &grader), RT_OK);
    const uint64_t start = rt_time_ns();
    for (uint64_t seed = 0; seed < count; seed++) {
        const int level = seed % 5 < 3 ? 0 : seed % 5 == 3 ? 1 : 2;
        check_one(seed, level, &tally[level]);
    }
    print_message(
        "rational %u, roots %u, functions %u expressions; undecided %u, %u, %u; "
        "%.1f us a verdict\n",
        tally[0].expressions, tally[1].expressions, tally[2].expressions,
        tally[0].undecided, tally[1].undecided, tally[2].undecided,
        (double)(rt_time_ns() - start) / 4e3 / (double)count);
    assert_int_equal(tally[0].undecided, 0);
    assert_true(tally[1].undecided + tally[2].undecided <= count / 200);
    pipe_grader_destroy(&grader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewritings_are_equal_and_additions_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
