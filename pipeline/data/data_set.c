/* pipeline/data/data_set.c
 * Reads a data set file of any known format into problems and says whether it is the
 * published one. */
#include "pipeline/data/data_set.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_folder.h"
#include "runtime/base/text_set.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"

#include <stdio.h>
#include <string.h>

/* Problems on their way into a set. */
struct builder {
    struct rt_ctx *ctx;
    struct pipe_dataset *out;
    uint32_t capacity;        /* of the set's items */
    struct pipe_text_set ids; /* id -> place in the set */
    uint32_t *lines;          /* of each problem; as many as capacity */
    struct sha256 content;
};

static rt_status no_memory(struct rt_ctx *ctx, const char *what)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for its problems", what);
}

static rt_status make_room(struct builder *b)
{
    struct pipe_problem_set *set = &b->out->set;
    if (set->count < b->capacity)
        return RT_OK;
    const uint32_t next = b->capacity ? b->capacity * 2 : 256;
    uint32_t *lines = rt_resize(b->ctx, b->lines, set->count, next, sizeof *lines);
    if (!lines)
        return no_memory(b->ctx, b->out->name);
    b->lines = lines;
    struct pipe_problem *items =
        rt_resize(b->ctx, set->items, set->count, next, sizeof *items);
    if (!items)
        return no_memory(b->ctx, b->out->name);
    set->items = items;
    b->capacity = next;
    return RT_OK;
}

static rt_status on_row(void *user, const struct pipe_row *row)
{
    rt_status st;
    struct builder *b = user;
    struct pipe_problem_set *set = &b->out->set;
    struct pipe_problem problem;
    const char *own;
    bool is_new;
    uint32_t first = 0;
    TRY(make_room(b));
    TRY(pipe_recipe_apply(b->ctx, &set->pool, b->out->recipe, row, &problem, &own));
    problem.id =
        pipe_data_id(b->ctx, &set->pool, b->out->name, b->out->split, own, set->count);
    if (!problem.id)
        return no_memory(b->ctx, b->out->name);
    TRY(pipe_text_set_add(b->ctx, &b->ids, problem.id, set->count, &is_new, &first));
    if (!is_new)
        return rt_fail(b->ctx, RT_ERR_INPUT,
                       "'%s' %s %u: id '%.80s' stands in %s %u too; ids must be unique",
                       row->file, row->unit, row->at, own ? own : problem.id, row->unit,
                       b->lines[first]);
    sha256_add_text(&b->content, problem.question);
    sha256_add_text(&b->content, problem.answer);
    sha256_add_text(&b->content, problem.reference ? problem.reference : "");
    b->lines[set->count] = row->at;
    set->items[set->count++] = problem;
    return RT_OK;

fail:
    return st;
}

/* `source`: a text, or the folder `path` if null. */
static rt_status build(struct rt_ctx *ctx, struct pipe_dataset *out,
                       const struct pipe_rows_text *source, const char *path)
{
    rt_status st;
    struct builder b = { .ctx = ctx, .out = out };
    struct pipe_folder_facts facts;
    sha256_init(&b.content);
    if (!source) {
        TRY(pipe_rows_folder(ctx, path, out->split, on_row, &b, &facts));
        memcpy(out->source, facts.hash, sizeof out->source);
        out->bytes = facts.bytes;
    } else if (out->recipe->container == PIPE_CONTAINER_CSV) {
        TRY(pipe_rows_csv(ctx, source, on_row, &b));
    } else if (out->recipe->container == PIPE_CONTAINER_XML) {
        TRY(pipe_rows_xml(ctx, source, "Problem", on_row, &b));
    } else {
        TRY(pipe_rows_json(ctx, source, on_row, &b));
    }
    if (out->set.count == 0) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' holds no problem",
                     source ? source->name : path);
        goto fail;
    }
    sha256_end_hex(&b.content, out->content);
    TRY(pipe_problems_rehash(ctx, &out->set));
    st = RT_OK;

fail:
    rt_free(b.lines);
    pipe_text_set_deinit(&b.ids);
    return st;
}

rt_status pipe_dataset_parse(struct rt_ctx *ctx, struct pipe_dataset *out,
                             const struct pipe_rows_text *text)
{
    const rt_status st = build(ctx, out, text, NULL);
    if (st != RT_OK)
        pipe_problems_deinit(&out->set);
    return st;
}

/* ---- which split, which format ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether a file's name is `wanted`, or that with ".gz". */
static bool is_named(const char *name, const char *wanted)
{
    const size_t length = strlen(wanted);
    return strncmp(name, wanted, length) == 0 &&
           (!name[length] || strcmp(name + length, ".gz") == 0);
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t n = strlen(ending);
    size_t length = strlen(path);
    if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
        length -= 3;
    return length >= n && strncmp(path + length - n, ending, n) == 0;
}

