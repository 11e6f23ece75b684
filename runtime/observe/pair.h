/* runtime/observe/pair.h
 * Two models on the same tokens: at every target KL(full || other), the log-probability that
 * each gives to the token, and each one's first choice.
 *
 * How it runs. Tokens pass in pieces. Sequences that fit are laid end to end in one piece;
 * a longer one takes several. Its pieces are a chain: all of them pass a layer before any
 * passes the next, and keys and values of its earlier tokens wait in a cache of floats. So
 * there is a cache of one layer, and every row's hidden state. Attention over the cache gives
 * the same bits as one pass over all tokens. Logits are reduced on the device and never come
 * to the host.
 *
 * Memory beside the models (P tokens of a piece, C of the longest sequence or P, h hidden
 * size, f ffn size, k heads of keys, d their size, V vocabulary):
 *     device  4 (P (7 h + 3 f) + C h + 128 V) for each model, 8 C k d for both
 * 0.5B (h 896, f 4864, 2 x 64, V 151,936), computed: 0.24 GB for 512 tokens, 0.51 GB for
 * 32,768; the two models in BF16 have 2 GB.
 *
 * Many models against one. What the full model gives before its head can stay on the host
 * between runs. Each later run then has only the full model's head to pass, and no rows of
 * it: of Qwen2.5-0.5B 28 % of its products, of its 7B 8 %. The bits are the same. */
#ifndef RUNTIME_OBSERVE_PAIR_H
#define RUNTIME_OBSERVE_PAIR_H

#include "runtime/observe/sequence.h"

enum { OBSERVE_PIECE = 512 };

/* The full model's rows before its head, of every target of one list of sequences: 4 h bytes
 * per target. Starts as zeros; a run fills it, later runs with the same model and
 * sequences read it. Not filled where it would take more bytes than its limit or where the
 * host has no memory: then every run passes the whole model. */
struct observe_kept {
    float *rows;      /* [targets][leading dimension of the model's rows] */
    uint64_t targets; /* that were kept */
    bool whole;       /* all of them: a later run reads them */
    uint64_t limit;   /* bytes at most; 0: OBSERVE_KEPT_BYTES */
};
#define OBSERVE_KEPT_BYTES (1ull << 30)
void observe_kept_deinit(struct observe_kept *kept);

/* One target. */
struct observe_pair_token {
    uint32_t sequence, at;       /* its place: token `at` of a sequence */
    uint32_t id;                 /* the token that stands there */
    uint32_t best_full, best;    /* first choices */
    float kl;                    /* KL(full || other), nats */
    float logprob_full, logprob; /* of the token */
};

struct observe_pair_task {
    struct rt_model *full, *other; /* on one device, of one vocabulary; may be the same */
    struct rt_adapter *adapter;    /* of `other`, may be null */
    const struct train_sequence *sequences; /* of two tokens or more */
    uint32_t count;
    struct observe_kept *kept; /* may be null */
    uint32_t piece; /* tokens that pass at once, a multiple of 64; 0: OBSERVE_PIECE */
    /* Called for every target, in order. */
    void (*token)(void *user, const struct observe_pair_token *token);
    /* Called after every list of work, up to four pieces through a layer, or a piece:
     * tokens that have passed, of all; of a chain under way the share that its lists are.
     * A status that is not RT_OK ends the run and is returned. May be null. */
    rt_status (*pass)(void *user, uint64_t done, uint64_t total);
    void *user; /* borrowed */
};

/* RT_ERR_USAGE where the vocabularies differ, or a sequence has more tokens than a model
 * has positions; RT_ERR_NO_DEVICE for one that is too long for the device. */
RT_CHECKED rt_status observe_pair(const struct observe_pair_task *task);

#endif
