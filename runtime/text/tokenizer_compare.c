/* runtime/text/tokenizer_compare.c
 * Whether two tokenizers give the same ids: their vocabularies, their merges, and what
 * both make of a text that every way of splitting cuts otherwise. */
#include "runtime/text/tokenizer_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Contractions, numbers of all lengths, runs of marks, spaces and line ends, words of
 * mixed case, other scripts, all in NFC. */
static const char probe[] =
    "I'll say it's 1 or 12, 123, 1234 and 1234567; HelloWorld DON'T x2y3 "
    "(a+b)*c==[d]/e%f && \"g\"!?...  two   three\t\ttabs\n\n\nlines \n  indented\r\n"
    "na\xc3\xafve caf\xc3\xa9 \xce\xb1\xce\xb2 \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5"
    "\xd1\x82 \xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c"
    "12\xe5\xb9\xb4 "
    "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85 \xf0\x9f\x99\x82_snake_case-kebab "
    "https://a.b/c?d=e 3.14e-10 $5 #6 @seven";

/* A token as people can read it: bytes that are no ASCII as \xNN. */
static void print_token(const uint8_t *bytes, size_t size, char out[TEXT_DIFFERENCE])
{
    size_t n = 0;
    for (size_t i = 0; i < size && n + 5 < TEXT_DIFFERENCE; i++)
        n += bytes[i] >= ' ' && bytes[i] <= '~'
                 ? (size_t)snprintf(out + n, 2, "%c", bytes[i])
                 : (size_t)snprintf(out + n, 5, "\\x%02x", bytes[i]);
    out[n] = '\0';
}

static void print_id(const struct text_tokenizer *t, uint32_t id,
                     char out[TEXT_DIFFERENCE])
{
    const struct bpe_token *token = id < t->bpe.id_count ? &t->bpe.tokens[id] : NULL;
    print_token(token && token->bytes ? token->bytes : (const uint8_t *)"",
                token && token->bytes ? token->size : 0, out);
}

/* The same library reads both, so they also split text by the same rules, and ids that only
 * one has are a difference. */
static bool same_library(const struct text_tokenizer *a, const struct text_tokenizer *b)
{
    return a->overlap == b->overlap && a->bpe.by_rank == b->bpe.by_rank;
}

static bool same_token(const struct bpe_token *a, const struct bpe_token *b, bool strict)
{
    if (!a->bytes || !b->bytes)
        return (!a->bytes && !b->bytes) || !strict;
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static void compare_tokens(const struct text_tokenizer *a, const struct text_tokenizer *b,
                           struct text_difference *out)
{
    const bool strict = same_library(a, b);
    for (uint32_t id = 0; id < a->bpe.id_count && id < b->bpe.id_count; id++) {
        if (same_token(&a->bpe.tokens[id], &b->bpe.tokens[id], strict))
            continue;
        out->what = "id";
        out->at = id;
        print_id(a, id, out->of_a);
        print_id(b, id, out->of_b);
        return;
    }
}

/* ---- merges ---- */

static int by_rank(const void *pa, const void *pb)
{
    const struct bpe_merge *a = pa, *b = pb;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* The merges in their order, in fresh memory. */
static rt_status sorted_merges(const struct text_tokenizer *t, struct bpe_merge **out,
                               uint32_t *count)
{
    uint32_t n = 0;
    struct bpe_merge *list = rt_alloc(t->ctx, t->bpe.merge_places + 1u, sizeof *list);
    *out = list;
    *count = 0;
    if (!list)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "comparing tokenizers: no memory");
    for (uint32_t i = 0; i < t->bpe.merge_places; i++)
        if (t->bpe.merges[i].left != BPE_NO_ID)
            list[n++] = t->bpe.merges[i];
    qsort(list, n, sizeof *list, by_rank);
    *count = n;
    return RT_OK;
}

static void print_merge(const struct text_tokenizer *t, const struct bpe_merge *m,
                        char out[TEXT_DIFFERENCE])
{
    char left[TEXT_DIFFERENCE], right[TEXT_DIFFERENCE];
    out[0] = '\0';
    if (!m)
        return;
    print_id(t, m->left, left);
    print_id(t, m->right, right);
    snprintf(out, TEXT_DIFFERENCE, "%.28s + %.28s", left, right);
}

static rt_status compare_merges(const struct text_tokenizer *a,
                                const struct text_tokenizer *b,
                                struct text_difference *out)
{
    rt_status st;
    struct bpe_merge *of_a = NULL, *of_b = NULL;
    uint32_t na, nb, i = 0;
    TRY(sorted_merges(a, &of_a, &na));
    TRY(sorted_merges(b, &of_b, &nb));
    while (i < na && i < nb && of_a[i].left == of_b[i].left &&
           of_a[i].right == of_b[i].right && of_a[i].id == of_b[i].id)
        i++;
    if (i < na || i < nb) {
        out->what = "merge";
        out->at = i;
        print_merge(a, i < na ? &of_a[i] : NULL, out->of_a);
        print_merge(b, i < nb ? &of_b[i] : NULL, out->of_b);
    }

fail:
    rt_free(of_a);
    rt_free(of_b);
    return st;
}

/* ---- ways of splitting ---- */

static rt_status compare_probe(struct text_tokenizer *a, struct text_tokenizer *b,
                               struct text_difference *out)
{
    rt_status st;
    uint32_t *of_a = NULL, *of_b = NULL, na, nb, i = 0;
    TRY(text_encode(a, probe, sizeof probe - 1, false, &of_a, &na));
    TRY(text_encode(b, probe, sizeof probe - 1, false, &of_b, &nb));
    while (i < na && i < nb && of_a[i] == of_b[i])
        i++;
    if (i < na || i < nb) {
        out->what = "way of splitting text, at id";
        out->at = i < na ? of_a[i] : of_b[i];
        print_id(a, i < na ? of_a[i] : BPE_NO_ID, out->of_a);
        print_id(b, i < nb ? of_b[i] : BPE_NO_ID, out->of_b);
    }

fail:
    rt_free(of_a);
    rt_free(of_b);
    return st;
}

rt_status text_tokenizer_compare(struct text_tokenizer *a, struct text_tokenizer *b,
                                 struct text_difference *out)
{
    rt_status st = RT_OK;
    *out = (struct text_difference){ .what = NULL };
    compare_tokens(a, b, out);
    if (!out->what && a->bos != BPE_NO_ID && b->bos != BPE_NO_ID && a->bos != b->bos) {
        out->what = "start of a text, id";
        out->at = a->bos;
        print_id(a, a->bos, out->of_a);
        print_id(b, b->bos, out->of_b);
    }
    if (!out->what && !a->bpe.by_rank && !b->bpe.by_rank)
        TRY(compare_merges(a, b, out));
    if (!out->what && same_library(a, b))
        TRY(compare_probe(a, b, out));

fail:
    return st;
}
