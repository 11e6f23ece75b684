/* pipeline/demo/demo_folder.h
 * Where the bundled model and its problems are. */
#ifndef PIPELINE_DEMO_DEMO_FOLDER_H
#define PIPELINE_DEMO_DEMO_FOLDER_H

#include "runtime/base/rt.h"

enum { PIPE_DEMO_PATH_MAX = 560 };

/* Tried in this order; the one beside the program comes after `given`. */
struct pipe_demo_places {
    const char *given;     /* by the user, who must be right; null or "": not given */
    const char *source;    /* in the tree that was built; "": none */
    const char *installed; /* where the build was told to install it; "": none */
};

/* *out: the first folder that holds a config.json; borrowed from `places` or in `beside`.
 * The folder beside the program is share/faultline/demo next to the bin folder that the
 * running program is in, so that an installed tree may be moved. RT_ERR_INPUT: there is none;
 * the message names all of them. */
RT_CHECKED rt_status pipe_demo_folder(struct rt_ctx *ctx,
                                      const struct pipe_demo_places *places,
                                      char beside[PIPE_DEMO_PATH_MAX], const char **out);

#endif
