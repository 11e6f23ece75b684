/* runtime/text/jinja_impl.h
 * Private to runtime/text/jinja*.c: values, syntax trees, scopes, and a rendering;
 * jinja_compile.h is about the way to a tree.
 *
 * A template is text -> tokens (jinja_lex) -> tree (jinja_parse, jinja_expression) -> slots
 * of names (jinja_scope). A rendering walks the tree (jinja_statement, jinja_eval). All of a
 * template, and all values of a rendering, live in one pool each and are freed at once.
 * Functions of a rendering return false if they fail; the run then holds why. */
#ifndef RUNTIME_TEXT_JINJA_IMPL_H
#define RUNTIME_TEXT_JINJA_IMPL_H

#include "runtime/base/text_pool.h"
#include "runtime/text/jinja.h"

/* ---- values ---- */

enum jinja_kind {
    JINJA_MISSING, /* no value: an unset slot, an argument that was not given */
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_FLOAT,
    JINJA_STRING,
    JINJA_LIST,
    JINJA_TUPLE,
    JINJA_DICT,
    JINJA_RANGE,
    JINJA_VIEW,      /* keys, values or items of a dict */
    JINJA_ITERATOR,  /* what map, select, reverse and others give: read once */
    JINJA_NAMESPACE, /* its attributes are a dict that may change */
    JINJA_MACRO,
    JINJA_FUNCTION, /* a global function */
    JINJA_METHOD,   /* a method with its object */
    JINJA_LOOP,
    JINJA_CYCLER,
    JINJA_JOINER,
};

/* Text: valid UTF-8. */
struct jinja_text {
    size_t size, count; /* bytes; code points */
    char data[];        /* and a zero */
};

struct jinja_value {
    uint8_t kind;
    bool is_safe; /* JINJA_STRING: marked as escaped (jinja2's Markup) */
    union {
        bool truth;
        int64_t integer;
        double number;
        const struct jinja_text *text;
        struct jinja_items *items; /* list, tuple */
        struct jinja_dict *dict;   /* dict, namespace */
        const struct jinja_range *range;
        const struct jinja_view *view;
        struct jinja_iterator *iterator;
        const struct jinja_undefined *undefined;
        const struct jinja_macro *macro;
        const struct jinja_function *function;
        const struct jinja_bound *method;
        struct jinja_loop *loop;
        struct jinja_cycler *cycler;
    } as;
};

struct jinja_items {
    size_t count, room;
    struct jinja_value *at;
};

struct jinja_dict {
    size_t count, room;
    struct jinja_value *keys, *values;
};

struct jinja_range {
    int64_t start, stop, step;
    size_t count;
};

enum jinja_view_kind { JINJA_KEYS, JINJA_VALUES, JINJA_ITEMS };

struct jinja_view {
    enum jinja_view_kind kind;
    const struct jinja_dict *dict;
};

struct jinja_named {
    const struct jinja_text *name;
    struct jinja_value value;
};

struct jinja_args {
    struct jinja_value *at;
    size_t count;
    struct jinja_named *named;
    size_t named_count;
};

struct jinja_run;

typedef bool jinja_call_fn(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out);
struct jinja_iterator {
    struct jinja_items *items; /* NULL: not made yet */
    size_t next;
    jinja_call_fn *make; /* gives them as a list, at the first reading: errors of a
                            generator that nobody reads do not show */
    struct jinja_args args;
};

struct jinja_undefined {
    const char *hint; /* a whole message, or NULL */
    const char *name; /* of the variable or attribute, or NULL */
    const char *of;   /* type of the object that lacks it, or NULL */
};

struct jinja_cycler { /* also the joiner: used or not */
    struct jinja_items *items;
    size_t next;
};

typedef bool jinja_method_fn(struct jinja_run *run, const struct jinja_value *self,
                             struct jinja_args *args, struct jinja_value *out);

