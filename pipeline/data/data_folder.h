/* pipeline/data/data_folder.h
 * A folder of JSON files as rows: the form in which MATH was published, one problem a
 * file, FOLDER/SUBJECT/NUMBER.json. */
#ifndef PIPELINE_DATA_DATA_FOLDER_H
#define PIPELINE_DATA_DATA_FOLDER_H

#include "pipeline/data/data_rows.h"

struct pipe_folder_facts {
    char
        hash[65]; /* SHA-256 over SUBJECT/NUMBER.json and the file's own hash, in order */
    int64_t bytes; /* of all files, unpacked */
};

/* True if `path` is a folder. */
bool pipe_is_folder(const char *path);

/* By subject, then by number; other files and empty subjects are skipped. Every row gets
 * the field "unique_id": "SPLIT/SUBJECT/NUMBER.json". `path` holds the subjects. */
RT_CHECKED rt_status pipe_rows_folder(struct rt_ctx *ctx, const char *path,
                                      const char *split, pipe_row_fn *fn, void *user,
                                      struct pipe_folder_facts *facts);

#endif
