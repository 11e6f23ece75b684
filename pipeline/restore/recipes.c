/* pipeline/restore/recipes.c
 * The table of recipes: what each adapter starts from and is trained on. */
#include "pipeline/restore/training.h"

#include <string.h>

static const struct pipe_restore_recipe recipes[] = {
    { .name = "default",
      .role = "restored",
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
    { .name = "random-problem",
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
    for (size_t i = 0; i < RT_COUNT(recipes); i++)
        if (strcmp(recipes[i].name, name) == 0)
            return &recipes[i];
    return NULL;
}
