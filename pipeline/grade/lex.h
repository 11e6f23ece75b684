/* pipeline/grade/lex.h
 * Tokens of an answer, one at a time. Commands of style (\text, \mathbf, \boxed, ...) are
 * transparent: their contents come as if they stood alone, letters within \text-like ones
 * as words. */
#ifndef PIPELINE_GRADE_LEX_H
#define PIPELINE_GRADE_LEX_H

#include "pipeline/grade/grade.h"

enum token_kind {
    T_END,
    T_NUMBER, /* [start, end) without a sign */
    T_SYMBOL, /* name */
    T_CONST,  /* op: enum constant */
    T_PLUS,
    T_MINUS,
    T_PM,    /* op 1: minus or plus */
    T_TIMES, /* an explicit sign */
    T_OVER,  /* / */
    T_CARET,
    T_UNDER,
    T_OPEN, /* op: the character; '|' both opens and closes */
    T_CLOSE,
    T_BAR,
    T_SEP,    /* op: enum separator */
    T_ROW,    /* \\ */
    T_COLUMN, /* & */
    T_COLON,  /* of a ratio or set builder */
    T_REL,    /* op: enum relation */
    T_SETOP,  /* op: enum set_operation */
    T_FUNC,   /* op: enum function, F_COUNT: name */
    T_FRAC,   /* two arguments; T_BINOM too */
    T_BINOM,
    T_INFIX, /* of a whole group: \over, op 1: \choose */
    T_SQRT,
    T_ACCENT,    /* one argument, name */
    T_FACTORIAL, /* op: how many signs stand together, 0: one */
    T_PERCENT,
    T_DEGREE,
    T_PRIME,
    T_WORD,     /* letters [start, end) */
    T_SCALE,    /* op: power of ten */
    T_CURRENCY, /* name, op: enum unit_kind */
    T_NAMED,    /* op */
    T_BEGIN,  /* name: of the environment; op 1: a determinant, 2: no matrix, 3: cases */
    T_FINISH, /* its end */
    T_BIG,    /* \sum and the like: name */
    T_BAD,
};

struct token {
    uint8_t kind, op;
    bool spaced; /* white space stood before it */
    bool styled; /* within \text or the like */
    uint32_t start, end;
    uint64_t name;
};

enum { LEX_BRACES_MAX = 256 };

struct lexer {
    const char *text; /* zero-terminated, of answer_text.h */
    uint32_t size, at;
    const struct pipe_policies *policies;
    bool comma_lists;   /* commas between digits separate */
    bool decimal_comma; /* the comma between digits is a decimal point */
    bool unit_letters;  /* letters after a number are units where there are such */
    bool operand;       /* the last token ended an operand: set by the parser */
    bool number;        /* and that was a number: so may a unit follow */
    bool single;        /* an argument is wanted: a number is one digit */
    bool grouped, spaced_groups, comma; /* what was met */
    uint8_t braces[LEX_BRACES_MAX];     /* what each open brace is */
    uint32_t depth, words, styles;      /* open braces; those of words, of any style */
    uint32_t environments;
};

void grade_lex_init(struct lexer *lex, const char *text, uint32_t size,
                    const struct pipe_policies *policies);
struct token grade_lex_next(struct lexer *lex);
/* The next byte that is no space, without moving. */
char grade_lex_peek(const struct lexer *lex);

/* words.c */
struct unit_row {
    const char *name;
    uint8_t kind;     /* enum unit_kind */
    int8_t exponent;  /* that it brings along */
    const char *same; /* the name it is counted under */
};
const struct unit_row *grade_unit_find(const char *text, uint32_t size);
/* A word of filling before an answer ("about", "approximately"). */
bool grade_word_is_filler(const char *text, uint32_t size);
/* A short word that is never a product of letters ("yes", "two"). */
bool grade_word_is_known(const char *text, uint32_t size);
/* 0 to 90, 100, 1000, 1000000, -1: no word of a number. */
int64_t grade_word_number(const char *text, uint32_t size);
/* Equal without case. */
bool grade_word_is(const char *text, uint32_t size, const char *word);
/* Letters in lower case with a plural s gone. */
uint64_t grade_word_hash(const char *text, uint32_t size);

#endif
