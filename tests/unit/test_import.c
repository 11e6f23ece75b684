/* Answers of other programs: real files of lm-evaluation-harness and Inspect (as JSON and
 * as an archive) and lines of one's own; what is damaged is refused with the place; every
 * format that is written is read back as the same answers. */
#include "pipeline/exchange/export.h"
#include "pipeline/exchange/import.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_folder folder;

static int set_up(void **state)
{
    (void)state;
    test_folder_init(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

static void read_golden(const char *file, struct pipe_import *out)
{
    struct rt_ctx ctx = { 0 };
    char path[1024], name[128];
    snprintf(name, sizeof name, "tests/golden/exchange/%s", file);
    if (pipe_import_read(&ctx, test_path(path, sizeof path, name), PIPE_IMPORT_AUTO, NULL,
                         out) != RT_OK)
        fail_msg("%s", ctx.message);
}

static const struct pipe_import_answer *answer_of(const struct pipe_import *in,
                                                  const char *id, uint32_t sample)
{
    for (uint32_t i = 0; i < in->count; i++)
        if (strcmp(in->answers[i].id, id) == 0 && in->answers[i].sample == sample)
            return &in->answers[i];
    fail_msg("no answer %u to %s", sample, id);
    return NULL;
}

static void harness_samples_are_read(void **state)
{
    (void)state;
    struct pipe_import in;
    read_golden("samples_own_words.jsonl", &in);
    assert_int_equal(in.kind, PIPE_IMPORT_LM_EVAL);
    assert_int_equal(in.count, 8); /* 4 documents x 2 answers, of one of two filters */
    assert_string_equal(answer_of(&in, "own-1", 1)->output, "so 19\n#### 19");
    assert_int_equal(strlen(answer_of(&in, "own-0", 0)->prompt_hash), 64);
    assert_non_null(strstr(answer_of(&in, "own-2", 0)->question, "31 cards"));
    pipe_import_deinit(&in);
    struct rt_ctx ctx = { 0 };
    char path[1024];
    test_path(path, sizeof path, "tests/golden/exchange/samples_own_words.jsonl");
    assert_int_equal(
        pipe_import_read(&ctx, path, PIPE_IMPORT_AUTO, "flexible-extract", &in), RT_OK);
    assert_int_equal(in.count, 8);
    pipe_import_deinit(&in);
    test_refused(&ctx, pipe_import_read(&ctx, path, PIPE_IMPORT_AUTO, "none", &in),
                 RT_ERR_INPUT, "no answer of the filter none", NULL);
}

static void inspect_logs_are_read_in_both_forms(void **state)
{
    (void)state;
    static const char *const files[] = { "own_words.json", "own_words.eval" };
    for (size_t f = 0; f < RT_COUNT(files); f++) {
        struct pipe_import in;
        read_golden(files[f], &in);
        assert_int_equal(in.kind, PIPE_IMPORT_INSPECT);
        assert_string_equal(in.tool, "inspect_ai 0.3.285");
        assert_string_equal(in.model, "mockllm/model");
        assert_string_equal(in.task, "own_words");
        assert_int_equal(in.count, 8);
        const struct pipe_import_answer *a = answer_of(&in, "own-0", 0);
        assert_string_equal(a->output, "3*4=12\nANSWER: 12");
        assert_string_equal(
            a->question,
            "Ana has 3 boxes with 4 pens in each box. How many pens does Ana have?");
        assert_true(a->n_prompt > 0 && a->n_gen > 0);
        uint32_t cut = 0;
        for (uint32_t i = 0; i < in.count; i++)
            cut += in.answers[i].finish == PIPE_FINISH_LENGTH;
        assert_int_equal(cut, 1);
        pipe_import_deinit(&in);
    }
}

/* ---- own lines, and what is refused ---- */

static rt_status parse(struct rt_ctx *ctx, const void *text, size_t size,
                       struct pipe_import *out)
{
    *ctx = (struct rt_ctx){ 0 };
    return pipe_import_parse(ctx, "x.jsonl", text, size, PIPE_IMPORT_AUTO, NULL, out);
}

static void own_lines_are_read(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct pipe_import in;
    static const char text[] =
        "{\"id\":7,\"output\":\"a\",\"model\":\"m\",\"n_gen\":3}\n\n"
        "{\"question\":\"How "
        "many?\",\"response\":\"b\",\"sample\":2,\"finish\":\"length\"}\n";
    assert_int_equal(parse(&ctx, text, sizeof text - 1, &in), RT_OK);
    assert_int_equal(in.kind, PIPE_IMPORT_JSONL);
    assert_int_equal(in.count, 2);
    assert_string_equal(in.model, "m");
    assert_string_equal(in.answers[0].id, "7");
    assert_int_equal(in.answers[0].n_gen, 3);
    assert_null(in.answers[1].id);
    assert_int_equal(in.answers[1].sample, 2);
    assert_int_equal(in.answers[1].finish, PIPE_FINISH_LENGTH);
    assert_int_equal(in.answers[1].at, 3);
    pipe_import_deinit(&in);
}

/* ---- records as others write them ---- */

/* One JSON list, indented or on one line, is as good as lines, whatever ends these. */
static void lists_and_lines_are_read_alike(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"id\":\"a\",\"output\":\"1\"}\n{\"id\":\"b\",\"output\":\"2\"}\n",
        "{\"id\":\"a\",\"output\":\"1\"}\r\n\r\n{\"id\":\"b\",\"output\":\"2\"}",
        "{\"id\":\"a\",\"output\":\"1\"}\r{\"id\":\"b\",\"output\":\"2\"}\r",
        "\xef\xbb\xbf{\"id\":\"a\",\"output\":\"1\"}\n{\"id\":\"b\",\"output\":\"2\"}",
        "[{\"id\":\"a\",\"output\":\"1\"},{\"id\":\"b\",\"output\":\"2\"}]\n",
        ("\n[\n {\n  \"id\": \"a\",\n  \"output\": \"1\"\n },\n {\n  \"id\": \"b\",\n"
         "  \"output\": \"2\"\n }\n]"),
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        struct rt_ctx ctx;
        struct pipe_import in;
        if (parse(&ctx, texts[i], strlen(texts[i]), &in) != RT_OK)
            fail_msg("text %zu: %s", i, ctx.message);
        assert_int_equal(in.kind, PIPE_IMPORT_JSONL);
        assert_int_equal(in.count, 2);
        assert_string_equal(answer_of(&in, "a", 0)->output, "1");
        assert_string_equal(answer_of(&in, "b", 0)->output, "2");
        pipe_import_deinit(&in);
    }
}

/* Python's NaN, Infinity and long numbers stop nothing where nobody reads them. */
static void odd_numbers_that_nobody_needs_stop_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"id\":\"a\",\"output\":\"1\",\"score\":NaN,\"seed\":1180591620717411303424}",
        "[{\"id\":\"a\",\"output\":\"1\",\"x\":[-Infinity,1e999,{\"y\":Infinity}]}]",
        "{\"doc_id\":0,\"doc\":{\"id\":\"a\",\"n\":10000000000000000000000000},"
        "\"resps\":[[\"1\"]],\"exact_match\":NaN,\"filter\":\"none\"}",
        "{\n\"eval\":{\"config\":{\"seed\":18446744073709551616}},\n\"results\":[NaN],"
        "\"samples\":[{\"id\":\"a\",\"output\":{\"completion\":\"1\"},\"scores\":"
        "{\"m\":{\"value\":-Infinity}}}]}",
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        struct rt_ctx ctx;
        struct pipe_import in;
        if (parse(&ctx, texts[i], strlen(texts[i]), &in) != RT_OK)
            fail_msg("text %zu: %s", i, ctx.message);
        assert_int_equal(in.count, 1);
        assert_string_equal(answer_of(&in, "a", 0)->output, "1");
        pipe_import_deinit(&in);
    }
}

