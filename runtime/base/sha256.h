/* runtime/base/sha256.h
 * SHA-256 (FIPS 180-4): content hashes of models, data and results. */
#ifndef RUNTIME_BASE_SHA256_H
#define RUNTIME_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
/* Adds a string and its end, so that "ab","c" and "a","bc" differ. */
void sha256_add_text(struct sha256 *s, const char *text);
void sha256_end(struct sha256 *s, uint8_t digest[32]);
/* The digest as 64 hexadecimal digits. */
void sha256_end_hex(struct sha256 *s, char hex[65]);

#endif
