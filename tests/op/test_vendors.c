/* Every kernel compiles for four generations of AMD GPUs; none that the plan of such a GPU
 * can choose spills registers, and those of products have at least the occupancy that
 * llama.cpp's f32 tile was measured to have there, with a tile as large. No GPU is needed: Mesa's RADV compiles for any that
 * it is told to imagine (RADV_FORCE_FAMILY). Prints registers and occupancy, the worst
 * over the constants a kernel is given. */
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

static const char icd[] = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";

/* llama.cpp b7248 on the same RADV 22.3.6: subgroups a SIMD of its f32 matmul tile of 64x64
 * (100 to 108 registers), registers of its q4_0 matvec. POLARIS10 is held to VEGA10's:
 * both have 256 registers a lane and 64 KiB of shared memory a compute unit. */
struct bar {
    char family[16];
    uint32_t tile_subgroups;
};
static struct bar bars[] = {
    { "NAVI21", 8 }, { "GFX1100", 8 }, { "VEGA10", 2 }, { "POLARIS10", 2 }
};
enum { MATVEC_VGPRS = 48, TILE = 64 };

enum { GOOD = 0, BAD = 1, NO_DRIVER = 77 };

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

/* The i-th set of constants of a kernel; false after the last. */
static bool constants(uint32_t kernel, uint32_t i, struct vk_choice *out)
{
    const enum rt_op op = vk_kernel_table[kernel].op;
    const bool product = op == RT_OP_matmul || op == RT_OP_matmul_back;
    const bool int8 = op == RT_OP_matmul_w8a8;
    const bool heads = op == RT_OP_attention || op == RT_OP_attention_back_q ||
                       op == RT_OP_attention_back_kv;
    const uint32_t bits = vk_kernel_table[kernel].bits;
    const uint32_t by_flags = op == RT_OP_matmul ? RT_COUNT(flags) : 1;
    *out = (struct vk_choice){ .kernel = kernel, .grid = { 1, 1, 1 } };
    if (heads && i < RT_COUNT(head_sizes))
        out->spec[0] = head_sizes[i];
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
        return i < (heads ? RT_COUNT(head_sizes) : 1);
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
    return true;
}

static void raise_to(uint32_t *most, uint32_t value)
{
    if (value > *most)
        *most = value;
}

static void take_worst(struct vk_statistics *worst, const struct vk_statistics *s)
{
    if (worst->subgroup_size == 0 || s->subgroups < worst->subgroups)
        worst->subgroups = s->subgroups;
    worst->subgroup_size = s->subgroup_size;
    raise_to(&worst->vgprs, s->vgprs);
    raise_to(&worst->sgprs, s->sgprs);
    raise_to(&worst->spilled_vgprs, s->spilled_vgprs);
    raise_to(&worst->spilled_sgprs, s->spilled_sgprs);
    raise_to(&worst->scratch_bytes, s->scratch_bytes);
    raise_to(&worst->shared_bytes, s->shared_bytes);
    raise_to(&worst->code_bytes, s->code_bytes);
}

/* One kernel with all its constants, or with the first only. False if it does not
 * compile or if the compiler tells nothing. */
static bool measure(struct rt_device *dev, uint32_t kernel, bool all,
                    struct vk_statistics *worst)
{
    struct vk_choice choice;
    *worst = (struct vk_statistics){ 0 };
    for (uint32_t i = 0; constants(kernel, i, &choice) && (all || i == 0); i++) {
        struct vk_statistics s;
        if (vk_statistics_get((struct vk_device *)dev, &choice, &s) != RT_OK) {
            printf("    %s\n", rt_device_ctx(dev)->message);
            return false;
        }
        take_worst(worst, &s);
    }
    return worst->vgprs > 0 && worst->subgroups > 0;
}

static void print_row(const char *name, const struct vk_statistics *s)
{
    printf("    %-30s %6u %5u %5u %6u %7u %5u %5u %6u %5u\n", name, s->subgroup_size,
           s->vgprs, s->sgprs, s->spilled_vgprs, s->spilled_sgprs, s->scratch_bytes,
           s->shared_bytes, s->code_bytes, s->subgroups);
}

/* What is wrong with a kernel of products on a device of that bar; null: nothing. */
static const char *below_bar(uint32_t kernel, uint32_t bar, const struct vk_statistics *s)
{
    if (vk_kernel_table[kernel].op != RT_OP_matmul ||
        vk_kernel_table[kernel].family != RT_FAMILY_TILED)
        return NULL;
    if (s->subgroups < bar)
        return "has less occupancy than llama.cpp's tile";
    if (!vk_kernel_table[kernel].tile_m && s->vgprs > MATVEC_VGPRS)
        return "has more registers than llama.cpp's matvec";
    return NULL;
}