/* The split of a single file: by its content, by what the user says, by its name, or
 * because there is only one. Null: cannot be told. */
static const char *split_of(const struct pipe_dataset_ask *ask, const char *hash)
{
    const struct pipe_benchmark *known = pipe_benchmark_find(ask->name, NULL);
    const struct pipe_benchmark_file *files = pipe_benchmark_files;
    for (uint32_t i = 0; files[i].name; i++)
        if (strcmp(files[i].name, ask->name) == 0 && strcmp(files[i].hash, hash) == 0)
            return files[i].split;
    if (ask->split)
        return ask->split;
    for (uint32_t i = 0; files[i].name; i++)
        if (strcmp(files[i].name, ask->name) == 0 &&
            is_named(base_name(ask->path), files[i].file))
            return files[i].split;
    if (!known)
        return strncmp(base_name(ask->path), "train", 5) == 0 ? "train" : "test";
    return known[1].name && strcmp(known[1].name, ask->name) == 0 ? NULL : known->split;
}

static rt_status choose_recipe(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                               const char *path, const char *text,
                               struct pipe_dataset *out)
{
    const char *name = ask->format                ? ask->format
                       : out->facts               ? out->facts->recipe
                       : has_ending(path, ".csv") ? "csv"
                                                  : "jsonl";
    const struct pipe_recipe *found = NULL;
    char xml[48];
    snprintf(xml, sizeof xml, "%.40s-xml", name);
    if (text && text[strspn(text, " \t\r\n")] == '<')
        found = pipe_recipe_find(xml);
    if (!found)
        found = pipe_recipe_find(name);
    if (!found)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "there is no format '%.40s'; see: faultline data formats", name);
    struct pipe_recipe *recipe = pipe_pool_take(ctx, &out->set.pool, 1, sizeof *recipe);
    if (!recipe)
        return no_memory(ctx, ask->name);
    *recipe = *found;
    recipe->question = ask->question_field ? ask->question_field : recipe->question;
    recipe->more = ask->question_field ? "" : recipe->more;
    recipe->answer = ask->answer_field ? ask->answer_field : recipe->answer;
    recipe->id = ask->id_field ? ask->id_field : recipe->id;
    out->recipe = recipe;
    return RT_OK;
}

static rt_status name_it(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                         const char *path, const char *split, struct pipe_dataset *out)
{
    struct pipe_pool *pool = &out->set.pool;
    out->name = pipe_pool_copy(ctx, pool, ask->name, strlen(ask->name));
    out->split = pipe_pool_copy(ctx, pool, split, strlen(split));
    out->path = pipe_pool_copy(ctx, pool, path, strlen(path));
    out->set.name = pipe_pool_format(ctx, pool, "%s:%s", ask->name, split);
    out->facts = pipe_benchmark_find(ask->name, split);
    return out->name && out->split && out->path && out->set.name
               ? RT_OK
               : no_memory(ctx, ask->name);
}

/* Compares with what was published. */
static rt_status check(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                       struct pipe_dataset *out)
{
    const struct pipe_benchmark *facts = out->facts;
    const char *hash = NULL;
    if (!facts)
        return RT_OK;
    for (const struct pipe_benchmark_file *f = pipe_benchmark_files; f->name; f++) {
        if (strcmp(f->name, out->name) != 0 || strcmp(f->split, out->split) != 0)
            continue;
        hash = hash ? hash : f->hash;
        out->published = out->published || strcmp(f->hash, out->source) == 0;
    }
    out->published = out->published || strcmp(facts->content, out->content) == 0;
    if (out->published || ask->accept)
        return RT_OK;
    if (out->set.count != facts->count)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' is not the published %s:%s: it holds %u problems, that one "
                       "%u; --accept takes it as it is",
                       out->path, out->name, out->split, out->set.count, facts->count);
    return rt_fail(ctx, RT_ERR_INPUT,
                   "'%s' is not the published %s:%s: SHA-256 %.16s... where %.16s... is "
                   "known; --accept takes it as it is",
                   out->path, out->name, out->split, out->source,
                   hash ? hash : facts->content);
}

/* ---- files and folders ---- */

static rt_status read_file(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                           const char *path, const char *split, struct pipe_dataset *out)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    *out = (struct pipe_dataset){ 0 };
    TRY(pipe_data_file_read(ctx, path, &file));
    split = split ? split : split_of(ask, file.hash);
    if (!split) {
        st = rt_fail(ctx, RT_ERR_USAGE,
                     "'%s': %s has several splits and this could be any; say which with "
                     "--split",
                     path, ask->name);
        goto fail;
    }
    if (ask->split && strcmp(split, ask->split) != 0) {
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' is the published %s:%s, not %s:%s as --split says", path,
                     ask->name, split, ask->name, ask->split);
        goto fail;
    }
    TRY(name_it(ctx, ask, path, split, out));
    TRY(choose_recipe(ctx, ask, path, file.text, out));
    memcpy(out->source, file.hash, sizeof out->source);
    out->bytes = (int64_t)file.size;
    const struct pipe_rows_text text = { path, file.text, file.size };
    TRY(build(ctx, out, &text, NULL));
    TRY(check(ctx, ask, out));
    pipe_data_file_deinit(&file);
    return RT_OK;

