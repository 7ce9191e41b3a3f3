/* Faults of the file system: the n-th write, sync or rename below a directory fails.
 *
 * Loaded with LD_PRELOAD; a test arms it with `faults_arm` and reads `faults_count` afterwards.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static atomic_long count, fails_at;
static int fails_with, is_short;

void faults_arm(const char *directory, long at, int error, int partly) {
    strncpy(below, directory, sizeof below - 1);
    atomic_store(&count, 0);
    fails_with = error;
    is_short = partly;
    atomic_store(&fails_at, at);
}

long faults_count(void) { return atomic_load(&count); }

static int is_below(const char *path) { return *below && strncmp(path, below, strlen(below)) == 0; }

static int is_file_below(int file) {
    char link[64], path[PATH_MAX];
    if (!*below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* From the n-th operation on, every one fails: a full disk stays full. */
static int is_fault(void) {
    long number = atomic_fetch_add(&count, 1) + 1, at = atomic_load(&fails_at);
    return at > 0 && (fails_with == ENOSPC ? number >= at : number == at);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    if (is_file_below(file) && is_fault()) {
        if (is_short && size > 1) REAL(write)(file, data, size / 2);
        errno = fails_with;
        return -1;
    }
    return REAL(write)(file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int number) {
    if (is_file_below(file) && is_fault()) {
        errno = fails_with;
        return -1;
    }
    return REAL(writev)(file, parts, number);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    if (is_file_below(file) && is_fault()) {
        errno = fails_with;
        return -1;
    }
    return REAL(pwrite64)(file, data, size, at);
}

int fsync(int file) {
    if (is_file_below(file) && is_fault()) {
        errno = fails_with;
        return -1;
    }
    return REAL(fsync)(file);
}

int rename(const char *from, const char *to) {
    if ((is_below(to) || is_below(from)) && is_fault()) {
        errno = fails_with;
        return -1;
    }
    return REAL(rename)(from, to);
}
