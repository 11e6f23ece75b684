/* runtime/model/model.c
 * What a loaded model and an adapter tell about themselves. */
#include "runtime/model/model_impl.h"

struct rt_device *rt_model_device(const struct rt_model *model)
{
    return model->dev;
}

const struct fmt_config *rt_model_config(const struct rt_model *model)
{
    return &model->config;
}

const char *rt_model_hash(const struct rt_model *model)
{
    return model->hash;
}

const char *rt_model_stored(const struct rt_model *model)
{
    return model->stored;
}

uint32_t rt_model_positions(const struct rt_model *model)
{
    return model->positions;
}

uint64_t rt_model_weight_bytes(const struct rt_model *model)
{
    return model->weight_bytes;
}

double rt_model_linear_weights(const struct rt_model *model)
{
    return model->linear_weights;
}

double rt_model_bits_per_weight(const struct rt_model *model)
{
    return model->bits_per_weight;
}

const struct fmt_adapter *rt_adapter_source(const struct rt_adapter *adapter)
{
    return adapter->source;
}

uint64_t rt_adapter_param_floats(const struct rt_adapter *adapter)
{
    return adapter->param_floats;
}

bool rt_model_is_streamed(const struct rt_model *model)
{
    return model->stream != NULL;
}

void model_tell_inputs(const struct rt_model *m, const char *folder)
{
    struct rt_ctx *ctx = rt_device_ctx(m->dev);
    if (m->ld_int8)
        rt_log(ctx, RT_LOG_INFO,
               "'%s': activations are rounded to 8 bits and multiplied as whole numbers, "
               "as the folder says; %s",
               folder,
               rt_plan_whole_numbers(&rt_device_info_of(m->dev)->facts,
                                     rt_device_plan(m->dev)));
    else if (rt_device_plan(m->dev)->float_inputs &&
             m->config.quantization.inputs != FMT_INPUTS_FLOATS)
        rt_log(ctx, RT_LOG_WARNING,
               "'%s' was made for activations of 8 bits; they stay floats (--int8 off)",
               folder);
}
