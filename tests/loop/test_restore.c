/* The program as a user runs it: a one-minute plan of the whole loop, killed on the way
 * and run again, gives the same rows as an unbroken one; bad input gives the documented
 * exit codes. */
#include "store/store.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/faultline-loop-XXXXXX";
static char program[1024];

static int set_up(void **state)
{
    (void)state;
    struct test_device devices[16];
    (void)test_devices(devices, 16); /* points the loader at the software devices */
    assert_non_null(mkdtemp(folder));
    snprintf(program, sizeof program, "%s/faultline",
             getenv("FAULTLINE_BUILD") ? getenv("FAULTLINE_BUILD") : TEST_BUILD_DIR);
    return chdir(folder);
}

static int tear_down(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Runs a shell command line, "%F" standing for the program; its exit code. */
static int run(const char *line)
{
    char command[4096];
    snprintf(command, sizeof command, "%s %s", program, line);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char plan[] =
    "demo --device llvmpipe --no-tune --progress none -q --mine "
    "'%s/pipeline/demo/mine.jsonl[0:160]' "
    "--validate '%s/pipeline/demo/validate.jsonl[0:24]' "
    "--measure '%s/pipeline/demo/measure.jsonl[0:64]' --items 12 --recipes default,dpo "
    "--work %s-work --store %s.db --out %s.html >%s.out 2>%s.err";

static void plan_line(char *line, size_t size, const char *name)
{
    snprintf(line, size, plan, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, name,
             name, name, name, name);
}

/* Everything that was decided, times aside, as one text. */
static rt_status append_row(void *user, const struct store_row *row)
{
    FILE *out = user;
    for (int i = 0; i < store_row_count(row); i++)
        fprintf(out, "%s|", store_row_text(row, i));
    fputc('\n', out);
    return RT_OK;
}

static char *rows_of(const char *db)
{
    static const char *const queries[] = {
        "SELECT v.label,b.split,g.problem_id,g.output,g.finish,hex(t.ids),hex(t.logprob),"
        "hex(t.margin),s.correct FROM generation g JOIN run r USING(run_id) JOIN variant "
        "v "
        "USING(variant_id) JOIN benchmark b USING(benchmark_id) JOIN token_trace t "
        "USING(gen_id) "
        "JOIN score s USING(gen_id) ORDER BY 1,2,3",
        "SELECT g.problem_id,f.locator,f.step_idx,f.category FROM fault f JOIN "
        "generation g "
        "USING(gen_id) ORDER BY 1,2",
        "SELECT json_extract(r.config,'$.recipe'),m.name,m.step,m.value FROM metric m "
        "JOIN run r "
        "USING(run_id) WHERE r.kind='train' AND m.name "
        "IN('loss','grad_norm','lr','val_accuracy',"
        "'margin') ORDER BY 1,2,3",
    };
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (store_open(&ctx, db, STORE_READ, &s) != RT_OK)
        fail_msg("%s", ctx.message);
    for (size_t i = 0; i < RT_COUNT(queries); i++)
        if (store_query(s, queries[i], NULL, append_row, out) != RT_OK)
            fail_msg("%s", ctx.message);
    store_close(&s);
    fclose(out);
    return text;
}

static void show_error(const char *name)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "%s.err", name);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        fprintf(stderr, "    %s", line);
    if (file)
        fclose(file);
}

/* Starts the plan and kills it after `ms`; true if it had ended before. */
static bool run_and_kill(const char *line, long ms)
{
    const pid_t child = fork();
    if (child == 0) {
        char command[4200];
        setpgid(0, 0);
        snprintf(command, sizeof command, "exec %s %s", program, line);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
    int status;
    if (waitpid(child, &status, WNOHANG) == child)
        return true;
    kill(child, SIGKILL);
    kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    return false;
}

static void a_killed_loop_ends_with_the_same_rows(void **state)
{
    (void)state;
    char line[3000];
    plan_line(line, sizeof line, "whole");
    const uint64_t start = rt_time_ns();
    if (run(line) != 0) {
        show_error("whole");
        fail_msg("the loop failed");
    }
    const long whole_ms = (long)((rt_time_ns() - start) / 1000000);
    plan_line(line, sizeof line, "broken");
    const char *wanted = getenv("FAULTLINE_TEST_KILLS");
    const int kills = wanted ? atoi(wanted) : 4; /* lint: a count in a test */
    srand(7);
    for (int i = 0; i < kills; i++)
        if (run_and_kill(line, 200 + rand() % (whole_ms > 400 ? whole_ms * 2 / 3 : 400)))
            break;
    if (run(line) != 0) {
        show_error("broken");
        fail_msg("the loop cannot go on");
    }
    char *a = rows_of("whole.db"), *b = rows_of("broken.db");
    printf("    %zu bytes of rows, %d kills, unbroken run %ld ms\n", strlen(a), kills,
           whole_ms);
    if (strcmp(a, b) != 0) {
        size_t at = 0;
        while (a[at] == b[at])
            at++;
        fail_msg("rows differ: '%.80s' and '%.80s'", a + at, b + at);
    }
    free(a);
    free(b);
    /* Done is done: the same command again generates nothing and writes the same page. */
    assert_int_equal(system("cp broken.html first.html"), 0);
    assert_int_equal(run(line), 0);
    assert_int_equal(system("cmp broken.html first.html"), 0);
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
        const int code = run(line);
        FILE *file = fopen("err.txt", "r");
        const size_t n = fread(message, 1, sizeof message - 1, file);
        message[n] = '\0';
        fclose(file);
        if (code != cases[i].code || !strstr(message, cases[i].part))
            fail_msg("'%s' ends with %d: %s", cases[i].line, code, message);
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
             program, line);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    snprintf(line, sizeof line,
             "tool logits --device ref --model %s/pipeline/demo --ids 1 --out x >out.txt "
             "2>err.txt",
             TEST_SOURCE_DIR);
    assert_int_equal(run(line), 0); /* the twins need no driver */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_as_documented),
        cmocka_unit_test(no_driver_is_exit_code_3),
        cmocka_unit_test(a_killed_loop_ends_with_the_same_rows),
    };
    return cmocka_run_group_tests_name("the loop", tests, set_up, tear_down);
}
