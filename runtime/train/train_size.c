/* runtime/train/train_size.c
 * Bytes of training, part by part. Each line stands for buffers of trainer_create.c,
 * backward.c, model_forward.c and model_adapter.c; tests/golden/test_train_size.c holds them
 * together. */
#include "runtime/train/train_size.h"

#include "runtime/op/weight.h"

#include <assert.h>

enum { LOGITS_BYTES_MAX = 64 << 20, CHUNK_MAX = 512, PARAM_ALIGN = 64, RANK_STEP = 8 };
/* Of a row: its id, and what rope and attention are told of it. */
enum { META_BYTES = 4 + 16 + 16 };
/* Of a target: statistics, seed, reference, index and id. Of a pair: its range and losses.
 * Of a batch: the clip state, the optimizer's numbers, the end of partial sums. */
enum { TARGET_BYTES = 32 + 4 + 4 + 4 + 4, PAIR_BYTES = 16 + 32, BATCH_BYTES = 3 * 256 };

uint32_t train_chunk_rows(uint32_t ld_vocab, uint32_t targets)
{
    uint32_t chunk = CHUNK_MAX;
    while (chunk > RT_ROW_PAD &&
           (uint64_t)chunk * ld_vocab * sizeof(float) > LOGITS_BYTES_MAX)
        chunk /= 2;
    return chunk < targets ? chunk : rt_round_up32(targets, RT_ROW_PAD);
}

/* Elements per row of what is padded to whole texel rows. */
static uint64_t ld(uint64_t columns)
{
    return rt_round_up(columns, RT_COL_PAD);
}

/* An adapter of this rank on every module: floats of its parameters, and of the copies that
 * kernels read. */
static void adapter_floats(const struct model_size *m, uint32_t rank, uint64_t *params,
                           uint64_t *packed)
{
    *params = *packed = 0;
    rank = rt_round_up32(rank, RANK_STEP);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const struct model_group_shape *s = &m->shape[g];
        const uint64_t rows = (uint64_t)rank * s->parts;
        uint64_t own = rt_round_up(rows * s->in, PARAM_ALIGN), read = 0;
        for (uint32_t p = 0; p < s->parts; p++) {
            own += rt_round_up((uint64_t)rank * s->out[p], PARAM_ALIGN);
            read += rt_round_up(rank, 16) * rt_round_up(s->out[p], 32);
        }
        read += (uint64_t)s->out_pad * rank;
        *params += own * m->config.layers;
        *packed += read * m->config.layers + rt_round_up(rows, 16) * m->in_pads[g];
    }
}

/* x A'^T of every group, and the gradient of the widest. */
static uint64_t branch_floats(const struct model_size *m, uint32_t rank)
{
    uint64_t sum = 0, most = RT_COL_PAD;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const uint64_t own =
            ld(rt_round_up(rt_round_up(rank, RANK_STEP) * m->shape[g].parts, 16));
        sum += own;
        most = own > most ? own : most;
    }
    return sum + most;
}

/* Floats per row of the buffers of one layer, forward and backward. */
static uint64_t layer_floats(const struct model_size *m, uint32_t rank)
{
    const struct model_group_shape *s = m->shape;
    const uint64_t hidden = ld(m->config.hidden);
    const uint64_t qkv = s[MODEL_QKV].ld_out, gate_up = s[MODEL_GATE_UP].ld_out;
    const uint64_t forward = 3 * hidden + qkv + (m->config.family->qk_norm ? qkv : 0) +
                             2ull * s[MODEL_O].ld_in + gate_up + s[MODEL_DOWN].ld_in +
                             m->config.heads + m->ld_columns + m->ld_int8;
    const uint64_t backward =
        2 * hidden + qkv + gate_up + s[MODEL_DOWN].ld_in + m->config.heads;
    return forward + backward + branch_floats(m, rank);
}

static uint64_t capped(uint64_t bytes, const struct rt_plan *plan)
{
    return bytes < plan->binding_bytes_max ? bytes : plan->binding_bytes_max;
}

static uint64_t decoded_bytes(const struct model_size *m, const struct rt_plan *plan)
{
    struct rt_weight_shape head = m->head;
    const uint32_t rows = model_table_rows(plan, &head);
    if (rows < head.out)
        head.out_pad = rows;
    const bool decodes = rt_plan_decodes_back(plan);
    const uint64_t floats = (uint64_t)head.out_pad * head.in_pad * sizeof(float);
    return (decodes || plan->decode_rows ? capped(m->decoded, plan) : 0) +
           (decodes && head.bits != 32 ? floats : 0);
}

static uint64_t teacher_bytes(const struct train_shape *shape, const struct rt_plan *plan,
                              uint32_t rows, uint32_t targets)
{
    const struct model_size *t = shape->teacher;
    const uint64_t hidden = ld(t->config.hidden) * sizeof(float);
    return model_size_bytes(t, shape->positions) +
           model_pass_bytes(&t->config, t->shape, t->ld_columns + t->ld_int8, rows) +
           (plan->decode_rows ? capped(t->decoded, plan) : 0) + (rows + targets) * hidden;
}

void train_size_of(const struct model_size *m, const struct rt_plan *plan,
                   const struct train_shape *shape, struct train_size *out)
{
    assert(shape->rows > 0 && shape->rank > 0);
    const uint32_t rows = rt_round_up32(shape->rows, RT_ROW_PAD);
    const uint32_t targets =
        rt_round_up32(shape->targets ? shape->targets : shape->rows, RT_ROW_PAD);
    const uint64_t hidden = ld(m->config.hidden) * sizeof(float);
    uint64_t params, packed;
    *out = (struct train_size){
        .weights = model_size_bytes(m, shape->positions),
        .chunk = train_chunk_rows((uint32_t)ld(m->config.vocab), targets),
        .kept = (m->config.layers + 1ull) * rows * hidden,
        .decoded = decoded_bytes(m, plan),
    };
    adapter_floats(m, shape->rank, &params, &packed);
    out->adapter = (params + packed) * sizeof(float);
    const uint64_t sums = (params + TRAIN_SUMSQ_BLOCK - 1) / TRAIN_SUMSQ_BLOCK;
    out->optimizer = (3 * params + sums) * sizeof(float);
    out->activations = rows * (META_BYTES + 4ull + layer_floats(m, shape->rank) * 4) +
                       targets * (4 * hidden + TARGET_BYTES) +
                       TRAIN_PAIRS_MAX * PAIR_BYTES + BATCH_BYTES;
    out->logits = (uint64_t)out->chunk * ld(m->config.vocab) * sizeof(float) *
                  (shape->loss == TRAIN_KL ? 2 : 1);
    if (shape->loss == TRAIN_KL && shape->teacher)
        out->teacher = teacher_bytes(shape, plan, rows, targets);
}

uint64_t train_size_sum(const struct train_size *s)
{
    return s->weights + s->teacher + s->adapter + s->optimizer + s->kept +
           s->activations + s->decoded + s->logits;
}
