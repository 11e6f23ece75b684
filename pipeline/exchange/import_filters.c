/* pipeline/exchange/import_filters.c
 * The harness writes the same documents and answers once per filter, of which one is taken.
 * Compares them, so that no document is lost because another filter alone has it. */
#include "pipeline/exchange/import_impl.h"

#include "runtime/base/sha256.h"
#include "runtime/base/text_set.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One line of the file. */
struct import_line {
    const char *document; /* its id, else its question */
    const char *filter;
    uint32_t at;
    bool taken;
    char answers[65]; /* SHA-256 */
};

void import_filters(const struct importing *in, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < in->out->filter_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.60s", i ? ", " : "",
                                 in->out->filters[i]);
}

static void hash_answers(const json_t *answers, char hash[65])
{
    struct sha256 h;
    sha256_init(&h);
    for (size_t i = 0; i < json_array_size(answers); i++) {
        const char *text = pipe_json_text(json_array_get(answers, i));
        sha256_add_text(&h, text ? text : "");
    }
    sha256_end_hex(&h, hash);
}

static rt_status no_memory(const struct importing *in)
{
    return rt_fail(in->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name);
}

rt_status import_note_line(struct importing *in, const char *filter, bool taken,
                           const char *document, const json_t *answers, uint32_t at)
{
    if (in->line_count == in->line_capacity) {
        const uint32_t more = in->line_capacity ? 2 * in->line_capacity : 256;
        void *grown =
            rt_resize(in->ctx, in->lines, in->line_capacity, more, sizeof *in->lines);
        if (!grown)
            return no_memory(in);
        in->lines = grown;
        in->line_capacity = more;
    }
    assert(in->line_count < in->line_capacity);
    struct import_line *line = &in->lines[in->line_count];
    *line = (struct import_line){ .at = at, .taken = taken };
    hash_answers(answers, line->answers);
    line->document = pipe_pool_copy(in->ctx, &in->texts, document, strlen(document));
    line->filter = pipe_pool_copy(in->ctx, &in->texts, filter, strlen(filter));
    if (!line->document || !line->filter)
        return no_memory(in);
    in->line_count++;
    return RT_OK;
}

static rt_status answers_differ(const struct importing *in, const struct import_line *a,
                                const struct import_line *b)
{
    return rt_fail(in->ctx, RT_ERR_INPUT,
                   "'%s': '%.60s' has other answers under the filter '%.60s' (line %u) "
                   "than under '%.60s' (line %u); the harness writes the same ones, so "
                   "these are of two runs; import each from a file of its own",
                   in->name, a->document, b->filter, b->at, a->filter, a->at);
}

static rt_status documents_missing(const struct importing *in,
                                   const struct import_line *first, uint32_t count)
{
    char filters[400];
    import_filters(in, filters, sizeof filters);
    return rt_fail(
        in->ctx, RT_ERR_INPUT,
        "'%s': the filter '%.60s' lacks %u of the documents, such as '%.60s' "
        "(line %u, filter '%.60s'); --filter NAME takes those of one and leaves "
        "the others out; the filters are: %s",
        in->name, in->filter, count, first->document, first->at, first->filter, filters);
}

rt_status import_compare_filters(struct importing *in)
{
    rt_status st = RT_OK;
    struct pipe_text_set taken = { 0 }, lacking = { 0 };
    const struct import_line *first = NULL;
    bool is_new;
    for (uint32_t i = 0; i < in->line_count; i++)
        if (in->lines[i].taken)
            TRY(pipe_text_set_add(in->ctx, &taken, in->lines[i].document, i, &is_new,
                                  NULL));
    for (uint32_t i = 0; i < in->line_count; i++) {
        const struct import_line *line = &in->lines[i];
        uint32_t same;
        if (line->taken)
            continue;
        if (!pipe_text_set_find(&taken, line->document, &same)) {
            first = first ? first : line;
            TRY(pipe_text_set_add(in->ctx, &lacking, line->document, i, &is_new, NULL));
        } else if (strcmp(in->lines[same].answers, line->answers) != 0) {
            st = answers_differ(in, &in->lines[same], line);
            goto fail;
        }
    }
    in->out->left_out = lacking.count;
    if (first && !in->filter_chosen)
        st = documents_missing(in, first, lacking.count);

fail:
    pipe_text_set_deinit(&taken);
    pipe_text_set_deinit(&lacking);
    return st;
}
