/* Answers of other programs: real files of lm-evaluation-harness and Inspect (as JSON and
 * as an archive) and lines of one's own; what is damaged is refused with the place; every
 * format that is written is read back as the same answers. */
#include "pipeline/exchange/export.h"
#include "pipeline/exchange/import_match.h"
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

static void read_problems(struct pipe_problem_set *set)
{
    struct rt_ctx ctx = { 0 };
    char path[1024];
    test_path(path, sizeof path, "tests/golden/exchange/problems.jsonl");
    assert_int_equal(pipe_problems_read(&ctx, path, set), RT_OK);
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

/* ---- which problem ---- */

static void answers_find_their_problems(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct pipe_import in;
    struct pipe_problem_set set;
    uint32_t places[4];
    read_problems(&set);
    static const char good[] =
        "{\"question\":\"leo had 31 cards; and gave away 12 - how many are "
        "LEFT\",\"output\":\"1\"}\n"
        "{\"id\":\"own-0\",\"output\":\"1\"}\n"
        "{\"id\":\"own/test/own-3\",\"output\":\"1\"}\n"
        "{\"id\":\"own-1\",\"question\":\"Think. A rope of 20 m is cut into 5 equal "
        "pieces. How long is a piece, in m? Now!\",\"output\":\"1\"}\n";
    assert_int_equal(parse(&ctx, good, sizeof good - 1, &in), RT_OK);
    assert_int_equal(pipe_import_match(&ctx, "x", &in, &set, places), RT_OK);
    assert_int_equal(places[0], 2);
    assert_int_equal(places[1], 0);
    assert_int_equal(places[2], 3);
    assert_int_equal(places[3], 1);
    pipe_import_deinit(&in);
    static const struct {
        const char *text, *part;
    } bad[] = {
        { "{\"id\":\"own-9\",\"output\":\"1\"}\n", "1 of 1 answers are to no problem" },
        { "{\"id\":\"own-1\",\"question\":\"Another rope?\",\"output\":\"1\"}\n",
          "first to 'own-1'" },
        { "{\"id\":\"own-1\",\"output\":\"1\"}\n{\"id\":\"x/own-1\",\"output\":\"1\"}\n",
          "two answers of sample 0 to 'own-1', numbers 1 and 2" },
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        assert_int_equal(parse(&ctx, bad[i].text, strlen(bad[i].text), &in), RT_OK);
        test_refused(&ctx, pipe_import_match(&ctx, "x", &in, &set, places), RT_ERR_INPUT,
                     bad[i].part, NULL);
        pipe_import_deinit(&in);
    }
    pipe_problems_deinit(&set);
}

/* Where `doc` has no field that is known as the question, the prompt decides; the place in
 * the task's list alone never does: another list has a document 0 as well. */
static void the_place_in_a_task_names_no_problem(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        bool known;
    } rows[] = {
        { "{\"gen_args_0\":{\"arg_0\":\"Q: What is 1+1?\\nA: 2\\nQ: Leo had 7 cards. How "
          "many?\\nA:\"}}",
          true },
        { "[[\"Q: Leo had 7 cards. How many?\\nA:\",{}]]", true },
        { "{\"gen_args_0\":{\"arg_0\":\"Q: What is 1+1?\\nA:\"}}", false },
    };
    struct pipe_problem leo = { .id = "set/0",
                                .question = "Leo had 7 cards. How many?",
                                .answer = "7" };
    const struct pipe_problem_set set = { .items = &leo, .count = 1, .name = "set" };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx;
        struct pipe_import in;
        char line[512];
        uint32_t place = 9;
        const int n =
            snprintf(line, sizeof line,
                     "{\"doc_id\":0,\"doc\":{\"story\":\"Leo\"},\"arguments\":%s,"
                     "\"resps\":[[\"7\"]]}\n",
                     rows[i].arguments);
        assert_int_equal(parse(&ctx, line, (size_t)n, &in), RT_OK);
        const rt_status st = pipe_import_match(&ctx, "x", &in, &set, &place);
        if (rows[i].known) {
            assert_int_equal(st, RT_OK);
            assert_int_equal(place, 0);
        } else {
            test_refused(&ctx, st, RT_ERR_INPUT, "to no problem of 'set'", NULL);
        }
        pipe_import_deinit(&in);
    }
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
        cmocka_unit_test(damaged_files_are_refused_with_the_place),
        cmocka_unit_test(damaged_archives_never_give_half),
        cmocka_unit_test(answers_find_their_problems),
        cmocka_unit_test(the_place_in_a_task_names_no_problem),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_file_that_is_not_finished_is_removed),
    };
    return cmocka_run_group_tests_name("import and export", tests, set_up, tear_down);
}
