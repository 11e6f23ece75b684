/* pipeline/grade/parse.c
 * Builds the tree of an answer from its tokens by operator precedence. */
#include "pipeline/grade/parse.h"

#include "pipeline/grade/answer_text.h"
#include "pipeline/grade/latex_commands.h"
#include "pipeline/grade/parse_impl.h"

#include <string.h>

/* ---- helpers ---- */

static const struct node *last_operand(const struct parser *p)
{
    return &p->t->nodes[p->operands[p->operand_count - 1]];
}

void grade_push(struct parser *p, uint8_t kind, uint8_t op, uint8_t precedence)
{
    grade_push_entry(p,
                     (struct entry){ .kind = kind, .op = op, .precedence = precedence });
    p->have = false;
}

static void push_waiting(struct parser *p, uint8_t kind, uint8_t needed, struct token t)
{
    grade_push_entry(
        p, (struct entry){
               .kind = kind, .needed = needed, .from = t.start, .name = t.name });
    p->have = false;
}

static void push_binary(struct parser *p, uint8_t kind, uint8_t op, uint8_t precedence)
{
    grade_reduce(p, precedence);
    grade_push(p, kind, op, precedence);
}

/* A sign before an operand; at once where one token is wanted. */
static void push_prefix(struct parser *p, uint8_t kind, struct token t)
{
    grade_push_entry(p, (struct entry){ .kind = kind,
                                        .op = t.op,
                                        .name = t.name,
                                        .from = t.start,
                                        .precedence = P_MUL,
                                        .tight = waits(top(p)) || top(p)->tight });
    p->have = false;
}

static bool function_pending(const struct parser *p)
{
    for (uint32_t i = p->depth; i-- > 0 && !is_frame(&p->stack[i]);)
        if (p->stack[i].kind == E_FUNC)
            return true;
    return false;
}

/* Two operands side by side. A function ends the argument of the one before. */
void grade_juxtapose(struct parser *p, uint8_t kind)
{
    if (!p->have)
        return;
    const struct node *left = last_operand(p);
    const bool function = kind == T_FUNC || kind == T_BIG;
    if (kind == T_FRAC && left->kind == N_NUMBER && !(left->flags & IS_DECIMAL))
        grade_push(p, E_MIXED, 0, P_MIXED);
    else
        push_binary(p, E_MUL, 1, !function && function_pending(p) ? P_ARGUMENT : P_MUL);
}

/* ---- operands ---- */

static void on_number(struct parser *p, struct token t)
{
    const char *text = p->lex.text;
    const bool mixed = p->have && t.spaced && last_operand(p)->kind == N_NUMBER &&
                       p->lex.text[t.end] == '/' && !p->lex.single;
    uint32_t digits = 0;
    while (mixed && text[t.end + 1 + digits] >= '0' && text[t.end + 1 + digits] <= '9')
        digits++;
    if (digits) { /* 1 1/2 */
        grade_juxtapose(p, T_FRAC);
        const uint32_t a = grade_number_node(p, t);
        t.start = t.end + 1;
        t.end = p->lex.at = t.start + digits;
        grade_complete(p, grade_node2(p, N_DIV, 0, a, grade_number_node(p, t)));
        return;
    }
    if (p->have && last_operand(p)->kind == N_UNIT)
        grade_end_item(p, SEP_AND); /* 5 feet 6 inches */
    grade_juxtapose(p, T_NUMBER);
    grade_complete(p, grade_number_node(p, t));
}

/* f(x), g\left(x\right), h(x): functions without a definition. */
static bool is_function_letter(const struct parser *p, struct token t)
{
    const char c = p->lex.text[t.start], *next = p->lex.text + t.end;
    if (t.end - t.start != 1 || (c != 'f' && c != 'g' && c != 'h'))
        return false;
    while (*next == '\\') {
        uint32_t n = 0;
        while ((next[1 + n] >= 'a' && next[1 + n] <= 'z') || next[1 + n] == 'B')
            n++;
        const struct command *command = grade_command_find(next + 1, n);
        if (!command || (command->kind != COMMAND_SIDE && command->kind != COMMAND_SKIP))
            return false;
        next += 1 + n;
    }
    return *next == '(';
}

