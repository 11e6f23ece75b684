/* runtime/base/text_set.c
 * A hash map from text to a number with open addressing, and the normal form of
 * questions. */
#include "runtime/base/text_set.h"

#include <string.h>

enum { CAPACITY_MIN = 64 };

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 1099511628211u;
    return hash ^ (hash >> 29);
}

/* The slot of `text`, or the free one where it belongs. */
static struct pipe_text_slot *slot_of(struct pipe_text_slot *slots, uint32_t capacity,
                                      const char *text)
{
    uint32_t at = (uint32_t)hash_text(text) & (capacity - 1);
    while (slots[at].text && strcmp(slots[at].text, text) != 0)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static rt_status grow(struct rt_ctx *ctx, struct pipe_text_set *set)
{
    const uint32_t capacity = set->capacity ? set->capacity * 2 : CAPACITY_MIN;
    struct pipe_text_slot *slots = rt_alloc(ctx, capacity, sizeof *slots);
    if (!slots)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u texts", capacity);
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->slots[i].text)
            *slot_of(slots, capacity, set->slots[i].text) = set->slots[i];
    rt_free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return RT_OK;
}

rt_status pipe_text_set_add(struct rt_ctx *ctx, struct pipe_text_set *set,
                            const char *text, uint32_t value, bool *is_new,
                            uint32_t *old_value)
{
    *is_new = false;
    if (set->count >= set->capacity / 2) {
        const rt_status st = grow(ctx, set);
        if (st != RT_OK)
            return st;
    }
    struct pipe_text_slot *slot = slot_of(set->slots, set->capacity, text);
    if (slot->text) {
        if (old_value)
            *old_value = slot->value;
        return RT_OK;
    }
    *slot = (struct pipe_text_slot){ .text = text, .value = value };
    set->count++;
    *is_new = true;
    return RT_OK;
}

bool pipe_text_set_find(const struct pipe_text_set *set, const char *text,
                        uint32_t *value)
{
    if (!set->capacity)
        return false;
    const struct pipe_text_slot *slot = slot_of(set->slots, set->capacity, text);
    if (slot->text && value)
        *value = slot->value;
    return slot->text != NULL;
}

void pipe_text_set_deinit(struct pipe_text_set *set)
{
    rt_free(set->slots);
    *set = (struct pipe_text_set){ 0 };
}

static bool is_kept(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

size_t pipe_text_normalise(const char *text, char *out)
{
    size_t n = 0;
    bool gap = false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c - 'A' + 'a');
        if (!is_kept(c)) {
            gap = n > 0;
            continue;
        }
        if (gap)
            out[n++] = ' '; /* takes the place of at least one dropped byte */
        gap = false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n;
}
