/* What the compilers of other GPUs make of every kernel that a plan can choose: none spills
 * a register, none keeps an array in memory, and each has at least the occupancy of its
 * vendor's floor. No GPU is needed: Mesa's drivers compile for devices that are imagined.
 *
 *   Debian 12: RADV_FORCE_FAMILY, four generations of AMD.
 *   Where Debian's mesa-drm-shim is installed (unstable; ./run vendors makes such a
 *   system in a folder): NVIDIA by NVK, AMD by RADV, Adreno by Turnip, Apple by Honeykrisp.
 *   Intel has no shim there.
 *
 * FAULTLINE_TEST_VENDORS: parts of names of devices, by commas, or "all"; then every
 * constant is compiled on each, and the kernels of no plan once per driver. Otherwise
 * constants take turns among devices, so that each is compiled somewhere. Prints registers
 * and occupancy, the worst over the constants, and the constants that spill.
 * FAULTLINE_TEST_KERNELS: a part of names of kernels; others are left out. */
#include "runtime/vk/vk_statistics.h"
#include "runtime/op/weight.h"
#include "tests/support/devices.h"
#include "tests/support/weight_forms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHIMS "/usr/lib/x86_64-linux-gnu/"
#define DRIVERS "/usr/share/vulkan/icd.d/"

/* Least occupancy, in the driver's own unit (vk_statistics.h): of tiles in shared memory and
 * their like, which reuse what is in registers; and of kernels that wait for memory: one
 * row of products, norms, sums. What the kernels had when the floors were set: gpus.md. */
struct floors {
    uint32_t tile, other;
};
static const struct floors nvidia = { 16, 16 }, gcn = { 2, 3 }, rdna = { 4, 8 },
                           adreno = { 2, 4 }, apple = { 384, 512 };

struct vendor {
    char device[32];           /* "amd:navi21" */
    const char *setting;       /* variable of the shim and its value; NULL: none */
    const char *shim, *driver; /* files */
    const char *force;         /* RADV_FORCE_FAMILY of older Mesa, NULL: unknown to it */
    const struct floors *floors;
    bool usual; /* tested where nothing is asked for */
};

#define NVK(name, chip, usual)                                                        \
    {                                                                                 \
        "nvidia:" name, "NOUVEAU_CHIPSET=" chip, SHIMS "libnouveau_noop_drm_shim.so", \
            DRIVERS "nouveau_icd.json", NULL, &nvidia, usual                          \
    }
#define RADV(name, force, floors, usual)                                        \
    {                                                                           \
        "amd:" name, "AMDGPU_GPU_ID=" name, SHIMS "libamdgpu_noop_drm_shim.so", \
            DRIVERS "radeon_icd.json", force, floors, usual                     \
    }
#define TURNIP(name, shim, chip, usual)                                                \
    {                                                                                  \
        "qualcomm:" name, "FD_GPU_ID=" chip, shim, DRIVERS "freedreno_icd.json", NULL, \
            &adreno, usual                                                             \
    }
#define ADRENO SHIMS "libfreedreno_noop_drm_shim.so"

