/* The program as a user runs it: small plans of the whole loop, in the demo's format and in a
 * chat's, killed on the way and run again, give the same rows and models as unbroken ones,
 * within the memory that is promised; bad input gives the documented exit codes.
 * FAULTLINE_KILLS: how many kills (default 3, of the chat 20), FAULTLINE_TEST_SEED: their
 * moments. */
#include "runtime/base/rt.h"
#include "tests/support/demo2.h"
#include "tests/support/loop.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* Of the whole demo; this plan is a part of it. AddressSanitizer keeps what was freed. */
#ifdef __SANITIZE_ADDRESS__
enum { PEAK_KIB_MAX = INT_MAX };
#else
enum { PEAK_KIB_MAX = 400 * 1024 };
#endif

/* The largest memory of any run so far. */
static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return usage.ru_maxrss;
}

static void plan_line(char *line, size_t size)
{
    snprintf(
        line, size,
        "demo --device llvmpipe --validation --tune off --progress none -q "
        "--mine '%s/pipeline/demo/mine.jsonl[0:96]' "
        "--validate '%s/pipeline/demo/validate.jsonl[0:8]' "
        "--measure '%s/pipeline/demo/measure.jsonl[0:32]' --items 12 --calib-items 16 "
        "--recipes refine,dpo,whole --nearest off --samples 2 --work work --store "
        "loop.db "
        "--out loop.html "
        "--retain '%s/docs/log/README.md,%s/pipeline/demo/validate.jsonl[8:16]' "
        ">loop.out 2>loop.err",
        TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR,
        TEST_SOURCE_DIR);
}

/* A repair and a control in a format of real models. */
#define CHAT                                                                         \
    "restore --device llvmpipe --tune off --progress none -q --format chat-steps "   \
    "--max-new 112 --full '" TEST_DEMO2 "' --mine '" TEST_DEMO2                      \
    "/mine.jsonl[0:32]' --validate '" TEST_DEMO2                                     \
    "/validate.jsonl[0:4]' --measure '" TEST_DEMO2                                   \
    "/measure.jsonl[0:16]' --calib '" TEST_DEMO2                                     \
    "/calibrate.jsonl' --calib-items 8 --select none --bits 2 --group 32 --asym "    \
    "--items 9 --epochs 2 --recipes refine,refine-random --nearest off --work work " \
    "--store loop.db --out loop.html >loop.out 2>loop.err"

/* The items i of a recipe, and of these what a model has answered. */
#define ITEMS(recipe)                                                                    \
    "SELECT count(*) FROM bullet_item i JOIN bullet_set d USING(dataset_id) JOIN run r " \
    "USING(run_id) WHERE i.excluded IS NULL AND json_extract(r.config, "                 \
    "'$.recipe')='" recipe "'"
#define SAID_BY(role, column)                                                         \
    " AND EXISTS(SELECT 1 FROM generation g JOIN run e USING(run_id) JOIN variant v " \
    "USING(variant_id) WHERE v.role='" role                                           \
    "' AND g.problem_id=i.problem_id AND g.output=i." column ")"

/* Tokens generated for answers, over all attempts. */
static double tokens_of(const char *db)
{
    return test_number_of(db, "SELECT sum(value) FROM metric WHERE name = 'tokens'");
}

