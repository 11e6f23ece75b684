/* pipeline/restore/recipes.c
 * The table of recipes: what is trained, from where it starts, and on which items. */
#include "pipeline/restore/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pipe_restore_recipe recipes[] = {
    { .name = "refine",
      .role = "restored",
      .scales = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_LOST,
      .lr = 3e-3f },
    { .name = "refine-random",
      .role = "control",
      .scales = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_RANDOM,
      .lr = 3e-3f },
    { .name = "refine-kept",
      .role = "control",
      .scales = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_KEPT,
      .lr = 3e-3f },
    { .name = "refine-step",
      .role = "control",
      .scales = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_FAULT,
      .lr = 3e-3f },
    { .name = "refine-1000",
      .role = "restored",
      .scales = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_FILLED,
      .lr = 3e-3f },
    { .name = "gptq-bullets",
      .role = "restored",
      .again = "gptq",
      .items = PIPE_ITEMS_LOST },
    { .name = "gptq-self",
      .role = "control",
      .again = "gptq",
      .items = PIPE_ITEMS_RANDOM },
    { .name = "gptq-step",
      .role = "restored",
      .again = "gptq",
      .items = PIPE_ITEMS_FAULT },
    { .name = "gptq-random-step",
      .role = "control",
      .again = "gptq",
      .items = PIPE_ITEMS_FAULT_OTHER },
    { .name = "awq-self", .role = "control", .again = "awq", .items = PIPE_ITEMS_RANDOM },
    { .name = "rescue", .role = "control", .rescues = 8 },
    { .name = "adapter",
      .role = "restored",
      .lowrank = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_LOST,
      .lr = 5e-4f },
    { .name = "refine+adapter",
      .role = "restored",
      .after = "refine",
      .lowrank = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_LOST,
      .lr = 5e-4f },
    { .name = "lowrank", .role = "restored", .lowrank = true },
    { .name = "sft",
      .role = "restored",
      .train = true,
      .loss = TRAIN_SFT,
      .items = PIPE_ITEMS_LOST,
      .lr = 2e-3f },
    { .name = "kl",
      .role = "restored",
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_LOST,
      .lr = 5e-4f },
    { .name = "dpo",
      .role = "restored",
      .train = true,
      .loss = TRAIN_DPO,
      .items = PIPE_ITEMS_PAIRS,
      .lr = 1e-4f },
    { .name = "dpo+sft",
      .role = "restored",
      .train = true,
      .loss = TRAIN_DPO,
      .items = PIPE_ITEMS_PAIRS,
      .lr = 1e-4f,
      .sft = 1.0f },
    { .name = "dpo-own",
      .role = "restored",
      .train = true,
      .loss = TRAIN_DPO,
      .items = PIPE_ITEMS_PAIRS_OWN,
      .lr = 1e-4f },
    { .name = "sft-own",
      .role = "restored",
      .train = true,
      .loss = TRAIN_SFT,
      .items = PIPE_ITEMS_OWN,
      .lr = 2e-3f },
    { .name = "adapter-random",
      .role = "control",
      .lowrank = true,
      .train = true,
      .loss = TRAIN_KL,
      .items = PIPE_ITEMS_RANDOM,
      .lr = 5e-4f },
    { .name = "random-step",
      .role = "control",
      .train = true,
      .loss = TRAIN_DPO,
      .items = PIPE_ITEMS_PAIRS_OTHER,
      .lr = 1e-4f },
    { .name = "shuffled",
      .role = "control",
      .train = true,
      .loss = TRAIN_DPO,
      .items = PIPE_ITEMS_SHUFFLED,
      .lr = 1e-4f },
    { .name = "whole",
      .role = "control",
      .train = true,
      .loss = TRAIN_DPO,
      .items = PIPE_ITEMS_PAIRS_WHOLE,
      .lr = 1e-4f },
    { .name = "on-full",
      .role = "control",
      .train = true,
      .on_full = true,
      .loss = TRAIN_SFT,
      .items = PIPE_ITEMS_LOST,
      .lr = 2e-3f },
};

const struct pipe_restore_recipe *pipe_restore_recipe_find(const char *name)
{
    if (strcmp(name, "default") == 0) /* the first row is */
        return &recipes[0];
    for (size_t i = 0; i < RT_COUNT(recipes); i++)
        if (strcmp(recipes[i].name, name) == 0)
            return &recipes[i];
    return NULL;
}

const struct pipe_restore_recipe *pipe_restore_recipe_of_arm(const char *arm,
                                                             uint64_t *seed)
{
    char name[64], *end = NULL;
    const char *at = strchr(arm, '@');
    const size_t length = at ? (size_t)(at - arm) : strlen(arm);
    if (length >= sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)length, arm);
    if (!at)
        return pipe_restore_recipe_find(name);
    const unsigned long long given = strtoull(at + 1, &end, 10);
    if (at[1] < '0' || at[1] > '9' || *end != '\0')
        return NULL;
    *seed = given;
    return pipe_restore_recipe_find(name);
}
