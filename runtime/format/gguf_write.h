/* runtime/format/gguf_write.h
 * Writes GGUF files, version 3 (gguf.h tells the container): keys and tensors are named
 * first, then the data comes tensor by tensor, in that order or in any other, so that no
 * more than what the caller holds is in memory. The file appears whole or not at all: it is
 * PATH.part until fmt_gguf_out_end, which is removed on failure; a killed program leaves it
 * behind, and what it holds may be taken over (fmt_gguf_out_reopen). */
#ifndef RUNTIME_FORMAT_GGUF_WRITE_H
#define RUNTIME_FORMAT_GGUF_WRITE_H

#include <stdio.h>

#include "runtime/format/gguf.h"

enum { FMT_GGUF_ALIGNMENT = 32 };

struct fmt_gguf_out_tensor {
    char name[64 + 1];
    const struct fmt_block_type *type;
    uint32_t dims;
    uint64_t shape[FMT_GGUF_DIMS_MAX]; /* the contiguous one first */
    uint64_t size;                     /* bytes */
};

/* Zero but for ctx is a valid start. */
struct fmt_gguf_out {
    struct rt_ctx *ctx; /* borrowed */
    uint8_t *keys;      /* as they are in the file; owned */
    size_t keys_size, keys_capacity;
    uint64_t key_count;
    struct fmt_gguf_out_tensor *tensors; /* owned */
    uint32_t tensor_count, tensor_capacity;
    bool failed; /* for lack of memory: told by begin */
    /* while data is written */
    char *path, *part; /* owned */
    FILE *file;
    uint64_t size;    /* of the whole file */
    uint64_t found;   /* of a part that was opened again */
    uint64_t data_at; /* where in the file the first tensor lies */
    uint32_t next;    /* tensor under way */
    uint64_t written; /* bytes of it */
    uint32_t ended;   /* tensors whose data is there */
    bool is_kept;     /* the part stays on failure */
};

/* ---- keys; a name must not come twice ---- */
void fmt_gguf_put_u32(struct fmt_gguf_out *out, const char *name, uint32_t value);
void fmt_gguf_put_f32(struct fmt_gguf_out *out, const char *name, float value);
void fmt_gguf_put_bool(struct fmt_gguf_out *out, const char *name, bool value);
void fmt_gguf_put_text(struct fmt_gguf_out *out, const char *name, const char *text);
/* A key of another file, whatever it holds. */
void fmt_gguf_put_key(struct fmt_gguf_out *out, const struct fmt_gguf_key *key);
/* An array of `count` elements of 4 bytes, or of strings: the elements follow, by
 * fmt_gguf_put_word or fmt_gguf_put_string. */
void fmt_gguf_put_array(struct fmt_gguf_out *out, const char *name,
                        enum fmt_gguf_kind kind, uint64_t count);
void fmt_gguf_put_word(struct fmt_gguf_out *out, uint32_t bits);
void fmt_gguf_put_string(struct fmt_gguf_out *out, const char *text, size_t size);

/* ---- tensors ---- */
/* Rows must be a multiple of the type's block. RT_ERR_INPUT: a name of more than 64 bytes,
 * or one that is there. */
RT_CHECKED rt_status fmt_gguf_out_add(struct fmt_gguf_out *out, const char *name,
                                      const struct fmt_block_type *type, uint32_t dims,
                                      const uint64_t *shape);
/* Bytes of the file that is described so far. */
uint64_t fmt_gguf_out_bytes(const struct fmt_gguf_out *out);
/* Writes all that stands before the data. RT_ERR_IO also if the disk has less room than
 * the file takes. */
RT_CHECKED rt_status fmt_gguf_out_begin(struct fmt_gguf_out *out, const char *path);
/* The same with the data that PATH.part has, if it is of these keys and tensors, else *same
 * is false and nothing is open. */
RT_CHECKED rt_status fmt_gguf_out_reopen(struct fmt_gguf_out *out, const char *path,
                                         bool *same);
/* The data of tensor i is in a part that was opened again. False: the part is too short. */
bool fmt_gguf_out_present(struct fmt_gguf_out *out, uint32_t i);
/* What was written is on the disk. */
RT_CHECKED rt_status fmt_gguf_out_sync(struct fmt_gguf_out *out);
/* Tensor i is the one under way, none of whose data is there yet; no other has a part of
 * its data. */
RT_CHECKED rt_status fmt_gguf_out_seek(struct fmt_gguf_out *out, uint32_t i);
/* The next bytes of the tensor under way; the last ones make the following one so. */
RT_CHECKED rt_status fmt_gguf_out_data(struct fmt_gguf_out *out, const void *data,
                                       size_t size);
/* Puts the file in place, when all data is there. */
RT_CHECKED rt_status fmt_gguf_out_end(struct fmt_gguf_out *out);
/* Frees, and removes the part of a file that was not ended. */
void fmt_gguf_out_deinit(struct fmt_gguf_out *out);

#endif