static struct vendor vendors[] = {
    RADV("navi21", "NAVI21", &rdna, true),
    RADV("navi31", "GFX1100", &rdna, true),
    RADV("vega10", "VEGA10", &gcn, true),
    RADV("polaris10", "POLARIS10", &gcn, true),
    NVK("turing", "0x162", true),
    NVK("ampere", "0x172", true),
    TURNIP("x1", "/tmp/libfreedreno_x1.so", "740", true), /* made by ./run vendors */
    { "apple:m1", NULL, SHIMS "libasahi_noop_drm_shim.so", DRIVERS "asahi_icd.json", NULL,
      &apple, true },
    RADV("gfx1201", NULL, &rdna, true),
    NVK("maxwell", "0x124", false),
    NVK("pascal", "0x132", false),
    NVK("volta", "0x140", false),
    NVK("turing16", "0x168", false),
    NVK("ada", "0x192", false),
    NVK("blackwell", "0x1b2", false),
    RADV("polaris12", NULL, &gcn, false),
    RADV("vega20", NULL, &gcn, false),
    RADV("raven", NULL, &gcn, false),
    RADV("renoir", NULL, &gcn, false),
    RADV("navi10", NULL, &rdna, false),
    RADV("vangogh", NULL, &rdna, false),
    RADV("rembrandt", NULL, &rdna, false),
    RADV("raphael_mendocino", NULL, &rdna, false),
    RADV("navi33", NULL, &rdna, false),
    RADV("phoenix", NULL, &rdna, false),
    RADV("strix1", NULL, &rdna, false),
    TURNIP("618", ADRENO, "618", true), /* both have few registers */
    TURNIP("660", ADRENO, "660", true),
    TURNIP("730", ADRENO, "730", false),
    TURNIP("740", ADRENO, "740", false),
    TURNIP("750", ADRENO, "750", false),
    TURNIP("830", ADRENO, "830", false),
};

/* Arrays that are kept in memory, and known: at most so many bytes. A row whose kernel no
 * longer needs it is reported, to be deleted. */
static const struct known {
    const char *device, *kernel, *why;
    uint32_t scratch_bytes;
} known[] = {
    { "nvidia:", "matmul/int8_16x64", "loops over acc[] with an adapter", 32 },
    { "nvidia:", "matmul/int8_64x64", "loops over acc[] with an adapter", 128 },
};

/* Of Debian 12, whose drivers' files have other names. */
static const char force_driver[] = DRIVERS "radeon_icd.x86_64.json";

enum { GOOD = 0, BAD = 1, NO_DRIVER = 77, TAKES_TURNS = 4, TILE = 64 };

/* ---- constants ---- */

/* The constants of matmul kernels: group sizes, as far as code differs by them, or, of
 * kernels that serve every weight, the forms of tests/support/weight_forms.c; and what
 * model_forward.c adds to a product. */
static const uint32_t groups[] = { 0, 32, 128 };
/* Of products of 8 by 8 bits. */
static const uint32_t int8_forms[] = { RT_FORM_ZERO, RT_FORM_HALF, RT_FORM_FLOAT,
                                       RT_FORM_BFLOAT };
/* Of attention kernels: head sizes of published models, and the ends of what is served. */
static const uint32_t head_sizes[] = {
    8, 16, 32, 64, 80, 96, 100, 112, 128, 192, HEAD_MAX
};
/* Heads that share a workgroup, of kernels for such. */
static const uint32_t sharing[] = { 1, 2, 4, 7, 8 };
static const uint32_t flags[] = { 0, MATMUL_BIAS, MATMUL_RESIDUAL,
                                  MATMUL_BIAS | MATMUL_LORA,
                                  MATMUL_RESIDUAL | MATMUL_LORA };

/* Weights of different code: their number; *out is the i-th, if it is wanted. */
static uint32_t first_forms(struct test_weight_form *out, uint32_t i)
{
    uint32_t n = 0;
    for (uint32_t f = 0; f < test_weight_form_count; f++)
        if (test_weight_form_is_first(f) && n++ == i && out)
            *out = test_weight_forms[f];
    return n;
}

/* Weight and flags of the i-th set of a product that serves every weight: each weight with
 * the least and the most that is added, the second also with what lies between. */
static bool any_weight(uint32_t i, uint32_t by_flags, struct test_weight_form *w,
                       uint32_t *flag)
{
    const uint32_t by_form = first_forms(NULL, 0), ends = by_flags > 1 ? 2 : 1;
    const bool between = i >= ends * by_form;
    if (i >= ends * by_form + by_flags - ends)
        return false;
    first_forms(w, between ? 1 : i % by_form);
    *flag = between ? i - ends * by_form + 1 : i < by_form ? 0 : by_flags - 1;
    return true;
}