struct jinja_function {
    const char *name;
    jinja_call_fn *call; /* NULL: known to jinja2, not supported */
};

struct jinja_method {
    const char *name;
    jinja_method_fn *call; /* NULL: known to Python, not supported */
    bool changes;          /* the sandbox refuses it */
};

struct jinja_bound {
    const struct jinja_method *method;
    struct jinja_value self;
};

/* ---- syntax trees ---- */

enum jinja_type {
    /* expressions */
    NODE_CONST,
    NODE_NAME,
    NODE_ATTRIBUTE_TARGET, /* ns.x on the left of a set */
    NODE_TUPLE,
    NODE_LIST,
    NODE_DICT,
    NODE_UNARY,
    NODE_BINARY,
    NODE_AND,
    NODE_OR,
    NODE_NOT,
    NODE_COMPARE,
    NODE_OPERAND,
    NODE_CONCAT,
    NODE_GETATTR,
    NODE_GETITEM,
    NODE_SLICE,
    NODE_CALL,
    NODE_KEYWORD,
    NODE_FILTER,
    NODE_TEST,
    NODE_COND,
    /* statements */
    NODE_OUTPUT,
    NODE_IF,
    NODE_FOR,
    NODE_SET,
    NODE_SET_BLOCK,
    NODE_MACRO,
    NODE_CALL_BLOCK,
    NODE_GENERATION,
    NODE_FILTER_BLOCK,
    NODE_WITH,
    NODE_BREAK,
    NODE_CONTINUE,
};

enum jinja_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
};

struct jinja_list {
    struct jinja_node **at;
    uint32_t count, room;
};

/* Where a name lives: `hops` functions outward, then a slot of that frame. */
struct jinja_ref {
    uint32_t hops, slot;
};

/* What stands where:
 *   UNARY, NOT: left. BINARY, AND, OR: left, right. COMPARE: left, items of OPERAND (left).
 *   DICT: items, key and value in turn. SLICE: left, right, third, each may be null.
 *   GETITEM: left, right. CALL, FILTER, TEST: left (null: the text of a block), items,
 *   named (KEYWORD: name, left), right: *args, third: **kwargs. COND: left is the test, right,
 *   third. IF: left, items, named: the elifs, more: else. FOR: left target, right, third: test,
 *   items, named: else. SET: left, right. SET_BLOCK: left, right: filter, items. MACRO,
 *   CALL_BLOCK: named: parameters, more: their last defaults, items, right: call.
 *   FILTER_BLOCK: right, items. WITH: named targets, more values, items. */
struct jinja_node {
    enum jinja_type type;
    enum jinja_op op;
    uint32_t line, depth;                     /* depth of the tree below */
    bool is_store;                            /* a NAME that is assigned */
    bool is_flag;                             /* FOR: recursive */
    bool has_loop;                            /* FOR: reads `loop` */
    bool has_caller, has_kwargs, has_varargs; /* MACRO, CALL_BLOCK */
    bool is_soft; /* FILTER, TEST of no known name: an error only if it is reached */
    const struct jinja_text *name, *attribute;
    struct jinja_value value;
    struct jinja_node *left, *right, *third;
    struct jinja_list items, named, more;
    struct jinja_ref ref;                      /* NAME, ATTRIBUTE_TARGET, MACRO */
    struct jinja_scope *scope, *test, *orelse; /* FOR: body, test, else */
    const void *known; /* FILTER, TEST: its struct jinja_function */
};

enum jinja_load { LOAD_PARAMETER, LOAD_RESOLVE, LOAD_ALIAS, LOAD_UNDEFINED };

struct jinja_symbol {
    const struct jinja_text *name;
    enum jinja_load load;
    uint32_t stored_at; /* by the clock of its scope, 0: it is only read */
    uint32_t slot;
    uint32_t global;        /* LOAD_RESOLVE: place in the list of the template's names */
    struct jinja_ref alias; /* LOAD_ALIAS, seen from this scope */
};

