/* pipeline/grade/parse_bracket.c
 * Brackets, matrices and separators. */
#include "pipeline/grade/parse_impl.h"

/* ---- brackets ---- */

static void on_open(struct parser *p, struct token t, bool left_open)
{
    struct entry *f = top(p);
    if (t.op == '[' && f->kind == E_SQRT && f->got == 0 && f->sub == TREE_NONE) {
        grade_push(p, E_INDEX, 0, 0);
        return;
    }
    static const struct {
        char sign;
        uint8_t kind;
    } rows[] = { { '(', E_PAREN }, { '[', E_PAREN }, { ']', E_PAREN }, { '{', E_BRACE },
                 { 'S', E_SET },   { '|', E_BARS },  { 'F', E_FLOOR }, { 'C', E_CEIL } };
    if (t.op == '{' && !waits(f) && grade_lex_peek(&p->lex) == '}') { /* {} is nothing */
        grade_lex_next(&p->lex);
        return;
    }
    grade_juxtapose(p, T_OPEN);
    for (size_t i = 0; i < RT_COUNT(rows); i++)
        if (rows[i].sign == (char)t.op)
            grade_push_entry(p, (struct entry){ .kind = rows[i].kind,
                                                .from = t.start,
                                                .left_open = left_open || t.op == '(' });
    p->have = false;
}

/* The closing bracket fits the nearest frame, or one of braces that were left open. */
static bool fits(uint8_t sign, uint8_t kind)
{
    switch (sign) {
    case ')':
    case ']':
    case '[':
        return kind == E_PAREN || kind == E_INDEX;
    case '}':
        return kind == E_BRACE;
    case 'S':
        return kind == E_SET;
    case '|':
        return kind == E_BARS;
    case 'F':
        return kind == E_FLOOR;
    default:
        return kind == E_CEIL;
    }
}

static void on_close(struct parser *p, struct token t, bool right_open)
{
    struct entry *f = grade_frame(p);
    const uint8_t kind = f->kind;
    if (!fits(t.op, kind)) {
        p->bad = true;
        return;
    }
    const uint32_t node = grade_close_frame(p, right_open);
    p->have = false;
    if (kind == E_INDEX)
        top(p)->sub = node;
    else if (node != TREE_NONE) {
        p->t->nodes[node].to = t.end;
        grade_complete(p, node);
    } else if (waits(top(p)))
        p->bad = true; /* an empty argument */
    else
        p->have = p->operand_count > grade_frame(p)->row && is_frame(top(p));
}

/* Square brackets the other way round are open ends: ]0,1[. */
static void on_square(struct parser *p, struct token t)
{
    const struct entry *f = grade_frame(p);
    const char next = grade_lex_peek(&p->lex);
    const bool list = f->kind == E_PAREN && f->separators;
    if (p->lex.policies->off[PIPE_POLICY_INTERVALS] && t.kind == T_CLOSE && !p->have)
        p->bad = true;
    else if (t.kind == T_CLOSE && !p->have && f->kind != E_PAREN)
        on_open(p, (struct token){ .kind = T_OPEN, .op = ']', .start = t.start }, true);
    else if (t.kind == T_CLOSE)
        on_close(p, t, false);
    else if (!p->lex.policies->off[PIPE_POLICY_INTERVALS] && p->have && list &&
             (next == '\0' || next == '\\' || next == ' '))
        on_close(p, t, true);
    else
        on_open(p, t, false);
}

void grade_on_bar(struct parser *p, struct token t)
{
    const struct entry *f = grade_frame(p);
    t.op = '|';
    if (p->have && f->kind == E_BARS)
        on_close(p, t, false);
    else if (p->have && f->kind == E_SET && !f->builder)
        grade_on_colon(p, t);
    else
        on_open(p, t, false);
}

/* ---- environments ---- */

void grade_on_begin(struct parser *p, struct token t)
{
    if (t.op == 2)
        return;
    grade_juxtapose(p, T_OPEN);
    grade_push(p, E_MATRIX, t.op, 0);
}

void grade_on_finish(struct parser *p, struct token t)
{
    if (t.op == 2)
        return;
    if (grade_frame(p)->kind != E_MATRIX) {
        p->bad = true;
        return;
    }
    grade_end_row(p);
    grade_frame(p)->separators = 0;
    grade_complete(p, grade_close_frame(p, false));
}

/* x=1, y=2 before an "or": one solution of several. */
static bool row_assigns(struct parser *p)
{
    grade_reduce(p, P_NONE);
    const struct entry *f = grade_frame(p);
    const struct node *nodes = p->t->nodes, *first = NULL;
    for (uint32_t i = f->row; i < p->operand_count; i++) {
        const struct node *n = &nodes[p->operands[i]];
        if (n->kind != N_RELATION || n->name != R_EQ || nodes[n->first].kind != N_SYMBOL)
            return false;
        if (first && nodes[n->first].name == nodes[first->first].name)
            return false;
        first = first ? first : n;
    }
    return p->operand_count > f->row + 1;
}

void grade_on_separator(struct parser *p, struct token t)
{
    const struct entry *f = grade_frame(p);
    if (waits(top(p)) || f->kind == E_INDEX) {
        p->bad = true;
        return;
    }
    if (t.op == SEP_SEMICOLON && p->lex.policies->off[PIPE_POLICY_LIST_SEPARATOR])
        p->bad = true;
    if (t.op == SEP_SEMICOLON || (t.op == SEP_OR && row_assigns(p)))
        grade_end_row(p);
    else
        grade_end_item(p, (enum separator)t.op);
}

void grade_on_row(struct parser *p, struct token t)
{
    (void)t;
    if (grade_frame(p)->kind == E_MATRIX)
        grade_end_row(p);
    else
        grade_end_item(p, SEP_COMMA);
}

void grade_on_column(struct parser *p, struct token t)
{
    (void)t;
    if (grade_frame(p)->kind == E_MATRIX)
        grade_end_item(p, SEP_COMMA);
}

void grade_on_bracket(struct parser *p, struct token t)
{
    if (t.op == '[' || t.op == ']')
        on_square(p, t);
    else if (t.kind == T_OPEN)
        on_open(p, t, false);
    else
        on_close(p, t, t.op == ')');
}