/* Runs of each kind whose work is seen, and is over. */
static void expect_ended(const char *db)
{
    static const char worked[] =
        "SELECT count(DISTINCT kind) FROM run JOIN attempt USING(run_id) WHERE kind IN "
        "('eval', 'locate', 'train')";
    assert_true(test_number_of(db, worked) == 3);
    assert_true(
        test_number_of(db, "SELECT count(*) FROM attempt WHERE ended_ms IS NULL") == 0);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* ---- kills ---- */

/* Starts the plan and kills it after `ms`; false if it had ended before. */
static bool run_and_kill(const char *line, long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    const pid_t child = test_loop_start(line);
    int status;
    nanosleep(&pause, NULL);
    if (waitpid(child, &status, WNOHANG) == child)
        return false;
    kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    return true;
}

/* One store, killed at random moments, each at most `most_ms` after its start, until it is
 * done or `left` kills are used up, and then run to its end. The kills that hit. */
static int killed_run(const char *line, long most_ms, int left)
{
    int kills = 0;
    while (kills < left && run_and_kill(line, 50 + rand() % most_ms))
        kills++;
    if (test_loop_run(line) != 0) {
        test_loop_show_error();
        fail_msg("after %d kills the loop cannot go on", kills);
    }
    return kills;
}

/* The files of `work` that runs made: without checkpoints nothing else may be left. */
static void expect_same_files(const char *whole)
{
    char command[256];
    snprintf(command, sizeof command, "diff -rq '../%s/work' work >&2", whole);
    assert_int_equal(system(command), 0);
}

/* Which stages the kills hit, by kind of run. */
static void print_hits(void)
{
    char *hits = test_lines_of(
        "loop.db", "SELECT kind || ' ' || count(*) FROM attempt JOIN run USING(run_id) "
                   "WHERE attempt.exit_code=137 GROUP BY kind ORDER BY kind");
    for (char *at = hits; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
    printf("    runs that were under way: %s\n", hits);
    free(hits);
}

/* A plan, unbroken in the folder `name`, and `kills` kills of it in others, each at most a
 * `part`th of the whole time after its start. The test is then in the last one. */
static void expect_kills_unseen(const char *line, const char *name, long kills, long part)
{
    char folder[48];
    long done = 0;
    test_loop_enter(name);
    const uint64_t start_ns = rt_time_ns();
    test_loop_run_well(line);
    const long whole_ms = (long)((rt_time_ns() - start_ns) / 1000000);
    char *whole = test_rows_of("loop.db");
    const double tokens = tokens_of("loop.db");
    printf("    unbroken: %zu rows, %ld ms, peak memory %ld MiB\n", count_lines(whole),
           whole_ms, peak_kib() / 1024);
    for (int round = 0; done < kills; round++) {
        snprintf(folder, sizeof folder, "%s-%d", name, round);
        test_loop_enter(folder);
        const int hit = killed_run(line, whole_ms / part, (int)(kills - done));
        char *broken = test_rows_of("loop.db");
        printf("    %s: %d kills, %zu rows, %.0f tokens for %.0f\n", folder, hit,
               count_lines(broken), tokens_of("loop.db"), tokens);
        print_hits();
        test_same_rows(whole, broken);
        expect_same_files(name);
        expect_ended("loop.db");
        assert_true(tokens > 0 && tokens_of("loop.db") >= tokens); /* some made twice */
        free(broken);
        done += hit;
    }
    free(whole);
    assert_true(peak_kib() <= PEAK_KIB_MAX);
}

/* FAULTLINE_KILLS, and the seed of the moments is set. */
static long read_kills(long otherwise)
{
    const char *wanted = getenv("FAULTLINE_KILLS"), *seed = getenv("FAULTLINE_TEST_SEED");
    srand(seed ? (unsigned)strtoul(seed, NULL, 10) : 7);
    return wanted ? strtol(wanted, NULL, 10) : otherwise;
}

static void a_killed_loop_ends_with_the_same_rows(void **state)
{
    (void)state;
    char line[3000];
    plan_line(line, sizeof line);
    expect_kills_unseen(line, "whole", read_kills(3), 2);
    /* Done is done: the same command again generates nothing and writes the same page. */
    assert_int_equal(system("cp loop.html first.html"), 0);
    assert_int_equal(test_loop_run(line), 0);
    expect_ended("loop.db");
    assert_int_equal(system("cmp loop.html first.html"), 0);
    /* A text is measured for quant and all arms, problems for full too. */
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM metric WHERE name="
                                          "'text_kl' AND value>0") == 4);
    assert_true(test_number_of("loop.db",
                               "SELECT count(*) FROM generation JOIN run USING(run_id) "
                               "JOIN benchmark USING(benchmark_id) WHERE "
                               "split='retain'") == 5 * 8);
    assert_int_equal(system("grep -q 'Retention on a text' loop.html"), 0);
    /* Whole answers of the problems whose pairs `dpo` takes. */
    assert_true(test_number_of("loop.db", ITEMS("dpo")) >= 4);
    assert_true(test_number_of("loop.db", ITEMS("whole")) ==
                test_number_of("loop.db", ITEMS("dpo")));
    assert_true(test_number_of("loop.db", ITEMS("whole") SAID_BY("full", "chosen")
                                              SAID_BY("quant", "rejected")) ==
                test_number_of("loop.db",
                               ITEMS("whole") " AND i.problem_id IN (SELECT problem_id "
                                              "FROM bullet_item WHERE dataset_id<>"
                                              "i.dataset_id AND excluded IS NULL AND "
                                              "rejected IS NOT NULL)"));
    test_loop_enter("");
}