static void on_symbol(struct parser *p, struct token t)
{
    if (t.styled && p->have && p->lex.number &&
        grade_unit_find(p->lex.text + t.start, t.end - t.start)) {
        grade_reduce(p, P_SETOP);
        grade_unit_phrase(p, t);
        return;
    }
    const char letter = p->lex.text[t.start];
    if (p->have && last_operand(p)->kind == N_DEGREE && t.end == t.start + 1 &&
        (letter == 'C' || letter == 'F'))
        return; /* of temperature */
    if (is_function_letter(p, t)) {
        grade_juxtapose(p, T_FUNC);
        grade_push_entry(p, (struct entry){ .kind = E_FUNC,
                                            .op = F_COUNT,
                                            .name = t.name,
                                            .precedence = P_FUNC,
                                            .from = t.start });
        p->have = false;
        return;
    }
    uint64_t name = t.name;
    uint32_t end = t.end;
    grade_juxtapose(p, T_SYMBOL);
    if (t.kind == T_SYMBOL && end - t.start == 1 && !p->lex.single && !waits(top(p)))
        while (p->lex.text[end] >= '0' && p->lex.text[end] <= '9')
            end++; /* x1 is x_1 */
    if (end > t.end && end - t.end < 10) {
        int64_t value = 0;
        for (uint32_t i = t.end; i < end; i++)
            value = value * 10 + p->lex.text[i] - '0';
        name = hash_mix(name, 0x5000 + (uint64_t)value);
        p->lex.at = end;
    } else {
        end = t.end;
    }
    const uint32_t node = t.kind == T_CONST
                              ? grade_leaf(p, N_CONST, t.op, 0, t.start, end)
                              : grade_leaf(p, N_SYMBOL, 0, name, t.start, end);
    if (t.styled)
        p->t->nodes[node].flags |= IS_STYLED;
    grade_complete(p, node);
}

static void on_postfix(struct parser *p, struct token t);

static void on_word(struct parser *p, struct token t)
{
    const char *word = p->lex.text + t.start;
    const uint32_t size = t.end - t.start;
    uint32_t number;
    const struct unit_row *unit = grade_unit_find(word, size);
    if (p->have && unit && unit->kind == UNIT_DEGREE && function_pending(p)) {
        t.kind = T_DEGREE; /* \cos 13 degrees */
        on_postfix(p, t);
        return;
    }
    if (p->have) {
        grade_reduce(p, P_SETOP);
        grade_unit_phrase(p, t);
        return;
    }
    if (grade_word_is_filler(word, size))
        return;
    if (grade_number_words(p, t, &number))
        grade_complete(p, number);
    else if (unit && (grade_lex_peek(&p->lex) >= '0' && grade_lex_peek(&p->lex) <= '9')) {
        t.op = unit->kind;
        t.name = grade_hash_bytes(unit->same, (uint32_t)strlen(unit->same));
        push_prefix(p, E_CURRENCY, t);
    } else
        grade_text_phrase(p, t);
}

static void on_currency(struct parser *p, struct token t)
{
    const struct unit_row *unit =
        grade_unit_find(p->lex.text + t.start + 1, t.end - t.start - 1);
    if (unit)
        t.name = grade_hash_bytes(unit->same, (uint32_t)strlen(unit->same));
    if (!p->have) {
        push_prefix(p, E_CURRENCY, t);
        return;
    }
    grade_reduce(p, P_SETOP);
    uint32_t a = grade_pop_operand(p);
    a = grade_tree_node(p->t, N_UNIT, t.op, t.name, &a, 1);
    grade_push_operand(p, a);
}

static void on_function(struct parser *p, struct token t)
{
    grade_juxtapose(p, T_FUNC);
    grade_push_entry(p, (struct entry){ .kind = t.kind == T_BIG ? E_BIG : E_FUNC,
                                        .op = t.op,
                                        .name = t.name,
                                        .precedence = t.kind == T_BIG ? P_BIG : P_FUNC,
                                        .from = t.start });
    p->have = false;
}

/* ---- after an operand ---- */

/* ^\circ and ^{\circ}, ^\prime: no power. Moves behind it. */
static bool raised_sign(struct parser *p, uint8_t *kind)
{
    const struct lexer before = p->lex;
    struct token t = grade_lex_next(&p->lex);
    const bool brace = t.kind == T_OPEN && t.op == '{';
    if (brace)
        t = grade_lex_next(&p->lex);
    const bool letter_o = t.kind == T_SYMBOL && t.end == t.start + 1 &&
                          p->lex.text[t.start] == 'o' &&
                          last_operand(p)->kind == N_NUMBER; /* 60^o */
    if (letter_o)
        t.kind = T_DEGREE;
    bool found = t.kind == T_DEGREE || t.kind == T_PRIME;
    if (found && brace) {
        const struct token closing = grade_lex_next(&p->lex);
        found = closing.kind == T_CLOSE;
    }
    if (!found)
        p->lex = before;
    *kind = t.kind;
    return found;
}

