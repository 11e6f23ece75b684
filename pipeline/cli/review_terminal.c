/* pipeline/cli/review_terminal.c
 * Walks a person through faults: shows one, reads a key, stores the vote, shows the next.
 * Keys are lines, so that a pipe can give them too. */
#include "pipeline/cli/review_terminal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct cli *cli;
    struct pipe_review *review;
    uint32_t judge;
    uint32_t *voted; /* faults in the order of this session's votes, for undo */
    uint32_t voted_count;
};

/* The lines of a text, each after `margin` blanks but the first. */
static void print_lines(const char *text, size_t size, int margin)
{
    while (size) {
        const char *end = memchr(text, '\n', size);
        const size_t line = end ? (size_t)(end - text) : size;
        cli_print_safe(text, line);
        putchar('\n');
        if (!end)
            break;
        text += line + 1;
        size -= line + 1;
        if (size)
            printf("%*s", margin, "");
    }
}

static void show_fault(const struct walk *w, uint32_t at)
{
    const struct pipe_review_fault *f = pipe_review_fault_at(w->review, at);
    printf("\nfault %u of %u  ", at + 1, pipe_review_count(w->review));
    print_lines(f->problem, strlen(f->problem), 0);
    print_lines(f->question, strlen(f->question), 0);
    putchar('\n');
    for (uint32_t k = 0; k < f->step_count; k++) {
        printf("%4u  ", k + 1);
        print_lines(f->output + f->steps[k].start, f->steps[k].end - f->steps[k].start,
                    6);
        if (f->steps[k].end == f->steps[k].start)
            putchar('\n');
    }
}

static void show_verdict(const struct walk *w, const struct pipe_review_fault *f)
{
    if (cli_flag(w->cli, "blind"))
        puts("the verdict stays hidden (--blind)");
    else if (f->named < 0)
        puts("verdict: no step is named");
    else
        printf("verdict: step %d, %s, confidence %.2f\n", f->named + 1, f->category,
               f->confidence);
}

/* The first fault without a vote of this judge; the count of faults: there is none. */
static uint32_t next_open(const struct walk *w)
{
    uint32_t at = 0;
    while (at < pipe_review_count(w->review) &&
           pipe_review_fault_at(w->review, at)->votes[w->judge] != PIPE_VOTE_OPEN)
        at++;
    return at;
}

/* Reads a line without blanks around it; a longer one is cut. False: there is no more. */
static bool read_key(char *key, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = getchar()) != EOF && c != '\n')
        if (n + 1 < size && !(n == 0 && isspace(c)))
            key[n++] = (char)c;
    while (n && isspace((unsigned char)key[n - 1]))
        n--;
    key[n] = '\0';
    return !cli_stopping() && (c != EOF || n > 0);
}

/* The vote that a key stands for; PIPE_VOTE_OPEN: it is none. */
static int32_t vote_of(const char *key, uint32_t steps)
{
    char *end;
    if (strcmp(key, "s") == 0)
        return PIPE_VOTE_ABSTAINS;
    if (strcmp(key, "n") == 0)
        return PIPE_VOTE_NONE_WRONG;
    if (!isdigit((unsigned char)key[0]))
        return PIPE_VOTE_OPEN;
    const unsigned long step = strtoul(key, &end, 10);
    return *end || step > steps ? PIPE_VOTE_OPEN : (int32_t)step - 1;
}

/* Takes back the last vote of this session, if there is one. */
static rt_status undo(struct walk *w, bool *undone)
{
    *undone = w->voted_count > 0;
    if (!*undone) {
        puts("no vote of this session to take back");
        return RT_OK;
    }
    w->voted_count--;
    return pipe_review_vote(w->review, w->voted[w->voted_count], w->judge,
                            PIPE_VOTE_OPEN);
}

/* Asks about a fault until another one is to be shown or *quit. */
static rt_status ask(struct walk *w, uint32_t at, bool *quit)
{
    rt_status st = RT_OK;
    char key[16];
    bool done = false;
    const struct pipe_review_fault *f = pipe_review_fault_at(w->review, at);
    while (!done && st == RT_OK) {
        printf("first wrong step? 1-%u, 0 or n none, s skip, u undo, v verdict, q quit: ",
               f->step_count);
        fflush(stdout);
        *quit = !read_key(key, sizeof key) || strcmp(key, "q") == 0;
        if (*quit) {
            putchar('\n');
            break;
        }
        const int32_t step = vote_of(key, f->step_count);
        done = step != PIPE_VOTE_OPEN;
        if (done) {
            st = pipe_review_vote(w->review, at, w->judge, step);
            w->voted[w->voted_count++] = at;
        } else if (strcmp(key, "u") == 0)
            st = undo(w, &done);
        else if (strcmp(key, "v") == 0)
            show_verdict(w, f);
        else if (key[0])
            puts("that is no key and no step of this answer");
    }
    return st;
}

static rt_status walk(struct walk *w)
{
    rt_status st;
    bool quit = false;
    uint32_t left = 0, at;
    const uint32_t count = pipe_review_count(w->review);
    while (!quit && (at = next_open(w)) < count) {
        show_fault(w, at);
        TRY(ask(w, at, &quit));
    }
    for (at = 0; at < count; at++)
        left += pipe_review_fault_at(w->review, at)->votes[w->judge] == PIPE_VOTE_OPEN;
    cli_say(w->cli, "votes in this session: %u; open: %u of %u faults", w->voted_count,
            left, count);
    return RT_OK;

fail:
    return st;
}

rt_status cli_review_terminal(struct cli *cli, struct store *store, const char *run,
                              struct pipe_review_result *out)
{
    rt_status st;
    struct walk w = { .cli = cli };
    TRY(pipe_review_open(&cli->ctx, store, run, &w.review));
    TRY(pipe_review_judge(w.review, cli_value(cli, "judge", ""), &w.judge));
    w.voted = rt_alloc(&cli->ctx, pipe_review_count(w.review), sizeof *w.voted);
    if (!w.voted) {
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "review: no memory");
        goto fail;
    }
    TRY(walk(&w));
    TRY(pipe_review_agreement(w.review, out));

fail:
    rt_free(w.voted);
    pipe_review_close(&w.review);
    return st;
}