/* Those of rounded products: runtime/vk/vk_matmul.c. */
static void fill_products(const struct rt_plan *plan, uint32_t kernel,
                          struct vk_choice *out)
{
    const enum rt_products products = vk_kernel_table[kernel].products;
    if (products == RT_PRODUCTS_F32)
        return;
    out->spec[4] = vk_kernel_table[kernel].tile_n;
    if (products != RT_PRODUCTS_F16)
        return;
    out->spec[5] = plan->fragment.rows;
    out->spec[6] = plan->fragment.outputs;
    out->spec[7] = plan->fragment.inputs;
    out->spec[8] = 128 / plan->subgroup_size;
}

/* The i-th set of a kernel of heads, by pages or not: runtime/vk/vk_select.c. */
static bool heads(const struct rt_plan *plan, uint32_t kernel, uint32_t i,
                  struct vk_choice *out)
{
    const uint32_t n = RT_COUNT(head_sizes);
    const uint32_t sets = vk_kernel_table[kernel].kv_group ? n * RT_COUNT(sharing) : n;
    if (i >= sets)
        return false;
    const uint32_t head = head_sizes[i % n], most = 1024 / head;
    out->spec[0] = head;
    if (vk_kernel_table[kernel].kv_group) {
        out->spec[1] = sharing[i / n] < most ? sharing[i / n] : most;
        out->spec[2] = i % 2 ? 0 : 16;
        out->spec[3] = plan->loads_most;
    }
    return true;
}

/* The i-th set of constants of a kernel; false after the last. */
static bool constants(const struct rt_plan *plan, uint32_t kernel, uint32_t i,
                      struct vk_choice *out)
{
    const enum rt_op op = vk_kernel_table[kernel].op;
    const bool product = op == RT_OP_matmul || op == RT_OP_matmul_back;
    const bool int8 = op == RT_OP_matmul_w8a8;
    const uint32_t bits = vk_kernel_table[kernel].bits;
    const uint32_t by_flags = op == RT_OP_matmul ? RT_COUNT(flags) : 1;
    *out = (struct vk_choice){ .kernel = kernel, .grid = { 1, 1, 1 } };
    fill_products(plan, kernel, out);
    if (op == RT_OP_attention || op == RT_OP_attention_back_q ||
        op == RT_OP_attention_back_kv)
        return heads(plan, kernel, i, out);
    if (int8) {
        if (i >= RT_COUNT(int8_forms) * RT_COUNT(flags))
            return false;
        out->spec[1] = flags[i / RT_COUNT(int8_forms)];
        out->spec[2] = 8;
        out->spec[3] = int8_forms[i % RT_COUNT(int8_forms)];
        out->spec[4] = vk_kernel_table[kernel].tile_n;
        return true;
    }
    if (!product)
        return i < 1;
    struct test_weight_form w = { 0 };
    uint32_t flag = 0;
    if (bits == 0) {
        if (!any_weight(i, by_flags, &w, &flag))
            return false;
    } else {
        const uint32_t by_group = bits < 16 ? RT_COUNT(groups) : 1;
        if (i >= by_group * by_flags)
            return false;
        w.group = groups[i % by_group];
        flag = i / by_group;
    }
    out->spec[0] = w.group;
    out->spec[1] = flags[flag];
    out->spec[2] = w.bits;
    out->spec[3] = w.form;
    if (vk_kernel_table[kernel].products == RT_PRODUCTS_F32 && bits == 0)
        out->spec[4] = vk_matmul_unrolled(plan, kernel);
    return true;
}

/* Whether a kernel that serves every weight has code for this one: runtime/vk/vk_matmul.c. */
static bool serves(uint32_t kernel, const struct vk_choice *choice)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (k->converts && (choice->spec[2] != 16 || choice->spec[3] == RT_FORM_BF16))
        return false;
    return k->products == RT_PRODUCTS_F32 ||
           (choice->spec[2] <= k->bits_max && choice->spec[0] != 16 &&
            (k->products == RT_PRODUCTS_F16 || rt_weight_form_is_whole(choice->spec[3])));
}

/* ---- kernels ---- */

