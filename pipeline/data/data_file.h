/* pipeline/data/data_file.h
 * One foreign text file in memory: unpacked if it is gzip, checked to be UTF-8, hashed. */
#ifndef PIPELINE_DATA_DATA_FILE_H
#define PIPELINE_DATA_DATA_FILE_H

#include "runtime/base/rt.h"

enum { PIPE_DATA_BYTES_MAX = 1 << 30 }; /* unpacked: a gzip file can hold anything */

struct pipe_data_file {
    char *text; /* zero-terminated, without a byte order mark; owned */
    size_t size;
    char hash[65]; /* SHA-256 of the unpacked bytes, the mark included: hexadecimal */
};

/* "-" is the standard input. RT_ERR_INPUT: missing, cut short, too large, not UTF-8 (with
 * line and column in bytes, from 1; UTF-16 and UTF-32 by name, with or without a byte order
 * mark), a zero byte. */
RT_CHECKED rt_status pipe_data_file_read(struct rt_ctx *ctx, const char *path,
                                         struct pipe_data_file *out);
/* The same from bytes in memory; `name` is for messages. */
RT_CHECKED rt_status pipe_data_file_parse(struct rt_ctx *ctx, const char *name,
                                          const void *data, size_t size,
                                          struct pipe_data_file *out);
void pipe_data_file_deinit(struct pipe_data_file *file);

#endif
