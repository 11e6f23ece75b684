/* Every op of every device agrees with its twin at every case of runtime/op/op_cases.h,
 * writes nothing else, and all its kernels that fit give the same bits.
 * FAULTLINE_TEST_SEED draws other operands. */
#include "runtime/op/weight.h"
#include "runtime/ref/op_trial.h"
#include "runtime/vk/vk.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 16 };

static struct {
    struct test_device id;
    struct rt_ctx ctx;
    struct rt_device *dev;
} devices[DEVICES_MAX];
static uint32_t device_count;

/* One case on one device. */
struct trial {
    struct rt_op_trial op;
    const char *device;
    void *first[RT_OP_BINDINGS_MAX]; /* after the first kernel that was tried */
    uint32_t failures;
    double worst;
};

/* A word as a float where it looks like one. */
static void print_push(const struct rt_op_case *c)
{
    uint32_t words[32];
    const uint32_t n = rt_op_table[c->op].push_bytes / 4;
    memcpy(words, &c->push, n * sizeof *words);
    for (uint32_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, &words[i], sizeof value);
        if (words[i] > 0x20000000u)
            fprintf(stderr, " %g", (double)value);
        else
            fprintf(stderr, " %u", words[i]);
    }
}

static void report(struct trial *t, const char *kernel, const char *fault)
{
    t->failures++;
    fprintf(stderr, "    %s %s [%s] kernel %s, seed %u, length %u, parameters", t->device,
            rt_op_table[t->op.c.op].name, t->op.c.what, kernel, t->op.seed,
            t->op.c.length);
    print_push(&t->op.c);
    fprintf(stderr, "\n        %s\n", fault);
}

static void trial_free(struct trial *t)
{
    rt_op_trial_deinit(&t->op);
    for (uint32_t i = 0; i < RT_OP_BINDINGS_MAX; i++)
        rt_free(t->first[i]);
}

/* What one kernel wrote, against the twin, the guard and the first kernel. */
static void check_operand(struct trial *t, uint32_t i, const char *kernel)
{
    char fault[200];
    void *got = NULL;
    if (rt_op_trial_read(&t->op, i, &got) != RT_OK)
        fail_msg("%s: cannot read", t->device);
    const struct rt_op_distance d = rt_op_compare(&t->op.c, i, got, t->op.twin[i]);
    t->worst = d.used > t->worst ? d.used : t->worst;
    if (!(d.used <= 1)) {
        snprintf(fault, sizeof fault,
                 "binding %u word %llu is %.9g, its twin %.9g: %.3g of the tolerance", i,
                 (unsigned long long)d.index, d.got, d.wanted, d.used);
        report(t, kernel, fault);
    }
    if (!rt_op_trial_guarded(&t->op, i, got))
        report(t, kernel, "wrote past the end of a binding");
    if (t->first[i] && memcmp(t->first[i], got, t->op.c.operand[i].checked) != 0)
        report(t, kernel, "other bits than the kernel that is chosen");
    if (t->first[i])
        rt_free(got);
    else
        t->first[i] = got;
}

static bool has_tiled_kernel(enum rt_op op)
{
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        if (vk_kernel_table[k].op == op &&
            (vk_kernel_table[k].family == RT_FAMILY_TILED ||
             vk_kernel_table[k].row_group))
            return true;
    return false;
}

/* A workgroup an item sums in another order than one invocation: the bits are a plan's
 * own. All other kernels of an op agree, whatever their family. */
static bool sums_by_group(uint32_t kernel)
{
    return vk_kernel_table[kernel].row_group;
}

static bool has_group_kernel(enum rt_op op)
{
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        if (vk_kernel_table[k].op == op && sums_by_group(k))
            return true;
    return false;
}

/* Whether this device would run kernels of its own for the op: without a tiled kernel the
 * tiled family runs what the lanes family runs, which is tested there. */
static bool worth_trying(const struct test_device *device, enum rt_op op)
{
    return device->family != RT_FAMILY_TILED || has_tiled_kernel(op);
}

