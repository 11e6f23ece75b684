/* review as reviewers use it: blind questions out, votes in, majority and ties, agreement, and
 * votes that do not fit; and as a person walks through it in the terminal. The answers are imported, so no model runs. Also: what is no format of
 * labelled solutions. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FAULTS = 4, LINE = 200 };

static struct test_place place;
/* Of the located answers, in the order of the questions: two name step 0, two name none. */
static char faults[FAULTS][LINE];

static const char *words_of(const struct test_program *p)
{
    return p->err;
}

/* Runs well; *err gets what people are told. */
static void run_well(const char *args, char **out, char **err)
{
    struct test_program p;
    test_expect_success(&place, args, &p);
    if (out)
        *out = strdup(p.out);
    if (err)
        *err = strdup(words_of(&p));
    test_program_deinit(&p);
}

/* Imports eight answers, four of them wrong, and locates. */
static void fill(void)
{
    test_place_renew(&place.run);
    test_folder_fill(&place.run, "tests/golden/exchange");
    run_well("import own_words.eval --role quant --bench problems.jsonl --format "
             "gsm8k-8shot-cot --store results.db",
             NULL, NULL);
    run_well("locate --run mockllm/model --store results.db", NULL, NULL);
}

static void take_faults(const char *lines)
{
    for (int i = 0; i < FAULTS; i++) {
        json_t *q = json_loads(lines, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(q);
        snprintf(faults[i], LINE, "%s", json_string_value(json_object_get(q, "fault")));
        json_decref(q);
        lines = strchr(lines, '\n') + 1;
    }
    assert_string_equal(lines, "");
}

static void write_text(const char *text)
{
    FILE *f = fopen(test_folder_file(&place.run, "votes.jsonl"), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* One line per reviewer and fault: 'a'.. are reviewers, a digit is a step, '-' none is wrong, '?'
 * abstains, ' ' says nothing. votes[i] are those on fault i. */
static void write_votes(const char *const votes[FAULTS])
{
    char text[40 * LINE] = "";
    size_t n = 0;
    for (int i = 0; i < FAULTS; i++)
        for (int j = 0; votes[i][j]; j++) {
            const char step[] = { votes[i][j], '\0' };
            if (step[0] != ' ')
                n += (size_t)snprintf(text + n, sizeof text - n,
                                      "{\"fault\":\"%s\",\"judge\":\"%c\",\"step\":%s}\n",
                                      faults[i], 'a' + j,
                                      step[0] == '-'   ? "-1"
                                      : step[0] == '?' ? "null"
                                                       : step);
        }
    write_text(text);
}

static void expect_reviews(const char *const wanted[FAULTS])
{
    char *out;
    run_well("review --store results.db", &out, NULL);
    take_faults(out);
    free(out);
    for (int i = 0; i < FAULTS; i++) {
        char sql[400], command[700];
        snprintf(sql, sizeof sql, "SELECT review FROM fault WHERE fault_id='%.150s'",
                 faults[i]);
        snprintf(command, sizeof command, "test \"$(sqlite3 '%s' \"%s\")\" = %s",
                 test_folder_file(&place.run, "results.db"), sql, wanted[i]);
        if (system(command) != 0)
            fail_msg("fault %d is not '%s'", i, wanted[i]);
    }
}

static void judges_see_no_verdict(void **state)
{
    (void)state;
    char *out;
    fill();
    run_well("review --blind --store results.db", &out, NULL);
    take_faults(out);
    assert_non_null(strstr(out, "\"steps\":[\"20/5=5\",\"ANSWER: 5\"]"));
    assert_null(strstr(out, "\"step\":"));
    assert_null(strstr(out, "confidence"));
    assert_null(strstr(out, "category"));
    free(out);
    run_well("review --store results.db", &out, NULL);
    assert_non_null(strstr(out, "\"step\":0,\"category\":\"execution/computation\""));
    assert_non_null(strstr(out, "\"step\":null"));
    free(out);
}

/* Two against two is a tie in whatever order they vote; abstentions do not count. */
static void the_majority_decides_and_a_tie_does_not(void **state)
{
    (void)state;
    static const char *const votes[FAULTS] = { "00-", "-1-?", "--", "0" };
    static const char *const wanted[FAULTS] = { "confirmed", "rejected", "confirmed",
                                                "rejected" };
    static const char *const ties[] = { "0011", "0110", "0101", "0-" };
    char *err;
    fill();
    expect_reviews((const char *const[]){ "auto", "auto", "auto", "auto" });
    for (size_t i = 0; i < RT_COUNT(ties); i++) {
        fill(); /* a vote is a row: the next ones count beside it */
        write_votes((const char *const[]){ ties[i], ties[i], "", "" });
        run_well("review votes.jsonl --store results.db", NULL, &err);
        if (!strstr(err, "0 decided, 2 tied; 0 verdicts confirmed, 0 rejected"))
            fail_msg("votes %s: %s", ties[i], err);
        free(err);
    }
    expect_reviews((const char *const[]){ "auto", "auto", "auto", "auto" });
    fill();
    write_votes(votes);
    run_well("review votes.jsonl --store results.db", NULL, &err);
    assert_non_null(strstr(err, "4 faults, 4 reviewers: 4 decided, 0 tied; 2 verdicts "
                                "confirmed, 2 rejected"));
    free(err);
    expect_reviews(wanted);
}

/* Two reviewers on four faults, 3 alike: observed 3/4; a says 0,0,-1,-1 and b 0,-1,-1,-1, so by
 * chance 2/4 * 1/4 + 2/4 * 3/4 = 1/2, and kappa is 1/2. */
static void agreement_is_kappa(void **state)
{
    (void)state;
    static const char *const votes[FAULTS] = { "00", "0-", "--", "--" };
    char *err;
    fill();
    write_votes(votes);
    run_well("review votes.jsonl --store results.db", NULL, &err);
    assert_non_null(strstr(err, "agreement of the reviewers: kappa 0.500"));
    assert_non_null(strstr(err, "of the majority with the verdict: kappa 1.000"));
    free(err);
}

/* ---- in the terminal ---- */

#define TERMINAL "review --terminal --judge anna --store results.db"

/* What the terminal shows for these keys. */
static char *walk(const char *args, const char *keys, const char *said)
{
    struct test_program p;
    test_place_run(&place, args, &(struct test_run){ .input = keys }, &p);
    if (p.code != 0 || !strstr(p.err, said))
        fail_msg("'%s' for '%s' ended with %d: %s", args, keys, p.code, p.err);
    char *out = strdup(p.out);
    test_program_deinit(&p);
    return out;
}

static bool store_says(const char *sql, const char *wanted)
{
    char command[900];
    snprintf(command, sizeof command, "test \"$(sqlite3 '%s' \"%s\")\" = '%s'",
             test_folder_file(&place.run, "results.db"), sql, wanted);
    return system(command) == 0;
}

static void expect_votes(const char *wanted)
{
    if (!store_says("SELECT coalesce(group_concat(author||note,' '),'') FROM (SELECT "
                    "a.* FROM annotation a JOIN fault f ON f.fault_id=a.target_id JOIN "
                    "generation g USING(gen_id) WHERE tag='vote' ORDER BY g.problem_id, "
                    "g.gen_id, author)",
                    wanted))
        fail_msg("the stored votes are not '%s'", wanted);
}

static void expect_shown(const char *out, const char *words, bool wanted)
{
    if ((strstr(out, words) != NULL) != wanted)
        fail_msg("'%s' is %sshown:\n%s", words, wanted ? "not " : "", out);
}

static void a_person_walks_through_the_faults(void **state)
{
    (void)state;
    static const char *const first[] = { "rejected", "rejected", "auto", "auto" };
    static const char *const all[] = { "rejected", "rejected", "auto", "rejected" };
    char *err;
    fill();
    char *out = walk(TERMINAL, "2\nx\n9\n\nv\nn\nu\n0\ns\nq\n3\n",
                     "1 reviewers: 2 decided, 0 tied; 0 verdicts confirmed, 2 rejected");
    expect_shown(out, "fault 1 of 4", true);
    expect_shown(out, "   1  20/5=5\n   2  ANSWER: 5\n", true);
    expect_shown(out, "that is no key and no step of this answer", true);
    expect_shown(out, "verdict: step 1, execution/computation", true);
    expect_shown(out, "fault 4 of 4", true);
    free(out);
    expect_votes("anna1 anna-1 annaabstains");
    expect_reviews(first);

    /* Continues with the open fault; the end of the input ends it as q does. */
    out = walk(TERMINAL, "1", "votes in this session: 1; open: 0 of 4 faults");
    expect_shown(out, "fault 3 of 4", false);
    expect_shown(out, "fault 4 of 4", true);
    expect_shown(out, "verdict:", false);
    free(out);
    expect_votes("anna1 anna-1 annaabstains anna0");
    expect_reviews(all);
    out = walk(TERMINAL, "1\n", "open: 0 of 4 faults");
    expect_shown(out, "fault", false);
    free(out);

    /* Another judge's votes of a file count beside them, and agree in 2 of 3. */
    run_well("review --store results.db", &out, NULL);
    take_faults(out);
    free(out);
    write_votes((const char *const[]){ "1", "-", "0", "-" });
    run_well("review votes.jsonl --store results.db", NULL, &err);
    expect_shown(err, "4 faults, 2 reviewers: 3 decided, 1 tied", true);
    expect_shown(err, "agreement of the reviewers: kappa 0.500", true);
    free(err);
}

static void a_vote_can_be_taken_back(void **state)
{
    (void)state;
    fill();
    free(walk(TERMINAL, "n\nu\nu\n", "votes in this session: 0; open: 4 of 4 faults"));
    expect_votes("");
    expect_reviews((const char *const[]){ "auto", "auto", "auto", "auto" });
    if (!store_says("SELECT count(*) FROM fault WHERE locator='vote'", "0"))
        fail_msg("a majority of no votes is stored");
    char *out = walk(TERMINAL " --blind", "v\n", "open: 4 of 4 faults");
    expect_shown(out, "the verdict stays hidden", true);
    expect_shown(out, "confidence", false);
    free(out);
}

/* Starts anna's walk, which reads keys from the pipe that is returned, and waits until it asks. */
static FILE *start_walk(void)
{
    char line[TEST_LINE_MAX];
    const char *folder = getenv("FAULTLINE_BUILD");
    int patience = 500;
    snprintf(line, sizeof line, "cd '%s' && exec '%s/faultline' " TERMINAL " >shown 2>&1",
             place.run.path, folder ? folder : TEST_BUILD_DIR);
    FILE *keys = popen(line, "w");
    assert_non_null(keys);
    snprintf(line, sizeof line, "grep -q 'first wrong step' '%s' 2>/dev/null",
             test_folder_file(&place.run, "shown"));
    while (system(line) != 0 && patience-- > 0)
        nanosleep(&(struct timespec){ 0, 20000000L }, NULL);
    assert_true(patience > 0);
    return keys;
}

static void press(FILE *keys, const char *key)
{
    assert_true(fputs(key, keys) >= 0);
    assert_int_equal(fflush(keys), 0);
}

/* The row is there while the program waits for the next key. */
static void a_vote_is_stored_at_once(void **state)
{
    (void)state;
    const struct timespec pause = { 0, 20000000L };
    int patience = 500;
    fill();
    FILE *keys = start_walk();
    press(keys, "n\n");
    while (!store_says("SELECT note FROM annotation", "-1") && patience-- > 0)
        nanosleep(&pause, NULL);
    assert_true(patience > 0);
    assert_int_equal(pclose(keys), 0);
}

/* What bob says while anna's walk is open counts when she votes: here it is a tie. */
static void votes_of_two_walks_at_once_count(void **state)
{
    (void)state;
    fill();
    FILE *keys = start_walk();
    free(walk("review --terminal --judge bob --store results.db", "2\n", "open: 3 of 4"));
    expect_reviews((const char *const[]){ "rejected", "auto", "auto", "auto" });
    press(keys, "n\n");
    assert_int_equal(pclose(keys), 0);
    expect_votes("anna-1 bob1");
    expect_reviews((const char *const[]){ "auto", "auto", "auto", "auto" });
}

/* Two people work on copies of a file: merged, each vote is there, and of one judge's two
 * votes on a fault the newer. */
static void votes_of_two_files_merge(void **state)
{
    (void)state;
    char command[200];
    fill();
    snprintf(command, sizeof command, "cd '%s' && cp results.db other.db",
             place.run.path);
    assert_int_equal(system(command), 0);
    free(walk(TERMINAL, "n\ns\n", "open: 2 of 4 faults"));
    free(walk("review --terminal --judge anna --store other.db", "2\n", "open: 3 of 4"));
    free(walk("review --terminal --judge bob --store other.db", "1\n", "open: 3 of 4"));
    run_well("store merge other.db --store results.db", NULL, NULL);
    expect_votes("anna1 bob0 annaabstains");
    run_well("store merge other.db --store results.db", NULL, NULL);
    expect_votes("anna1 bob0 annaabstains");
}

static void terminal_options_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "review --terminal --store results.db", "--judge NAME" },
        { "review --terminal --judge anna votes.jsonl --store results.db", "not both" },
        { "review --judge anna --store results.db", "--judge is of review --terminal" },
    };
    fill();
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct test_program p;
        test_place_run(&place, rows[i][0], &(struct test_run){ 0 }, &p);
        test_expect_refusal(rows[i][0], &p, 2, rows[i][1]);
        test_program_deinit(&p);
    }
}

