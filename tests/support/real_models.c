#include "tests/support/real_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[TEST_REAL_MODELS] = {
    "smollm2-135m-instruct-q4_1.gguf",
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
};

bool test_real_model(int which, char *path, size_t size)
{
    const char *folder = getenv("FAULTLINE_TEST_MODELS");
    snprintf(path, size, "%s/%s", folder ? folder : TEST_SOURCE_DIR "/build/models",
             names[which]);
    if (access(path, R_OK) == 0)
        return true;
    printf("    skipped: %s is not there; bench/models.sh gets it\n", path);
    return false;
}

bool test_real_models_there(void)
{
    char path[1024];
    bool any = false;
    for (int i = 0; i < TEST_REAL_MODELS; i++)
        any = test_real_model(i, path, sizeof path) || any;
    return any;
}
