/* pipeline/grade/flint.h
 * The number library: FLINT with Arb, which are two packages before FLINT 3 (Debian 12)
 * and one from then on. */
#ifndef PIPELINE_GRADE_FLINT_H
#define PIPELINE_GRADE_FLINT_H

#include <stdint.h>

#include <flint/flint.h>
#include <flint/fmpq.h>
#include <flint/fmpz.h>
#if __has_include(<flint/acb.h>)
#include <flint/acb.h>
#include <flint/arb.h>
#else
#include <acb.h>
#include <arb.h>
#endif

#endif
