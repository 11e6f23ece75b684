/* Where the bundled model is looked for, in which order, and what is said if it is nowhere;
 * and the folder of caches. */
#include "pipeline/demo/demo_folder.h"
#include "runtime/base/file.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct test_folder full, empty;
static struct rt_ctx ctx;

static int make_folders(void **state)
{
    (void)state;
    test_folder_init(&full);
    test_folder_init(&empty);
    test_file_write(test_folder_file(&full, "config.json"), "{}", 2);
    return 0;
}

static int remove_folders(void **state)
{
    (void)state;
    test_folder_deinit(&full);
    test_folder_deinit(&empty);
    return 0;
}

static void the_first_that_is_there_is_taken(void **state)
{
    (void)state;
    char beside[PIPE_DEMO_PATH_MAX];
    const char *out = NULL;
    struct pipe_demo_places places = { "as given", full.path, "" };
    assert_int_equal(pipe_demo_folder(&ctx, &places, beside, &out), RT_OK);
    assert_string_equal(out, "as given"); /* the user must be right */
    places.given = "";
    assert_int_equal(pipe_demo_folder(&ctx, &places, beside, &out), RT_OK);
    assert_string_equal(out, full.path);
    assert_non_null(strstr(beside, "/share/faultline/demo"));
    places = (struct pipe_demo_places){ NULL, empty.path, full.path };
    assert_int_equal(pipe_demo_folder(&ctx, &places, beside, &out), RT_OK);
    assert_string_equal(out, full.path);
    places.installed = "";
    test_refused(&ctx, pipe_demo_folder(&ctx, &places, beside, &out), RT_ERR_INPUT,
                 empty.path, "/share/faultline/demo", "FAULTLINE_DEMO", NULL);
}

static void a_cache_has_a_folder(void **state)
{
    (void)state;
    static const char *const cases[][3] = { /* XDG_CACHE_HOME, HOME, folder */
                                            { "/x", "/h", "/x/p" },
                                            { "", "/h", "/h/.cache/p" },
                                            { "", "", NULL }
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        setenv("XDG_CACHE_HOME", cases[i][0], 1);
        setenv("HOME", cases[i][1], 1);
        char *folder = fmt_cache_folder(&ctx, "p");
        if (cases[i][2])
            assert_string_equal(folder, cases[i][2]);
        else
            assert_null(folder);
        rt_free(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_there_is_taken),
        cmocka_unit_test(a_cache_has_a_folder),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