/* Runs with the device's own choice, or with `choice`. */
static void run(struct trial *t, struct rt_device *dev, const struct vk_choice *choice)
{
    const struct rt_op_case *c = &t->op.c;
    const struct rt_slice *slices = t->op.slices;
    struct rt_list *list = NULL;
    if (rt_op_trial_reset(&t->op) != RT_OK)
        fail_msg("%s: cannot write", t->device);
    rt_status st = rt_list_create(dev, "case", &list);
    if (st == RT_OK && choice)
        st = vk_list_choice(list, c->op, &c->push, slices, choice);
    else if (st == RT_OK)
        rt_list_op(list, c->op, &c->push, slices);
    if (st != RT_OK || rt_list_end(list) != RT_OK || rt_submit(dev, list) != RT_OK ||
        rt_wait(dev) != RT_OK) {
        report(t, choice ? vk_kernel_table[choice->kernel].name : "(chosen)",
               rt_device_ctx(dev)->message);
        rt_list_destroy(&list);
        return;
    }
    rt_list_destroy(&list);
    for (uint32_t i = 0; i < t->op.bindings; i++)
        if (rt_op_trial_writes(&t->op, i))
            check_operand(t, i,
                          choice ? vk_kernel_table[choice->kernel].name : "(chosen)");
}

static bool kernel_fits(const struct trial *t, struct rt_device *dev, uint32_t kernel)
{
    if (vk_kernel_table[kernel].op != t->op.c.op ||
        !vk_kernel_admitted((struct vk_device *)dev, kernel, &t->op.c.push, t->op.slices))
        return false;
    if (vk_is_matmul(t->op.c.op))
        return vk_matmul_fits(t->op.c.op, &t->op.c.push, kernel);
    const bool tiled = rt_device_plan(dev)->family == RT_FAMILY_TILED;
    const bool grouped =
        tiled || vk_row_is_long(rt_device_plan(dev), t->op.c.op, &t->op.c.push);
    if (sums_by_group(kernel) != (grouped && has_group_kernel(t->op.c.op)))
        return false;
    return vk_item_fits(rt_device_plan(dev), t->op.c.op, &t->op.c.push, kernel);
}

static uint32_t kernels_that_fit(const struct trial *t, struct rt_device *dev)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        n += kernel_fits(t, dev, k);
    return n;
}

/* `thrifty`: not one that was chosen because no other fits; it has just run. */
static void run_all_kernels(struct trial *t, struct rt_device *dev, bool thrifty)
{
    if (t->op.c.op == RT_OP_matmul || t->op.c.op == RT_OP_matmul_back)
        return; /* test_matmul_pairs.c: there are many, and they compile slowly */
    if (thrifty && kernels_that_fit(t, dev) == 1)
        return;
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        struct vk_choice choice = { .kernel = k };
        if (!kernel_fits(t, dev, k))
            continue;
        if (vk_is_matmul(t->op.c.op))
            vk_matmul_fill((struct vk_device *)dev, t->op.c.op, &t->op.c.push, &choice);
        else if (vk_item_fill((struct vk_device *)dev, t->op.c.op, &t->op.c.push,
                              &choice) != RT_OK)
            continue;
        run(t, dev, &choice);
    }
}

/* The same bits where attention loads less at once, as it does on Adreno. Products:
 * test_matmul_pairs.c. */
static void run_with_few_loads(struct trial *t, struct rt_device *dev)
{
    const uint32_t usual = dev->plan.loads_most;
    const enum rt_op op = t->op.c.op;
    if ((op != RT_OP_attention && op != RT_OP_attention_back_q) ||
        dev->plan.family != RT_FAMILY_TILED)
        return;
    dev->plan.loads_most = usual ? 0 : 2;
    run(t, dev, NULL);
    dev->plan.loads_most = usual;
}

