/* runtime/text/chat.c
 * The chats of a model: its template is tried on three short conversations, which tell
 * whether it can be evaluated, takes a system text, and what it writes after an answer. */
#include "runtime/text/chat.h"

#include "runtime/base/sha256.h"
#include "runtime/base/utf8.h"
#include "runtime/text/chat_date.h"
#include "runtime/text/chat_rows.h"
#include "runtime/text/chat_source.h"
#include "runtime/text/jinja.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Texts of the trial conversations: no template has them, none changes them. */
#define TRIAL_SYSTEM "Trialsystemtext7"
#define TRIAL_USER "Trialusertext7"
#define TRIAL_ANSWER "Trialanswertext7"
#define TRIAL_NEXT "Trialnexttext7"

enum { END_TEXT_MIN = 3 };

struct text_chat {
    struct rt_ctx *ctx;            /* borrowed */
    char *model;                   /* owned: its path, for messages */
    const struct chat_format *row; /* NULL: the template */
    struct chat_source source;
    struct text_jinja *jinja; /* owned */
    enum text_chat_thinking thinking;
    int64_t date; /* days since 1970-01-01; TEXT_JINJA_NO_DATE: none was given */
    char
        date_string[CHAT_DATE_MAX]; /* the same as Llama's templates write it; "": none */
    bool in_parts;                  /* contents are lists of parts, not texts */
    bool no_system;                 /* a system text goes into the first user turn */
    bool needs_system;              /* a conversation without one is refused */
    bool said;                      /* that it goes into the first user turn */
    char *trial;                    /* a prompt, owned */
    char *after_last, *between; /* what follows the last answer; what stands between one
                                   and the next user's text. Owned, NULL: not known */
    char hash[65];
};

static rt_status no_memory(const struct text_chat *c)
{
    return rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for its chats", c->model);
}

static rt_status read_date(struct text_chat *c, const char *text)
{
    c->date = TEXT_JINJA_NO_DATE;
    if (!text || text_chat_date_read(text, &c->date, c->date_string))
        return RT_OK;
    return rt_fail(c->ctx, RT_ERR_USAGE,
                   "chat date '%.40s': a date as 2024-07-26 is needed", text);
}

/* ---- one rendering ---- */

static json_t *content_of(const struct text_chat *c, const char *text)
{
    size_t size;
    char *good = utf8_repaired(c->ctx, text, strlen(text), &size);
    json_t *value = good ? json_stringn(good, size) : NULL;
    rt_free(good);
    return value && c->in_parts ? json_pack("[{s:s, s:o}]", "type", "text", "text", value)
                                : value;
}

/* All that a template sees; null: no memory. */
static json_t *variables_of(const struct text_chat *c,
                            const struct chat_message *messages, uint32_t count,
                            bool answer)
{
    static const char *const roles[] = { "system", "user", "assistant" };
    json_t *list = json_array(), *out = json_deep_copy(c->source.tokens);
    bool good = list && out;
    for (uint32_t i = 0; i < count && good; i++)
        good = json_array_append_new(
                   list, json_pack("{s:s, s:o}", "role", roles[messages[i].role],
                                   "content", content_of(c, messages[i].content))) == 0;
    good = good && json_object_set(out, "messages", list) == 0 &&
           json_object_set_new(out, "tools", json_null()) == 0 &&
           json_object_set_new(out, "documents", json_null()) == 0 &&
           json_object_set_new(out, "add_generation_prompt", json_boolean(answer)) == 0;
    if (good && c->thinking != CHAT_THINKING_USUAL)
        good = json_object_set_new(out, "enable_thinking",
                                   json_boolean(c->thinking == CHAT_THINKING_ON)) == 0;
    if (good && c->date_string[0])
        good = json_object_set_new(out, "date_string", json_string(c->date_string)) == 0;
    json_decref(list);
    if (good)
        return out;
    json_decref(out);
    return NULL;
}

/* The text by the template. The clock is no input: strftime_now is not there unless a date
 * was given; a template that cannot do without gets the usual one. */
