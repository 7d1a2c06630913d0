/* fault.c - a library to preload (LD_PRELOAD): makes one call of a kind fail.
 *
 *     FAULT=CALL:REASON:N  the N-th call of that kind fails for that reason; N+: each from then on
 *     FAULT_COUNT=FILE     how many calls of each kind there were is written there at the end, a
 *                          line `CALL N` for each
 *     FAULT_SECONDS=N      then SIGALRM ends it
 *
 * Calls: those of `calls` below. alloc: malloc, calloc, realloc, posix_memalign. open: fopen,
 * opendir and openat, too. stat: lstat, fstat, fstatat, faccessat, readlink and realpath, too.
 * accept: accept4, too. A REASON is the name of an errno of `reasons`; alloc only knows ENOMEM.
 * Calls that the C library makes of its own functions are not seen, its allocations are. Only the
 * program itself: a program that it starts gets no FAULT.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum call {
    ALLOC,
    MMAP,
    OPEN,
    READ,
    WRITE,
    PWRITE,
    FSYNC,
    RENAME,
    THREAD,
    MADVISE,
    READDIR,
    STAT,
    POLL,
    ACCEPT,
    N_CALLS
};
static const char *const calls[N_CALLS] = {"alloc",   "mmap",  "open",   "read",   "write",
                                           "pwrite",  "fsync", "rename", "thread", "madvise",
                                           "readdir", "stat",  "poll",   "accept"};
static const struct {
    const char *name;
    int number;
} reasons[] = {{"ENOMEM", ENOMEM}, {"EIO", EIO},     {"ENOSPC", ENOSPC},
               {"EMFILE", EMFILE}, {"EINTR", EINTR}, {"EAGAIN", EAGAIN}};

static int failing = -1, reason;
static long fails_at;
static bool for_good;
static atomic_long n_calls[N_CALLS];
static int count_fd = -1; /* of FAULT_COUNT: at the end the program may open nothing */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

/* Before main, when nothing is counted yet. A FAULT that is none would test nothing: it ends the
 * program. */
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_COUNT"), *fault = getenv("FAULT");
    const char *seconds = getenv("FAULT_SECONDS");
    const int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (path && (fd < 0 || (count_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200)) < 0 || close(fd) != 0))
        _exit(99);
    char call[16], name[16], more = 0;
    if (fault) {
        const int n = sscanf(fault, "%15[^:]:%15[^:]:%ld%c", call, name, &fails_at, &more);
        for (int i = 0; n >= 3 && i < N_CALLS; i++)
            if (!strcmp(call, calls[i]))
                failing = i;
        for (size_t i = 0; n >= 3 && i < sizeof reasons / sizeof *reasons; i++)
            if (!strcmp(name, reasons[i].name))
                reason = reasons[i].number;
        for_good = more == '+';
        if (failing < 0 || !reason)
            _exit(98);
    }
    if (seconds)
        alarm((unsigned)atoi(seconds));
    unsetenv("FAULT");
    unsetenv("LD_PRELOAD");
    for (int i = 0; i < N_CALLS; i++)
        atomic_store(&n_calls[i], 0);
}

__attribute__((destructor)) static void end(void) {
    char text[32 * N_CALLS];
    int n = 0;
    failing = -1;
    for (int i = 0; i < N_CALLS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s %ld\n", calls[i],
                      atomic_load(&n_calls[i]));
    if (count_fd >= 0 && write(count_fd, text, (size_t)n) < 0)
        _exit(99);
}

/* True where this call is the one, with errno set. */
static bool fails(enum call call) {
    const long at = atomic_fetch_add(&n_calls[call], 1) + 1;
    if ((int)call != failing || (for_good ? fails_at == 0 || at < fails_at : at != fails_at))
        return false;
    errno = reason;
    return true;
}

void *malloc(size_t size) {
    return fails(ALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails(ALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails(ALLOC) ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t align, size_t size) {
    if (fails(ALLOC))
        return ENOMEM;
    *memory = __libc_memalign(align, size);
    return *memory ? 0 : ENOMEM;
}

/* The function of this name that the program would have called. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    return fails(MMAP) ? MAP_FAILED : NEXT(mmap)(at, size, protection, flags, fd, offset);
}

int madvise(void *at, size_t size, int advice) {
    return fails(MADVISE) ? -1 : NEXT(madvise)(at, size, advice);
}

/* The mode, which is there only where a file may be made. */
#define MODE_ARGUMENT(mode, flags)   \
    mode_t mode = 0;                 \
    if ((flags)&O_CREAT) {           \
        va_list args;                \
        va_start(args, flags);       \
        mode = va_arg(args, mode_t); \
        va_end(args);                \
    }

int open(const char *path, int flags, ...) {
    MODE_ARGUMENT(mode, flags)
    return fails(OPEN) ? -1 : NEXT(open)(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_ARGUMENT(mode, flags)
    return fails(OPEN) ? -1 : NEXT(openat)(folder, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode) {
    return fails(OPEN) ? NULL : NEXT(fopen)(path, mode);
}

DIR *opendir(const char *path) {
    return fails(OPEN) ? NULL : NEXT(opendir)(path);
}

ssize_t read(int fd, void *bytes, size_t n) {
    return fails(READ) ? -1 : NEXT(read)(fd, bytes, n);
}

struct dirent *readdir(DIR *folder) {
    return fails(READDIR) ? NULL : NEXT(readdir)(folder);
}

int poll(struct pollfd *fds, nfds_t n, int timeout) {
    return fails(POLL) ? -1 : NEXT(poll)(fds, n, timeout);
}

int stat(const char *restrict path, struct stat *restrict info) {
    return fails(STAT) ? -1 : NEXT(stat)(path, info);
}

int lstat(const char *restrict path, struct stat *restrict info) {
    return fails(STAT) ? -1 : NEXT(lstat)(path, info);
}

int fstat(int fd, struct stat *info) {
    return fails(STAT) ? -1 : NEXT(fstat)(fd, info);
}

int fstatat(int folder, const char *restrict path, struct stat *restrict info, int flags) {
    return fails(STAT) ? -1 : NEXT(fstatat)(folder, path, info, flags);
}

int faccessat(int folder, const char *path, int mode, int flags) {
    return fails(STAT) ? -1 : NEXT(faccessat)(folder, path, mode, flags);
}

ssize_t readlink(const char *restrict path, char *restrict target, size_t size) {
    return fails(STAT) ? -1 : NEXT(readlink)(path, target, size);
}

char *realpath(const char *restrict path, char *restrict real) {
    return fails(STAT) ? NULL : NEXT(realpath)(path, real);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    return fails(WRITE) ? -1 : NEXT(write)(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset) {
    return fails(PWRITE) ? -1 : NEXT(pwrite)(fd, bytes, n, offset);
}

int fsync(int fd) {
    return fails(FSYNC) ? -1 : NEXT(fsync)(fd);
}

int rename(const char *from, const char *to) {
    return fails(RENAME) ? -1 : NEXT(rename)(from, to);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *),
                   void *argument) {
    return fails(THREAD) ? errno : NEXT(pthread_create)(thread, attributes, main, argument);
}

int accept(int fd, __SOCKADDR_ARG address, socklen_t *n) {
    return fails(ACCEPT) ? -1 : NEXT(accept)(fd, address, n);
}

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *n, int flags) {
    return fails(ACCEPT) ? -1 : NEXT(accept4)(fd, address, n, flags);
}