/* Large bench cases are left to the bench, which checks them before it times them. */
static bool small_enough(const struct rt_op_case *c)
{
    const struct rt_op_cost cost = rt_op_cost_of(c->op, &c->push, rt_op_case_keys(c));
    return !c->bench || (cost.flops < 2e7 && cost.bytes < 1e8);
}

/* A tiled product reads every weight with one kernel, and test_matmul_pairs.c runs it with
 * all forms: what the forms add here is a compilation each, of a second on llvmpipe. */
static bool tried_in_pairs(const struct test_device *device, const struct rt_op_case *c)
{
    const uint32_t form = c->op == RT_OP_matmul        ? c->push.matmul.form
                          : c->op == RT_OP_matmul_back ? c->push.matmul_back.form
                                                       : RT_FORM_ZERO;
    return device->family == RT_FAMILY_TILED && form > RT_FORM_OFFSET;
}

static uint32_t check_case(uint32_t device, const struct rt_op_case *c, uint32_t seed,
                           double *worst)
{
    struct trial t = { .device = devices[device].id.name, .worst = *worst };
    struct rt_device *dev = devices[device].dev;
    if (rt_op_trial_init(&t.op, dev, c, seed) != RT_OK)
        fail_msg("%s: %s", t.device, rt_device_ctx(dev)->message);
    run(&t, dev, NULL);
    if (strcmp(devices[device].id.device, "ref") != 0)
        run_all_kernels(&t, dev, test_device_compiles_slowly(&devices[device].id));
    run_with_few_loads(&t, dev);
    trial_free(&t);
    *worst = t.worst;
    return t.failures;
}

static void op_agrees_with_its_twin(void **state)
{
    const enum rt_op op = *(const enum rt_op *)*state;
    const char *given = getenv("FAULTLINE_TEST_SEED");
    const uint32_t base = given ? (uint32_t)strtoul(given, NULL, 10) : 1;
    uint32_t failures = 0;
    for (uint32_t d = 0; d < device_count; d++) {
        struct rt_op_case c;
        double worst = 0;
        uint32_t cases = 0;
        if (!worth_trying(&devices[d].id, op))
            continue;
        const uint64_t start = rt_time_ns();
        for (uint32_t i = 0; rt_op_case_get(i, &c); i++)
            if (c.op == op && small_enough(&c) && !tried_in_pairs(&devices[d].id, &c)) {
                failures += check_case(d, &c, base + i, &worst);
                cases++;
            }
        printf("    %-18s %-26s %3u cases, %4.0f %% of the tolerance, %.2f s\n",
               rt_op_table[op].name, devices[d].id.name, cases, 100 * worst,
               (double)(rt_time_ns() - start) * 1e-9);
        if (cases == 0)
            fail_msg("%s has no cases", rt_op_table[op].name);
    }
    if (failures)
        fail_msg("%s: %u faults", rt_op_table[op].name, failures);
}

static int open_devices(void **state)
{
    (void)state;
    struct test_device ids[DEVICES_MAX];
    device_count = test_devices(ids, DEVICES_MAX);
    for (uint32_t i = 0; i < device_count; i++) {
        devices[i].id = ids[i];
        test_ctx(&devices[i].ctx);
        devices[i].dev = test_device_open(&devices[i].ctx, &ids[i]);
    }
    return device_count > 0 ? 0 : 1;
}

static int close_devices(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < device_count; i++)
        rt_device_destroy(&devices[i].dev);
    return 0;
}

int main(void)
{
    static enum rt_op ops[RT_OP_COUNT];
    struct CMUnitTest tests[RT_OP_COUNT];
    for (uint32_t i = 0; i < RT_OP_COUNT; i++) {
        ops[i] = (enum rt_op)i;
        tests[i] = (struct CMUnitTest){ .name = rt_op_table[i].name,
                                        .test_func = op_agrees_with_its_twin,
                                        .initial_state = &ops[i] };
    }
    return cmocka_run_group_tests_name("ops and their twins", tests, open_devices,
                                       close_devices);
}