static bool is_large_tile(uint32_t kernel)
{
    return vk_kernel_table[kernel].op == RT_OP_matmul &&
           vk_kernel_table[kernel].tile_m >= TILE &&
           vk_kernel_table[kernel].tile_n >= TILE;
}

/* Prints the table of a device; the number of kernels that break the claim. */
static uint32_t check_kernels(struct rt_device *dev, uint32_t bar)
{
    uint32_t chosen = 0, faults = 0, large = 0;
    const uint64_t start = rt_time_ns();
    printf("    %-30s %6s %5s %5s %6s %7s %5s %5s %6s %5s\n", "kernel", "lanes", "VGPR",
           "SGPR", "VGPR", "SGPR", "scra-", "LDS", "code", "waves");
    printf("    %-30s %6s %5s %5s %6s %7s %5s %5s %6s %5s\n", "", "a wave", "", "",
           "spills", "spills", "tch", "bytes", "bytes", "/SIMD");
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        const struct vk_kernel_info *info = &vk_kernel_table[k];
        if (vk_kernel_table[k].products)
            continue; /* of extensions that this Mesa may not have; only by option */
        const bool in_plan = vk_kernel_in_plan(rt_device_plan(dev), k);
        struct vk_statistics s;
        char name[64];
        snprintf(name, sizeof name, "%s/%s", rt_op_table[info->op].name, info->name);
        const bool compiles = measure(dev, k, in_plan, &s);
        if (in_plan && compiles)
            print_row(name, &s);
        const bool spills = s.spilled_vgprs || s.spilled_sgprs || s.scratch_bytes;
        if (!compiles || (in_plan && spills)) {
            printf("    %s %s\n", name, compiles ? "spills" : "does not compile");
            faults++;
        }
        const char *low = in_plan && compiles ? below_bar(k, bar, &s) : NULL;
        if (low)
            printf("    %s %s: %u subgroups, %u wanted\n", name, low, s.subgroups, bar);
        faults += low != NULL;
        chosen += in_plan;
        large += in_plan && is_large_tile(k);
    }
    printf("    %u kernels compile, %u that the plan can choose are listed, %u faults, "
           "%.1f s\n",
           vk_kernel_count, chosen, faults, (double)(rt_time_ns() - start) * 1e-9);
    if (large == 0)
        printf("    no matmul has a tile of %u x %u\n", TILE, TILE);
    return faults + (large == 0);
}

/* In a process of its own: the driver reads the environment when it is loaded. */
static int check_family(const struct bar *bar)
{
    struct rt_ctx ctx;
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .validation = true, .compile_only = true };
    setenv("VK_ICD_FILENAMES", icd, 1);
    setenv("VK_DRIVER_FILES", icd, 1);
    setenv("RADV_FORCE_FAMILY", bar->family, 1);
    test_ctx(&ctx);
    if (access(icd, R_OK) != 0)
        return NO_DRIVER;
    if (rt_device_create(&ctx, &options, &dev) != RT_OK) {
        printf("    %s\n", ctx.message);
        return BAD;
    }
    printf("    %s: %s, plan %s\n", bar->family, rt_device_info_of(dev)->description,
           rt_device_plan(dev)->family == RT_FAMILY_TILED ? "tiled" : "lanes");
    const uint32_t faults = check_kernels(dev, bar->tile_subgroups);
    const uint64_t messages = rt_device_validation_count(dev);
    if (messages)
        printf("    %llu validation messages\n", (unsigned long long)messages);
    const bool good =
        rt_device_plan(dev)->family == RT_FAMILY_TILED && faults == 0 && messages == 0;
    rt_device_destroy(&dev);
    return good ? GOOD : BAD;
}

static void no_kernel_in_plan_spills(void **state)
{
    const struct bar *bar = *state;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const int code = check_family(bar);
        fflush(NULL);
        _exit(code);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_DRIVER) {
        printf("    skipped: %s is not there (Debian: mesa-vulkan-drivers)\n", icd);
        skip();
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != GOOD)
        fail_msg("%s: a kernel spills, does not compile or is below its bar, see above",
                 bar->family);
}

int main(void)
{
#ifdef __SANITIZE_ADDRESS__
    enum { CHECKED = 1 }; /* the work is the driver's, which is not instrumented */
#else
    enum { CHECKED = RT_COUNT(bars) };
#endif
    struct CMUnitTest tests[CHECKED];
    for (size_t i = 0; i < CHECKED; i++)
        tests[i] = (struct CMUnitTest){ .name = bars[i].family,
                                        .test_func = no_kernel_in_plan_spills,
                                        .initial_state = &bars[i] };
    return cmocka_run_group_tests_name("kernels on AMD", tests, NULL, NULL);
}