static rt_status render(const struct text_chat *c, const struct chat_message *messages,
                        uint32_t count, bool answer, enum text_jinja_outcome *outcome,
                        char **out)
{
    size_t size;
    *outcome = TEXT_JINJA_LIMIT;
    *out = NULL;
    json_t *variables = variables_of(c, messages, count, answer);
    if (!variables)
        return no_memory(c);
    rt_status st = text_jinja_render(c->ctx, c->jinja, variables, c->date, NULL, outcome,
                                     out, &size);
    if (*outcome == TEXT_JINJA_FAILED && c->date == TEXT_JINJA_NO_DATE &&
        text_jinja_reads(c->jinja, "strftime_now"))
        st = text_jinja_render(c->ctx, c->jinja, variables, text_chat_date_usual(), NULL,
                               outcome, out, &size);
    json_decref(variables);
    if (st != RT_OK || strlen(*out) == size)
        return st;
    rt_free(*out);
    *out = NULL;
    *outcome = TEXT_JINJA_UNSUPPORTED;
    return rt_fail(c->ctx, RT_ERR_INPUT,
                   "'%s': the chat template writes a zero byte, which no prompt has",
                   c->source.path);
}

/* Adds what can be done to the message of a template that cannot be used. */
static rt_status advise(const struct text_chat *c, rt_status st)
{
    char names[CHAT_CHOICES_MAX], message[sizeof c->ctx->message];
    if (st != RT_ERR_INPUT)
        return st;
    snprintf(message, sizeof message, "%.700s", c->ctx->message);
    return rt_fail(c->ctx, st,
                   "%s; choose a chat format by name (--chat-format NAME): %s", message,
                   text_chat_choices(names));
}

/* ---- the trial ---- */

static const struct chat_message trial[] = {
    { CHAT_SYSTEM, TRIAL_SYSTEM },
    { CHAT_USER, TRIAL_USER },
    { CHAT_ASSISTANT, TRIAL_ANSWER },
    { CHAT_USER, TRIAL_NEXT },
};

/* A template that prints its content whole, or cut to a few characters, prints a part as
 * Python or JSON writes it: it does not know parts. */
static bool prints_a_part(const char *text)
{
    return (strstr(text, "'type'") && strstr(text, "'text'")) ||
           strstr(text, "\"text\": \"" TRIAL_USER);
}

/* The conversation in parts: whether its question comes out so. */
static bool comes_in_parts(struct text_chat *c, const struct chat_message *talk,
                           uint32_t count)
{
    enum text_jinja_outcome outcome;
    char *text;
    c->in_parts = true;
    const bool good = render(c, talk, count, true, &outcome, &text) == RT_OK &&
                      strstr(text, TRIAL_USER) && !prints_a_part(text);
    c->in_parts = good;
    if (good) {
        rt_free(c->trial);
        c->trial = text;
    } else {
        rt_free(text);
    }
    return good;
}

/* A question must come out, its content as a text or as a list of parts. *outcome is that
 * of the text. */
static rt_status try_question(struct text_chat *c, const struct chat_message *talk,
                              uint32_t count, enum text_jinja_outcome *outcome)
{
    char message[sizeof c->ctx->message];
    rt_free(c->trial);
    const rt_status st = render(c, talk, count, true, outcome, &c->trial);
    if (st == RT_OK && strstr(c->trial, TRIAL_USER))
        return RT_OK;
    snprintf(message, sizeof message, "%s", c->ctx->message);
    if ((st == RT_OK || *outcome == TEXT_JINJA_FAILED || *outcome == TEXT_JINJA_RAISED) &&
        comes_in_parts(c, talk, count))
        return RT_OK;
    return st == RT_OK
               ? rt_fail(c->ctx, RT_ERR_INPUT,
                         "'%s': the chat template leaves the text of the user out",
                         c->source.path)
               : rt_fail(c->ctx, st, "%s", message);
}

/* The question alone, or with a system text if the template refuses it alone. */
static rt_status try_user(struct text_chat *c)
{
    enum text_jinja_outcome outcome, with_system;
    char message[sizeof c->ctx->message];
    const rt_status st = try_question(c, trial + 1, 1, &outcome);
    if (st == RT_OK || outcome != TEXT_JINJA_RAISED)
        return st;
    snprintf(message, sizeof message, "%s", c->ctx->message);
    c->needs_system = try_question(c, trial, 2, &with_system) == RT_OK &&
                      strstr(c->trial, TRIAL_SYSTEM);
    return c->needs_system ? RT_OK : rt_fail(c->ctx, st, "%s", message);
}

/* Whether it refuses a system text, or leaves it out. */
static rt_status try_system(struct text_chat *c)
{
    enum text_jinja_outcome outcome;
    char *text;
    const rt_status st = render(c, trial, 2, true, &outcome, &text);
    const bool refused = outcome == TEXT_JINJA_RAISED || outcome == TEXT_JINJA_FAILED;
    c->no_system = refused || (st == RT_OK && !strstr(text, TRIAL_SYSTEM));
    rt_free(text);
    return refused ? RT_OK : st;
}

