/* runtime/base/version.h
 * What this program was built from. */
#ifndef RUNTIME_BASE_VERSION_H
#define RUNTIME_BASE_VERSION_H

#include <stdbool.h>

extern const char rt_version[];      /* "0.1.0" */
extern const char rt_commit[];       /* 12 hex digits, empty outside of a git checkout */
extern const bool rt_commit_changed; /* the tree had changes that were not committed */

#endif
