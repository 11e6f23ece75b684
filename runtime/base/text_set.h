/* runtime/base/text_set.h
 * A hash map from text to a 32-bit number, and the normal form under which two questions
 * count as the same. Used for duplicates and leaks: linear time in the number of texts.
 */
#ifndef RUNTIME_BASE_TEXT_SET_H
#define RUNTIME_BASE_TEXT_SET_H

#include "runtime/base/rt.h"

struct pipe_text_slot {
    const char *text; /* borrowed, NULL: the place is free */
    uint32_t value;
};

/* Zero is a valid start. Keys are borrowed and must outlive the map. */
struct pipe_text_set {
    struct pipe_text_slot *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

/* Adds text -> value. If the text is there already, *old_value is its value, *is_new is
 * false and nothing changes. old_value may be null. */
RT_CHECKED rt_status pipe_text_set_add(struct rt_ctx *ctx, struct pipe_text_set *set,
                                       const char *text, uint32_t value, bool *is_new,
                                       uint32_t *old_value);
/* True if there; then *value (may be null) is its value. */
bool pipe_text_set_find(const struct pipe_text_set *set, const char *text,
                        uint32_t *value);
void pipe_text_set_deinit(struct pipe_text_set *set);

/* Normal form: ASCII letters in lower case, digits and bytes of other scripts kept, every
 * run of anything else one space, none at the ends. `out` needs strlen(text) + 1 bytes.
 * Returns the length written. */
size_t pipe_text_normalise(const char *text, char *out);

#endif
