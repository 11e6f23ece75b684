/* runtime/device/plan.h
 * Facts about a device, and the pure function that decides what we do about them. */
#ifndef RUNTIME_DEVICE_PLAN_H
#define RUNTIME_DEVICE_PLAN_H

#include "runtime/base/rt.h"

/* What a subgroup multiplies at once: [rows][inputs] with [inputs][outputs]. */
struct rt_fragment {
    uint32_t rows, outputs, inputs;
};
enum { RT_FRAGMENTS_MAX = 8 };

/* What a device says about itself. Filled once by vk_probe.c; no choices here. */
struct rt_facts {
    char device_name[256];
    char driver_name[256];
    char driver_info[256];
    uint8_t device_uuid[16];
    uint32_t vendor_id, device_id, driver_id, driver_version, api_version;
    bool software; /* VK_PHYSICAL_DEVICE_TYPE_CPU */
    bool discrete;
    uint32_t subgroup_size;                             /* 0: the driver does not say */
    bool subgroup_ballot, subgroup_quad, subgroup_vote; /* in compute */
    uint32_t shared_bytes;                              /* per workgroup */
    uint32_t lanes_max; /* largest workgroup, in invocations */
    uint32_t push_bytes_max;
    uint64_t storage_range_max;          /* bytes of one storage binding */
    uint64_t allocation_max;             /* of one allocation; 0: not told */
    uint64_t texel_count_max;            /* texels of one texel buffer */
    uint32_t storage_align, texel_align; /* offset alignment, bytes */
    uint64_t device_heap_bytes;          /* largest device-local heap */
    bool unified_memory;                 /* device-local memory is host-visible */
    bool fp16, memory_model;
    bool int_dot;        /* integer dot products; a driver may emulate them */
    bool int_dot_signed; /* of four signed bytes at once, faster than other code */
    /* Sizes that compute pipelines may have subgroups of; 0: the driver does not say. */
    uint32_t subgroup_min, subgroup_max;
    bool subgroup_asked; /* a compute pipeline can ask for one of these sizes */
    bool subgroup_full;  /* and for subgroups without missing invocations */
    /* Of halves with sums in floats, in the driver's order: matrix units. */
    struct rt_fragment fragment[RT_FRAGMENTS_MAX];
    uint32_t fragments;
    float timestamp_ns; /* 0: no timestamps */
    uint32_t timestamp_bits;
};

enum rt_family {
    RT_FAMILY_AUTO = 0,
    RT_FAMILY_LANES, /* no shared memory, no barriers: software devices, safe fallback */
    RT_FAMILY_TILED, /* shared-memory tiles, workgroup reductions: GPUs */
    RT_FAMILY_COUNT
};
extern const char *const rt_family_names[RT_FAMILY_COUNT];

/* What products with weights are computed in. Everything but F32 rounds operands. AUTO is an
 * option only: F32, but F16 in training and in prompts of `generate`, on GPUs whose matrix
 * units are right: docs/numerics.md. */
enum rt_products {
    RT_PRODUCTS_F32 = 0,
    RT_PRODUCTS_F16,  /* both sides rounded to halves, by matrix units */
    RT_PRODUCTS_INT8, /* activations rounded to 8 bits, a scale for 32, by integer dots */
    RT_PRODUCTS_COUNT,
    RT_PRODUCTS_AUTO = RT_PRODUCTS_COUNT
};
extern const char *const rt_products_names[RT_PRODUCTS_COUNT];

/* What the KV cache holds (of training: nothing, its keys are activations). */
enum rt_kv {
    RT_KV_AUTO = 0, /* as the plan sees fit; in options only */
    RT_KV_F32,
    RT_KV_F16, /* rounded as shaders/lib/half.glsl says, two in a word; read as floats */
    RT_KV_COUNT
};
extern const char *const rt_kv_names[RT_KV_COUNT];

/* How kernels of the lanes family read their operands. */
enum rt_operand_path { RT_PATH_STORAGE, RT_PATH_TEXEL, RT_PATH_TEXEL_BROADCAST };

