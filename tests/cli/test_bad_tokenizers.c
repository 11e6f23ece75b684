/* Two models whose tokenizers differ, as a user meets them: refused before anything is
 * measured, with the file, the first difference and what to do, exit code 4. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct test_place place;

static void demo(void)
{
    test_place_renew(&place.model);
    test_folder_fill(&place.model, "pipeline/demo");
}
static void other_ids(void)
{
    demo();
    test_file_replace(test_folder_file(&place.model, "tokenizer.json"),
                      "\"\xc4\x82\": 2,", "\"\xc4\x82\": 3,");
    test_file_replace(test_folder_file(&place.model, "tokenizer.json"),
                      "\"\xc4\x83\": 3,", "\"\xc4\x83\": 2,");
}
static void other_merges(void)
{
    demo();
    test_file_replace(test_folder_file(&place.model, "tokenizer.json"),
                      "\"c ups\",\n\"b o\",", "\"b o\",\n\"c ups\",");
}

#define CHAIN                                                            \
    " --device ref --store results.db --progress none --full @D --mine " \
    "@D/mine.jsonl[0:1] --validate @D/validate.jsonl[0:1] --measure "    \
    "@D/measure.jsonl[0:1] --work @O/work"
#define OTHER "/model' has another tokenizer than '|"

static void another_tokenizer_is_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "ids in restore", other_ids, "restore" CHAIN " --quant @M", 4,
          OTHER "id 2 is '\\x03' here and '\\x02' there|made from the other", NULL },
        { "ids in locate", other_ids, "locate" CHAIN " --quant @M", 4, OTHER, NULL },
        { "merges in restore", other_merges, "restore" CHAIN " --quant @M", 4,
          OTHER "'b + o' here and 'c + ups' there", NULL },
        { "ids in perplexity", other_ids,
          "perplexity --device ref --store results.db --model @M --base @D --text "
          "@D/README.md",
          4, "has another tokenizer than|'\\x02' here and '\\x03' there", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_tokenizer_is_refused),
    };
    return test_place_group("bad tokenizers", &place, tests, RT_COUNT(tests));
}