/* Where one is needed: digits are a text, NaN is none and is named. */
static void odd_numbers_that_are_needed_are_texts_or_named(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct pipe_import in;
    static const char digits[] = "{\"id\":36893488147419103232,\"output\":"
                                 "-100000000000000000000000}";
    assert_int_equal(parse(&ctx, digits, sizeof digits - 1, &in), RT_OK);
    assert_string_equal(in.answers[0].id, "36893488147419103232");
    assert_string_equal(in.answers[0].output, "-100000000000000000000000");
    pipe_import_deinit(&in);
    static const struct {
        const char *text, *part, *more;
    } bad[] = {
        { "{\"id\":\"a\",\"output\":NaN}", "line 1: 'output' is NaN",
          "a text is needed" },
        { "[{\"id\":\"a\",\"output\":1e999}]", "item 1: 'output' is 1e999", "x.jsonl" },
        { "{\"id\":-Infinity,\"output\":\"1\"}", "'id' is -Infinity", "line 1" },
        { "{\"question\":NaN,\"output\":\"1\"}", "'question' is NaN", "line 1" },
        { "{\"id\":\"a\",\"output\":\"1\",\"sample\":NaN}", "'sample' is no whole",
          "line 1" },
        { "{\"doc\":{\"id\":1},\"resps\":[[NaN]]}", "'resps' is a number", "line 1" },
        { "{\n\"eval\":{},\"samples\":[{\"id\":1,\"epoch\":NaN}]}", "'epoch'",
          "sample 1" },
        { "{\n\"eval\":{},\"samples\":[{\"id\":1,\"output\":{\"completion\":NaN}}]}",
          "'completion' is NaN", "sample 1" },
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        test_refused(&ctx, parse(&ctx, bad[i].text, strlen(bad[i].text), &in),
                     RT_ERR_INPUT, bad[i].part, bad[i].more, NULL);
}

#define DOC(id, answer, filter)                                                          \
    "{\"doc_id\":" id ",\"doc\":{\"id\":\"" id "\"},\"resps\":[[" answer "]]" filter "}" \
    "\n"

/* The harness writes a document once per filter; before 0.4.3 without the filter's name. */
static void an_answer_per_filter_is_one_answer(void **state)
{
    (void)state;
    static const struct {
        const char *text, *filter;
        uint32_t count;
    } rows[] = {
        { DOC("0", "\"a\"", "") DOC("1", "\"b\"", "") DOC("0", "\"a\"", "")
              DOC("1", "\"b\"", ""),
          NULL, 2 },
        { DOC("0", "\"a\",\"c\"", "") DOC("0", "\"a\",\"c\"", ""), NULL, 2 },
        { DOC("0", "\"a\"", ",\"filter\":\"strict\"")
              DOC("0", "\"a\"", ",\"filter\":\"flexible\"")
                  DOC("1", "\"b\"", ",\"filter\":\"strict\"")
                      DOC("1", "\"b\"", ",\"filter\":\"flexible\""),
          "strict", 2 },
    };
    struct rt_ctx ctx;
    struct pipe_import in;
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        if (parse(&ctx, rows[i].text, strlen(rows[i].text), &in) != RT_OK)
            fail_msg("text %zu: %s", i, ctx.message);
        assert_int_equal(in.count, rows[i].count);
        assert_string_equal(in.filter ? in.filter : "-",
                            rows[i].filter ? rows[i].filter : "-");
        pipe_import_deinit(&in);
    }
    static const char other[] = DOC("0", "\"a\"", "") DOC("0", "\"b\"", "");
    test_refused(&ctx, parse(&ctx, other, sizeof other - 1, &in), RT_ERR_INPUT,
                 "is there twice", NULL);
    ctx = (struct rt_ctx){ 0 };
    test_refused(&ctx,
                 pipe_import_parse(&ctx, "x", rows[2].text, strlen(rows[2].text),
                                   PIPE_IMPORT_AUTO, "majority", &in),
                 RT_ERR_INPUT, "no answer of the filter majority",
                 "its filters are: strict, flexible", NULL);
}

