/* tests/fuzz/replay.c
 * A fuzzer without its engine: replays the files of the folders that are named, so that
 * what was once found stays mended in builds of any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return 1;
    const long size = ftell(file);
    uint8_t *data = size >= 0 ? malloc((size_t)size + 1) : NULL;
    rewind(file);
    const int bad = !data || fread(data, 1, (size_t)size, file) != (size_t)size;
    fclose(file);
    if (!bad)
        (void)LLVMFuzzerTestOneInput(data, (size_t)size); /* aborts on a finding */
    free(data);
    return bad;
}

static int replay_folder(const char *folder)
{
    char path[1024];
    int count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return SKIPPED;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (replay_file(path) != 0) {
            fprintf(stderr, "%s: cannot be read\n", path);
            closedir(dir);
            return 1;
        }
        count++;
    }
    closedir(dir);
    printf("%d inputs\n[  PASSED  ] 1 test(s).\n", count);
    return 0;
}

int main(int argc, char **argv)
{
    return argc == 2 ? replay_folder(argv[1]) : 2;
}
