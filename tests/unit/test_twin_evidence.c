/* What the twin says of its step is JSON, also where the token was forced by the prompt format
 * (chat-steps) and has no margin of the quantized model. */
#include "pipeline/locate/locate_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>

static json_t *evidence_of(float quant_margin)
{
    char evidence[128];
    const struct locate_search search = { .step_count = 2,
                                          .twin = 1,
                                          .suspect = { .step = 1,
                                                       .token = 7,
                                                       .full_margin = 1.5f,
                                                       .quant_margin = quant_margin } };
    const struct pipe_fault fault =
        locate_fault_of_twin(&search, "twin", evidence, sizeof evidence);
    assert_int_equal(fault.step, 1);
    json_t *object = json_loads(fault.evidence, 0, NULL);
    assert_non_null(object);
    assert_true(json_real_value(json_object_get(object, "full_margin")) == 1.5);
    return object;
}

static void a_chosen_token_has_a_margin(void **state)
{
    (void)state;
    json_t *object = evidence_of(-0.25f);
    assert_true(json_real_value(json_object_get(object, "quant_margin")) == -0.25);
    json_decref(object);
}

static void a_forced_token_has_none(void **state)
{
    (void)state;
    json_t *object = evidence_of(INFINITY);
    assert_true(json_is_null(json_object_get(object, "quant_margin")));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chosen_token_has_a_margin),
        cmocka_unit_test(a_forced_token_has_none),
    };
    return cmocka_run_group_tests_name("twin_evidence", tests, NULL, NULL);
}