/* What is checked on a device, and what was found. */
struct check {
    struct rt_device *dev;
    const struct vendor *vendor;
    enum rt_products products;
    uint32_t turn; /* UINT32_MAX: every constant */
    uint32_t compiled, listed, faults, large;
};

/* The constants with which a kernel spills: of products group, flags, bits and form; of
 * attention head size, heads of a workgroup, page and loads. */
static void print_spills(const struct vk_choice *choice, const struct vk_statistics *s)
{
    printf("    %s with %u, %u, %u, %u: %u spills\n",
           vk_kernel_table[choice->kernel].name, choice->spec[0], choice->spec[1],
           choice->spec[2], choice->spec[3], s->spills);
}

/* One kernel with its constants. False if it does not compile or if the compiler tells
 * nothing. */
static bool measure(struct check *c, uint32_t kernel, struct vk_statistics *worst)
{
    struct vk_choice choice;
    const struct rt_plan *plan = rt_device_plan(c->dev);
    *worst = (struct vk_statistics){ 0 };
    for (uint32_t i = 0; constants(plan, kernel, i, &choice); i++) {
        struct vk_statistics s;
        const bool mine = c->turn == UINT32_MAX || i % TAKES_TURNS == c->turn || i == 0;
        if (!mine || !serves(kernel, &choice))
            continue;
        if (vk_statistics_get((struct vk_device *)c->dev, &choice, &s) != RT_OK) {
            printf("    %s\n", rt_device_ctx(c->dev)->message);
            return false;
        }
        c->compiled++;
        vk_statistics_worst(worst, &s);
        if (s.spills)
            print_spills(&choice, &s);
    }
    return worst->registers > 0 && worst->occupancy > 0;
}

static void print_row(const char *name, const struct vk_statistics *s)
{
    printf("    %-30s %6u %5u %5u %6u %7u %6u %6u %5u\n", name, s->subgroup_size,
           s->registers, s->scalar_registers, s->spills, s->scratch_bytes,
           s->shared_bytes, s->code_bytes, s->occupancy);
}

/* Results of a tile, or vectors of a head, that are kept in registers. */
static bool is_tile(uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    return k->tile_m || k->kv_group || (k->row_group && k->items) ||
           k->tile_u * k->tile_l > 4;
}

static bool is_large_tile(uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    return k->op == RT_OP_matmul && k->tile_m >= TILE && k->tile_n >= TILE;
}

/* Whether a device is the first of its driver in the table. */
static bool is_first(const struct vendor *v)
{
    for (const struct vendor *other = vendors; other < v; other++)
        if (strcmp(other->driver, v->driver) == 0)
            return false;
    return true;
}

/* A kernel that the plan does not choose compiles, at least with its first constants. */
static void check_other(struct check *c, uint32_t k)
{
    struct vk_choice choice;
    struct vk_statistics s;
    if (!constants(rt_device_plan(c->dev), k, 0, &choice) ||
        vk_statistics_get((struct vk_device *)c->dev, &choice, &s) == RT_OK)
        return;
    printf("    FAULT %s/%s: %s\n", rt_op_table[vk_kernel_table[k].op].name,
           vk_kernel_table[k].name, rt_device_ctx(c->dev)->message);
    c->faults++;
}

/* Whether so much scratch memory is known of this kernel there. */
static bool is_known(const struct check *c, const char *kernel, uint32_t scratch_bytes)
{
    for (size_t i = 0; i < RT_COUNT(known); i++) {
        const struct known *row = &known[i];
        if (strncmp(c->vendor->device, row->device, strlen(row->device)) != 0 ||
            strcmp(kernel, row->kernel) != 0)
            continue;
        if (scratch_bytes == 0 && c->turn == UINT32_MAX)
            printf("    %s has no scratch memory any more: delete its row\n", kernel);
        else if (scratch_bytes)
            printf("    known: %s\n", row->why);
        return scratch_bytes <= row->scratch_bytes;
    }
    return scratch_bytes == 0;
}