/* The names of one body. Scopes of one function share a frame of slots. */
struct jinja_scope {
    struct jinja_scope *parent;
    struct jinja_body *body;
    struct jinja_symbol *symbols;
    uint32_t count, room, clock;
};

/* What has a frame of its own: the template, a macro, a call block, a recursive loop. */
struct jinja_body {
    struct jinja_body *parent;
    uint32_t slot_count;
};

struct text_jinja {
    struct pipe_pool pool;
    const char *path;
    struct jinja_list body;
    struct jinja_scope *scope;
    const struct jinja_text **globals; /* names that are read from the caller */
    uint32_t global_count, global_room;
};

/* ---- a rendering ---- */

struct jinja_frame {
    struct jinja_frame *parent;
    struct jinja_value slots[];
};

struct jinja_macro {
    const struct jinja_node *node; /* MACRO, CALL_BLOCK */
    struct jinja_frame *frame;     /* where it was defined */
};

struct jinja_buffer {
    char *data;
    size_t size, room;
};

struct jinja_run {
    struct rt_ctx *ctx;
    const struct text_jinja *t;
    const struct text_jinja_limits *limits;
    struct pipe_pool pool;
    uint64_t steps, value_bytes;
    uint32_t depth, line;
    int64_t date;
    struct jinja_value *globals;
    struct jinja_frame *frame;
    struct jinja_buffer *out;
    enum text_jinja_outcome outcome;
    rt_status st; /* RT_OK until it fails */
};

struct jinja_cursor {
    struct jinja_value of;
    size_t next, byte;
};

/* One loop that is running; what `loop` is. */
struct jinja_loop {
    const struct jinja_node *node;
    struct jinja_frame *frame, *outer; /* of the body; where its test looks */
    struct jinja_cursor cursor;
    struct jinja_items *rest; /* items that were read ahead, NULL: none */
    size_t rest_next;
    struct jinja_value before, current;
    int64_t index0, length; /* length -1: not known */
    uint32_t depth0;
    struct jinja_value changed; /* the last arguments of loop.changed, a tuple */
};

/* Failures; each returns false. */
bool jinja_fail(struct jinja_run *run, const char *fmt, ...) RT_PRINTF(2, 3);
bool jinja_unsupported(struct jinja_run *run, const char *fmt, ...) RT_PRINTF(2, 3);
/* Of an undefined value (jinja_value.c). */
bool jinja_fail_undefined(struct jinja_run *run, const struct jinja_value *v);
bool jinja_raise(struct jinja_run *run, const char *words);
bool jinja_limit(struct jinja_run *run, const char *what, uint64_t limit);
bool jinja_no_memory(struct jinja_run *run);
#ifdef __clang_analyzer__ /* it cannot see that they return false */
#define jinja_fail(run, ...) ((void)jinja_fail(run, __VA_ARGS__), false)
#define jinja_unsupported(run, ...) ((void)jinja_unsupported(run, __VA_ARGS__), false)
#define jinja_limit(run, what, limit) ((void)jinja_limit(run, what, limit), false)
#define jinja_fail_undefined(run, v) ((void)jinja_fail_undefined(run, v), false)
#endif
bool jinja_step(struct jinja_run *run, uint64_t steps);
bool jinja_enter(struct jinja_run *run); /* one level deeper; leave: run->depth-- */
/* Zeroed memory of the run, null after a failure. */
void *jinja_take(struct jinja_run *run, size_t count, size_t size);

/* jinja_value.c */
struct jinja_value jinja_none(void);
struct jinja_value jinja_bool(bool truth);
struct jinja_value jinja_int(int64_t integer);
struct jinja_value jinja_float(double number);
struct jinja_value jinja_missing(void);
bool jinja_string(struct jinja_run *run, const char *data, size_t size,
                  struct jinja_value *out);
struct jinja_value jinja_of_text(const struct jinja_text *text);
size_t jinja_code_points(const char *data, size_t size);
bool jinja_list_make(struct jinja_run *run, enum jinja_kind kind, size_t room,
                     struct jinja_value *out);