#define STRICT ",\"filter\":\"strict\""
#define FLEX ",\"filter\":\"flex\""

/* A document that only another filter has is lost only where the user chose the filter. */
static void filters_have_the_same_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text, *filter;
        uint32_t count, left_out; /* count 0: refused */
        const char *part, *more;
    } rows[] = {
        { DOC("0", "\"a\"", STRICT) DOC("1", "\"b\"", FLEX), NULL, 0, 0,
          "the filter 'strict' lacks 1 of the documents, such as '1' (line 2, filter "
          "'flex')",
          "--filter NAME" },
        { DOC("0", "\"a\"", STRICT) DOC("1", "\"b\"", FLEX) DOC("0", "\"a\"", FLEX)
              DOC("2", "\"b\"", FLEX),
          NULL, 0, 0, "lacks 2 of the documents", "strict, flex" },
        { DOC("0", "\"a\"", STRICT) DOC("1", "\"b\"", FLEX), "strict", 1, 1, NULL, NULL },
        { DOC("0", "\"a\"", STRICT) DOC("1", "\"b\"", FLEX), "flex", 1, 1, NULL, NULL },
        { DOC("0", "\"a\"", STRICT) DOC("1", "\"b\"", STRICT) DOC("1", "\"b\"", FLEX),
          NULL, 2, 0, NULL, NULL },
        { DOC("0", "\"a\"", STRICT) DOC("0", "\"b\"", FLEX), NULL, 0, 0,
          "'0' has other answers under the filter 'flex' (line 2) than under 'strict' "
          "(line 1)",
          "two runs" },
        { DOC("0", "\"a\"", STRICT) DOC("0", "\"a\",\"a\"", FLEX), "flex", 0, 0,
          "'0' has other answers under the filter 'strict' (line 1) than under 'flex'",
          "two runs" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_import in;
        const rt_status st =
            pipe_import_parse(&ctx, "x.jsonl", rows[i].text, strlen(rows[i].text),
                              PIPE_IMPORT_AUTO, rows[i].filter, &in);
        if (!rows[i].count) {
            test_refused(&ctx, st, RT_ERR_INPUT, rows[i].part, rows[i].more, NULL);
            continue;
        }
        if (st != RT_OK)
            fail_msg("text %zu: %s", i, ctx.message);
        assert_int_equal(in.count, rows[i].count);
        assert_int_equal(in.left_out, rows[i].left_out);
        pipe_import_deinit(&in);
    }
}

