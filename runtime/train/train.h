/* runtime/train/train.h
 * Training on a (packed) model with frozen codes, on the device: of a LoRA adapter, of the
 * model's own scales, or of both; supervised fine-tuning, preference losses (DPO and kin)
 * and distillation (KL to another model).
 * Formulas and their sources: shaders/push.h and docs/numerics.md. */
#ifndef RUNTIME_TRAIN_TRAIN_H
#define RUNTIME_TRAIN_TRAIN_H

#include "runtime/observe/sequence.h"
#include "runtime/train/scales.h"

enum train_loss {
    TRAIN_SFT, /* mean over the batch's target tokens of -log p, by their weights */
    TRAIN_KL,  /* the same of KL(teacher || model) at temperature */
    TRAIN_DPO, /* preference pairs; plus sft x the supervised term where sft > 0 */
};

/* One row of the recipe table's training part. */
struct train_options {
    enum train_loss loss;
    uint32_t preference; /* DPO_SIGMOID, DPO_HINGE, DPO_IPO */
    float beta, sft;
    uint32_t sft_norm;                        /* see dpo_push */
    float temperature;                        /* KL; 0: 1 */
    float lr, beta1, beta2, eps, decay, clip; /* clip 0: no clipping */
};

/* The defaults of the restore recipes: AdamW (0.9, 0.99), eps 1e-8, no decay, clip 1. */
void train_options_default(struct train_options *options);

/* What a batch measured, before the update. Means over pairs or target tokens. */
struct train_metrics {
    double loss;
    double grad_norm; /* global L2, before clipping; NaN before an update */
    uint32_t targets; /* target tokens (DPO: of chosen and rejected) */
    uint32_t rows;    /* token rows computed, padding apart */
    double logp_chosen, logp_rejected; /* DPO: sums per answer, mean over pairs */
    double margin;                     /* DPO: mean h */
    double accuracy;                   /* DPO: share of pairs with h > 0 */
    double sft;                        /* DPO: mean supervised term */
};

struct rt_trainer;

/* What is trained; both borrowed, of the same model, at least one not NULL. */
struct train_parameters {
    struct rt_adapter *adapter; /* made trainable */
    struct rt_scales *scales;
};

/* Allocates everything for batches of at most `rows` token rows (a sequence of n
 * tokens takes n - 1) and `targets` target tokens (0: rows). `teacher` (TRAIN_KL only)
 * is a model on the same device with the same vocabulary; may equal `model` with the
 * adapter off, unless scales are trained. */
RT_CHECKED rt_status rt_trainer_create_for(struct rt_model *model,
                                           const struct train_parameters *parameters,
                                           struct rt_model *teacher,
                                           const struct train_options *options,
                                           uint32_t rows, uint32_t targets,
                                           struct rt_trainer **out);
/* The same of an adapter alone. */
RT_CHECKED rt_status rt_trainer_create(struct rt_model *model, struct rt_adapter *adapter,
                                       struct rt_model *teacher,
                                       const struct train_options *options, uint32_t rows,
                                       uint32_t targets, struct rt_trainer **out);
void rt_trainer_destroy(struct rt_trainer **trainer);

/* Gradient of one batch into the trainer (replacing the last). For TRAIN_DPO
 * sequences come in pairs: chosen, rejected, chosen, rejected, ...
 * RT_ERR_USAGE if the batch exceeds the capacity or a pair is not whole, RT_ERR_NO_DEVICE
 * if a sequence is longer than the device's loops reach (rt_plan_gradient_rows_max). After
 * a failure there is no gradient; the call can be made again. */
RT_CHECKED rt_status rt_trainer_gradient(struct rt_trainer *trainer,
                                         const struct train_sequence *batch,
                                         uint32_t count, struct train_metrics *out);
/* One AdamW step with that gradient at rate `lr`; refreshes the packed adapter and scales. After a
 * failure of the device the step may be done or not: load a checkpoint. */
RT_CHECKED rt_status rt_trainer_update(struct rt_trainer *trainer, double lr,
                                       double *grad_norm);
/* The gradient as an adapter of the same shapes (fmt_adapter_copy of the source). */
RT_CHECKED rt_status rt_trainer_read_gradient(struct rt_trainer *trainer,
                                              struct fmt_adapter *out);

/* Everything that a resumed run needs: params, both moments, updates done. Files are
 * safetensors, written atomically; loading checks shapes and the adapter's layout. */
RT_CHECKED rt_status rt_trainer_save(struct rt_trainer *trainer, const char *path);
RT_CHECKED rt_status rt_trainer_load(struct rt_trainer *trainer, const char *path);
uint64_t rt_trainer_updates(const struct rt_trainer *trainer);

struct rt_trainer_stats {
    double wall_seconds, flops;
    uint64_t rows;
};
void rt_trainer_stats_get(const struct rt_trainer *trainer, struct rt_trainer_stats *out);

/* Learning rate of 0-based step k of n: linear warm-up over the first `warmup` steps
 * (rate lr (k+1)/warmup), then cosine from lr to last_share * lr at the last step. */
double train_rate(double lr, uint64_t k, uint64_t n, uint64_t warmup, double last_share);
/* A random word for (a, b), the same wherever it is asked for. */
uint32_t train_word(uint64_t seed, uint32_t a, uint32_t b);
/* The item indices of epoch `epoch` in order: a Fisher-Yates shuffle keyed by
 * (seed, epoch), so that a resumed run draws the same batches. */
void train_order(uint64_t seed, uint64_t epoch, uint32_t n, uint32_t *order);

#endif
