/* pipeline/demo/locate_check.h
 * The mechanical locator `check`. It sees the question and the answer as text, never the
 * gold program, the known answer or a model, and tests what a step claims:
 *
 *   repetition   the same one to eight lines at least four times at the end
 *   unreadable   a line that is no equation of the format
 *   unknown      an operand that occurs neither in the question, nor as a factor that its
 *                words imply (half, percentages, 60 minutes, a dozen), nor as an earlier
 *                result: a wrongly copied value
 *   foreign      a number or result of somebody else, where the question states no
 *                comparison that leads there
 *   stale        an earlier value of a quantity that has changed since
 *   operator     right operands under an operator that the words speak against: adding what
 *                was lost, dividing what is asked in total
 *   arithmetic   a <op> b is not c in whole numbers
 *   answer       the final answer is not the last derived value
 *   missing      the answer comes before something that the question asks for was
 * derived, or does not come at all
 *
 * It names the first step that fails one of them and otherwise abstains, which does not
 * mean that the answer is right. A label is a running quantity where it is a name that
 * the question uses; of other labels only repetition, reading, unknown operands and
 * arithmetic are tested, and the operands of the last sentence's question. */
#ifndef PIPELINE_DEMO_LOCATE_CHECK_H
#define PIPELINE_DEMO_LOCATE_CHECK_H

#include "pipeline/record.h"

enum pipe_check_rule {
    PIPE_CHECK_NONE, /* abstains */
    PIPE_CHECK_REPETITION,
    PIPE_CHECK_UNREADABLE,
    PIPE_CHECK_UNKNOWN,
    PIPE_CHECK_FOREIGN,
    PIPE_CHECK_STALE,
    PIPE_CHECK_OPERATOR,
    PIPE_CHECK_ARITHMETIC,
    PIPE_CHECK_ANSWER,
    PIPE_CHECK_MISSING,
    PIPE_CHECK_RULE_COUNT
};

struct pipe_check {
    enum pipe_check_rule rule;
    int32_t step;                /* -1: abstains */
    enum pipe_category category; /* PIPE_CAT_NONE: abstains */
    double confidence;  /* measured share of right steps under this rule, 0: none */
    char evidence[192]; /* a JSON object; "{}" where it abstains */
};

const char *pipe_check_rule_name(enum pipe_check_rule rule);

/* Never fails: text that it cannot follow makes it abstain. */
void pipe_locate_check(const char *question, const char *output, struct pipe_check *out);

#endif
