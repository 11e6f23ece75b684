/* pipeline/run/quantize_json.h
 * What quantizing took and gave as JSON objects, one line each, in the members that
 * `faultline quantize --json` prints. Bits are per weight, times in seconds, memory in bytes;
 * errors are outputs' squares as quant_objective and quant_gguf_fared count them ("error_of"
 * of a tensor of a GGUF file: "outputs", rounded by GPTQ, or "weights"). Errors of the file
 * are the caller's to look for. */
#ifndef PIPELINE_RUN_QUANTIZE_JSON_H
#define PIPELINE_RUN_QUANTIZE_JSON_H

#include "pipeline/run/make_gguf.h"
#include "pipeline/run/quantize_cost.h"
#include "pipeline/run/select.h"

#include <stdio.h>

/* The folder `path`; each matrix where it was seen on text; the candidates where there was a
 * choice (selected->count). */
void pipe_quantized_json(FILE *out, const char *path, const struct pipe_quantized *q,
                         const struct pipe_selected *selected);
/* The file `path`, each tensor of it, and candidates likewise. */
void pipe_gguf_made_json(FILE *out, const char *path, const struct pipe_gguf_made *made,
                         const struct pipe_selected *selected);
/* candidates: those that --select makes at most; 1: there is no choice. */
void pipe_quantize_cost_json(FILE *out, const struct pipe_quantize_cost *cost,
                             uint32_t candidates);

#endif
