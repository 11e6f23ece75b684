/* runtime/base/os.h
 * The operating system: what the C library of C11 does not offer. Nothing else in the
 * product calls it; another system needs another os_posix.c and no more.
 *
 * Errors: unless a comment says otherwise, a function that can fail returns false, null or
 * -1 and leaves the reason in errno, for strerror. Nothing here writes a message.
 * Paths are those of the system, in UTF-8 or not, and end in a zero byte.
 * Ownership: arguments are borrowed for the call; what an open function returns belongs to
 * the caller until the close function of the same name. */
#ifndef RUNTIME_BASE_OS_H
#define RUNTIME_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* ---- processes ---- */

int64_t os_process_id(void);
/* No process of this machine has that id. False where the process is another user's. */
bool os_process_gone(int64_t id);
/* The space in which process ids mean something (containers of one machine may have one
 * each), cut to `size` bytes with its end. Empty where the system has no such spaces. */
void os_process_space(char *out, size_t size);
/* The path of the running program, links followed, cut to `size` bytes with its end. False
 * where it cannot be known: then `out` is empty and errno means nothing. */
bool os_program_path(char *out, size_t size);
/* Starts this program again in its place, with a variable of the environment set to a
 * value. Comes back, with false, where the variable is set already or that fails. `argv`
 * is that of main. */
bool os_restart(char **argv, const char *variable, const char *value);

/* ---- the machine ---- */

/* Texts are empty where the system does not say. */
struct os_system {
    char host[256], name[256], release[256]; /* "shed", "Linux", "6.1.0-18-amd64" */
};
void os_system_read(struct os_system *out);
/* The model of the processor, at most 200 bytes of it, or "unknown". */
void os_cpu_name(char *out, size_t size);
int64_t os_cpu_cores(void); /* those that are on line */
/* The mean clock of the cores in MHz now, 0 where the system does not say. */
double os_cpu_mhz(void);
/* Bytes of memory: all there is, and what could be given now without swapping (all there
 * is, where the system does not say). */
uint64_t os_memory_bytes(void);
uint64_t os_memory_available(void);
/* The most that this process has had in memory at once, 0: the system does not say. */
uint64_t os_memory_peak_bytes(void);

/* ---- time ---- */

uint64_t os_clock_ns(void);     /* monotonic; from an unknown start */
int64_t os_clock_unix_ms(void); /* milliseconds since 1970 */
/* False where the year does not fit. */
bool os_utc(int64_t unix_seconds, struct tm *out);
void os_sleep_ms(int64_t ms); /* a signal ends it early */

/* ---- names of files and folders ---- */

enum os_kind {
    OS_KIND_NONE, /* there is nothing of that name, or it may not be looked at */
    OS_KIND_FILE,
    OS_KIND_FOLDER,
    OS_KIND_OTHER /* a device, a pipe, a socket */
};
enum { OS_PATH_MAX = 4096 }; /* bytes of an absolute path with its end */

/* Links are followed. */
enum os_kind os_kind_of(const char *path);
bool os_exists(const char *path);
bool os_writable(const char *path); /* this user may write there */
/* Both names lead to one file or folder that is there. */
bool os_same(const char *a, const char *b);
/* The path from the root, without links. */
bool os_absolute(const char *path, char out[OS_PATH_MAX]);
/* Makes one folder; true also where something of that name is there. */
bool os_make_folder(const char *path);
bool os_remove_folder(const char *path); /* an empty one */
/* Bytes that this user may still write to the disk of a folder. False also for a file
 * system that has no size. */
bool os_disk_available(const char *folder, uint64_t *bytes);

/* The names in a folder, in no order, with "." and "..". */
struct os_folder;
struct os_folder *os_folder_open(const char *path);
/* The next name, null at the end. It is valid until the next call. */
const char *os_folder_next(struct os_folder *folder);
void os_folder_close(struct os_folder *folder); /* may be null */

/* ---- contents ---- */

struct os_info {
    enum os_kind kind;
    uint64_t device, inode, size;    /* size in bytes */
    int64_t modified_ns, changed_ns; /* content; content or its entry; since 1970 */
};

/* Opens what a name leads to for reading and says what it is; does not wait for the writer
 * of a pipe. Returns a handle, -1 on failure. */
int os_open(const char *path, struct os_info *out);
void os_close(int handle); /* leaves errno as it is */
/* The first `size` bytes (not 0) of a file, read-only; stays when the handle is closed. */
const void *os_map(int handle, uint64_t size);
void os_unmap(const void *data, uint64_t size);
/* Takes the pages of a mapping out of the process's memory; they come back when used. */
void os_map_forget(const void *data, uint64_t size);

/* Waits until the content is on the disk. A file system that cannot do so: EINVAL. */
bool os_sync_file(const char *path);
bool os_sync_folder(const char *path); /* EINVAL is no failure: no more can be done */
bool os_sync_stream(FILE *file);       /* what was flushed */

/* ---- streams ---- */

bool os_is_terminal(FILE *file);
/* The next byte is written so many from the start, maybe beyond the end. */
bool os_seek_stream(FILE *file, uint64_t at);
/* Its length; what is read or written next is behind the last byte. */
bool os_stream_bytes(FILE *file, uint64_t *bytes);
/* The last operation failed with this errno because nobody reads the pipe any more. */
bool os_is_reader_gone(int reason);
/* A stream that writes to memory. After fflush or fclose, *bytes and *size are what was
 * written and a zero byte. *bytes is freed with rt_free after fclose. */
FILE *os_memory_stream(char **bytes, size_t *size);

/* One line after another; zero is a valid start. */
struct os_line {
    char *text;  /* with its '\n' if it has one, and a zero byte */
    size_t size; /* bytes of the text, without the zero byte */
    size_t capacity;
};
/* False at the end, and where reading or memory fails. */
bool os_line_read(FILE *file, struct os_line *line);
void os_line_deinit(struct os_line *line);

/* ---- text ---- */

/* The whole text fits a pattern of the shell: * ? [a-z]. */
bool os_pattern_fits(const char *pattern, const char *text);
/* The words of a list that stand between separators: strtok with its state in *rest. The
 * first call names the text, which is changed, the next ones null. Null at the end. */
char *os_token(char *text, const char *separators, char **rest);
/* Bytes of a text before its zero byte, `most` where there are more. */
size_t os_length(const char *text, size_t most);
/* The first n bytes are the same, whatever the case of ASCII letters. */
bool os_same_caseless(const char *a, const char *b, size_t n);

/* ---- signals that stop the program ---- */

enum os_stop {
    OS_STOP_NONE,
    OS_STOP_INTERRUPT, /* Ctrl-C */
    OS_STOP_TERMINATE  /* asked to end, as by kill or a batch system */
};

/* From now on these signals are kept for os_stop_asked and end nothing by themselves, but
 * a second Ctrl-C ends the program at once with exit_code. A pipe without a reader and a
 * file that may not grow end nothing either: writing fails then. */
void os_stop_signals(int exit_code);
/* The last one that came. */
enum os_stop os_stop_asked(void);

#endif