/* What Inspect calls the text of a message: its text parts with line ends between. */
static void parts_of_a_message_are_one_text(void **state)
{
    (void)state;
    static const struct {
        const char *sample, *question, *output;
    } rows[] = {
        { "\"input\":\"q\",\"output\":{\"choices\":[{\"message\":{\"content\":["
          "{\"type\":\"reasoning\",\"reasoning\":\"r\",\"text\":\"no\"},"
          "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}}]}",
          "q", "a\nb" },
        { "\"input\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
          "\"content\":[{\"type\":\"text\",\"text\":\"attachment://1\"},"
          "{\"type\":\"image\",\"image\":\"x\"},{\"type\":\"text\",\"text\":\"?\"}]}],"
          "\"attachments\":{\"1\":\"long\",\"2\":\"c\"},\"output\":{\"completion\":\"\","
          "\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":"
          "\"attachment://2\"},{\"type\":\"text\",\"text\":\"d\"}]}}]}",
          "long\n?", "c\nd" },
        { "\"input\":\"q\",\"output\":{\"completion\":\"whole\",\"choices\":[{"
          "\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}]}",
          "q", "whole" },
        { "\"input\":\"q\",\"output\":{\"choices\":[{\"message\":{\"content\":["
          "{\"type\":\"reasoning\",\"reasoning\":\"r\"}]}}]}",
          "q", "" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx;
        struct pipe_import in;
        char text[1024];
        const int n =
            snprintf(text, sizeof text, "{\n\"eval\":{},\"samples\":[{\"id\":\"a\",%s}]}",
                     rows[i].sample);
        if (parse(&ctx, text, (size_t)n, &in) != RT_OK)
            fail_msg("sample %zu: %s", i, ctx.message);
        assert_string_equal(in.answers[0].question, rows[i].question);
        assert_string_equal(in.answers[0].output, rows[i].output);
        pipe_import_deinit(&in);
    }
}

static void damaged_files_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part, *more;
    } rows[] = {
        { "", "holds no answer", "x.jsonl" },
        { "\n \n", "holds no answer", "x.jsonl" },
        { "{\"id\":\"a\",\"output\":\"1\"}\n{\"id\":\"b\",", "line 2, column",
          "not JSON" },
        { "{\"id\":\"a\",\"output\":\"1\"}\n[1]\n", "line 2", "not a JSON object" },
        { "{\"id\":\"a\"}\n", "line 1", "'output' is missing" },
        { "{\"output\":\"1\"}\n", "line 1", "neither 'id' nor 'question'" },
        { "{\"id\":\"a\",\"output\":\"1\",\"sample\":-1}\n", "line 1", "'sample'" },
        { "{\"id\":\"a\",\"output\":\"1\",\"n_gen\":-1}\n", "line 1", "'n_gen'" },
        { "{\"id\":\"a\",\"output\":\"1\",\"n_gen\":\"9\"}\n", "line 1", "'n_gen'" },
        { "{\"id\":\"a\",\"output\":\"1\"}\n{\"id\":\"a\",\"output\":\"2\"}\n", "twice",
          "1 and 2" },
        { "{\"id\":\"a\",\"output\":\"\xff\"}\n", "line 1, column 21", "not UTF-8" },
        { "{\"doc\":{\"id\":0},\"resps\":[[[\"a\",true]]],\"filter\":\"none\"}\n",
          "line 1", "no text" },
        { "{\"doc_id\":0,\"doc\":{},\"resps\":[],\"filter\":\"none\"}\n", "line 1",
          "generating tasks" },
        { "{\"doc_id\":0,\"doc\":{},\"resps\":[[\"a\"]]}\n", "line 1", "neither 'id'" },
        { "{\n\"version\":2,\n\"samples\":[]}", "no object 'eval'", "x.jsonl" },
        { "{\n\"eval\":{}\n}", "no list 'samples'", "x.jsonl" },
        { "{\n\"eval\":{},\n\"samples\":[]}", "holds no answer", "x.jsonl" },
        { "{\n\"eval\":{},\n\"samples\":[{\"id\":1,\"epoch\":0,\"input\":\"q\"}]}",
          "sample 1", "'epoch'" },
        { "{\n\"eval\":{},\n\"samples\":[{\"id\":1,\"input\":\"q\",\"output\":{}}]}",
          "sample 1", "no completion" },
        { "{\n\"eval\":{},\n\"samples\":[{\"id\":1", "line 3, column", "not JSON" },
        { "PK\3\4 and no archive at all", "not a zip archive", "x.jsonl" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx;
        struct pipe_import in;
        const rt_status st = parse(&ctx, rows[i].text, strlen(rows[i].text), &in);
        if (st == RT_OK)
            fail_msg("'%s' was taken", rows[i].text);
        test_refused(&ctx, st, RT_ERR_INPUT, rows[i].part, rows[i].more, NULL);
        assert_int_equal(in.count, 0);
    }
}