/* What we do about it. Stored beside every result, so a run explains itself. */
struct rt_plan {
    enum rt_family family;
    enum rt_products products; /* of the forward pass; as asked for, else F32 */
    enum rt_products rounded;  /* of rows whose role allows it (RT_MATMUL_MAY_ROUND) */
    enum rt_kv kv;             /* as asked for, else by the device */
    enum rt_operand_path path; /* preferred; kernels without that form use storage */
    uint32_t lanes;            /* workgroup width of lane kernels */
    uint32_t broadcast;        /* invocations among which values go round without shared
                                   memory (the subgroup; of four, by quad
                                   operations); 0: kernels do not do it */
    uint32_t lanes_max;        /* largest workgroup, in invocations */
    /* Products in F16 only: the fragment of matrix units, and the size of the subgroups
     * among which a kernel divides its tile; subgroup_ask: the driver is asked for it, else
     * it has no other. 0: other products. */
    struct rt_fragment fragment;
    uint32_t subgroup_size;
    bool subgroup_ask;
    uint64_t binding_bytes_max; /* storage range no binding may exceed */
    uint64_t texel_bytes_max;   /* larger bindings are read by storage */
    bool wide_weights;       /* packed weights have float scales and codes of 4 or 8 bits,
                                   as lane kernels read them; else the file's own form */
    uint32_t decode_rows;    /* from this many rows on, a packed weight is decoded to 32
                                    bits before its product, not within it; 0: never */
    double submit_flops_max; /* a queue submission is cut above this estimate */
    uint32_t quirks;         /* bit per row of quirks.def in force */
    /* The driver ends the loops of an invocation, without a word, after this many rounds
     * of all of them together; 0: never. docs/numerics.md */
    uint32_t loop_rounds_max;
    /* Columns of a row of logits that one invocation walks; a workgroup takes a longer one,
     * on every device. */
    uint32_t row_columns_max;
    /* What kernels of the tiled family unroll, 2 or 4: loads of a key that attention issues
     * at once, steps that a product's tile takes; 0: as many as pay where registers do not
     * lack. No bit depends on it. */
    uint32_t loads_most;
    /* Fours of codes that a product of four rows without a tile decodes at once, of the
     * forms that take most operations, 2 or 4; 0: all 8. No bit depends on it. */
    uint32_t takes_most;
    bool dots; /* matmul_w8a8 by integer dots of signed bytes; no bit depends on it */
    bool float_inputs; /* of folders made for inputs of 8 bits too (--int8 off) */
    bool host_visible; /* device memory is mapped where the driver can */
    bool own_memory;   /* the device shares none of its memory with the host */
};

/* Bits of rt_plan.quirks. */
enum rt_quirk {
#define QUIRK(name, driver, first, last, reason, where) RT_QUIRK_##name,
#include "runtime/device/quirks.def"
#undef QUIRK
    RT_QUIRK_COUNT
};
struct rt_quirk_info {
    const char *name, *reason, *where;
};
extern const struct rt_quirk_info rt_quirk_table[RT_QUIRK_COUNT];
bool rt_plan_has_quirk(const struct rt_plan *plan, enum rt_quirk quirk);

struct rt_plan_options {
    enum rt_family family; /* RT_FAMILY_AUTO or forced */
    enum rt_products products;
    enum rt_kv kv;
    bool float_inputs;
};

/* What was asked for, or the choice for a device that is software or not. */
enum rt_kv rt_plan_kv(enum rt_kv asked, bool software);

/* Whether the kernels of such products run there; *lack says what is missing (static
 * text) where they do not. */
bool rt_plan_products_there(const struct rt_facts *facts, enum rt_products products,
                            const char **lack);

/* How the device sums products of whole numbers (matmul_w8a8), which is exact everywhere:
 * static text for people. */
const char *rt_plan_whole_numbers(const struct rt_facts *facts,
                                  const struct rt_plan *plan);

/* Whether any product is computed so. */
bool rt_plan_uses(const struct rt_plan *plan, enum rt_products products);

/* Whether these kernels can use such a fragment in subgroups of that size. */
bool rt_plan_fragment_fits(const struct rt_fragment *fragment, uint32_t subgroup_size);

/* Whether a device has what kernels of the tiled family need: attention_tiled.comp needs all
 * of it. */
bool rt_plan_has_tiles(const struct rt_facts *facts);
void rt_plan_make(const struct rt_facts *facts, const struct rt_plan_options *options,
                  struct rt_plan *plan);

/* The longest sequence, in tokens, that attention serves; and that its gradients do, where
 * `sharing` heads share one of keys. UINT32_MAX: no limit. The caller checks these
 * limits before it builds sequences; limits that show in an op's parameters are checked
 * by the backend. */
uint32_t rt_plan_keys_max(const struct rt_plan *plan);
uint32_t rt_plan_gradient_rows_max(const struct rt_plan *plan, uint32_t sharing);

/* Whether a product of `rows` rows with a weight of `bits` bits has it decoded before. */
bool rt_plan_decodes(const struct rt_plan *plan, uint32_t bits, uint32_t rows);
/* Whether gradients have packed weights decoded before. Kernels for GPUs read them packed,
 * which is faster there at every number of rows. */
bool rt_plan_decodes_back(const struct rt_plan *plan);

/* The plan as one JSON object, for the store and the log. Returns text's length;
 * always terminated. */
size_t rt_plan_print(const struct rt_plan *plan, char *text, size_t size);

#endif