/* What was lost, located and trained on is not nothing. */
static void a_killed_loop_of_chats_too(void **state)
{
    (void)state;
    expect_kills_unseen(CHAT, "chat", read_kills(20), 3);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM fault WHERE "
                                          "locator='verdict' AND step_idx>=0") >= 8);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM bullet_item WHERE "
                                          "excluded IS NULL") >= 8);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM comparison") >= 2);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM metric WHERE "
                                          "name='text_kl'") == 3);
    assert_true(test_number_of("loop.db", "SELECT max(value) FROM metric WHERE "
                                          "name='forced_asked'") >= 4);
    test_loop_enter("");
}

static void exit_codes_are_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
        const char *part; /* of the message */
    } cases[] = {
        { "nothing", 2, "no command" },
        { "quantize --bits 4", 2, "--model" },
        { "quantize --modle x", 2, "did you mean --model" },
        { "quantize --model . --bits 5 --out q", 2, "2, 3, 4 or 8" },
        { "quantize --model missing --bits 4 --out q", 4, "config.json" },
        { "tool logits --model missing --ids 1 --out x", 4, "config.json" },
        { "tool logits --model . --device moon --ids 1 --out x", 3, "moon" },
        { "eval --model missing --problems x", 4, "missing" },
        { "sql --store missing.db 'SELECT 1'", 7, "missing.db" },
        { "report --store missing.db", 7, "missing.db" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char line[512], message[2048] = "";
        snprintf(line, sizeof line, "%s >out.txt 2>err.txt", cases[i].line);
        const int code = test_loop_run(line);
        FILE *file = fopen("err.txt", "r");
        const size_t n = fread(message, 1, sizeof message - 1, file);
        message[n] = '\0';
        fclose(file);
        if (code != cases[i].code || !strstr(message, cases[i].part))
            fail_msg("'%s' ends with %d: %s", cases[i].line, code, message);
    }
}

/* Calibration with more weight on a step gives another model than without, another one on
 * another step, and the same again. */
static void weighted_calibration_is_a_function_of_the_seed(void **state)
{
    (void)state;
    char line[3000], *rows[2];
    static const char *const folders[2] = { "weighted", "weighted-again" };
    snprintf(
        line, sizeof line,
        "restore --device llvmpipe --tune off --progress none --full %s/pipeline/demo "
        "--mine '%s/pipeline/demo/mine.jsonl[0:48]' "
        "--validate '%s/pipeline/demo/validate.jsonl[0:1]' "
        "--measure '%s/pipeline/demo/measure.jsonl[0:4]' --bits 2 --group 32 --asym "
        "--select none --calib-items 16 --recipes gptq-bullets,gptq-step,"
        "gptq-random-step,gptq-random-step@2 --nearest off --work work --store loop.db "
        "--out loop.html >loop.out 2>loop.err",
        TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR);
    for (int i = 0; i < 2; i++) {
        test_loop_enter(folders[i]);
        test_loop_run_well(line);
        rows[i] = test_rows_of("loop.db");
        assert_true(test_number_of("loop.db",
                                   "SELECT count(DISTINCT weights_id) FROM variant WHERE "
                                   "label LIKE 'gptq-%'") == 4);
        assert_int_equal(
            system("grep -q 'gptq-random-step *[0-9]* of [0-9]* tokens count 4 times' "
                   "loop.err"),
            0);
    }
    test_same_rows(rows[0], rows[1]);
    free(rows[0]);
    free(rows[1]);
    test_loop_enter("");
}

/* An adapter of 8 bits is another model than that of 16, takes half of its bits, and says so
 * in the report; neither is taken for the other. */
