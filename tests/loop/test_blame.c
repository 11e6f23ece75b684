/* blame on the demo model with one matrix damaged on purpose (2 bits, the rest 8): its layer
 * and it are named first; a stopped command resumes with the rows that are there, and one
 * that is done measures nothing. Lost problems come right with it back. All 28 matrices: bench/blame.sh. */
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PACE_MS = 2, PATIENCE = 300000, USAGE = 2, BAD_INPUT = 4 };

#define DEMO TEST_SOURCE_DIR "/pipeline/demo"
#define BLAME                                                                          \
    "blame --device llvmpipe --tune off --progress none --store loop.db --full '" DEMO \
    "' --text 'self:" DEMO "/mine.jsonl[0:4]' --worst 1 --json --quant "
#define ALONE "--mend 0 " /* KL alone */
#define STORED                                                                       \
    BLAME "damaged --text run:full,lost=quant --mend-problems 3 --mend 1 --worst 0 " \
          "--limit 2 " SAID
#define SAID ">loop.out 2>loop.err"

static void run_well(const char *line)
{
    if (test_loop_run(line) == 0)
        return;
    test_loop_show_error();
    fail_msg("'%s' failed", line);
}

/* A folder `damaged` with this matrix at 2 bits. */
static void damage(const char *matrix)
{
    FILE *f = fopen("widths.plan", "w");
    assert_non_null(f);
    fprintf(f, "%s int2\n", matrix);
    assert_int_equal(fclose(f), 0);
    run_well("quantize --model '" DEMO "' --bits 8 --plan widths.plan --out damaged "
             "--force " SAID);
}

/* The first part of a level in what the command printed. */
static void expect_first(const json_t *all, const char *level, const char *name)
{
    const json_t *part;
    size_t i;
    json_array_foreach(json_object_get(all, "parts"), i, part)
    {
        if (strcmp(json_string_value(json_object_get(part, "level")), level) != 0)
            continue;
        assert_string_equal(json_string_value(json_object_get(part, "name")), name);
        assert_true(json_number_value(json_object_get(part, "share")) > 0.9);
        assert_true(json_number_value(json_object_get(part, "gain")) >
                    json_number_value(json_object_get(part, "kl")));
        return;
    }
    fail_msg("nothing of level %s", level);
}

static void the_damaged_matrix_is_named_first(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *layer, *matrix;
    } rows[] = {
        { "q_proj, k_proj, v_proj", "layer 1", "model.layers.1.self_attn.k_proj" },
        { "gate_proj, up_proj", "layer 2", "model.layers.2.mlp.up_proj" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_loop_enter(rows[i].layer + strlen("layer "));
        damage(rows[i].matrix);
        run_well(BLAME "damaged " ALONE SAID);
        json_t *all = json_load_file("loop.out", 0, NULL);
        assert_non_null(all);
        expect_first(all, "kind", rows[i].kind);
        expect_first(all, "layer", rows[i].layer);
        expect_first(all, "matrix", rows[i].matrix);
        /* With every projection back the models are one. */
        const json_t *first = json_array_get(json_object_get(all, "parts"), 0);
        assert_string_equal(json_string_value(json_object_get(first, "level")), "all");
        assert_true(json_number_value(json_object_get(first, "kl")) < 1e-6);
        json_decref(all);
        assert_true(test_number_of("loop.db", "SELECT count(*) FROM metric WHERE "
                                              "name='blame_kl'") == 1 + 4 + 4 + 7);
    }
}

