/* runtime/format/safetensors.h
 * The safetensors container: 8-byte little-endian header length, a JSON header (name ->
 * dtype, shape, data_offsets), then the data, row-major, without holes or overlap.
 * Everything is checked before it is used: a file that fails any check is RT_ERR_INPUT
 * with a message of what is wrong. A file that is changed while it is mapped is not
 * defended against. */
#ifndef RUNTIME_FORMAT_SAFETENSORS_H
#define RUNTIME_FORMAT_SAFETENSORS_H

#include "runtime/base/file.h"

enum fmt_dtype {
    FMT_F32,
    FMT_F16,
    FMT_BF16,
    FMT_I8,
    FMT_U8,
    FMT_I32,
    FMT_U32,
    FMT_I64,
    FMT_F64,
    FMT_BOOL,
    FMT_F8_E4M3, /* sign, 4 bits of exponent (bias 7), 3 of mantissa; no infinity */
    FMT_F8_E5M2, /* the upper byte of a half */
    FMT_F8_E8M0, /* 2^(byte - 127) */
    FMT_I16,
    FMT_U16,
    FMT_U64,
    FMT_C64,
    FMT_OTHER, /* a type that is not known; fmt_tensor.other names it */
    FMT_DTYPE_COUNT
};

enum { FMT_DIMS_MAX = 8 };

struct fmt_tensor {
    char *name;
    enum fmt_dtype dtype;
    uint32_t dims;
    uint64_t shape[FMT_DIMS_MAX];
    uint64_t count;      /* elements */
    const uint8_t *data; /* in the mapped file, any alignment */
    uint64_t size;       /* bytes */
    char *other; /* owned: the type as the file names it; null but for FMT_OTHER */
};

struct fmt_safetensors {
    struct fmt_map *maps; /* one a shard */
    uint32_t map_count;
    struct fmt_tensor *tensors; /* sorted by name */
    uint32_t count;
    json_t *metadata; /* __metadata__ of the file, of shards the last one's; null: none */
    json_t *absent; /* names that the index has and no shard: name to shard; null: none */
};

const char *fmt_dtype_name(enum fmt_dtype dtype);
/* The same of a tensor, whatever its type. */
const char *fmt_tensor_dtype(const struct fmt_tensor *tensor);
uint32_t fmt_dtype_bytes(enum fmt_dtype dtype); /* of an element */
/* F32, F16, BF16, F8_E4M3 or F8_E5M2: what fmt_tensor_floats reads. */
bool fmt_dtype_is_float(enum fmt_dtype dtype);
/* F8_E4M3 or F8_E5M2. */
bool fmt_dtype_is_f8(enum fmt_dtype dtype);

/* Opens one file; of a folder model.safetensors, or else its shards through
 * model.safetensors.index.json. Shards that are missing and names that no shard has stop
 * nothing, as long as one shard is there: who needs such a tensor says so with
 * fmt_safetensors_needs. */
RT_CHECKED rt_status fmt_safetensors_open(struct rt_ctx *ctx, const char *path,
                                          struct fmt_safetensors *out);
RT_CHECKED rt_status fmt_safetensors_open_folder(struct rt_ctx *ctx, const char *folder,
                                                 struct fmt_safetensors *out);
void fmt_safetensors_close(struct fmt_safetensors *file);
const struct fmt_tensor *fmt_safetensors_find(const struct fmt_safetensors *file,
                                              const char *name); /* null: not there */

/* RT_ERR_INPUT if the index names the tensor, and its shard is missing or has no such. */
RT_CHECKED rt_status fmt_safetensors_needs(struct rt_ctx *ctx, const char *folder,
                                           const struct fmt_safetensors *file,
                                           const char *name);
/* Gives a tensor another name, which none may have. */
RT_CHECKED rt_status fmt_safetensors_rename(struct rt_ctx *ctx,
                                            struct fmt_safetensors *file, uint32_t tensor,
                                            const char *name);
/* Puts tensors in order again after names were changed. RT_ERR_INPUT: a name occurs
 * twice. `path` is for the message. */
RT_CHECKED rt_status fmt_safetensors_sort(struct rt_ctx *ctx, const char *path,
                                          struct fmt_safetensors *file);

/* Elements [first, first + n) as float, exactly. */
void fmt_tensor_floats(const struct fmt_tensor *t, uint64_t first, uint64_t n,
                       float *out);

/* One tensor to be written; data stays the caller's. */
struct fmt_tensor_out {
    const char *name;
    enum fmt_dtype dtype;
    uint32_t dims;
    uint64_t shape[FMT_DIMS_MAX];
    const void *data;
};

/* Writes a file atomically, wide elements first so that all data is aligned. metadata:
 * key, value, key, value ..., null-terminated, or null. */
RT_CHECKED rt_status fmt_safetensors_write(struct rt_ctx *ctx, const char *path,
                                           const struct fmt_tensor_out *tensors,
                                           uint32_t count, const char *const *metadata);

#endif