/* An archive cut short or with any byte changed is refused or gives whole answers. */
static void damaged_archives_never_give_half(void **state)
{
    (void)state;
    char path[1024];
    size_t size;
    char *bytes = test_file_read(
        test_path(path, sizeof path, "tests/golden/exchange/own_words.eval"), &size);
    uint32_t refused = 0;
    for (size_t at = 1; at < size; at += size / 97) {
        struct rt_ctx ctx;
        struct pipe_import in;
        const rt_status st = parse(&ctx, bytes, at, &in);
        assert_true(st == RT_ERR_INPUT && ctx.message[0] && in.count == 0);
        pipe_import_deinit(&in);
    }
    for (size_t at = 0; at < size; at += 31) {
        struct rt_ctx ctx;
        struct pipe_import in;
        bytes[at] = (char)(bytes[at] ^ 0x41);
        const rt_status st = parse(&ctx, bytes, size, &in);
        bytes[at] = (char)(bytes[at] ^ 0x41);
        assert_true(st == RT_OK || st == RT_ERR_INPUT);
        assert_true(st == RT_OK ? in.count > 0 : in.count == 0);
        refused += st != RT_OK;
        pipe_import_deinit(&in);
    }
    assert_true(refused > size / 31 / 4);
    free(bytes);
}

/* ---- there and back ---- */

static const char *const outputs[] = { "a, \"b\"\nc", "", "\xe2\x80\xa6 #### 3", "x" };