/* The last place of a mark in a text, behind it; null: it is not there. */
static const char *behind(const char *text, const char *mark)
{
    const char *found = NULL;
    for (const char *at = text; (at = strstr(at, mark)); at++)
        found = at;
    return found ? found + strlen(mark) : NULL;
}

/* What stands between an answer and the text of the next user, if `next`, else up to the
 * end. NULL where the template does not write such a conversation. */
static rt_status try_answer(const struct text_chat *c, bool next, char **out)
{
    enum text_jinja_outcome outcome;
    char *text;
    *out = NULL;
    const rt_status st =
        render(c, trial + !c->needs_system, (next ? 3u : 2u) + c->needs_system, false,
               &outcome, &text);
    if (outcome == TEXT_JINJA_RAISED || outcome == TEXT_JINJA_FAILED)
        return RT_OK;
    if (st != RT_OK)
        return st;
    const char *from = behind(text, TRIAL_ANSWER);
    char *to = from && next ? strstr(from, TRIAL_NEXT) : NULL;
    const bool known = from && (!next || to);
    if (to)
        *to = '\0';
    if (known)
        *out = rt_strdup(c->ctx, from);
    rt_free(text);
    return !known || *out ? RT_OK : no_memory(c);
}

static rt_status open_template(struct text_chat *c)
{
    rt_status st;
    char names[CHAT_CHOICES_MAX];
    st = text_chat_source_read(c->ctx, c->model, &c->source);
    if (st != RT_OK)
        return st; /* a broken file, which no choice of a format mends */
    if (!c->source.text)
        return rt_fail(c->ctx, RT_ERR_INPUT,
                       "'%s' has no chat template; choose a format by name "
                       "(--chat-format NAME): %s",
                       c->model, text_chat_choices(names));
    TRY(text_jinja_compile(c->ctx, c->source.path, c->source.text, c->source.size,
                           &c->jinja));
    TRY(try_user(c));
    TRY(try_system(c));
    TRY(try_answer(c, false, &c->after_last));
    TRY(try_answer(c, true, &c->between));
    return RT_OK;

fail:
    return advise(c, st);
}

static rt_status open_row(struct text_chat *c, const char *name)
{
    char names[CHAT_CHOICES_MAX];
    const struct chat_format *row = text_chat_row_find(name);
    if (!row)
        return rt_fail(c->ctx, RT_ERR_USAGE,
                       "chat format '%.40s' is not known; there are %s", name,
                       text_chat_choices(names));
    c->row = row;
    c->no_system = !row->system_before;
    c->trial = text_chat_row_render(c->ctx, row, NULL, trial + 1, 1,
                                    c->thinking != CHAT_THINKING_OFF);
    c->after_last = rt_strdup(c->ctx, row->answer_after);
    c->between = rt_format(c->ctx, "%s%s", row->answer_after, row->user_before);
    return c->trial && c->after_last && c->between ? RT_OK : no_memory(c);
}

/* ---- the whole ---- */

/* Whether the date, or the switch for thinking, changes anything. */
static bool has_date(const struct text_chat *c)
{
    return c->jinja && (text_jinja_reads(c->jinja, "strftime_now") ||
                        text_jinja_reads(c->jinja, "date_string"));
}

static bool has_switch(const struct text_chat *c)
{
    return c->row ? c->row->thinking_off != NULL
                  : text_jinja_reads(c->jinja, "enable_thinking");
}

static void warn_of_options(const struct text_chat *c)
{
    const char *what = c->row ? c->row->name : c->source.path;
    if (c->date_string[0] && !has_date(c))
        rt_log(c->ctx, RT_LOG_WARNING,
               "'%s': its chats have no date, the given one changes nothing", what);
    if (c->thinking != CHAT_THINKING_USUAL && !has_switch(c))
        rt_log(c->ctx, RT_LOG_WARNING,
               "'%s': its chats have no switch for thinking, nothing changes", what);
}

static void add_row(struct sha256 *s, const struct chat_format *f)
{
    const char *const texts[] = { f->name,         f->start,          f->system_before,
                                  f->system_after, f->system_default, f->user_before,
                                  f->user_after,   f->answer_before,  f->answer_after,
                                  f->answer_start };
    sha256_add_text(s, "row");
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        sha256_add_text(s, texts[i] ? texts[i] : "");
    sha256_add_text(s, f->system_in_user ? "system in user" : "");
    sha256_add_text(s, f->trimmed ? "trimmed" : "");
}

