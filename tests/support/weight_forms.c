/* tests/support/weight_forms.c
 * The list of weights. A new form gets its line here, and tests/op/test_matmul_pairs.c and
 * tests/op/test_vendors.c take it up. */
#include "tests/support/weight_forms.h"

#include "runtime/op/weight.h"

const struct test_weight_form test_weight_forms[] = {
    { 32, 0, RT_FORM_ZERO },
    { 16, 0, RT_FORM_ZERO },
    { 16, 0, RT_FORM_BF16 },
    { 8, 32, RT_FORM_ZERO },
    { 8, 16, RT_FORM_ZERO },
    { 4, 32, RT_FORM_ZERO },
    { 8, 0, RT_FORM_ZERO },
    { 3, 64, RT_FORM_ZERO },
    { 4, 0, RT_FORM_ZERO },
    { 2, 32, RT_FORM_ZERO },
    { 3, 0, RT_FORM_ZERO },
    { 4, 32, RT_FORM_OFFSET },
    { 2, 0, RT_FORM_ZERO },
    { 8, 32, RT_FORM_OFFSET },
    { 8, 16, RT_FORM_OFFSET },
    { 4, 32, RT_FORM_HALF },
    { 5, 32, RT_FORM_HALF },
    { 8, 32, RT_FORM_HALF },
    { 4, 32, RT_FORM_HALVES },
    { 5, 32, RT_FORM_HALVES },
    { 4, 32, RT_FORM_HALF | RT_LEVELS_IQ4_NL },
    { 4, 32, RT_FORM_S32 | RT_LEVELS_IQ4_NL },
    { 4, 32, RT_FORM_E8M0 | RT_LEVELS_E2M1 },
    { 4, 16, RT_FORM_E4M3 | RT_LEVELS_E2M1 },
    { 4, 64, RT_FORM_FLOAT | RT_LEVELS_NF4 },
    { 4, 64, RT_FORM_FLOAT | RT_LEVELS_FP4 },
    { 8, 128, RT_FORM_FLOAT | RT_LEVELS_E4M3 },
    { 8, 32, RT_FORM_BFLOAT | RT_LEVELS_E5M2 },
    { 2, 256, RT_FORM_HALF | RT_LEVELS_TERNARY },
    { 2, 256, RT_FORM_TRITS },
    { 3, 32, RT_FORM_IQ3_XXS },
    { 3, 32, RT_FORM_IQ3_S },
    { 2, 32, RT_FORM_IQ2_XXS },
    { 2, 16, RT_FORM_IQ2_XS },
    { 2, 16, RT_FORM_IQ2_S },
    { 2, 32, RT_FORM_IQ1_S },
    { 2, 16, RT_FORM_IQ1_M },
    { 4, 32, RT_FORM_K32 },
    { 5, 32, RT_FORM_K32 },
    { 3, 16, RT_FORM_K16 },
    { 6, 16, RT_FORM_K16 },
    { 2, 16, RT_FORM_K16_MIN },
    { 4, 128, RT_FORM_HALF },
    { 3, 64, RT_FORM_HALF_ZERO },
    { 4, 0, RT_FORM_HALF },
    { 4, 128, RT_FORM_HALF_ZERO },
    { 4, 32, RT_FORM_FLOAT },
    { 4, 32, RT_FORM_FLOAT_ZERO },
    { 4, 64, RT_FORM_BFLOAT },
    { 8, 128, RT_FORM_BFLOAT_ZERO },
    { 8, 0, RT_FORM_FLOAT },
};
const uint32_t test_weight_form_count =
    sizeof test_weight_forms / sizeof test_weight_forms[0];

bool test_weight_form_is_first(uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (test_weight_forms[i].bits == test_weight_forms[index].bits &&
            test_weight_forms[i].form == test_weight_forms[index].form)
            return false;
    return true;
}
