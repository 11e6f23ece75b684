/* tests/support/real_models.h
 * The real models that bench/models.sh gets. They are never part of the repository, so
 * tests skip where they are missing. */
#ifndef TESTS_SUPPORT_REAL_MODELS_H
#define TESTS_SUPPORT_REAL_MODELS_H

#include <stdbool.h>
#include <stddef.h>

enum { TEST_SMOLLM2, TEST_QWEN2_5_CODER, TEST_REAL_MODELS };

/* Path of one in the folder FAULTLINE_TEST_MODELS (default build/models); false, and a
 * line that says what to do, where it is not there. */
bool test_real_model(int which, char *path, size_t size);
/* Whether any is there; a program of such tests ends with 77 (skipped) where none is. */
bool test_real_models_there(void);

#endif