/* Names and tokens in the order of the names: what the template reads, no more, so that a
 * GGUF file and a folder with the same template agree. */
static void add_template(struct sha256 *s, const struct text_chat *c)
{
    const char *last = "";
    sha256_add_text(s, "template");
    sha256_add_text(s, c->source.text);
    for (;;) {
        const char *key, *least = NULL;
        json_t *value;
        json_object_foreach(c->source.tokens, key,
                            value) if (strcmp(key, last) > 0 &&
                                       (!least || strcmp(key, least) < 0)) least = key;
        if (!least)
            break;
        if (text_jinja_reads(c->jinja, least)) {
            sha256_add_text(s, least);
            sha256_add_text(s,
                            json_string_value(json_object_get(c->source.tokens, least)));
        }
        last = least;
    }
    sha256_add_text(s, has_date(c) ? c->date_string : "");
}

static void make_hash(struct text_chat *c)
{
    static const char *const modes[] = { "", "no thinking", "thinking" };
    struct sha256 s;
    sha256_init(&s);
    if (c->row)
        add_row(&s, c->row);
    else
        add_template(&s, c);
    sha256_add_text(&s, has_switch(c) ? modes[c->thinking] : "");
    sha256_end_hex(&s, c->hash);
}

rt_status text_chat_create(struct rt_ctx *ctx, const struct text_chat_options *o,
                           struct text_chat **out)
{
    rt_status st;
    struct text_chat *c = rt_alloc(ctx, 1, sizeof *c);
    *out = c;
    if (!c)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for a chat");
    *c = (struct text_chat){ .ctx = ctx, .thinking = o->thinking };
    c->model = rt_strdup(ctx, o->model);
    if (!c->model) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for a chat");
        goto fail;
    }
    TRY(read_date(c, o->date));
    TRY(o->format ? open_row(c, o->format) : open_template(c));
    warn_of_options(c);
    make_hash(c);
    return RT_OK;

fail:
    text_chat_destroy(out);
    return st;
}

void text_chat_destroy(struct text_chat **chat)
{
    struct text_chat *c = *chat;
    if (!c)
        return;
    text_chat_source_deinit(&c->source);
    text_jinja_free(c->jinja);
    rt_free(c->model);
    rt_free(c->trial);
    rt_free(c->after_last);
    rt_free(c->between);
    rt_free(c);
    *chat = NULL;
}

const char *text_chat_hash(const struct text_chat *chat)
{
    return chat->hash;
}

/* ---- messages ---- */

static void say_where(struct text_chat *c)
{
    if (!c->said)
        rt_log(c->ctx, RT_LOG_WARNING,
               "'%s': its %s no system text; it stands before the first question",
               c->model, c->row ? "chat format has" : "chat template writes");
    c->said = true;
}

static rt_status render_turns(const struct text_chat *c, const char *system,
                              const struct chat_message *turns, uint32_t count,
                              char **out)
{
    enum text_jinja_outcome outcome;
    if (c->row) {
        *out = text_chat_row_render(c->ctx, c->row, system, turns, count,
                                    c->thinking != CHAT_THINKING_OFF);
        return *out ? RT_OK : no_memory(c);
    }
    if (!system && c->needs_system)
        return rt_fail(c->ctx, RT_ERR_USAGE,
                       "'%s': the chat template needs a system text; give --system TEXT",
                       c->source.path);
    struct chat_message *all = rt_alloc(c->ctx, count + 1u, sizeof *all);
    if (!all)
        return no_memory(c);
    all[0] = (struct chat_message){ CHAT_SYSTEM, system };
    memcpy(all + 1, turns, count * sizeof *all);
    const rt_status st = render(c, all + !system, count + !!system, true, &outcome, out);
    rt_free(all);
    return advise(c, st);
}

/* The same with the system text before that of the first user. */
static rt_status render_joined(struct text_chat *c, const char *system,
                               const struct chat_message *turns, uint32_t count,
                               char **out)
{
    rt_status st;
    struct chat_message *all = rt_alloc(c->ctx, count, sizeof *all);
    char *first = rt_format(c->ctx, "%s\n\n%s", system, turns->content);
    if (all && first) {
        say_where(c);
        memcpy(all, turns, count * sizeof *all);
        all[0].content = first;
        st = render_turns(c, NULL, all, count, out);
    } else {
        st = no_memory(c);
    }
    rt_free(all);
    rt_free(first);
    return st;
}