static void votes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    char *out, text[3 * LINE];
    static const struct {
        const char *format; /* of one line with fault 0 */
        const char *words;
    } rows[] = {
        { "{\"fault\":\"sha256:no\",\"judge\":\"a\",\"step\":0}\n",
          "votes.jsonl' line 1|the locate run has no fault 'sha256:no'" },
        { "{\"fault\":\"%s\",\"judge\":\"a\",\"step\":2}\n",
          "the answer has steps 0 to 1" },
        { "{\"fault\":\"%s\",\"judge\":\"a\"}\n", "fault and judge (texts) and step" },
        { "{\"fault\":\"%s\",\"judge\":\"a\",\"step\":0}\n"
          "{\"fault\":\"%s\",\"judge\":\"a\",\"step\":1}\n",
          "line 2|this judge has voted on this fault before" },
        { "{\"fault\":\n", "line 1" },
    };
    fill();
    run_well("review --store results.db", &out, NULL);
    take_faults(out);
    free(out);
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct test_program p;
        const char *hole = strstr(rows[i].format, "%s");
        size_t n = 0;
        for (const char *at = rows[i].format; *at; hole = strstr(at, "%s")) {
            const size_t take = hole ? (size_t)(hole - at) : strlen(at);
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s%s", (int)take, at,
                                  hole ? faults[0] : "");
            at += take + (hole ? 2 : 0);
        }
        write_text(text);
        test_place_run(&place, "review votes.jsonl --store results.db",
                       &(struct test_run){ 0 }, &p);
        test_expect_refusal(rows[i].words, &p, 4, rows[i].words);
        test_program_deinit(&p);
    }
    expect_reviews((const char *const[]){ "auto", "auto", "auto", "auto" });
}

