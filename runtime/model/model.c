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
