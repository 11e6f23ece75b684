/* A content hash is kept for one state of a model's files, and for no other. The hash of a
 * folder is asked for again and again; whether it came from the cache shows where the kept
 * line was replaced by another that is right for its key. */
#include "runtime/format/checkpoint.h"
#include "runtime/base/hash_cache.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TINY "tests/golden/models/qwen2-tiny"

static const char forged[65] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

struct scene {
    struct test_folder model, cache;
    struct rt_ctx ctx;
};

/* As if nothing had been written lately. */
static void settle(const struct scene *s, const char *name)
{
    const struct timespec past[2] = { { 1000000000, 5 }, { 1000000000, 5 } };
    assert_int_equal(utimensat(AT_FDCWD, test_folder_file(&s->model, name), past, 0), 0);
}

static void open_scene(struct scene *s)
{
    *s = (struct scene){ 0 };
    test_folder_init(&s->model);
    test_folder_fill(&s->model, TINY);
    test_folder_init(&s->cache);
    s->ctx.cache_dir = s->cache.path;
    settle(s, "config.json");
    settle(s, "model.safetensors");
}

static void close_scene(struct scene *s)
{
    test_folder_deinit(&s->model);
    test_folder_deinit(&s->cache);
}

static void hash_of(struct scene *s, char hex[65])
{
    struct fmt_model *model = NULL;
    assert_int_equal(fmt_model_open(&s->ctx, s->model.path, &model), RT_OK);
    assert_int_equal(fmt_model_hash(model, hex), RT_OK);
    fmt_model_close(&model);
}

/* The path of the only file of the cache folder; false: it is empty. */
static bool kept(const struct scene *s, char path[600])
{
    int count = 0;
    DIR *folder = opendir(s->cache.path);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));)
        if (e->d_name[0] != '.') {
            snprintf(path, 600, "%s/%s", s->cache.path, e->d_name);
            count++;
        }
    closedir(folder);
    assert_in_range(count, 0, 1);
    return count == 1;
}

/* The key that the library makes for the folder as it is now. */
static void key_of(struct scene *s, struct fmt_hash_key *key)
{
    fmt_hash_key_init(&s->ctx, s->model.path, key);
    const char *const names[] = { "config.json", "model.safetensors" };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        struct fmt_map map;
        assert_int_equal(
            fmt_map_open(&s->ctx, test_folder_file(&s->model, names[i]), &map), RT_OK);
        fmt_hash_key_add(key, &map.stamp);
        fmt_map_close(&map);
    }
}

static void what_is_known_is_not_hashed_again(void **state)
{
    (void)state;
    struct scene s;
    struct fmt_hash_key key;
    char first[65], again[65], path[600];
    open_scene(&s);
    hash_of(&s, first);
    assert_true(kept(&s, path));
    key_of(&s, &key);
    assert_true(fmt_hash_cache_find(&key, again));
    assert_string_equal(again, first);
    fmt_hash_cache_keep(&key, forged); /* right for its key: believed */
    hash_of(&s, again);
    assert_string_equal(again, forged);
    assert_true(kept(&s, path)); /* one file, however often it is written */
    s.ctx.cache_dir = NULL;
    hash_of(&s, again);
    assert_string_equal(again, first);
    close_scene(&s);
}

static void a_changed_file_is_hashed_again(void **state)
{
    (void)state;
    static const char *const names[] = { "config.json", "model.safetensors" };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        struct scene s;
        struct fmt_hash_key key;
        char first[65], again[65];
        open_scene(&s);
        hash_of(&s, first);
        key_of(&s, &key);
        fmt_hash_cache_keep(&key, forged);
        /* The same bytes with the same size and time: the change itself is seen. */
        nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
        FILE *file = fopen(test_folder_file(&s.model, names[i]), "r+b");
        assert_non_null(file);
        const int c = fgetc(file);
        rewind(file);
        fputc(c, file);
        assert_int_equal(fclose(file), 0);
        settle(&s, names[i]);
        hash_of(&s, again);
        assert_string_equal(again, first);
        close_scene(&s);
    }
}

static void damaged_lines_are_ignored(void **state)
{
    (void)state;
    struct scene s;
    char first[65], again[65], path[600], line[200] = "";
    open_scene(&s);
    hash_of(&s, first);
    assert_true(kept(&s, path));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    for (size_t at = 0; at + 1 < length; at += 9) { /* cut there, and that byte changed */
        for (int cut = 0; cut < 2; cut++) {
            file = fopen(path, "w");
            assert_non_null(file);
            fwrite(line, 1, at, file);
            if (!cut) {
                fputc(line[at] ^ 1, file);
                fwrite(line + at + 1, 1, length - at - 1, file);
            }
            fclose(file);
            hash_of(&s, again);
            assert_string_equal(again, first);
        }
    }
    close_scene(&s);
}

static void what_was_just_written_is_not_kept(void **state)
{
    (void)state;
    struct scene s;
    char hex[65], path[600];
    open_scene(&s);
    assert_int_equal(
        utimensat(AT_FDCWD, test_folder_file(&s.model, "config.json"), NULL, 0), 0);
    hash_of(&s, hex);
    assert_false(kept(&s, path));
    close_scene(&s);
}

static void a_folder_that_cannot_be_written_is_no_failure(void **state)
{
    (void)state;
    struct scene s;
    char hex[65], again[65];
    open_scene(&s);
    hash_of(&s, hex);
    s.ctx.cache_dir = "/nonexistent/cache";
    hash_of(&s, again);
    assert_string_equal(again, hex);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_known_is_not_hashed_again),
        cmocka_unit_test(a_changed_file_is_hashed_again),
        cmocka_unit_test(damaged_lines_are_ignored),
        cmocka_unit_test(what_was_just_written_is_not_kept),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_no_failure),
    };
    return cmocka_run_group_tests_name("hash_cache", tests, NULL, NULL);
}