static void check_kernel(struct check *c, uint32_t k)
{
    char name[64];
    struct vk_statistics s;
    const struct vk_kernel_info *info = &vk_kernel_table[k];
    const uint32_t floor =
        is_tile(k) ? c->vendor->floors->tile : c->vendor->floors->other;
    snprintf(name, sizeof name, "%s/%s", rt_op_table[info->op].name, info->name);
    const bool compiles = measure(c, k, &s);
    const char *fault = NULL;
    if (compiles)
        print_row(name, &s);
    if (!compiles)
        fault = "does not compile";
    else if (s.spills)
        fault = "spills";
    else if (!is_known(c, name, s.scratch_bytes))
        fault = "keeps arrays in memory";
    else if (s.occupancy < floor)
        fault = "has less occupancy than its floor";
    if (fault)
        printf("    FAULT %s %s (floor %u)\n", name, fault, floor);
    c->faults += fault != NULL;
    c->listed++;
    c->large += is_large_tile(k);
}

/* A part of names of kernels, which alone are compiled; NULL: all are. */
static const char *wanted_kernels(void)
{
    return getenv("FAULTLINE_TEST_KERNELS");
}

static bool is_wanted_kernel(uint32_t k)
{
    char name[64];
    const char *part = wanted_kernels();
    snprintf(name, sizeof name, "%s/%s", rt_op_table[vk_kernel_table[k].op].name,
             vk_kernel_table[k].name);
    return !part || strstr(name, part);
}

/* Prints the table of a device with one kind of products; faults are counted. */
static void check_kernels(struct check *c)
{
    const uint64_t start = rt_time_ns();
    printf("    products %s\n    %-30s %6s %5s %5s %6s %7s %6s %6s %5s\n",
           rt_products_names[c->products], "kernel", "lanes", "regs", "SGPR", "spills",
           "scratch", "shared", "code", "occ.");
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        if (vk_kernel_table[k].products != c->products || !is_wanted_kernel(k))
            continue;
        if (vk_kernel_in_plan(rt_device_plan(c->dev), k))
            check_kernel(c, k);
        else if (c->turn == UINT32_MAX && is_first(c->vendor))
            check_other(c, k);
    }
    printf("    %u kernels that the plan can choose, %u pipelines, %u faults, %.1f s\n",
           c->listed, c->compiled, c->faults, (double)(rt_time_ns() - start) * 1e-9);
    const bool no_large = c->large == 0 && !wanted_kernels();
    if (no_large)
        printf("    FAULT no matmul has a tile of %u x %u\n", TILE, TILE);
    c->faults += no_large;
}

/* ---- devices ---- */

/* Opens the imagined device with these products and checks the kernels that are theirs. */
static int check_products(const struct vendor *vendor, enum rt_products products,
                          uint32_t turn)
{
    struct rt_ctx ctx;
    const char *lack = NULL;
    struct check c = { .vendor = vendor, .products = products, .turn = turn };
    const struct rt_device_options options = { .products = products,
                                               .validation =
                                                   getenv("RADV_FORCE_FAMILY") != NULL,
                                               .compile_only = true };
    test_ctx(&ctx);
    if (rt_device_create(&ctx, &options, &c.dev) != RT_OK) {
        printf("    %s\n", ctx.message);
        return BAD;
    }
    const struct rt_device_info *info = rt_device_info_of(c.dev);
    const bool tiled = rt_device_plan(c.dev)->family == RT_FAMILY_TILED;
    printf("    %s: %s, plan %s\n", vendor->device, info->description,
           tiled ? "tiled" : "lanes");
    check_kernels(&c);
    const uint64_t messages = rt_device_validation_count(c.dev);
    if (messages)
        printf("    %llu validation messages\n", (unsigned long long)messages);
    int result = tiled && c.faults == 0 && messages == 0 ? GOOD : BAD;
    for (int more = RT_PRODUCTS_F32 + 1;
         products == RT_PRODUCTS_F32 && more < RT_PRODUCTS_COUNT; more++)
        if (rt_plan_products_there(&info->facts, (enum rt_products)more, &lack))
            result |= check_products(vendor, (enum rt_products)more, turn);
        else
            printf("    products %s: no %s\n", rt_products_names[more], lack);
    rt_device_destroy(&c.dev);
    return result;
}