static void write_answers(const char *path, enum pipe_export_kind kind)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_export *e = NULL;
    const struct pipe_export_head head = { "m", "t:test", "sha256:1", 0, 1000, "0" };
    assert_int_equal(pipe_export_open(&ctx, path, kind, &head, &e), RT_OK);
    for (uint32_t i = 0; i < 4; i++) {
        const struct pipe_export_answer a = { .problem_id = i < 2 ? "own-0" : "own-3",
                                              .question = i < 2 ? "How?" : "Why, \"so\"?",
                                              .gold = "3",
                                              .output = outputs[i],
                                              .finish = i == 1 ? "length" : "stop",
                                              .sample = i % 2,
                                              .n_prompt = 9,
                                              .n_gen = i,
                                              .correct = i == 2,
                                              .extracted = i == 2 ? "3" : NULL };
        assert_int_equal(pipe_export_put(e, &a), RT_OK);
    }
    assert_int_equal(pipe_export_end(e), RT_OK);
    pipe_export_destroy(&e);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    for (int k = 0; k < PIPE_EXPORT_KIND_COUNT; k++) {
        const enum pipe_export_kind kind = (enum pipe_export_kind)k;
        struct rt_ctx ctx = { 0 };
        struct pipe_import in;
        const char *path = test_folder_file(&folder, pipe_export_kind_name(kind));
        assert_int_equal(pipe_export_kind_of(pipe_export_kind_name(kind)), kind);
        write_answers(path, kind);
        if (kind == PIPE_EXPORT_CSV)
            continue;
        if (pipe_import_read(&ctx, path, PIPE_IMPORT_AUTO, NULL, &in) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(in.count, 4);
        for (uint32_t i = 0; i < 4; i++) {
            const struct pipe_import_answer *a =
                answer_of(&in, i < 2 ? "own-0" : "own-3", i % 2);
            assert_string_equal(a->output, outputs[i]);
            assert_string_equal(a->question, i < 2 ? "How?" : "Why, \"so\"?");
            /* The harness does not say why an answer ended. */
            if (kind != PIPE_EXPORT_LM_EVAL)
                assert_int_equal(a->finish,
                                 i == 1 ? PIPE_FINISH_LENGTH : PIPE_FINISH_STOP);
        }
        pipe_import_deinit(&in);
    }
    size_t size;
    char *csv = test_file_read(test_folder_file(&folder, "csv"), &size);
    assert_non_null(strstr(csv, "own-0,0,How?,3,\"a, \"\"b\"\"\nc\",stop,,0,,m,0\n"));
    free(csv);
}

static void a_file_that_is_not_finished_is_removed(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_export *e = NULL;
    const struct pipe_export_head head = { "m", "t", "r", 0, 0, "0" };
    const char *path = test_folder_file(&folder, "half.jsonl");
    assert_int_equal(pipe_export_open(&ctx, path, PIPE_EXPORT_JSONL, &head, &e), RT_OK);
    pipe_export_destroy(&e);
    assert_null(fopen(path, "r"));
    test_refused(&ctx,
                 pipe_export_open(&ctx, "/nonexistent/x", PIPE_EXPORT_CSV, &head, &e),
                 RT_ERR_IO, "/nonexistent/x", "cannot be written", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harness_samples_are_read),
        cmocka_unit_test(inspect_logs_are_read_in_both_forms),
        cmocka_unit_test(own_lines_are_read),
        cmocka_unit_test(lists_and_lines_are_read_alike),
        cmocka_unit_test(odd_numbers_that_nobody_needs_stop_nothing),
        cmocka_unit_test(odd_numbers_that_are_needed_are_texts_or_named),
        cmocka_unit_test(an_answer_per_filter_is_one_answer),
        cmocka_unit_test(filters_have_the_same_documents),
        cmocka_unit_test(parts_of_a_message_are_one_text),
        cmocka_unit_test(damaged_files_are_refused_with_the_place),
        cmocka_unit_test(damaged_archives_never_give_half),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_file_that_is_not_finished_is_removed),
    };
    return cmocka_run_group_tests_name("import and export", tests, set_up, tear_down);
}