fail:
    pipe_data_file_deinit(&file);
    pipe_dataset_deinit(out);
    return st;
}

static rt_status read_folder(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                             const char *path, const char *split,
                             struct pipe_dataset *out)
{
    rt_status st;
    *out = (struct pipe_dataset){ 0 };
    TRY(name_it(ctx, ask, path, split, out));
    TRY(choose_recipe(ctx, ask, path, NULL, out));
    TRY(build(ctx, out, NULL, path));
    TRY(check(ctx, ask, out));
    return RT_OK;

fail:
    pipe_dataset_deinit(out);
    return st;
}

/* Reads the published file of a split that lies in the folder, if one does. */
static rt_status try_files(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                           const struct pipe_benchmark *b, struct pipe_dataset *out,
                           bool *there)
{
    rt_status st = RT_OK;
    for (const struct pipe_benchmark_file *f = pipe_benchmark_files; f->name; f++) {
        if (strcmp(f->name, b->name) != 0 || strcmp(f->split, b->split) != 0)
            continue;
        for (int packed = 0; st == RT_OK && !*there && packed < 2; packed++) {
            char *path =
                rt_format(ctx, "%s/%s%s", ask->path, f->file, packed ? ".gz" : "");
            if (!path)
                return no_memory(ctx, ask->name);
            *there = fmt_exists(path);
            if (*there)
                st = read_file(ctx, ask, path, b->split, out);
            rt_free(path);
        }
    }
    return st;
}

/* MATH as it was published: PATH/SPLIT/SUBJECT/N.json, or PATH itself is the split. */
static rt_status try_subfolder(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                               const struct pipe_benchmark *b, struct pipe_dataset *out,
                               bool *there)
{
    rt_status st = RT_OK;
    char *path = rt_format(ctx, "%s/%s", ask->path, b->split);
    if (!path)
        return no_memory(ctx, ask->name);
    if (pipe_is_folder(path)) {
        *there = true;
        st = read_folder(ctx, ask, path, b->split, out);
    } else if (strcmp(base_name(ask->path), b->split) == 0) {
        *there = true;
        st = read_folder(ctx, ask, ask->path, b->split, out);
    }
    rt_free(path);
    return st;
}

static rt_status read_all(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                          struct pipe_dataset *out, uint32_t *count)
{
    bool known = false;
    for (const struct pipe_benchmark *b = pipe_benchmarks; b->name; b++) {
        bool there = false;
        known |= strcmp(b->name, ask->name) == 0;
        if (strcmp(b->name, ask->name) != 0 ||
            (ask->split && strcmp(b->split, ask->split) != 0))
            continue;
        if (*count == PIPE_DATASET_SPLITS_MAX)
            break;
        rt_status st = try_files(ctx, ask, b, &out[*count], &there);
        if (st == RT_OK && !there && strcmp(b->recipe, "math") == 0)
            st = try_subfolder(ctx, ask, b, &out[*count], &there);
        if (st != RT_OK)
            return st;
        *count += there;
    }
    if (!known && ask->format && strcmp(ask->format, "math") == 0) { /* one's own */
        const rt_status st =
            read_folder(ctx, ask, ask->path, ask->split ? ask->split : "test", &out[0]);
        *count = st == RT_OK;
        return st;
    }
    if (*count == 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': no file of the published %.40s%s%.40s in this folder; name "
                       "the file itself",
                       ask->path, ask->name, ask->split ? ":" : "",
                       ask->split ? ask->split : "");
    return RT_OK;
}

rt_status pipe_dataset_read(struct rt_ctx *ctx, const struct pipe_dataset_ask *ask,
                            struct pipe_dataset out[PIPE_DATASET_SPLITS_MAX],
                            uint32_t *count)
{
    *count = 0;
    if (!pipe_is_folder(ask->path)) {
        const rt_status st = read_file(ctx, ask, ask->path, NULL, &out[0]);
        *count = st == RT_OK;
        return st;
    }
    const rt_status st = read_all(ctx, ask, out, count);
    while (st != RT_OK && *count > 0)
        pipe_dataset_deinit(&out[--*count]);
    return st;
}

void pipe_dataset_deinit(struct pipe_dataset *dataset)
{
    pipe_problems_deinit(&dataset->set);
    *dataset = (struct pipe_dataset){ 0 };
}
