#include "tests/support/files.h"

#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void test_folder_init(struct test_folder *folder)
{
    snprintf(folder->path, sizeof folder->path, "/tmp/faultline-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

void test_folder_deinit(struct test_folder *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder->path);
    assert_int_equal(system(command), 0);
}

struct test_folder test_scratch;

int test_scratch_set_up(void **state)
{
    (void)state;
    test_folder_init(&test_scratch);
    return 0;
}

int test_scratch_tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&test_scratch);
    return 0;
}

const char *test_folder_file(const struct test_folder *folder, const char *name)
{
    static char paths[4][TEST_PATH_MAX];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", folder->path, name);
    return paths[turn];
}

void test_folder_fill(const struct test_folder *folder, const char *relative)
{
    char from[1024], file[2048];
    DIR *dir = opendir(test_path(from, sizeof from, relative));
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        size_t size;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", from, entry->d_name);
        char *data = test_file_read(file, &size);
        test_file_write(test_folder_file(folder, entry->d_name), data, size);
        free(data);
    }
    closedir(dir);
}

void test_file_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(size == 0 || fwrite(data, 1, size, file) == size);
    assert_int_equal(fclose(file), 0);
}

char *test_file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = calloc(*size + 1, 1);
    assert_non_null(data);
    assert_true(fread(data, 1, *size, file) == *size);
    fclose(file);
    return data;
}

/* Where `part` lies in data at or after `from`; size if nowhere. */
static size_t find(const char *data, size_t size, size_t from, const char *part)
{
    const size_t length = strlen(part);
    for (size_t at = from; at + length <= size; at++)
        if (memcmp(data + at, part, length) == 0)
            return at;
    return size;
}

bool test_file_same(const char *a, const char *b)
{
    size_t na, nb;
    char *x = test_file_read(a, &na), *y = test_file_read(b, &nb);
    const bool same = na == nb && memcmp(x, y, na) == 0;
    free(x);
    free(y);
    return same;
}

void test_file_replace(const char *path, const char *from, const char *to)
{
    size_t size;
    char *data = test_file_read(path, &size);
    const size_t at = find(data, size, 0, from), end = at + strlen(from), n = strlen(to);
    if (at == size || find(data, size, at + 1, from) != size)
        fail_msg("'%s' does not occur exactly once in %s", from, path);
    char *result = calloc(size + n, 1);
    assert_non_null(result);
    memcpy(result, data, at);
    memcpy(result + at, to, n);
    memcpy(result + at + n, data + end, size - end);
    test_file_write(path, result, at + n + size - end);
    free(result);
    free(data);
}

void test_file_safetensors(const char *path, const char *header, const void *data,
                           size_t size)
{
    const size_t length = strlen(header);
    uint8_t *all = calloc(8 + length + size, 1);
    assert_non_null(all);
    for (int i = 0; i < 8; i++)
        all[i] = (uint8_t)((uint64_t)length >> (8 * i));
    memcpy(all + 8, header, length);
    if (data)
        memcpy(all + 8 + length, data, size);
    test_file_write(path, all, 8 + length + size);
    free(all);
}

void test_refused(const struct rt_ctx *ctx, rt_status st, rt_status expected, ...)
{
    va_list parts;
    if (st != expected)
        fail_msg("status %d, not %d; message: %s", (int)st, (int)expected, ctx->message);
    if (strchr(ctx->message, '\n'))
        fail_msg("the message has several lines: %s", ctx->message);
    va_start(parts, expected);
    for (const char *part; (part = va_arg(parts, const char *));)
        if (!strstr(ctx->message, part))
            fail_msg("the message does not say '%s': %s", part, ctx->message);
    va_end(parts);
}
