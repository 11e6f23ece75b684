/* pipeline/run/tokenizer_check.h
 * One tokenizer serves all models that a session compares: is it theirs? */
#ifndef PIPELINE_RUN_TOKENIZER_CHECK_H
#define PIPELINE_RUN_TOKENIZER_CHECK_H

#include "pipeline/run/session.h"

/* RT_ERR_INPUT where the tokenizer of a model folder or GGUF file is another one than the
 * session's (text_tokenizer_compare), with the first difference. One that is not there is
 * fine; one that cannot be read is warned of. */
RT_CHECKED rt_status pipe_tokenizer_check(struct pipe_session *session,
                                          const char *folder);

#endif
