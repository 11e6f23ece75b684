/* pipeline/exchange/import_fold.h
 * The form in which the questions of two files are compared. */
#ifndef PIPELINE_EXCHANGE_IMPORT_FOLD_H
#define PIPELINE_EXCHANGE_IMPORT_FOLD_H

#include <stddef.h>

/* Drops what one file has and another lacks, and nothing that changes a question: white
 * space is one blank, and none beside a sign; the case of words of two letters or more,
 * quotes, dollar signs, \( \) \[ \], and the marks of prose (. , ; : ? not between digits) go.
 * Digits, operators, signs, comparisons, brackets, the points and commas between digits,
 * factorials, primes and every other character stay. Spellings of minus, of quotes and
 * compatible forms of letters and digits are one; raised, lowered and fraction characters
 * stay what they are. `out` has room for IMPORT_FOLD_FACTOR times the text and the zero at
 * its end. Returns its length. Text that is not UTF-8 is kept byte by byte. */
enum { IMPORT_FOLD_FACTOR = 4 };
size_t import_fold(const char *text, char *out);

#endif
