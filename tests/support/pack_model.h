/* tests/support/pack_model.h
 * Small models in packed formats, made of random codes, and the same model in plain floats
 * beside each: what a reader makes of one must be what it makes of the other. The packers
 * go bit by bit, unlike the readers. */
#ifndef TESTS_SUPPORT_PACK_MODEL_H
#define TESTS_SUPPORT_PACK_MODEL_H

#include "tests/support/files.h"

enum test_packing {
    TEST_AWQ,
    TEST_GPTQ,            /* columns in order */
    TEST_GPTQ_16,         /* likewise, groups of 16 */
    TEST_GPTQ_ORDER,      /* the matrices of a group share a column order */
    TEST_GPTQ_OWN_ORDERS, /* every matrix has its own */
    TEST_GPTQ_MIXED,      /* own orders; k_proj and up_proj stay floats */
    /* codes that stand for floats */
    TEST_FP8,   /* F8_E4M3, blocks of 32 by 32 */
    TEST_NVFP4, /* compressed-tensors */
    TEST_MXFP4,
    TEST_NF4, /* bitsandbytes, blocks of 32 */
    TEST_PACKING_COUNT
};

const char *test_packing_name(enum test_packing packing);
/* Fills two folders from tests/golden/models/<source> (floats, one file), with the
 * projections replaced: packed (groups of 32 unless said otherwise), and as the floats they stand for. */
void test_pack_model(const char *source, enum test_packing packing, uint32_t bits,
                     const struct test_folder *packed, const struct test_folder *plain);

#endif
