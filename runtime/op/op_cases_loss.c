/* runtime/op/op_cases_loss.c
 * Cases of ops on rows of logits and on pairs of answers. Sizes are chosen around the workgroup (8 and 64),
 * the row block (64), the column pad (128) and the key block (8): none, one, one less,
 * equal, one more. Append freely. */
#include "runtime/op/op_cases_list.h"

/* The random word of row 12 and id 96 is 0xffffffff: tests/unit/test_philox.c. It adds 16.6
 * to the score of that id, and 14.4 where a device's log is wrong by 2^-21. Other words of
 * the row add 5.9 at most, so the id wins among equal logits, whatever the seed of the
 * operands. Large logits are about 200 apart, so the greatest wins: a word that adds an
 * infinity is found by all seeds but the 1 in 100 whose greatest logit is that id's. */
#define WORD_OF_ONES(logits_, fill_)                                        \
    {                                                                       \
        .op = RT_OP_sample, .what = "a random word of ones only, " logits_, \
        .fill = RT_FILL_##fill_, .length = 1, .push.sample = {              \
            .rows = 16,                                                     \
            .vocab = 100,                                                   \
            .ldl = 128,                                                     \
            .inv_temp = 1.0f,                                               \
            .top_p = 1.0f,                                                  \
            .seed_low = 164948                                              \
        }                                                                   \
    }