static void adapters_of_8_bits_are_models_of_their_own(void **state)
{
    (void)state;
    char line[3000];
    test_loop_enter("eight");
    for (int bits = 16; bits >= 8; bits -= 8) {
        snprintf(line, sizeof line,
                 "restore --device llvmpipe --tune off --progress none --full "
                 "%s/pipeline/demo --mine '%s/pipeline/demo/mine.jsonl[0:48]' "
                 "--validate '%s/pipeline/demo/validate.jsonl[0:1]' "
                 "--measure '%s/pipeline/demo/measure.jsonl[0:4]' --bits 2 --group 32 "
                 "--recipes lowrank --adapter-bits %d %s --work work --store loop.db "
                 "--out loop-%d.html >loop.out 2>loop.err",
                 TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, bits,
                 bits == 8 ? "--nearest off --retain none --forced 0" : "", bits);
        test_loop_run_well(line);
    }
    /* Beside the repair, without being named, and not where it is off. */
    assert_int_equal(system("grep -q '^nearest' loop.out"), 256);
    assert_int_equal(system("grep -q '>nearest<' loop-16.html && ! grep -q '>nearest<' "
                            "loop-8.html"),
                     0);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM variant WHERE arm="
                                          "'nearest' AND role='control'") == 1);
    assert_true(test_number_of("loop.db",
                               "SELECT count(DISTINCT adapter_id) FROM variant "
                               "WHERE label='lowrank'") == 2);
    const double quant = test_number_of("loop.db", "SELECT bits_per_weight FROM variant "
                                                   "WHERE label='quant'"),
                 more = test_number_of("loop.db", "SELECT max(bits_per_weight) FROM "
                                                  "variant WHERE label='lowrank'"),
                 less = test_number_of("loop.db", "SELECT min(bits_per_weight) FROM "
                                                  "variant WHERE label='lowrank'");
    assert_true(fabs((more - quant) / 2 - (less - quant)) < 1e-6);
    assert_int_equal(system("grep -q 'adapter-bits 8' loop-8.html && "
                            "grep -q 'rank 16 of 8 bits' loop-8.html && "
                            "! grep -q 'adapter-bits\\|of 8 bits' loop-16.html"),
                     0);
    /* Without a word a text is read and the wrong step is given to both. */
    assert_int_equal(system("grep -q 'bundled is in the program' loop-16.html && "
                            "grep -q 'bundled worse than chance' loop-16.html && "
                            "grep -q 'Not measured' loop-8.html"),
                     0);
    assert_true(test_number_of("loop.db", "SELECT count(DISTINCT run_id) FROM metric "
                                          "WHERE name='text_vocabulary'") == 3);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM run WHERE kind='locate' "
                                          "AND json_extract(config,'$.forced')=64 AND "
                                          "json_extract(config,'$.draws')=2") >= 2);
    test_loop_enter("");
}

/* Quant's own right continuations from before its faulty step: both recipes draw the same ones,
 * one prefers their first step, the other trains on all that follows. */
static void quant_mends_its_own_steps(void **state)
{
    (void)state;
    char line[3000];
    test_loop_enter("own");
    snprintf(
        line, sizeof line,
        "restore --device llvmpipe --tune off --progress none --full "
        "%s/pipeline/demo --mine '%s/pipeline/demo/mine.jsonl[0:48]' "
        "--validate '%s/pipeline/demo/validate.jsonl[0:1]' "
        "--measure '%s/pipeline/demo/measure.jsonl[0:4]' --method rtn --bits 3 "
        "--recipes dpo-own,sft-own --epochs 1 --nearest off --retain none "
        "--forced 0 --work work --store loop.db --out loop.html >loop.out 2>loop.err",
        TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR);
    test_loop_run_well(line);
    const double pairs = test_number_of("loop.db", ITEMS("dpo-own")),
                 rests = test_number_of("loop.db", ITEMS("sft-own"));
    assert_true(pairs >= 1 && rests >= pairs);
    assert_true(
        test_number_of("loop.db",
                       ITEMS("dpo-own") " AND EXISTS(SELECT 1 FROM bullet_item o WHERE "
                                        "o.dataset_id<>i.dataset_id AND o.problem_id="
                                        "i.problem_id AND o.prompt=i.prompt AND "
                                        "o.rejected IS NULL AND "
                                        "instr(o.chosen,i.chosen)=1)") == pairs);
    assert_true(test_number_of("loop.db", ITEMS("dpo-own") " AND i.chosen<>i.rejected "
                                                           "AND EXISTS(SELECT 1 FROM "
                                                           "generation g WHERE "
                                                           "g.problem_id=i.problem_id "
                                                           "AND instr(g.output,"
                                                           "i.rejected)>0)") == pairs);
    assert_true(test_number_of("loop.db", ITEMS("sft-own") " AND i.rejected IS NULL") ==
                rests);
    /* one recipe draws, the other takes what was drawn */
    assert_int_equal(
        system("test $(grep -Ec 'own steps: [0-9]+ of [0-9]+ lost' loop.err) "
               "-eq 1"),
        0);
    test_loop_enter("");
}

