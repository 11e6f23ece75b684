/* tests/support/files.h
 * Scratch folders and damaged files for the tests of readers. Every function fails the
 * running test where the file system does not play along. */
#ifndef TESTS_SUPPORT_FILES_H
#define TESTS_SUPPORT_FILES_H

#include "runtime/base/rt.h"

enum { TEST_PATH_MAX = 512 };

/* A folder of its own that nothing else uses. */
struct test_folder {
    char path[64];
};

void test_folder_init(struct test_folder *folder);
void test_folder_deinit(struct test_folder *folder); /* removes it and all in it */
/* One for a whole program or a single test, with what cmocka calls before and after. */
extern struct test_folder test_scratch;
int test_scratch_set_up(void **state);
int test_scratch_tear_down(void **state);
/* Path of a file in a folder; valid until the fourth call after this one. */
const char *test_folder_file(const struct test_folder *folder, const char *name);
/* Copies the plain files of a folder of the source tree into it. */
void test_folder_fill(const struct test_folder *folder, const char *relative);

void test_file_write(const char *path, const void *data, size_t size);
/* The whole file with a 0 after it; free() it. */
char *test_file_read(const char *path, size_t *size);
/* Whether two files have the same bytes. */
bool test_file_same(const char *a, const char *b);
/* Replaces the only occurrence of `from` in a file. */
void test_file_replace(const char *path, const char *from, const char *to);
/* A safetensors file of this header text and `size` bytes of data (zeros if null). */
void test_file_safetensors(const char *path, const char *header, const void *data,
                           size_t size);
/* Fails unless `st` is `expected` and the message holds every part of the null-terminated
 * list after it. */
void test_refused(const struct rt_ctx *ctx, rt_status st, rt_status expected, ...);

#endif