rt_status text_chat_render(struct text_chat *c, const struct chat_message *messages,
                           uint32_t count, char **out)
{
    const char *system = NULL;
    *out = NULL;
    if (count && messages->role == CHAT_SYSTEM) {
        system = messages->content;
        messages++;
        count--;
    }
    for (uint32_t i = 0; i < count; i++)
        if (messages[i].role != (i % 2 ? CHAT_ASSISTANT : CHAT_USER))
            count = 0;
    if (count % 2 == 0)
        return rt_fail(c->ctx, RT_ERR_USAGE,
                       "chat: user and assistant must take turns, a user first and last");
    return system && c->no_system ? render_joined(c, system, messages, count, out)
                                  : render_turns(c, system, messages, count, out);
}

/* ---- the end of an answer ---- */

static const char blank[] = " \t\n\v\f\r";

/* The text of an end that no token stands for: its first line, cut to what fits, with the
 * line end before it. Less than END_TEXT_MIN bytes, as a full stop, may stand anywhere. */
static void take_text(const char *text, size_t size, char out[CHAT_END_TEXT_MAX + 1])
{
    const size_t skip = strspn(text, blank);
    const bool line = memchr(text, '\n', skip < size ? skip : size) != NULL;
    if (out[0] || skip >= size)
        return;
    text += skip;
    size -= skip;
    const size_t first = strcspn(text, "\n");
    size = size < first ? size : first;
    const size_t room = (size_t)CHAT_END_TEXT_MAX - line;
    size = size < room ? size : room;
    size = text_whole_characters(text, size);
    while (size && strchr(blank, text[size - 1]))
        size--;
    if (size + line >= END_TEXT_MIN)
        snprintf(out, CHAT_END_TEXT_MAX + 1, "%s%.*s", line ? "\n" : "", (int)size, text);
}

static void add_id(struct text_chat_end *end, uint32_t id)
{
    for (uint32_t i = 0; i < end->count; i++)
        if (end->ids[i] == id)
            return;
    if (end->count < CHAT_END_IDS_MAX)
        end->ids[end->count++] = id;
}

void text_chat_end(const struct text_chat *c, const struct text_tokenizer *tok,
                   struct text_chat_end *out)
{
    const char *const tails[] = { c->after_last, c->between };
    *out = (struct text_chat_end){ .count = 0 };
    for (size_t i = 0; i < RT_COUNT(tails); i++) {
        size_t at, size, shown = 0;
        if (!tails[i])
            continue;
        const uint32_t id = text_mark_find(tok, tails[i], &at, &size);
        if (id != UINT32_MAX) {
            add_id(out, id);
            (void)text_token_bytes(tok, id, &shown);
        }
        take_text(tails[i], at, out->text);
        if (shown)
            take_text(tails[i] + at, size, out->text);
    }
}

/* ---- marks that are letters ---- */

/* Sets *whole to false if the mark is more than one token. */
static rt_status check_mark(struct text_tokenizer *tok, const char *mark, size_t size,
                            bool *whole)
{
    uint32_t *ids = NULL, count = 0;
    const rt_status st = text_encode(tok, mark, size, true, &ids, &count);
    rt_free(ids);
    *whole = count == 1;
    return st;
}

/* The next <|...|> of a text, or null. */
static const char *next_mark(const char *text, size_t *size)
{
    for (; (text = strstr(text, "<|")); text += 2) {
        *size = strcspn(text + 2, "<> \n") + 3;
        if (text[*size - 1] == '>' && text[*size - 2] == '|' && *size > 4)
            return text;
    }
    return NULL;
}

rt_status text_chat_check(const struct text_chat *c, struct text_tokenizer *tok)
{
    const char *const texts[] = { c->trial, c->after_last };
    size_t size;
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        for (const char *at = texts[i] ? texts[i] : ""; (at = next_mark(at, &size));
             at += size) {
            bool whole = false;
            const rt_status st = check_mark(tok, at, size, &whole);
            if (st != RT_OK)
                return st;
            if (whole)
                continue;
            rt_log(c->ctx, RT_LOG_WARNING,
                   "'%s': '%.*s' of %s%s%s is no special token of the tokenizer: the "
                   "model reads letters where it may expect a mark; choose another "
                   "format or a file made by a newer converter",
                   c->model, (int)size, at,
                   c->row ? "chat format '" : "its chat template",
                   c->row ? c->row->name : "", c->row ? "'" : "");
            return RT_OK;
        }
    return RT_OK;
}