static void on_postfix(struct parser *p, struct token t)
{
    if (!p->have)
        return;
    if (t.kind != T_FACTORIAL)
        grade_reduce(p, P_MIXED);
    uint32_t a = grade_pop_operand(p);
    if (t.kind == T_FACTORIAL && t.op)
        a = grade_node2(p, N_CALL, F_MULTIFACTORIAL, a,
                        grade_small_number(p, t.op, t.start, t.end));
    else if (t.kind == T_FACTORIAL)
        a = grade_node1(p, N_CALL, F_FACTORIAL, a);
    else if (t.kind == T_PERCENT)
        a = grade_node1(p, N_PERCENT, 0, a);
    else if (t.kind == T_DEGREE && p->radians)
        a = grade_node2(
            p, N_MUL, 0,
            grade_node2(p, N_DIV, 0, a, grade_small_number(p, 180, t.start, t.end)),
            grade_leaf(p, N_CONST, C_PI, 0, t.start, t.end));
    else if (t.kind == T_DEGREE)
        a = grade_node1(p, N_DEGREE, 0, a);
    else if (p->t->nodes[a].kind == N_SYMBOL)
        a = grade_leaf(p, N_SYMBOL, 0, hash_mix(p->t->nodes[a].name, 0x27),
                       p->t->nodes[a].from, t.end);
    else
        a = grade_node1(p, N_OPAQUE, 2, a);
    p->t->nodes[a].to = t.end;
    grade_push_operand(p, a);
    p->have = true;
}

static void on_scale(struct parser *p, struct token t)
{
    if (!p->have)
        return;
    grade_reduce(p, P_MIXED);
    int64_t ten = 1;
    for (int i = 0; i < t.op; i++)
        ten *= 10;
    const uint32_t a = grade_pop_operand(p);
    grade_push_operand(
        p, grade_node2(p, N_MUL, 0, a, grade_small_number(p, ten, t.start, t.end)));
}

static void on_caret(struct parser *p, struct token t)
{
    uint8_t kind;
    if (!p->have) {
        if (top(p)->kind == E_FUNC || top(p)->kind == E_BIG)
            push_waiting(p, E_FUNC_POW, 1, t);
        else
            p->bad = true;
        return;
    }
    if (raised_sign(p, &kind)) {
        t.kind = kind;
        on_postfix(p, t);
        return;
    }
    push_waiting(p, E_POW, 1, t);
}

static void on_under(struct parser *p, struct token t)
{
    if (p->have)
        push_waiting(p, E_SUB, 1, t);
    else if (top(p)->kind == E_FUNC || top(p)->kind == E_BIG)
        push_waiting(p, E_FUNC_SUB, 1, t);
    else
        p->bad = true;
}

/* ---- operators ---- */

static void on_sign(struct parser *p, struct token t)
{
    const uint8_t op = t.kind == T_PLUS ? 0 : t.kind == T_MINUS ? 1 : t.op == 0 ? 2 : 3;
    if (p->have)
        push_binary(p, E_ADD, op, P_ADD);
    else if (t.kind == T_MINUS)
        push_prefix(p, E_NEG, t);
    else if (t.kind == T_PM)
        push_prefix(p, E_PM, t);
}

static void on_product(struct parser *p, struct token t)
{
    if (!p->have) {
        p->bad |= t.kind == T_OVER;
        return;
    }
    const char next = grade_lex_peek(&p->lex);
    if (t.kind == T_OVER && !t.spaced && next != '\\' && function_pending(p))
        push_binary(p, E_DIV, 0, P_ARGUMENT); /* \sin\pi/6 */
    else
        push_binary(p, t.kind == T_OVER ? E_DIV : E_MUL, 0, P_MUL);
}

static void on_relation(struct parser *p, struct token t)
{
    if (!p->have) { /* "= 5" */
        p->bad |= p->operand_count > 0 || (t.op != R_EQ && t.op != R_APPROX);
        return;
    }
    if (t.op == R_APPROX && p->lex.policies->off[PIPE_POLICY_APPROX_CHAIN])
        t.op = R_OTHER;
    push_binary(p, E_REL, t.op, P_REL);
}

void grade_on_colon(struct parser *p, struct token t)
{
    if (!p->have)
        return;
    struct entry *f = grade_frame(p);
    if (f->kind == E_SET && !f->builder) { /* {x : condition} */
        grade_reduce(p, P_NONE);
        p->operand_count = f->base;
        f->row = f->base;
        f->builder = true;
        f->separators = 0;
        p->have = false;
    } else if (t.op == 1) {
        push_binary(p, E_REL, R_OTHER, P_REL);
    } else {
        push_binary(p, E_RATIO, 0, P_RATIO);
    }
}

/* ---- all tokens ---- */

static void on_command(struct parser *p, struct token t)
{
    grade_juxtapose(p, t.kind);
    const uint8_t kind = t.kind == T_FRAC    ? E_FRAC
                         : t.kind == T_BINOM ? E_BINOM
                         : t.kind == T_SQRT  ? E_SQRT
                                             : E_ACCENT;
    push_waiting(p, kind, kind == E_FRAC || kind == E_BINOM ? 2 : 1, t);
}