bool jinja_list_add(struct jinja_run *run, struct jinja_items *items,
                    struct jinja_value value);
bool jinja_pair(struct jinja_run *run, struct jinja_value a, struct jinja_value b,
                struct jinja_value *out);
bool jinja_iterator_of(struct jinja_run *run, struct jinja_items *items,
                       struct jinja_value *out);
bool jinja_generator(struct jinja_run *run, jinja_call_fn *make,
                     const struct jinja_args *args, struct jinja_value *out);
bool jinja_dict_make(struct jinja_run *run, struct jinja_value *out);
bool jinja_dict_set(struct jinja_run *run, struct jinja_dict *dict,
                    struct jinja_value key, struct jinja_value value);
/* *value is JINJA_MISSING if it is not there. */
bool jinja_dict_get(struct jinja_run *run, const struct jinja_dict *dict,
                    struct jinja_value key, struct jinja_value *value);
bool jinja_hashable(const struct jinja_value *v);
const char *jinja_type_name(const struct jinja_value *v);
bool jinja_undefined_hint(struct jinja_run *run, const char *hint,
                          struct jinja_value *out);
bool jinja_undefined_of(struct jinja_run *run, const char *name, const char *of,
                        struct jinja_value *out);
bool jinja_truth(const struct jinja_value *v);
bool jinja_length(struct jinja_run *run, const struct jinja_value *v, size_t *length);
bool jinja_is_number(const struct jinja_value *v); /* bool, int, float */
bool jinja_is_whole(const struct jinja_value *v);  /* bool, int */
int64_t jinja_whole(const struct jinja_value *v);
double jinja_number(const struct jinja_value *v);
bool jinja_from_json(struct jinja_run *run, const json_t *json, struct jinja_value *out);

/* jinja_compare.c */
bool jinja_equal(struct jinja_run *run, const struct jinja_value *a,
                 const struct jinja_value *b, bool *equal);
/* *order is negative, 0, positive, or 2 for a NaN. Fails for types without an order. */
bool jinja_order(struct jinja_run *run, const struct jinja_value *a,
                 const struct jinja_value *b, int *order);
bool jinja_compare(struct jinja_run *run, enum jinja_op op, const struct jinja_value *a,
                   const struct jinja_value *b, bool *result);
bool jinja_contains(struct jinja_run *run, const struct jinja_value *item,
                    const struct jinja_value *in, bool *result);
bool jinja_same(const struct jinja_value *a, const struct jinja_value *b);
/* Sorts indices of `keys`, stable. */
bool jinja_sort(struct jinja_run *run, const struct jinja_value *keys, size_t count,
                bool reverse, size_t *order);

/* jinja_iterate.c */
bool jinja_iterate(struct jinja_run *run, const struct jinja_value *of,
                   struct jinja_cursor *cursor);
/* *item is JINJA_MISSING at the end. */
bool jinja_next(struct jinja_run *run, struct jinja_cursor *cursor,
                struct jinja_value *item);
bool jinja_is_iterable(const struct jinja_value *v);
bool jinja_to_items(struct jinja_run *run, const struct jinja_value *v,
                    struct jinja_items **out);
bool jinja_getattr(struct jinja_run *run, const struct jinja_value *of,
                   const struct jinja_text *name, struct jinja_value *out);
bool jinja_getitem(struct jinja_run *run, const struct jinja_value *of,
                   const struct jinja_value *key, struct jinja_value *out);
bool jinja_can_be_cut(const struct jinja_value *v); /* whether it has slices */
bool jinja_slice(struct jinja_run *run, const struct jinja_value *of,
                 const struct jinja_value bounds[3], struct jinja_value *out);
bool jinja_loop_attribute(struct jinja_run *run, struct jinja_loop *loop,
                          const char *name, struct jinja_value *out);
