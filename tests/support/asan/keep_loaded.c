/* tests/support/asan/keep_loaded.c
 * Part of every program that is built with AddressSanitizer: drivers and layers stay loaded
 * until the process ends, so that what they leak carries their name and tests/lsan.txt can
 * tell it from leaks of ours. */
int dlclose(void *handle);
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
