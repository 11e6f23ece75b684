/* pipeline/cli/cmd_show.c
 * show: one problem in the terminal, the answers of all variants side by side, one line a
 * step, and what the locators say. */
#include "pipeline/cli/cli.h"

#include "store/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 3, WIDTH_LEAST = 60 };

/* One answer: borrowed nothing, all strings owned. */
struct column {
    char *head, *text, *at; /* at: what is not printed yet, into text */
    int64_t fault;          /* line of the verdict, -1: none */
    int64_t line;
};

struct showing {
    struct cli *cli;
    struct store *store;
    struct column columns[COLUMNS_MAX];
    int count;
    const char *arm; /* label that is asked for, "" for none */
    bool found;      /* the problem is there */
    bool arm_found;  /* with an answer of that label */
};

/* Bytes of the first `width` characters of a line; *used: how many characters. */
static size_t fit(const char *text, size_t size, int width, int *used)
{
    size_t i = 0;
    *used = 0;
    while (i < size) {
        size_t next = i + 1;
        while (next < size && ((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        if (*used == width)
            break;
        ++*used;
        i = next;
    }
    return i;
}

static rt_status take_problem(void *user, const struct store_row *row)
{
    struct showing *s = user;
    s->found = true;
    printf("%s  ", store_row_text(row, 0));
    cli_print_safe(store_row_text(row, 1), strlen(store_row_text(row, 1)));
    printf("\nright answer: ");
    cli_print_safe(store_row_text(row, 2), strlen(store_row_text(row, 2)));
    puts("\n");
    return RT_OK;
}

static rt_status take_answer(void *user, const struct store_row *row)
{
    struct showing *s = user;
    struct rt_ctx *ctx = &s->cli->ctx;
    if (s->count == COLUMNS_MAX)
        return RT_OK;
    struct column *c = &s->columns[s->count++];
    s->arm_found |= strcmp(store_row_text(row, 0), s->arm) == 0;
    c->head = rt_format(ctx, "%s %s %.24s", store_row_text(row, 0),
                        store_row_integer(row, 1) ? "\xe2\x9c\x93" : "\xe2\x9c\x97",
                        store_row_null(row, 2) ? "(no answer)" : store_row_text(row, 2));
    c->text = rt_strdup(ctx, store_row_text(row, 3));
    c->fault = store_row_null(row, 4) ? -1 : store_row_integer(row, 4);
    c->at = c->text;
    if (!c->head || !c->text)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to show the answers");
    return RT_OK;
}

/* The next `width` characters of a column; a faulty line begins with '>'. */
static void print_cell(struct column *c, int width)
{
    const size_t size = c->at ? strcspn(c->at, "\n") : 0;
    int used = 0;
    const size_t bytes = c->at ? fit(c->at, size, width - 2, &used) : 0;
    const bool bad = c->at && *c->at && c->line == c->fault;
    fputs(bad ? "> " : "  ", stdout);
    cli_print_safe(c->at ? c->at : "", bytes);
    for (int i = used; i < width - 2; i++)
        putchar(' ');
    if (c->at)
        c->at += bytes;
}

static bool pending(const struct column *c)
{
    return c->at && *c->at && *c->at != '\n';
}

static void print_columns(struct showing *s, int width)
{
    bool more = true;
    for (int i = 0; i < s->count; i++) {
        struct column head = { .at = s->columns[i].head, .fault = -1 };
        print_cell(&head, width);
        fputs(i + 1 < s->count ? " | " : "\n", stdout);
    }
    while (more) {
        bool inside = false;
        for (int i = 0; i < s->count; i++)
            inside |= pending(&s->columns[i]);
        more = false;
        for (int i = 0; !inside && i < s->count; i++) {
            struct column *c = &s->columns[i];
            if (c->at && *c->at == '\n') {
                c->at++;
                c->line++;
            }
            more |= c->at && *c->at;
        }
        if (!inside)
            continue;
        more = true;
        for (int i = 0; i < s->count; i++) {
            print_cell(&s->columns[i], width);
            fputs(i + 1 < s->count ? " | " : "\n", stdout);
        }
    }
}

static rt_status print_fault(void *user, const struct store_row *row)
{
    struct showing *s = user;
    (void)s;
    printf("%-10s step %-4s %-28s confidence %.2f\n", store_row_text(row, 0),
           store_row_null(row, 1) ? "none" : store_row_text(row, 1),
           store_row_text(row, 2), store_row_number(row, 3));
    return RT_OK;
}

static int terminal_width(void)
{
    const char *text = getenv("COLUMNS");
    const long width = text ? strtol(text, NULL, 10) : 0;
    return width >= WIDTH_LEAST && width <= 400 ? (int)width : 110;
}

static rt_status print_problem(struct showing *s, const char *id, const char *arm)
{
    rt_status st;
    s->arm = arm;
    TRY(store_problem_row(s->store, id, take_problem, s));
    if (!s->found)
        return rt_fail(
            &s->cli->ctx, RT_ERR_USAGE,
            "the results file knows no problem '%.60s'; see: faultline sql "
            "\"SELECT problem_id FROM problem\"", /* lint: a hint, not a query */
            id);
    TRY(store_side_rows(s->store, id, arm, take_answer, s));
    if (s->count == 0)
        return rt_fail(&s->cli->ctx, RT_ERR_USAGE, "no variant has answered '%.60s' yet",
                       id);
    if (arm[0] && !s->arm_found)
        return rt_fail(
            &s->cli->ctx, RT_ERR_USAGE,
            "no variant '%.40s' has answered '%.60s'; faultline sql "
            "\"SELECT label FROM variant\" lists them", /* lint: a hint, not a query */
            arm, id);
    print_columns(s, (terminal_width() - 3 * (s->count - 1)) / s->count);
    putchar('\n');
    TRY(store_problem_fault_rows(s->store, id, print_fault, s));
    return RT_OK;

fail:
    return st;
}

static rt_status show(struct cli *cli)
{
    rt_status st;
    struct showing s = { .cli = cli };
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "show needs the id of one problem");
    TRY(cli_store_open(cli, STORE_READ, &s.store));
    TRY(print_problem(&s, cli->positional[0], cli_value(cli, "restored", "")));

fail:
    for (int i = 0; i < s.count; i++) {
        rt_free(s.columns[i].head);
        rt_free(s.columns[i].text);
    }
    store_close(&s.store);
    return st;
}

static const struct cli_option options[] = {
    { "restored", "LABEL", "variant of the third column (default: the default recipe)" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_show = { "show", "one problem, the answers side by side",
                                      "PROBLEM", options, show };
