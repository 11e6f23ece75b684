/* SHA-256 gives the digests of FIPS 180-4's examples, however the input is cut. */
#include "runtime/base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void check(const char *text, size_t step, const char *expected)
{
    struct sha256 hash;
    char hex[65];
    const size_t size = strlen(text);
    sha256_init(&hash);
    for (size_t at = 0; at < size; at += step)
        sha256_add(&hash, text + at, size - at < step ? size - at : step);
    sha256_end_hex(&hash, hex);
    assert_string_equal(hex, expected);
}

static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    static const char *const two_blocks =
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (size_t step = 1; step < 70; step++) {
        check("", step,
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check("abc", step,
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(two_blocks, step,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
}

static void a_million_letters(void **state)
{
    (void)state;
    struct sha256 hash;
    char hex[65], letters[1000];
    memset(letters, 'a', sizeof letters);
    sha256_init(&hash);
    for (int i = 0; i < 1000; i++)
        sha256_add(&hash, letters, sizeof letters);
    sha256_end_hex(&hash, hex);
    assert_string_equal(
        hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void texts_are_kept_apart(void **state)
{
    (void)state;
    struct sha256 x, y;
    char a[65], b[65];
    sha256_init(&x);
    sha256_add_text(&x, "ab");
    sha256_add_text(&x, "c");
    sha256_end_hex(&x, a);
    sha256_init(&y);
    sha256_add_text(&y, "a");
    sha256_add_text(&y, "bc");
    sha256_end_hex(&y, b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(a_million_letters),
        cmocka_unit_test(texts_are_kept_apart),
    };
    return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
