/* tests/support/giant.h
 * A model that no device has room for. */
#ifndef TESTS_SUPPORT_GIANT_H
#define TESTS_SUPPORT_GIANT_H

#include "tests/support/files.h"

/* Fills the folder with a model whose embedding alone is 256 GiB, as a file with a hole.
 * The running test is skipped where the file system has no files of that size. */
void test_giant(const struct test_folder *folder);

#endif
