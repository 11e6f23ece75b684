/* runtime/base/os_posix.c
 * The operating system by POSIX.1-2008; what POSIX lacks is read from Linux's /proc. */
#define _XOPEN_SOURCE 700 /* realpath, and all of POSIX.1-2008 */
#define _DEFAULT_SOURCE   /* madvise: what posix_madvise is there for does nothing */

#include "runtime/base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

_Static_assert(PATH_MAX <= OS_PATH_MAX, "realpath writes up to PATH_MAX bytes");

/* ---- processes ---- */

int64_t os_process_id(void)
{
    return getpid();
}

bool os_process_gone(int64_t id)
{
    return kill((pid_t)id, 0) != 0 && errno == ESRCH;
}

static bool read_link(const char *link, char *out, size_t size)
{
    const ssize_t length = readlink(link, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
    return length > 0;
}

void os_process_space(char *out, size_t size)
{
    read_link("/proc/self/ns/pid", out, size);
}

bool os_program_path(char *out, size_t size)
{
    return read_link("/proc/self/exe", out, size);
}

bool os_restart(char **argv, const char *variable, const char *value)
{
    if (getenv(variable) || setenv(variable, value, 0) != 0)
        return false;
    execv("/proc/self/exe", argv);
    unsetenv(variable);
    return false;
}

/* ---- the machine ---- */

void os_system_read(struct os_system *out)
{
    struct utsname u;
    *out = (struct os_system){ .host = "" };
    if (uname(&u) != 0)
        return;
    snprintf(out->host, sizeof out->host, "%s", u.nodename);
    snprintf(out->name, sizeof out->name, "%s", u.sysname);
    snprintf(out->release, sizeof out->release, "%s", u.release);
}

void os_cpu_name(char *out, size_t size)
{
    snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(out, size, "%.200s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
}

int64_t os_cpu_cores(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN);
}

double os_cpu_mhz(void)
{
    char line[256];
    double sum = 0;
    int count = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "cpu MHz", 7) == 0 && colon) {
            sum += strtod(colon + 1, NULL);
            count++;
        }
    }
    if (file)
        fclose(file);
    return count ? sum / count : 0;
}

uint64_t os_memory_bytes(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t os_memory_available(void)
{
    unsigned long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && kib == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu", &kib) != 1)
            kib = 0;
    if (file)
        fclose(file);
    return kib ? kib * 1024u : os_memory_bytes();
}

uint64_t os_memory_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024u : 0;
}

/* ---- time ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t os_clock_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t os_clock_unix_ms(void)
{
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000u);
}

bool os_utc(int64_t unix_seconds, struct tm *out)
{
    const time_t seconds = (time_t)unix_seconds;
    return gmtime_r(&seconds, out) != NULL;
}

void os_sleep_ms(int64_t ms)
{
    const struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    nanosleep(&pause, NULL);
}

/* ---- names of files and folders ---- */

static enum os_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return OS_KIND_FILE;
    return S_ISDIR(mode) ? OS_KIND_FOLDER : OS_KIND_OTHER;
}

enum os_kind os_kind_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? kind_of(s.st_mode) : OS_KIND_NONE;
}

bool os_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool os_writable(const char *path)
{
    return access(path, W_OK) == 0;
}

bool os_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

bool os_absolute(const char *path, char out[OS_PATH_MAX])
{
    return realpath(path, out) != NULL;
}

bool os_make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

bool os_remove_folder(const char *path)
{
    return rmdir(path) == 0;
}

bool os_disk_available(const char *folder, uint64_t *bytes)
{
    struct statvfs fs;
    if (statvfs(folder, &fs) != 0 || fs.f_blocks == 0)
        return false;
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return true;
}

/* A struct os_folder is a DIR. */
struct os_folder *os_folder_open(const char *path)
{
    return (struct os_folder *)opendir(path);
}

const char *os_folder_next(struct os_folder *folder)
{
    const struct dirent *entry = readdir((DIR *)folder);
    return entry ? entry->d_name : NULL;
}