static void a_store_without_verdicts_is_refused(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_folder_fill(&place.run, "tests/golden/exchange");
    run_well("import own_words.eval --role quant --bench problems.jsonl --format "
             "gsm8k-8shot-cot --store results.db",
             NULL, NULL);
    test_place_run(&place, "review --store results.db", &(struct test_run){ 0 }, &p);
    test_expect_refusal("no locate run", &p, 2, "no locate run|faultline locate");
    test_program_deinit(&p);
}

/* Before anything is read or printed, whether the files are there or not. */
static void an_unknown_format_is_a_usage_error(void **state)
{
    (void)state;
    static const char *const rows[] = { "locate --score nonsense votes.jsonl",
                                        "locate --score nonsense nowhere.jsonl",
                                        "locate --score nonsense",
                                        "locate --inject nonsense nowhere.jsonl" };
    test_place_renew(&place.run);
    write_text("{}\n");
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct test_program p;
        test_place_run(&place, rows[i], &(struct test_run){ 0 }, &p);
        test_expect_refusal(rows[i], &p, 2,
                            "'nonsense'|processbench, bigbench-mistake, mr-ben, "
                            "prmbench, prmbench-original, gsm8k");
        test_program_deinit(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_see_no_verdict),
        cmocka_unit_test(the_majority_decides_and_a_tie_does_not),
        cmocka_unit_test(agreement_is_kappa),
        cmocka_unit_test(a_person_walks_through_the_faults),
        cmocka_unit_test(a_vote_can_be_taken_back),
        cmocka_unit_test(a_vote_is_stored_at_once),
        cmocka_unit_test(votes_of_two_walks_at_once_count),
        cmocka_unit_test(votes_of_two_files_merge),
        cmocka_unit_test(terminal_options_that_do_not_fit_are_refused),
        cmocka_unit_test(votes_that_do_not_fit_are_refused),
        cmocka_unit_test(a_store_without_verdicts_is_refused),
        cmocka_unit_test(an_unknown_format_is_a_usage_error),
    };
    return test_place_group("review", &place, tests, RT_COUNT(tests));
}
