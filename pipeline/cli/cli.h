/* pipeline/cli/cli.h
 * The frame of the program: commands, options, messages, signals. A command is a file
 * cmd_<name>.c and a line in commands.def. */
#ifndef PIPELINE_CLI_CLI_H
#define PIPELINE_CLI_CLI_H

#include "pipeline/demo/demo_folder.h"
#include "pipeline/host.h"
#include "runtime/base/json_put.h"
#include "runtime/device/device.h"
#include "store/store.h"

enum { CLI_OPTIONS_MAX = 64, CLI_POSITIONALS_MAX = 64 };

/* An option of a command: "--bits N" takes a value, "--force" does not. */
struct cli_option {
    const char *name;  /* without the dashes */
    const char *value; /* what stands for the value in help, null: a flag */
    const char *help;
};

struct cli;
struct json_t; /* of jansson */

struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* what follows the name; arguments that are no options are taken
                          where it begins with one */
    const struct cli_option *options; /* ends with a null name; may be null */
    rt_status (*run)(struct cli *cli);
};

struct cli {
    struct rt_ctx ctx;
    const struct cli_command *command;
    int argc;
    char **argv;
    char *argv_json; /* of cli_store_open, freed at the end of the program */
    char *cache_dir; /* of ctx.cache_dir, freed at the end of the program */
    struct {
        const char *name, *value;
    } given[CLI_OPTIONS_MAX];
    int given_count;
    const char *positional[CLI_POSITIONALS_MAX];
    int positional_count;
    int verbosity;          /* -1 quiet, 0, 1, 2 */
    bool progress_terminal; /* one line that is rewritten */
    bool progress_off;
    bool progress_json;                       /* one JSON object per line */
    uint64_t progress_at;                     /* time of the last progress line */
    uint64_t progress_started, progress_base; /* what was done when it started */
    char progress_line[256];                  /* the last one shown */
    struct pipe_host host;                    /* of cli_host */
    char demo_beside[PIPE_DEMO_PATH_MAX];     /* of cli_demo_folder */
};

extern const struct cli_command *const cli_commands[]; /* ends with null */
extern const struct cli_option cli_global_options[];

/* ---- options ---- */
const char *cli_value(const struct cli *cli, const char *name, const char *otherwise);
bool cli_flag(const struct cli *cli, const char *name);
/* A whole number within [low, high]. */
RT_CHECKED rt_status cli_number(struct cli *cli, const char *name, int64_t otherwise,
                                int64_t low, int64_t high, int64_t *out);
/* Any number within [low, high]; if it is not given, *out stays unchanged. */
RT_CHECKED rt_status cli_real(struct cli *cli, const char *name, double low, double high,
                              float *out);
/* --rescue: how often a greedy answer is taken out of a loop at most; 0: never.
 * RT_ERR_USAGE also with a temperature above 0. */
RT_CHECKED rt_status cli_rescues(struct cli *cli, float temperature, uint32_t *out);
RT_CHECKED rt_status cli_parse(struct cli *cli, int argc, char **argv);
/* The command that may be meant, null: none. */
const char *cli_similar_command(const char *name);

/* ---- what commands share ---- */
/* Whether --tune is on. */
RT_CHECKED rt_status cli_tune(struct cli *cli, bool *out);
/* --family, --products, --kv, --int8. */
RT_CHECKED rt_status cli_plan(struct cli *cli, struct rt_plan_options *out);
/* --device, --profile, --validation, --products, --kv, --tune, --cache-dir. */
RT_CHECKED rt_status cli_device_open(struct cli *cli, struct rt_device **out);
/* The same with a name that is not --device's. */
RT_CHECKED rt_status cli_device_open_named(struct cli *cli, const char *name,
                                           struct rt_device **out);
/* The folder of the bundled model: FAULTLINE_DEMO or the first that pipe_demo_folder finds;
 * lives as long as `cli`. */
RT_CHECKED rt_status cli_demo_folder(struct cli *cli, const char **out);
struct json_t *cli_device_json(const struct rt_device_info *device);
const char *cli_store_path(const struct cli *cli);
/* That file; runs opened in it carry this command line. */
RT_CHECKED rt_status cli_store_open(struct cli *cli, enum store_mode mode,
                                    struct store **out);
/* The same for writing if it is named (--store, FAULTLINE_STORE), else NULL: for commands
 * that work without one. */
RT_CHECKED rt_status cli_store_open_named(struct cli *cli, struct store **out);
/* After a command, with --profile: ops, time, GFLOP/s, GB/s on stderr. */
void cli_print_profile(struct cli *cli, const struct rt_device *dev);
/* A message line on stderr, unless quiet. */
void cli_say(struct cli *cli, const char *fmt, ...) RT_PRINTF(2, 3);
/* Text of others on stdout: bytes that could steer a terminal are '?', line ends too. */
void cli_print_safe(const char *text, size_t size);
/* A JSON value on stdout in one line (flags 0 or JSON_COMPACT) or indented, and a line end.
 * Takes the reference; of null (no memory, a text that is not UTF-8) prints {}. Results that
 * are printed piece by piece use runtime/base/json_put.h. */
void cli_print_json(struct json_t *value, size_t flags);
/* A record of a file of JSON Lines on stdout, its numbers with so many digits; an empty line if
 * there is no memory. */
void cli_print_record(const struct json_t *record, int digits);
/* Rows on stdout: with tabs, or as JSON with --json. Values are whole: a blob is its bytes
 * in capital hexadecimal digits, a zero byte of a text is \u0000, in a table \0. Of columns
 * with one name the second is NAME_2, the third NAME_3. cli_rows_add is the callback of a
 * query; cli_rows_end takes the status of the query. */
struct cli_rows {
    bool json, headed;
    bool renamed; /* two columns have the same name */
    /* Of a column whose texts are JSON and stand as such among JSON; borrowed, NULL: none. */
    const char *json_column;
    uint64_t rows;
};
struct cli_rows cli_rows_begin(const struct cli *cli);
RT_CHECKED rt_status cli_rows_add(void *rows, const struct store_row *row);
RT_CHECKED rt_status cli_rows_end(struct cli_rows *rows, rt_status st);
/* The rows of a query. args null: the user wrote it. */
RT_CHECKED rt_status cli_print_query(struct cli *cli, struct store *store,
                                     const char *sql, const char *const *args);
/* Shows progress at most a few times per second, and no line twice in a row. */
void cli_progress(struct cli *cli, const struct pipe_progress *progress);
void cli_progress_end(struct cli *cli);
/* True after SIGINT or SIGTERM: finish what is in flight. */
bool cli_stopping(void);
rt_status cli_stop_reason(void); /* of that signal; RT_OK: none came */
/* What stages may ask of this program; lives as long as `cli`. */
const struct pipe_host *cli_host(struct cli *cli);
void cli_signals(void);

/* What to type after such a failure, null where the message says it all. `command` may
 * be null. The text is static or in `buffer`. */
const char *cli_hint(rt_status status, const char *command, char *buffer, size_t size);
/* `faultline help COMMAND` on stdout. */
void cli_print_help(const struct cli_command *command);

#endif
