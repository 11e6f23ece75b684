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
};

struct fmt_safetensors {
    struct fmt_map *maps; /* one a shard */
    uint32_t map_count;
    struct fmt_tensor *tensors; /* sorted by name */
    uint32_t count;
};

const char *fmt_dtype_name(enum fmt_dtype dtype);
/* F32, F16, BF16, F8_E4M3 or F8_E5M2: what fmt_tensor_floats reads. */
bool fmt_dtype_is_float(enum fmt_dtype dtype);
/* F8_E4M3 or F8_E5M2. */
bool fmt_dtype_is_f8(enum fmt_dtype dtype);

/* Opens one file, or a folder's model.safetensors, or its shards through
 * model.safetensors.index.json. */
RT_CHECKED rt_status fmt_safetensors_open(struct rt_ctx *ctx, const char *path,
                                          struct fmt_safetensors *out);
RT_CHECKED rt_status fmt_safetensors_open_folder(struct rt_ctx *ctx, const char *folder,
                                                 struct fmt_safetensors *out);
void fmt_safetensors_close(struct fmt_safetensors *file);
const struct fmt_tensor *fmt_safetensors_find(const struct fmt_safetensors *file,
                                              const char *name); /* null: not there */

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