static void on_named(struct parser *p, struct token t)
{
    grade_juxtapose(p, t.kind);
    grade_complete(p, grade_leaf(p, N_NAMED, t.op, 0, t.start, t.end));
}

static void on_set_operation(struct parser *p, struct token t)
{
    if (p->have)
        push_binary(p, E_SETOP, t.op, P_SETOP);
}

static void on_infix(struct parser *p, struct token t)
{
    if (p->have)
        push_binary(p, E_INFIX, t.op, P_INFIX);
}

/* By enum token_kind; what has no row cannot be read. */
static void (*const handlers[T_BAD])(struct parser *, struct token) = {
    [T_NUMBER] = on_number,       [T_SYMBOL] = on_symbol,
    [T_CONST] = on_symbol,        [T_PLUS] = on_sign,
    [T_MINUS] = on_sign,          [T_PM] = on_sign,
    [T_TIMES] = on_product,       [T_OVER] = on_product,
    [T_CARET] = on_caret,         [T_UNDER] = on_under,
    [T_OPEN] = grade_on_bracket,  [T_CLOSE] = grade_on_bracket,
    [T_BAR] = grade_on_bar,       [T_SEP] = grade_on_separator,
    [T_ROW] = grade_on_row,       [T_COLUMN] = grade_on_column,
    [T_COLON] = grade_on_colon,   [T_REL] = on_relation,
    [T_SETOP] = on_set_operation, [T_FUNC] = on_function,
    [T_FRAC] = on_command,        [T_BINOM] = on_command,
    [T_INFIX] = on_infix,         [T_SQRT] = on_command,
    [T_ACCENT] = on_command,      [T_FACTORIAL] = on_postfix,
    [T_PERCENT] = on_postfix,     [T_DEGREE] = on_postfix,
    [T_PRIME] = on_postfix,       [T_WORD] = on_word,
    [T_SCALE] = on_scale,         [T_CURRENCY] = on_currency,
    [T_NAMED] = on_named,         [T_BEGIN] = grade_on_begin,
    [T_FINISH] = grade_on_finish, [T_BIG] = on_function,
};

static void dispatch(struct parser *p, struct token t)
{
    if (t.kind < T_BAD && handlers[t.kind])
        handlers[t.kind](p, t);
    else
        p->bad = true;
}

/* Units may follow numbers, also where they stand in a power or root. */
static bool ends_in_number(const struct parser *p)
{
    if (!p->have || p->operand_count == 0)
        return false;
    const struct node *n = last_operand(p);
    return n->kind == N_NUMBER || n->kind == N_UNIT || n->kind == N_PERCENT ||
           (n->flags & IS_EXACT) || !(n->flags & (HAS_SYMBOL | HAS_STRUCTURE | HAS_TEXT));
}

void grade_parse_answer(struct tree *t, const struct pipe_policies *policies,
                        enum reading reading)
{
    struct parser parser, *p = &parser;
    p->t = t;
    p->depth = p->operand_count = 0;
    p->have = p->bad = p->holding = false;
    grade_lex_init(&p->lex, t->text, t->size, policies);
    p->lex.comma_lists = reading == READ_COMMA_LIST;
    p->lex.decimal_comma = reading == READ_DECIMAL_COMMA;
    p->lex.unit_letters = reading == READ_UNITS;
    p->radians = reading == READ_RADIANS;
    grade_push(p, E_ROOT, 0, 0);
    while (!t->full && !p->bad) {
        const struct entry *e = top(p);
        p->lex.operand = p->have;
        p->lex.number = ends_in_number(p);
        p->lex.single =
            (e->kind == E_FRAC || e->kind == E_BINOM || e->kind == E_ACCENT) ||
            (e->kind == E_POW && policies->off[PIPE_POLICY_BARE_EXPONENT]);
        const struct token token = grade_next_token(p);
        if (token.kind == T_END)
            break;
        dispatch(p, token);
    }
    t->grouped = p->lex.grouped;
    t->spaced = p->lex.spaced_groups;
    t->comma = p->lex.comma;
    if (!p->bad && !t->full && grade_frame(p)->kind == E_ROOT)
        t->root = grade_close_frame(p, false);
    if (t->root == TREE_NONE && grade_view_is(t->text, 0, t->size, "") && t->size >= 2)
        t->root = grade_leaf(p, N_NAMED, 0, 0, 0, t->size); /* {} alone */
    if (p->bad || t->full || p->depth > 0 || t->root == TREE_NONE)
        t->root = t->count < TREE_NODES_MAX ? grade_leaf(p, N_BAD, 0, 0, 0, t->size)
                                            : TREE_NONE;
}
