/* fault.c - a library to preload (LD_PRELOAD): makes one call of a kind fail.
 *
 *     FAULT=KIND:N     the N-th call of the kind fails, counted from 1; 0: none
 *     FAULT_COUNT=FILE how many calls of the kind there were is written there at the end
 *
 * Kinds: alloc (malloc, calloc, realloc, posix_memalign: ENOMEM), mmap (ENOMEM), open, read, write
 * (EIO), space (write: ENOSPC), fsync (EIO), rename (EIO). Calls that the C library makes of its
 * own functions are not seen, its allocations are. Only the program itself: children get no FAULT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char kind[16];
static long fails_at;
static atomic_long n_calls;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

/* Before main, when nothing is counted yet. */
__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("FAULT"), *colon = fault ? strchr(fault, ':') : NULL;
    if (colon && (size_t)(colon - fault) < sizeof kind) {
        fails_at = atol(colon + 1);
        memcpy(kind, fault, (size_t)(colon - fault));
    }
    unsetenv("FAULT");
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("FAULT_COUNT");
    char text[24];
    const int n = snprintf(text, sizeof text, "%ld\n", atomic_load(&n_calls));
    kind[0] = 0;
    const int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && write(fd, text, (size_t)n) < 0)
        _exit(99);
    if (fd >= 0)
        close(fd);
}

/* True where this call is the one. */
static bool fails(const char *which, int reason) {
    if (strcmp(kind, which) != 0 || atomic_fetch_add(&n_calls, 1) + 1 != fails_at)
        return false;
    errno = reason;
    return true;
}

void *malloc(size_t size) {
    return fails("alloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails("alloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails("alloc", ENOMEM) ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t align, size_t size) {
    if (fails("alloc", ENOMEM))
        return ENOMEM;
    *memory = __libc_memalign(align, size);
    return *memory ? 0 : ENOMEM;
}

/* The function of this name that the program would have called. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    return fails("mmap", ENOMEM) ? MAP_FAILED : NEXT(mmap)(at, size, protection, flags, fd, offset);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails("open", EIO) ? -1 : NEXT(open)(path, flags, mode);
}

ssize_t read(int fd, void *bytes, size_t n) {
    return fails("read", EIO) ? -1 : NEXT(read)(fd, bytes, n);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    return fails("write", EIO) || fails("space", ENOSPC) ? -1 : NEXT(write)(fd, bytes, n);
}

int fsync(int fd) {
    return fails("fsync", EIO) ? -1 : NEXT(fsync)(fd);
}

int rename(const char *from, const char *to) {
    return fails("rename", EIO) ? -1 : NEXT(rename)(from, to);
}