bool jinja_loop_next(struct jinja_run *run, struct jinja_loop *loop,
                     struct jinja_value *item);

/* jinja_print.c */
bool jinja_write(struct jinja_run *run, struct jinja_buffer *buffer, const char *data,
                 size_t size);
bool jinja_write_words(struct jinja_run *run, struct jinja_buffer *buffer,
                       const char *words);
bool jinja_write_character(struct jinja_run *run, struct jinja_buffer *buffer,
                           uint32_t character);
bool jinja_print(struct jinja_run *run, struct jinja_buffer *buffer,
                 const struct jinja_value *v);
bool jinja_repr(struct jinja_run *run, struct jinja_buffer *buffer,
                const struct jinja_value *v);
/* str(v) as text */
bool jinja_to_text(struct jinja_run *run, const struct jinja_value *v,
                   const struct jinja_text **out);
/* The text of a buffer, which is freed, also on failure (`good` false). */
bool jinja_buffer_take(struct jinja_run *run, struct jinja_buffer *buffer, bool good,
                       struct jinja_value *out);
void jinja_float_words(double number, char room[40]);
bool jinja_escape(struct jinja_run *run, const struct jinja_value *v,
                  struct jinja_value *out);

/* jinja_arithmetic.c */
bool jinja_binary(struct jinja_run *run, enum jinja_op op, const struct jinja_value *a,
                  const struct jinja_value *b, struct jinja_value *out);
bool jinja_negative(struct jinja_run *run, const struct jinja_value *v,
                    struct jinja_value *out);
bool jinja_round(struct jinja_run *run, const struct jinja_value *v, int64_t places,
                 struct jinja_value *out);
bool jinja_int_of_float(struct jinja_run *run, double number, struct jinja_value *out);

/* jinja_eval.c */
bool jinja_eval(struct jinja_run *run, const struct jinja_node *node,
                struct jinja_value *out);
bool jinja_filter(struct jinja_run *run, const struct jinja_node *node,
                  const struct jinja_value *input, struct jinja_value *out);
bool jinja_assign(struct jinja_run *run, const struct jinja_node *target,
                  const struct jinja_value *value);
struct jinja_value *jinja_slot(struct jinja_run *run, struct jinja_ref ref);

/* jinja_call.c */
bool jinja_arguments(struct jinja_run *run, const struct jinja_node *node,
                     const struct jinja_value *first, const struct jinja_value *caller,
                     struct jinja_args *args);
bool jinja_call(struct jinja_run *run, const struct jinja_value *callee,
                struct jinja_args *args, struct jinja_value *out);
/* Binds arguments to the names of `spec`, as "width first blank"; those behind a `|` may
 * be missing, and are JINJA_MISSING then. Fails as Python does for too many, unknown or
 * missing ones. `positional`: none may be named. */
bool jinja_bind(struct jinja_run *run, const char *what, const char *spec,
                bool positional, const struct jinja_args *args,
                struct jinja_value *values);
const struct jinja_function *jinja_global(const char *name);

/* jinja_statement.c */
bool jinja_statements(struct jinja_run *run, const struct jinja_list *body,
                      enum jinja_type *flow);
bool jinja_enter_scope(struct jinja_run *run, const struct jinja_scope *scope);
struct jinja_frame *jinja_frame_make(struct jinja_run *run,
                                     const struct jinja_scope *scope,
                                     struct jinja_frame *parent);
/* Runs one whole loop; `loop` is what it reads. */
bool jinja_loop_run(struct jinja_run *run, const struct jinja_node *node,
                    const struct jinja_value *iterable, uint32_t depth0,
                    struct jinja_frame *outer, enum jinja_type *flow);
bool jinja_loop_recurse(struct jinja_run *run, struct jinja_loop *loop,
                        struct jinja_args *args, struct jinja_value *out);

/* Filters, tests, methods: null if there is none of that name. A function whose `call` is
 * null is known to jinja2 and not supported here. Values come as the first argument. */
