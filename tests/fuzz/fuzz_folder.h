/* tests/fuzz/fuzz_folder.h
 * Files for fuzzers of readers that take paths: one scratch folder a process. */
#ifndef TESTS_FUZZ_FUZZ_FOLDER_H
#define TESTS_FUZZ_FUZZ_FOLDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char fuzz_path[64];

static void fuzz_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fuzz_path);
    if (system(command) != 0)
        fprintf(stderr, "could not remove %s\n", fuzz_path);
}

/* The folder, made at first use and removed at exit. In memory: a disk is 30 times
 * slower. */
static inline const char *fuzz_folder(void)
{
    if (!fuzz_path[0]) {
        snprintf(fuzz_path, sizeof fuzz_path, "/dev/shm/faultline-fuzz-XXXXXX");
        if (!mkdtemp(fuzz_path) || atexit(fuzz_remove) != 0)
            abort();
    }
    return fuzz_path;
}

/* Writes a file of it and gives its path (valid until the next call). If `framed`, the
 * header length that a safetensors file starts with is put in front: the header is what
 * lies before the first 0 byte. */
static inline const char *fuzz_file(const char *name, const uint8_t *data, size_t size,
                                    int framed)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *file = fopen(path, "wb");
    if (!file)
        abort();
    if (framed) {
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        const uint64_t length = end ? (uint64_t)(end - data) : size;
        uint8_t prefix[8];
        for (int i = 0; i < 8; i++)
            prefix[i] = (uint8_t)(length >> (8 * i));
        fwrite(prefix, 1, sizeof prefix, file);
    }
    if (size && fwrite(data, 1, size, file) != size)
        abort();
    fclose(file);
    return path;
}

#endif
