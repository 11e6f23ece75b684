/* runtime/format/gguf.h
 * The GGUF container, versions 2 and 3, little endian:
 *   "GGUF", u32 version, u64 tensors, u64 keys; then the keys (string name, u32 kind,
 *   value), then the tensors (string name, u32 dims, u64 sizes with the contiguous one
 *   first, u32 type, u64 offset into the data), then, at the next multiple of
 *   general.alignment (32 if not given), the data. A string is u64 length and
 *   bytes; an array u32 kind, u64 count and its elements.
 * A model may be split into NAME-00001-of-0000N.gguf ...: the first file is opened and
 * the others found beside it; keys come from the first.
 *
 * Everything is checked before it is used: counts against the bytes that are there,
 * products against overflow, names for being unique, tensors for lying within the file
 * and not over each other. What fails is RT_ERR_INPUT with file, key or tensor, and why.
 * A file that is changed while it is mapped is not defended against. */
#ifndef RUNTIME_FORMAT_GGUF_H
#define RUNTIME_FORMAT_GGUF_H

#include "runtime/base/file.h"
#include "runtime/format/gguf_types.h"

/* Kinds of values, numbered as in the file. */
enum fmt_gguf_kind {
    FMT_GGUF_U8,
    FMT_GGUF_I8,
    FMT_GGUF_U16,
    FMT_GGUF_I16,
    FMT_GGUF_U32,
    FMT_GGUF_I32,
    FMT_GGUF_F32,
    FMT_GGUF_BOOL,
    FMT_GGUF_STRING,
    FMT_GGUF_ARRAY,
    FMT_GGUF_U64,
    FMT_GGUF_I64,
    FMT_GGUF_F64,
    FMT_GGUF_KIND_COUNT
};

enum { FMT_GGUF_DIMS_MAX = 4 };

struct fmt_gguf_key {
    char *name;
    enum fmt_gguf_kind kind; /* of the value, or of the elements of an array */
    bool array;
    uint64_t count;      /* elements; 1: no array */
    const uint8_t *data; /* in the mapped file, any alignment */
    uint64_t size;       /* bytes */
};

struct fmt_gguf_tensor {
    char *name;
    const struct fmt_block_type *type;
    uint32_t dims;
    uint64_t shape[FMT_GGUF_DIMS_MAX]; /* the contiguous one first; 1 beyond dims */
    uint64_t count;                    /* elements */
    const uint8_t *data;               /* in the mapped file, any alignment */
    uint64_t size;                     /* bytes */
    float factor; /* of all elements: what NAME.scale beside NAME.weight says; else 1 */
};

struct fmt_gguf {
    struct rt_ctx *ctx; /* borrowed */
    char *path;         /* as opened */
    uint32_t version;
    struct fmt_map *maps; /* one per file */
    uint32_t map_count;
    struct fmt_gguf_key *keys; /* sorted by name; of the first file */
    uint32_t key_count;
    struct fmt_gguf_tensor *tensors; /* of all files, sorted by name */
    uint32_t tensor_count;
};

/* Whether the path is a file that starts like a GGUF file, or at least is named so. */
bool fmt_gguf_is(const char *path);
RT_CHECKED rt_status fmt_gguf_open(struct rt_ctx *ctx, const char *path,
                                   struct fmt_gguf *out);
void fmt_gguf_close(struct fmt_gguf *file);

/* ---- keys ---- */
const struct fmt_gguf_key *fmt_gguf_key_find(const struct fmt_gguf *file,
                                             const char *name); /* null: not there */
/* A whole number within [low, high]; `otherwise` where the key is missing, which is an
 * error if `otherwise` is negative. */
RT_CHECKED rt_status fmt_gguf_whole(const struct fmt_gguf *file, const char *name,
                                    int64_t otherwise, int64_t low, int64_t high,
                                    int64_t *out);
/* The same from a key that may hold an array with one number per layer, which must be
 * `count` that are all the same. */
RT_CHECKED rt_status fmt_gguf_whole_each(const struct fmt_gguf *file, const char *name,
                                         int64_t otherwise, int64_t low, int64_t high,
                                         uint64_t count, int64_t *out);
/* A finite number; `otherwise` where the key is missing. */
RT_CHECKED rt_status fmt_gguf_number(const struct fmt_gguf *file, const char *name,
                                     double otherwise, double *out);
RT_CHECKED rt_status fmt_gguf_bool(const struct fmt_gguf *file, const char *name,
                                   bool otherwise, bool *out);
/* A string in fresh memory (rt_free); null where the key is missing. */
RT_CHECKED rt_status fmt_gguf_text(const struct fmt_gguf *file, const char *name,
                                   char **out);
/* An array of this kind; RT_OK and null where the key is missing. */
RT_CHECKED rt_status fmt_gguf_array(const struct fmt_gguf *file, const char *name,
                                    enum fmt_gguf_kind kind,
                                    const struct fmt_gguf_key **out);
/* Walks an array of strings: *at is 0 at first. The text is in the file and has no zero
 * at its end. */
const char *fmt_gguf_string_next(const struct fmt_gguf_key *array, uint64_t *at,
                                 size_t *size);
/* Element i of an array of 32-bit numbers, as bits. */
uint32_t fmt_gguf_word(const struct fmt_gguf_key *array, uint64_t i);

/* ---- tensors ---- */
const struct fmt_gguf_tensor *fmt_gguf_find(const struct fmt_gguf *file,
                                            const char *name); /* null: not there */
/* Elements [first, first + n) as float, exactly (gguf_types.h). The factor counts in types
 * that have one (fmt_block_has_factor). */
void fmt_gguf_floats(const struct fmt_gguf_tensor *tensor, uint64_t first, uint64_t n,
                     float *out);

#endif