/* How the device is imagined: by a shim, by the driver itself, or not; then *why. */
enum way { BY_SHIM, BY_FORCE, NOT };

static enum way way_of(const struct vendor *v, const char **why)
{
    if (access(v->shim, R_OK) == 0 && access(v->driver, R_OK) == 0)
        return BY_SHIM;
    if (v->force && access(force_driver, R_OK) == 0)
        return BY_FORCE;
    *why = v->force ? "no RADV (Debian: mesa-vulkan-drivers) that imagines devices"
                    : "no mesa-drm-shim (Debian unstable; ./run vendors sets it up)";
    return NOT;
}

/* Replaces the process: a driver reads the environment when it is loaded, and a shim is
 * loaded before all else. */
static void imagine(const struct vendor *v, enum way way, const char *turn)
{
    char setting[64];
    const char *driver = way == BY_SHIM ? v->driver : force_driver;
    snprintf(setting, sizeof setting, "%s", v->setting ? v->setting : "");
    char *value = strchr(setting, '=');
    setenv("VK_ICD_FILENAMES", driver, 1);
    setenv("VK_DRIVER_FILES", driver, 1);
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
    if (way == BY_SHIM)
        setenv("LD_PRELOAD", v->shim, 1);
    else
        setenv("RADV_FORCE_FAMILY", v->force, 1);
    if (way == BY_SHIM && value) {
        *value = '\0';
        setenv(setting, value + 1, 1);
    }
    execl("/proc/self/exe", "test_vendors", v->device, turn, (char *)NULL);
    _exit(BAD);
}

/* NULL or parts of names, by commas. */
static const char *wanted_names(void)
{
    const char *names = getenv("FAULTLINE_TEST_VENDORS");
    return names && names[0] ? names : NULL;
}

static bool is_wanted(const struct vendor *v)
{
    const char *names = wanted_names();
    if (!names)
        return v->usual;
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save))
        if (strcmp(part, "all") == 0 || strstr(v->device, part))
            return true;
    return false;
}

static void no_kernel_of_the_plan_spills(void **state)
{
    const struct vendor *v = *state;
    const char *why = NULL;
    char turn[16];
    const enum way way = way_of(v, &why);
    if (way == NOT) {
        printf("    skipped: %s\n", why);
        skip();
    }
    snprintf(turn, sizeof turn, "%u",
             wanted_names() ? UINT32_MAX : (uint32_t)(v - vendors) % TAKES_TURNS);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        imagine(v, way, turn);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != GOOD)
        fail_msg("%s: a kernel spills, does not compile or is below its floor, see above",
                 v->device);
}

/* The child: test_vendors DEVICE TURN. */
static int check_device(const char *device, const char *turn)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < RT_COUNT(vendors); i++)
        if (strcmp(vendors[i].device, device) == 0) {
            const int code = check_products(&vendors[i], RT_PRODUCTS_F32,
                                            (uint32_t)strtoul(turn, NULL, 10));
            fflush(NULL);
            return code;
        }
    return BAD;
}

int main(int argc, char **argv)
{
#ifdef __SANITIZE_ADDRESS__
    enum { CHECKED = 1 }; /* the work is the driver's, which is not instrumented */
#else
    enum { CHECKED = RT_COUNT(vendors) };
#endif
    if (argc == 3)
        return check_device(argv[1], argv[2]);
    struct CMUnitTest tests[CHECKED];
    size_t count = 0;
    for (size_t i = 0; i < CHECKED; i++)
        if (is_wanted(&vendors[i]))
            tests[count++] = (struct CMUnitTest){
                .name = vendors[i].device,
                .test_func = no_kernel_of_the_plan_spills,
                .initial_state = &vendors[i],
            };
    return _cmocka_run_group_tests("kernels of other vendors", tests, count, NULL, NULL);
}
