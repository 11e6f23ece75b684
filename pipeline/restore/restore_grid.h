/* pipeline/restore/restore_grid.h
 * What a plainly quantized model is made with: quantizer and grid. The controls of a repair
 * keep quantizer and symmetry of the model that is repaired, and change one thing. */
#ifndef PIPELINE_RESTORE_RESTORE_GRID_H
#define PIPELINE_RESTORE_RESTORE_GRID_H

#include "runtime/format/model_config.h"

struct restore_grid {
    char method[16]; /* as --method of quantize */
    uint32_t bits;   /* 2, 3, 4, 8; 0: no grid */
    uint32_t group;  /* codes that share a scale; 0: one scale per row */
    bool asymmetric;
};

bool restore_grid_same(const struct restore_grid *a, const struct restore_grid *b);
/* "gptq, 2 bits, groups of 32, asymmetric". */
void restore_grid_text(const struct restore_grid *grid, char *out, size_t size);
/* How a file says that its model was made, as near as a grid comes to it: its own quantizer
 * where it is one of ours, else `method`; `bits_per_weight` where the file has no number of
 * bits that we make. */
struct restore_grid restore_grid_of(const struct fmt_quantization *q,
                                    double bits_per_weight, const char *method);
/* The next number of bits, or the next smaller groups, of 16 at least; bits is 0 where there
 * are none. */
struct restore_grid restore_grid_more_bits(const struct restore_grid *of);
struct restore_grid restore_grid_smaller_groups(const struct restore_grid *of);
/* Bits per weight of the projections of such a model as `quantize` stores it: codes, scales
 * of 32 bits, zero points. */
double restore_grid_bits(const struct restore_grid *grid,
                         const struct fmt_config *config);
/* Of the grids with quantizer and symmetry of `of`, and of groups that the rows can be cut
 * into, the one whose model comes nearest to `bits` per weight; `of` itself is none. Groups of
 * 16 only if no other grid comes as near. */
struct restore_grid restore_grid_nearest(const struct restore_grid *of,
                                         const struct fmt_config *config, double bits);
/* "plain-3-row", "plain-4-g32": that grid with quantizer and symmetry of `of`; bits is 0
 * where the name is none. */
struct restore_grid restore_grid_named(const char *name, const struct restore_grid *of);

#endif