/* How many parts are rows of a store that may be in the making. */
static int parts_so_far(void)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int count = 0;
    if (sqlite3_open_v2("loop.db", &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT count(*) FROM metric WHERE name='blame_kl'", -1,
                           &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count;
}

static void a_killed_command_resumes(void **state)
{
    (void)state;
    const struct timespec pause = { 0, PACE_MS * 1000000L };
    int status = 0, patience = PATIENCE;
    test_loop_enter("2"); /* made by the test before */
    char *whole = test_rows_of("loop.db");
    assert_int_equal(system("mkdir -p ../killed && cp -r damaged ../killed"), 0);
    test_loop_enter("killed");
    const pid_t child = test_loop_start(BLAME "damaged " ALONE SAID);
    while (parts_so_far() < 6 && patience-- > 0)
        nanosleep(&pause, NULL);
    kill(-child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    run_well(BLAME "damaged " ALONE SAID);
    assert_int_equal(system("grep -q 'of 16 parts are from before' loop.err"), 0);
    char *rows = test_rows_of("loop.db");
    test_same_rows(whole, rows);
    /* Done: the same numbers, and nothing is measured. */
    assert_int_equal(system("cp loop.out first.out"), 0);
    run_well(BLAME "damaged " ALONE SAID);
    assert_int_equal(system("grep -q '16 of 16 parts are from before' loop.err"), 0);
    assert_int_equal(system("cmp loop.out first.out"), 0);
    free(whole);
    free(rows);
}

/* What JSON says of the part of that level and name. */
static int counted(const json_t *all, const char *name, const char *what)
{
    const json_t *part;
    size_t i;
    json_array_foreach(
        json_object_get(all, "parts"), i,
        part) if (strcmp(json_string_value(json_object_get(part, "name")), name) == 0)
    {
        const json_t *n = json_object_get(part, what);
        return n ? (int)json_integer_value(n) : -1;
    }
    fail_msg("no part '%s'", name);
    return -1;
}

/* A folder `damaged` with the matrices of layer 0 at 2 bits. */
static void damage_layer(void)
{
    static const char *const parts[] = { "self_attn.q_proj", "self_attn.k_proj",
                                         "self_attn.v_proj", "self_attn.o_proj",
                                         "mlp.gate_proj",    "mlp.up_proj",
                                         "mlp.down_proj" };
    char text[600] = "";
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%smodel.layers.0.%s",
                 i ? " int2\n" : "", parts[i]);
    damage(text);
}

/* All but layer 0 has 8 bits, so that layer back brings all lost problems back; one of its
 * matrices brings fewer. */
static void lost_problems_come_right_with_the_damaged_layer(void **state)
{
    (void)state;
    enum { ASKED = 24 };
    static const char command[] = BLAME "damaged --mend 2 --mend-problems 24 --limit 4 "
                                        "--text 'self:" DEMO "/mine.jsonl[0:40]' " SAID;
    test_loop_enter("mend");
    damage_layer();
    run_well(command);
    json_t *all = json_load_file("loop.out", 0, NULL);
    assert_non_null(all);
    const int lost = (int)json_integer_value(json_object_get(all, "lost"));
    const int kept = (int)json_integer_value(json_object_get(all, "kept"));
    const int mended = counted(all, "layer 0", "mended");
    const int broken = counted(all, "layer 0", "broken");
    assert_int_equal(json_integer_value(json_object_get(all, "answered")), ASKED);
    if (lost < 4 || kept < 1 || lost + kept > ASKED || lost - mended > 1 || broken > 1)
        fail_msg("layer 0 mends %d of %d, breaks %d of %d", mended, lost, broken, kept);
    assert_int_equal(counted(all, "layer 1", "mended"), -1); /* was not tried */
    json_decref(all);

    /* Each answer is a row, of a variant of its own; the sums are rows too. */
    assert_true(test_number_of("loop.db",
                               "SELECT count(*) FROM generation g JOIN run r "
                               "USING(run_id) JOIN variant v USING(variant_id) "
                               "WHERE v.arm='layer 0'") == lost + kept);
    assert_true(test_number_of("loop.db",
                               "SELECT count(DISTINCT weights_id) FROM variant "
                               "WHERE role='control'") == 2);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM metric WHERE name IN "
                                          "('blame_mended','blame_broken')") == 4);

    /* Done: the same numbers, and nothing is asked again. */
    const double attempts = test_number_of("loop.db", "SELECT count(*) FROM attempt");
    assert_int_equal(system("cp loop.out first.out"), 0);
    run_well(command);
    assert_int_equal(system("cmp loop.out first.out"), 0);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM attempt") == attempts);
}

/* Of a stored run with a condition, those are the problems: lost ones alone here. */
static void problems_come_from_a_stored_run(void **state)
{
    (void)state;
    test_loop_enter("mend"); /* made by the test before */
    run_well(STORED);
    json_t *all = json_load_file("loop.out", 0, NULL);
    assert_non_null(all);
    const int lost = (int)json_integer_value(json_object_get(all, "lost"));
    assert_true(lost > 0); /* of the four answers that "full" names, not of blame's 24 */
    assert_int_equal(json_integer_value(json_object_get(all, "answered")), lost);
    assert_int_equal(json_integer_value(json_object_get(all, "kept")), 0);
    assert_int_equal(counted(all, "layer 0", "mended"), lost);
    json_decref(all);
    /* What was asked here does not become the run that the labels name. */
    assert_int_equal(system("cp loop.out first.out"), 0);
    run_well(STORED);
    assert_int_equal(system("cmp loop.out first.out"), 0);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    test_loop_enter("bad");
    assert_int_equal(
        test_loop_run(BLAME "'" TEST_SOURCE_DIR "/tests/golden/models/llama-tiny' " SAID),
        BAD_INPUT);
    assert_int_equal(test_loop_run("blame --full '" DEMO "' --quant x " SAID), USAGE);
    assert_int_equal(test_loop_run("blame --full '" DEMO "' --quant x --text words.txt "
                                   "--mend 1 " SAID),
                     USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_damaged_matrix_is_named_first),
        cmocka_unit_test(a_killed_command_resumes),
        cmocka_unit_test(lost_problems_come_right_with_the_damaged_layer),
        cmocka_unit_test(problems_come_from_a_stored_run),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests_name("blame", tests, test_loop_set_up,
                                       test_loop_tear_down);
}