/* A plan that cannot be is refused before anything is measured. */
static void an_impossible_plan_is_refused_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *options, *part; /* of the message */
    } cases[] = {
        { "--recipes default,best", "no recipe 'best'" },
        { "--recipes sft,default,sft", "'sft' is named twice" },
        { "--recipes ,", "names none" },
        { "--bits 8 --recipes more-bits", "no quantizer here makes more" },
        { "--bits 2 --recipes rtn", "it is how the quantized model is made" },
        { "--method moon", "rtn, gptq or awq" },
        { "--bits 2 --group 8", "from 16 to" },
        { "--bits 2 --group 24", "16, a multiple of 32" },
        { "--bits 2 --group 16 --recipes smaller-groups", "groups of 16, the smallest" },
        { "--nearest maybe", "--nearest is on or off" },
        { "--adapter-bits 12", "8 or 16" },
        { "--recipes refine@x", "no recipe 'refine@x'" },
        { "--method gptq --calib '" TEST_SOURCE_DIR "/pipeline/demo/measure.jsonl[0:1]'",
          "in-sample" },
        { "--retain ,", "--retain takes 1 to 16" },
        { "--retain '" TEST_SOURCE_DIR "/pipeline/demo/mine.jsonl[0:1]'", "in-sample" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char line[2048], message[2048] = "";
        snprintf(line, sizeof line,
                 "restore --device ref --full %s/pipeline/demo "
                 "--mine '%s/pipeline/demo/mine.jsonl[0:1]' "
                 "--validate '%s/pipeline/demo/validate.jsonl[0:1]' --measure "
                 "'%s/pipeline/demo/measure.jsonl[0:1]' --method rtn %s "
                 ">out.txt 2>err.txt",
                 TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR,
                 cases[i].options);
        const int code = test_loop_run(line);
        FILE *file = fopen("err.txt", "r");
        const size_t n = fread(message, 1, sizeof message - 1, file);
        message[n] = '\0';
        fclose(file);
        if (code != 2 || !strstr(message, cases[i].part))
            fail_msg("'%s' ends with %d: %s", cases[i].options, code, message);
    }
}

static void no_driver_is_exit_code_3(void **state)
{
    (void)state;
    char line[1400];
    snprintf(line, sizeof line,
             "tool logits --model %s/pipeline/demo --ids 1 --out x >out.txt 2>err.txt",
             TEST_SOURCE_DIR);
    char command[3000];
    snprintf(command, sizeof command,
             "VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent "
             "%s %s",
             test_loop_program(), line);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    snprintf(line, sizeof line,
             "tool logits --device ref --model %s/pipeline/demo --ids 1 --out x >out.txt "
             "2>err.txt",
             TEST_SOURCE_DIR);
    assert_int_equal(test_loop_run(line), 0); /* the twins need no driver */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_as_documented),
        cmocka_unit_test(an_impossible_plan_is_refused_at_once),
        cmocka_unit_test(no_driver_is_exit_code_3),
        cmocka_unit_test(adapters_of_8_bits_are_models_of_their_own),
        cmocka_unit_test(quant_mends_its_own_steps),
        cmocka_unit_test(weighted_calibration_is_a_function_of_the_seed),
        cmocka_unit_test(a_killed_loop_ends_with_the_same_rows),
        cmocka_unit_test(a_killed_loop_of_chats_too),
    };
    return cmocka_run_group_tests_name("the loop", tests, test_loop_set_up,
                                       test_loop_tear_down);
}