void os_folder_close(struct os_folder *folder)
{
    if (folder)
        closedir((DIR *)folder);
}

/* ---- contents ---- */

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

int os_open(const char *path, struct os_info *out)
{
    struct stat s;
    *out = (struct os_info){ .kind = OS_KIND_NONE };
    /* Without O_NONBLOCK, opening a named pipe would wait for a writer. */
    const int handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (handle < 0)
        return -1;
    if (fstat(handle, &s) != 0) {
        os_close(handle);
        return -1;
    }
    *out =
        (struct os_info){ kind_of(s.st_mode),  (uint64_t)s.st_dev,  (uint64_t)s.st_ino,
                          (uint64_t)s.st_size, time_ns(&s.st_mtim), time_ns(&s.st_ctim) };
    return handle;
}

void os_close(int handle)
{
    const int reason = errno;
    close(handle);
    errno = reason;
}

const void *os_map(int handle, uint64_t size)
{
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, handle, 0);
    return data == MAP_FAILED ? NULL : data;
}

void os_unmap(const void *data, uint64_t size)
{
    munmap((void *)(uintptr_t)data, size);
}

void os_map_forget(const void *data, uint64_t size)
{
    madvise((void *)(uintptr_t)data, size, MADV_DONTNEED);
}

bool os_sync_file(const char *path)
{
    const int handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return false;
    const bool synced = fsync(handle) == 0;
    os_close(handle);
    return synced;
}

bool os_sync_folder(const char *path)
{
    const int handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return false;
    const bool synced = fsync(handle) == 0 || errno == EINVAL;
    os_close(handle);
    return synced;
}

bool os_sync_stream(FILE *file)
{
    return fsync(fileno(file)) == 0;
}

/* ---- streams ---- */

bool os_is_terminal(FILE *file)
{
    return isatty(fileno(file)) == 1;
}

bool os_seek_stream(FILE *file, uint64_t at)
{
    return fseeko(file, (off_t)at, SEEK_SET) == 0;
}

bool os_stream_bytes(FILE *file, uint64_t *bytes)
{
    const off_t end = fseeko(file, 0, SEEK_END) == 0 ? ftello(file) : -1;
    *bytes = end < 0 ? 0 : (uint64_t)end;
    return end >= 0;
}

bool os_is_reader_gone(int reason)
{
    return reason == EPIPE;
}

FILE *os_memory_stream(char **bytes, size_t *size)
{
    return open_memstream(bytes, size);
}

bool os_line_read(FILE *file, struct os_line *line)
{
    const ssize_t size = getline(&line->text, &line->capacity, file);
    line->size = size < 0 ? 0 : (size_t)size;
    return size >= 0;
}

void os_line_deinit(struct os_line *line)
{
    free(line->text); /* lint: getline's own */
    *line = (struct os_line){ .text = NULL };
}

/* ---- text ---- */

bool os_pattern_fits(const char *pattern, const char *text)
{
    return fnmatch(pattern, text, 0) == 0;
}

char *os_token(char *text, const char *separators, char **rest)
{
    return strtok_r(text, separators, rest);
}

size_t os_length(const char *text, size_t most)
{
    return strnlen(text, most);
}

bool os_same_caseless(const char *a, const char *b, size_t n)
{
    return strncasecmp(a, b, n) == 0;
}

/* ---- signals that stop the program ---- */

/* Set by the handler only. */
static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t second_exit_code;

static void on_signal(int number)
{
    if (stop_signal != 0 && number == SIGINT)
        _exit(second_exit_code); /* lint: at once; what is committed stays */
    stop_signal = number;
}

void os_stop_signals(int exit_code)
{
    const struct sigaction action = { .sa_handler = on_signal };
    second_exit_code = exit_code;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

enum os_stop os_stop_asked(void)
{
    if (stop_signal == 0)
        return OS_STOP_NONE;
    return stop_signal == SIGINT ? OS_STOP_INTERRUPT : OS_STOP_TERMINATE;
}
