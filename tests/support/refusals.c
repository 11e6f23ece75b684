#include "tests/support/refusals.h"

#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void test_place_renew(struct test_folder *folder)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", folder->path,
             folder->path);
    assert_int_equal(system(command), 0);
}

void test_place_init(struct test_place *place)
{
    const struct {
        struct test_folder *folder;
        const char *name;
    } parts[] = { { &place->model, "model" },
                  { &place->run, "run" },
                  { &place->other, "other" } };
    test_folder_init(&place->scratch);
    for (size_t i = 0; i < RT_COUNT(parts); i++) {
        snprintf(parts[i].folder->path, sizeof parts[i].folder->path, "%.50s/%s",
                 place->scratch.path, parts[i].name);
        test_place_renew(parts[i].folder);
    }
    /* Drivers leak, which the sanitizers would hold against the program. */
    snprintf(place->variables, sizeof place->variables,
             "FAULTLINE_CACHE=%s/cache VK_ICD_FILENAMES=/nonexistent "
             "VK_DRIVER_FILES=/nonexistent",
             place->scratch.path);
}

void test_place_deinit(struct test_place *place)
{
    test_folder_deinit(&place->scratch);
}

static struct test_place *shared; /* of test_place_group */

static int set_up(void **state)
{
    (void)state;
    test_place_init(shared);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_place_deinit(shared);
    return 0;
}

int test_place_group(const char *name, struct test_place *place,
                     const struct CMUnitTest *tests, size_t count)
{
    shared = place;
    return _cmocka_run_group_tests(name, tests, count, set_up, tear_down);
}

void test_place_expand(const struct test_place *place, const char *args,
                       char line[TEST_LINE_MAX])
{
    const char *const names[][2] = {
        { "M", place->model.path },
        { "O", place->other.path },
        { "T", TEST_SOURCE_DIR "/tests/golden/models/qwen2-tiny" },
        { "A", TEST_SOURCE_DIR "/tests/golden/lora/qwen2-tiny/plain" },
        { "D", TEST_SOURCE_DIR "/pipeline/demo" },
        { "P", "problems.jsonl" },
    };
    size_t used = 0;
    for (; *args; args++) {
        const char *text = NULL;
        for (size_t i = 0; *args == '@' && i < RT_COUNT(names); i++)
            if (args[1] == names[i][0][0])
                text = names[i][1];
        used += (size_t)snprintf(line + used, TEST_LINE_MAX - used, "%.*s",
                                 text ? 1000 : 1, text ? text : args);
        args += text != NULL;
    }
}

void test_place_run(const struct test_place *place, const char *args,
                    const struct test_run *how, struct test_program *p)
{
    char line[TEST_LINE_MAX], all[512];
    struct test_run whole = *how;
    test_place_expand(place, args, line);
    snprintf(all, sizeof all, "%s%s%s", place->variables, how->variables ? " " : "",
             how->variables ? how->variables : "");
    whole.folder = place->run.path;
    whole.args = line;
    whole.variables = all;
    test_program_run(&whole, p);
}

void test_expect_success(const struct test_place *place, const char *args,
                         struct test_program *p)
{
    test_place_run(place, args, &(struct test_run){ 0 }, p);
    if (p->code != 0)
        fail_msg("'%s' ends with %d: %s", args, p->code, p->err);
}

/* An error line, and at most one line more that says what to type. */
static bool is_one_line(const char *text)
{
    const char *end = strchr(text, '\n');
    if (strncmp(text, "error[E", 7) != 0 || !end)
        return false;
    if (end[1] == '\0')
        return true;
    const char *last = strchr(end + 1, '\n');
    return strncmp(end + 1, "  try:  ", 8) == 0 && last && last[1] == '\0';
}

void test_expect_refusal(const char *what, const struct test_program *p, int code,
                         const char *words)
{
    if (p->code != code)
        fail_msg("%s: ends with %d, not %d: %s", what, p->code, code, p->err);
    if (!is_one_line(p->err))
        fail_msg("%s: this is not one line: %s", what, p->err);
    if (p->out[0])
        fail_msg("%s: there is output: %s", what, p->out);
    for (const char *at = words; *at;) {
        char word[256];
        const size_t length = strcspn(at, "|");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (!strstr(p->err, word))
            fail_msg("%s: '%s' is not in the message: %s", what, word, p->err);
        at += length + (at[length] == '|');
    }
}

/* Nothing is left but what the case began with, and a results file. */
static void expect_clean(const struct test_place *place, const char *what)
{
    static const char *const known[] = { "results.db", "problems.jsonl" };
    DIR *dir = opendir(place->run.path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        bool fine = entry->d_name[0] == '.';
        for (size_t i = 0; i < RT_COUNT(known); i++)
            fine |= strncmp(entry->d_name, known[i], strlen(known[i])) == 0;
        if (!fine)
            fail_msg("%s: '%s' is left behind", what, entry->d_name);
    }
    closedir(dir);
}

void test_cases_run(struct test_place *place, const struct test_case *cases, size_t count)
{
    const char *path = test_folder_file(&place->run, "results.db");
    char store[TEST_PATH_MAX];
    snprintf(store, sizeof store, "%s", path);
    for (size_t i = 0; i < count; i++) {
        const struct test_case *c = &cases[i];
        struct test_program p;
        test_place_renew(&place->model);
        test_place_renew(&place->run);
        test_folder_fill(&place->model, "tests/golden/models/qwen2-tiny");
        if (c->damage)
            c->damage();
        size_t before_size = 0, after_size = 0;
        char *before =
            access(store, F_OK) == 0 ? test_file_read(store, &before_size) : NULL;
        test_place_run(
            place, c->args,
            &(struct test_run){ .variables = c->variables, .no_override = true }, &p);
        test_expect_refusal(c->what, &p, c->code, c->words);
        expect_clean(place, c->what);
        if (before) {
            char *after = test_file_read(store, &after_size);
            if (after_size != before_size || memcmp(before, after, before_size) != 0)
                fail_msg("%s: the results file was changed", c->what);
            free(after);
        }
        free(before);
        test_program_deinit(&p);
    }
    printf("    %zu cases\n", count);
}

void test_place_poke(const struct test_place *place, const char *file, const char *tensor,
                     size_t at, const void *bytes, size_t count)
{
    size_t size;
    uint64_t length = 0;
    char path[TEST_PATH_MAX];
    snprintf(path, sizeof path, "%s", test_folder_file(&place->model, file));
    char *all = test_file_read(path, &size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (unsigned char)all[i];
    json_t *header = json_loadb(all + 8, length, 0, NULL);
    const json_t *offsets =
        json_object_get(json_object_get(header, tensor), "data_offsets");
    assert_int_equal(json_array_size(offsets), 2);
    const json_int_t begin = json_integer_value(json_array_get(offsets, 0));
    memcpy(all + 8 + length + (size_t)begin + at, bytes, count);
    test_file_write(path, all, size);
    free(all);
    json_decref(header);
}