static const struct rt_op_case rows[] = {
    CASE(logits_stat, "0 rows of 100", .vocab = 100, .ldl = 128),
    CASE(logits_stat, "1 rows of 1", .rows = 1, .vocab = 1, .ldl = 128),
    CASE(logits_stat, "63 rows of 100", .rows = 63, .vocab = 100, .ldl = 128),
    CASE(logits_stat, "64 rows of 127", .rows = 64, .vocab = 127, .ldl = 128),
    CASE(logits_stat, "65 rows of 128", .rows = 65, .vocab = 128, .ldl = 128),
    CASE(logits_stat, "5 rows of 151", .rows = 5, .vocab = 151, .ldl = 256),
    CASE(logits_stat, "3 rows of 5003", .rows = 3, .vocab = 5003, .ldl = 5120),
    CASE(logits_stat, "2 rows of 151936", .rows = 2, .vocab = 151936, .ldl = 151936),
    FILLED(logits_stat, "ties go to the lowest id", TIES, .rows = 64, .vocab = 100,
           .ldl = 128),
    FILLED(logits_stat, "not finite", BROKEN, .rows = 64, .vocab = 100, .ldl = 128),
    FILLED(logits_stat, "masked ids", MASKED, .rows = 64, .vocab = 100, .ldl = 128),
    FILLED(logits_stat, "large logits", LARGE, .rows = 9, .vocab = 100, .ldl = 128),

    CASE(ce_back, "0 rows of 100", .vocab = 100, .ldl = 128),
    CASE(ce_back, "1 rows of 1", .rows = 1, .vocab = 1, .ldl = 128),
    CASE(ce_back, "63 rows of 100", .rows = 63, .vocab = 100, .ldl = 128),
    CASE(ce_back, "64 rows of 127", .rows = 64, .vocab = 127, .ldl = 128),
    CASE(ce_back, "65 rows of 128", .rows = 65, .vocab = 128, .ldl = 128),
    CASE(ce_back, "5 rows of 151", .rows = 5, .vocab = 151, .ldl = 256),
    CASE(ce_back, "3 rows of 5003", .rows = 3, .vocab = 5003, .ldl = 5120),

    CASE(kl, "0 rows of 100", .vocab = 100, .ldl = 128, .inv_temp = 1.0f, .want_grad = 1),
    CASE(kl, "1 rows of 1", .rows = 1, .vocab = 1, .ldl = 128, .inv_temp = 0.5f,
         .want_grad = 1),
    CASE(kl, "63 rows of 100", .rows = 63, .vocab = 100, .ldl = 128, .inv_temp = 0.5f,
         .want_grad = 1),
    CASE(kl, "64 rows of 127", .rows = 64, .vocab = 127, .ldl = 128, .inv_temp = 1.0f,
         .want_grad = 1),
    CASE(kl, "65 rows of 128", .rows = 65, .vocab = 128, .ldl = 128, .inv_temp = 0.5f,
         .want_grad = 1),
    CASE(kl, "5 rows of 151", .rows = 5, .vocab = 151, .ldl = 256, .inv_temp = 0.5f,
         .want_grad = 1),
    CASE(kl, "3 rows of 5003", .rows = 3, .vocab = 5003, .ldl = 5120, .inv_temp = 0.5f,
         .want_grad = 1),
    CASE(kl, "2 rows of 151936", .rows = 2, .vocab = 151936, .ldl = 151936,
         .inv_temp = 0.5f, .want_grad = 1),
    CASE(kl, "no gradient", .rows = 9, .vocab = 300, .ldl = 384, .inv_temp = 1.0f),
    FILLED(kl, "ties go to the lowest id", TIES, .rows = 64, .vocab = 100, .ldl = 128,
           .inv_temp = 1.0f, .want_grad = 1),
    FILLED(kl, "not finite", BROKEN, .rows = 64, .vocab = 100, .ldl = 128,
           .inv_temp = 1.0f, .want_grad = 1),
    FILLED(kl, "masked ids", MASKED, .rows = 64, .vocab = 9, .ldl = 128, .inv_temp = 1.0f,
           .want_grad = 1),
    FILLED(kl, "large logits", LARGE, .rows = 9, .vocab = 100, .ldl = 128,
           .inv_temp = 1.0f, .want_grad = 1),

    CASE(sample, "0 rows of 100, all of it", .vocab = 100, .ldl = 128, .inv_temp = 1.0f,
         .top_p = 1.0f, .seed_low = 7),
    CASE(sample, "0 rows of 100, nucleus", .vocab = 100, .ldl = 128, .inv_temp = 1.4f,
         .top_p = 0.9f, .seed_low = 100, .seed_high = 3),
    CASE(sample, "1 rows of 1, all of it", .rows = 1, .vocab = 1, .ldl = 128,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 1),
    CASE(sample, "1 rows of 1, nucleus", .rows = 1, .vocab = 1, .ldl = 128,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 1, .seed_high = 3),
    CASE(sample, "63 rows of 100, all of it", .rows = 63, .vocab = 100, .ldl = 128,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 63),
    CASE(sample, "63 rows of 100, nucleus", .rows = 63, .vocab = 100, .ldl = 128,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 100, .seed_high = 3),
    CASE(sample, "64 rows of 127, all of it", .rows = 64, .vocab = 127, .ldl = 128,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 64),
    CASE(sample, "64 rows of 127, nucleus", .rows = 64, .vocab = 127, .ldl = 128,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 127, .seed_high = 3),
    CASE(sample, "65 rows of 128, all of it", .rows = 65, .vocab = 128, .ldl = 128,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 65),
    CASE(sample, "65 rows of 128, nucleus", .rows = 65, .vocab = 128, .ldl = 128,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 128, .seed_high = 3),
    CASE(sample, "5 rows of 151, all of it", .rows = 5, .vocab = 151, .ldl = 256,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 5),
    CASE(sample, "5 rows of 151, nucleus", .rows = 5, .vocab = 151, .ldl = 256,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 151, .seed_high = 3),
    CASE(sample, "3 rows of 5003, all of it", .rows = 3, .vocab = 5003, .ldl = 5120,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 3),
    CASE(sample, "3 rows of 5003, nucleus", .rows = 3, .vocab = 5003, .ldl = 5120,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 5003, .seed_high = 3),
    CASE(sample, "2 rows of 151936, all of it", .rows = 2, .vocab = 151936, .ldl = 151936,
         .inv_temp = 1.0f, .top_p = 1.0f, .seed_low = 7, .seed_high = 4),
    CASE(sample, "2 rows of 151936, nucleus", .rows = 2, .vocab = 151936, .ldl = 151936,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 9, .seed_high = 3),
    CASE(sample, "3 rows of 8192, nucleus", .rows = 3, .vocab = 8192, .ldl = 8192,
         .inv_temp = 1.4f, .top_p = 0.9f, .seed_low = 8, .seed_high = 3),
    FILLED(sample, "masked ids", MASKED, .rows = 64, .vocab = 100, .ldl = 128,
           .inv_temp = 1.0f, .top_p = 0.95f, .seed_low = 1, .seed_high = 2),
    WORD_OF_ONES("equal logits", ZERO),
    WORD_OF_ONES("large logits", LARGE),
    FILLED(sample, "ties", TIES, .rows = 64, .vocab = 100, .ldl = 128, .inv_temp = 1.0f,
           .top_p = 0.8f, .seed_low = 1, .seed_high = 2),

    CASE(dpo, "sigmoid, one pair", .pairs = 1, .loss = DPO_SIGMOID, .beta = 0.1f),
    CASE(dpo, "sigmoid, nine pairs with supervised term", .pairs = 9, .loss = DPO_SIGMOID,
         .beta = 0.3f, .sft = 0.2f, .sft_norm = 1),
    CASE(dpo, "hinge, one pair", .pairs = 1, .loss = DPO_HINGE, .beta = 0.1f),
    CASE(dpo, "hinge, nine pairs with supervised term", .pairs = 9, .loss = DPO_HINGE,
         .beta = 0.3f, .sft = 0.2f),
    CASE(dpo, "IPO, one pair", .pairs = 1, .loss = DPO_IPO, .beta = 0.1f),
    CASE(dpo, "IPO, nine pairs with supervised term", .pairs = 9, .loss = DPO_IPO,
         .beta = 0.3f, .sft = 0.2f, .sft_norm = 1),
    CASE(dpo, "sigmoid far out on both sides", .pairs = 9, .loss = DPO_SIGMOID,
         .beta = 20.0f, .sft = 1.0f),
};

const struct rt_op_case_list rt_op_cases_loss = RT_CASE_LIST(rows);