const struct jinja_function *jinja_filter_find(const char *name);
const struct jinja_function *jinja_test_find(const char *name);
const struct jinja_method *jinja_method_find(const struct jinja_value *self,
                                             const char *name);
/* The attribute "a.b.0" of an item; NONE or MISSING as path: the item. `otherwise`, if not
 * null, stands for what is undefined on the way. */
bool jinja_attribute_path(struct jinja_run *run, const struct jinja_value *item,
                          const struct jinja_value *path,
                          const struct jinja_value *otherwise, struct jinja_value *out);
/* A whole number that may be missing. */
bool jinja_whole_argument(struct jinja_run *run, const char *what,
                          const struct jinja_value *v, int64_t otherwise, int64_t *out);
extern const struct jinja_function jinja_text_filters[];
extern const struct jinja_function jinja_number_filters[];
extern const struct jinja_function jinja_sequence_filters[];
extern const struct jinja_function jinja_select_filters[];
extern const struct jinja_method jinja_string_methods[];
extern const struct jinja_method jinja_string_tests[];

/* jinja_unicode.c: Python's view of characters */
uint32_t jinja_decode(const char *data, size_t *at); /* *at: to the next character */
bool jinja_is_space(uint32_t c);
bool jinja_is_printable(uint32_t c);
enum jinja_case { JINJA_UPPER, JINJA_LOWER, JINJA_TITLE, JINJA_FOLD };
bool jinja_write_case(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t c,
                      enum jinja_case how);
bool jinja_cased(struct jinja_run *run, const struct jinja_text *text,
                 enum jinja_case how, struct jinja_value *out);
bool jinja_capitalize(struct jinja_run *run, const struct jinja_text *text,
                      struct jinja_value *out);
bool jinja_title(struct jinja_run *run, const struct jinja_text *text,
                 struct jinja_value *out);
bool jinja_swapcase(struct jinja_run *run, const struct jinja_text *text,
                    struct jinja_value *out);
/* Python's str.isX by its name without "is" */
bool jinja_text_is(const struct jinja_text *text, const char *what);
bool jinja_is_alnum(uint32_t c);
bool jinja_is_decimal(uint32_t c);

/* jinja_text.c */
const char *jinja_find_bytes(const char *in, size_t size, const char *what,
                             size_t what_size);
const char *jinja_find_last_bytes(const char *in, size_t size, const char *what,
                                  size_t what_size);
bool jinja_strip(struct jinja_run *run, const struct jinja_text *text,
                 const struct jinja_value *chars, bool left, bool right,
                 struct jinja_value *out);
bool jinja_replace(struct jinja_run *run, const struct jinja_text *text,
                   const struct jinja_text *old, const struct jinja_text *new_text,
                   int64_t count, struct jinja_value *out);
bool jinja_splitlines(struct jinja_run *run, const struct jinja_text *text, bool keep,
                      struct jinja_value *out);
bool jinja_split(struct jinja_run *run, const struct jinja_text *text,
                 const struct jinja_value *separator, int64_t most, bool from_right,
                 struct jinja_value *out);
size_t jinja_byte_of(const struct jinja_text *text, size_t code_point);
bool jinja_pad(struct jinja_run *run, const struct jinja_text *text, size_t left,
               size_t right, const struct jinja_text *fill, struct jinja_value *out);

/* jinja_format.c, jinja_json.c, jinja_date.c */
bool jinja_percent(struct jinja_run *run, const struct jinja_text *format,
                   const struct jinja_value *args, struct jinja_value *out);
bool jinja_str_format(struct jinja_run *run, const struct jinja_value *self,
                      struct jinja_args *args, struct jinja_value *out);
bool jinja_to_json(struct jinja_run *run, struct jinja_args *args,
                   struct jinja_value *out);
bool jinja_strftime(struct jinja_run *run, struct jinja_args *args,
                    struct jinja_value *out);

#endif
