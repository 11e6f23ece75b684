/* tests/support/loop.h
 * Starts the program in folders of its own, with one command line of a shell, and reads
 * every row that it leaves. What it says goes where the line says: loop.err is shown where
 * a test fails. */
#ifndef TESTS_SUPPORT_LOOP_H
#define TESTS_SUPPORT_LOOP_H

#include <sys/types.h>

/* Fixtures of a group: a folder, in which the test then is, and the program's path. */
int test_loop_set_up(void **state);
int test_loop_tear_down(void **state);
/* The built program. */
const char *test_loop_program(void);
/* Goes to the folder `name` of the group, made if it is not there; "": the group's own.
 * The same names in any folder, so that rows with paths in them can be compared. */
void test_loop_enter(const char *name);
/* Starts the program with a shell's command line, in a process group of its own. */
pid_t test_loop_start(const char *line);
/* Its exit code when it ends by itself, -1 where a signal ended it. */
int test_loop_run(const char *line);
/* Prints loop.err. */
void test_loop_show_error(void);
/* Runs it, and fails with loop.err shown unless its exit code is 0. */
void test_loop_run_well(const char *line);

/* What is left out of a comparison: names between spaces, as in " attempt machine ". */
struct test_left_out {
    const char *tables, *columns;
};
/* Every row of every table, times and costs aside, as one text; free() it. */
char *test_rows_of(const char *db);
/* The same with other tables left out than `attempt`, and columns, of every table. */
char *test_rows_without(const char *db, const struct test_left_out *left);
/* The first column of a query, a line per row; free() it. */
char *test_lines_of(const char *db, const char *sql);
/* The number in the first column of the last row of a query. */
double test_number_of(const char *db, const char *sql);
/* The whole number of a query on a results file that may be in the making; 0 while it cannot be
 * read. */
long test_number_so_far(const char *db, const char *sql);
/* Answers in such a file. */
int test_answers_in(const char *db);
/* Fails, with the first line that differs, unless two such texts are equal. */
void test_same_rows(const char *a, const char *b);

#endif
