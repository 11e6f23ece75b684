/* tests/support/weight_forms.h
 * THE list of weights that tests of products go through. */
#ifndef TESTS_SUPPORT_WEIGHT_FORMS_H
#define TESTS_SUPPORT_WEIGHT_FORMS_H

#include <stdbool.h>
#include <stdint.h>

struct test_weight_form {
    uint32_t bits, group, form; /* as in struct rt_weight_shape */
};

/* Every form with each of its bits, and the groups by which code differs. Of entries with
 * the same bits and form the first has groups of 32 codes or more, if any has. */
extern const struct test_weight_form test_weight_forms[];
extern const uint32_t test_weight_form_count;

/* Whether no entry before has the same bits and form. */
bool test_weight_form_is_first(uint32_t index);

#endif
