/* os.c - files, memory and clock, as POSIX has them; what differs by system is in os_linux.c,
 * os_darwin.c and os_bsd.c, of which the Makefile takes one. */
#define _DEFAULT_SOURCE    // MAP_ANONYMOUS, madvise: glibc, musl
#define _DARWIN_C_SOURCE   // the same: macOS
#define __BSD_VISIBLE    1 // the same: FreeBSD, OpenBSD

#include "base/os.h"
#include "base/error_internal.h"
#include "base/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Why open() failed. A link to nothing is what a cache is left with where a download ended early.
 */
static bool refuse_to_open(const char *path, enum gpt2_status status, int reason,
                           struct gpt2_error *err) {
    char target[200];
    const ssize_t n = reason == ENOENT ? readlink(path, target, sizeof target - 1) : -1;
    if (n < 0)
        return error_errno(err, status, reason, "%s: cannot open", path);
    target[n] = 0;
    error_set(err, status,
              "%s: cannot open: download incomplete: it is a link to %s, which is missing", path,
              target);
    return error_hint(err, "fetch the model again, or copy the directory with what its links mean "
                           "(cp -L)");
}

/* The mapped files, for os_mapped_at. */
struct mapping {
    struct slot_head head;
    _Atomic(const unsigned char *) data; /* stored last; NULL: not in use */
    size_t size;
    char *path; /* owned */
};
static struct mapping first_mappings[64];
static struct slots mappings = SLOTS(first_mappings);

static void show_mapping(const struct os_file *file, const char *path) {
    struct mapping *mapping = slots_take(&mappings);
    if (!mapping)
        return;
    mapping->path = strdup(path);
    mapping->size = file->size;
    if (mapping->path)
        atomic_store(&mapping->data, file->data);
    else
        slots_give(mapping);
}

/* The one that an address lies in; NULL: none. Async-signal-safe. */
static struct mapping *find_mapping(const void *address) {
    struct mapping *mapping;
    for (size_t i = 0; (mapping = slots_at(&mappings, i)) != NULL; i++) {
        const unsigned char *data = atomic_load(&mapping->data);
        if (data && (uintptr_t)address - (uintptr_t)data < mapping->size)
            break;
    }
    return mapping;
}

static void hide_mapping(const struct os_file *file) {
    struct mapping *mapping = find_mapping(file->data);
    if (!mapping)
        return;
    atomic_store(&mapping->data, NULL);
    free(mapping->path);
    slots_give(mapping);
}

const char *os_mapped_at(const void *address, size_t *size) {
    const struct mapping *mapping = find_mapping(address);
    if (!mapping)
        return NULL;
    *size = mapping->size;
    return mapping->path;
}

bool os_map_open(struct os_file *file, int fd, const char *path, enum gpt2_status status,
                 struct gpt2_error *err) {
    *file = (struct os_file){NULL, 0};
    struct stat info;
    if (fstat(fd, &info) < 0)
        return error_errno(err, status, errno, "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, status, "%s: expected a regular file, found a %s", path,
                         S_ISDIR(info.st_mode) ? "directory" : "device, pipe or socket");
    if ((uintmax_t)info.st_size > SIZE_MAX)
        return error_set(err, status, "%s: %jd bytes do not fit this machine's address space", path,
                         (intmax_t)info.st_size);
    if (info.st_size == 0) { // mmap refuses a length of 0
        *file = (struct os_file){(const unsigned char *)"", 0};
        return true;
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return error_errno(err, status, errno, "%s: cannot map %jd bytes", path,
                           (intmax_t)info.st_size);
    *file = (struct os_file){data, (size_t)info.st_size};
    show_mapping(file, path);
    return true;
}

bool os_map(struct os_file *file, const char *path, enum gpt2_status status,
            struct gpt2_error *err) {
    *file = (struct os_file){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe is refused, not waited for
    if (fd < 0)
        return refuse_to_open(path, status, errno, err);
    const bool ok = os_map_open(file, fd, path, status, err);
    close(fd); // the mapping keeps the file
    return ok;
}

void os_unmap(struct os_file *file) {
    if (file->size) {
        hide_mapping(file);
        munmap((void *)(uintptr_t)file->data, file->size);
    }
    *file = (struct os_file){NULL, 0};
}

/* Above this many bytes memory comes from mmap: it is zero without being written, so that a KV
 * cache for a full context costs only the pages that are used. */
#define MAP_THRESHOLD ((size_t)1 << 18)

/* Stands right before the pointer that os_alloc returns. */
struct header {
    void *base;
    size_t n_bytes; /* of the whole mapping; 0: from malloc */
};

void *os_alloc(size_t count, size_t size, const char *what, struct gpt2_error *err) {
    const size_t offset = 64; // keeps the alignment and has room for the header
    size_t n_bytes;
    if (__builtin_mul_overflow(count, size, &n_bytes) || n_bytes > SIZE_MAX / 2) {
        error_set(err, GPT2_ERR_MEMORY, "out of memory: %zu x %zu bytes for %s", count, size, what);
        return NULL;
    }
    char *base, *memory = NULL;
    size_t mapped = 0;
    if (n_bytes >= MAP_THRESHOLD) {
        mapped = n_bytes + offset;
        base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base != MAP_FAILED)
            memory = base + offset;
    } else {
        base = calloc(1, n_bytes + 2 * offset);
        if (base) // the first multiple of 64 that leaves room for the header
            memory = base + sizeof(struct header) + offset -
                     (uintptr_t)(base + sizeof(struct header)) % offset;
    }
    if (!memory) {
        error_memory(err, what, n_bytes);
        return NULL;
    }
    struct header header = {base, mapped};
    memcpy(memory - sizeof header, &header, sizeof header);
    return memory;
}

void os_free(void *memory) {
    if (!memory)
        return;
    struct header header;
    memcpy(&header, (char *)memory - sizeof header, sizeof header);
    if (header.n_bytes)
        munmap(header.base, header.n_bytes);
    else
        free(header.base);
}

void *os_alloc_huge(size_t n_bytes, const char *what, struct gpt2_error *err) {
    size_t size = (n_bytes + OS_HUGE_PAGE - 1) / OS_HUGE_PAGE * OS_HUGE_PAGE;
    char *base = size < n_bytes ? MAP_FAILED
                                : mmap(NULL, size + OS_HUGE_PAGE, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        error_memory(err, what, n_bytes);
        return NULL;
    }
    // Cut off what lies before the first whole huge page, and after the last.
    size_t front = (OS_HUGE_PAGE - (uintptr_t)base % OS_HUGE_PAGE) % OS_HUGE_PAGE;
    if (front)
        munmap(base, front);
    munmap(base + front + size, OS_HUGE_PAGE - front);
#if defined(MADV_HUGEPAGE)
    if (n_bytes >= OS_HUGE_PAGE)
        madvise(base + front, size, MADV_HUGEPAGE); // a hint: without it pages are small
#endif
    return base + front;
}

void os_free_huge(void *memory, size_t n_bytes) {
    size_t size = (n_bytes + OS_HUGE_PAGE - 1) / OS_HUGE_PAGE * OS_HUGE_PAGE;
    if (memory && size)
        munmap(memory, size);
}

void os_large_pages(void *memory, size_t n_bytes) {
#if defined(MADV_HUGEPAGE)
    uintptr_t begin = (uintptr_t)memory, end = (begin + n_bytes) / OS_HUGE_PAGE * OS_HUGE_PAGE;
    begin = (begin + OS_HUGE_PAGE - 1) / OS_HUGE_PAGE * OS_HUGE_PAGE;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}

void os_small_pages(void *memory, size_t n_bytes) {
#if defined(MADV_NOHUGEPAGE)
    if (n_bytes)
        madvise(memory, n_bytes, MADV_NOHUGEPAGE);
#endif
}

void os_forget(const struct os_file *file, const void *data, size_t n_bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = (uintptr_t)file->data, begin = (uintptr_t)data, end = begin + n_bytes;
    if (begin < first || end > first + file->size)
        return;
    begin = (begin + page - 1) / page * page; // whole pages: their neighbours may be in use
    end = end / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* A read that faults maps so much of a file around it, where the system has that in its cache
 * (Linux: fault_around_bytes): fewer steps than asking for each page, and no mapping has to
 * wait meanwhile. */
#define FAULT_AROUND 65536

bool os_populate(const struct os_file *file, size_t from, size_t n_bytes) {
    if (from > file->size || n_bytes > file->size - from)
        return false;
    const volatile unsigned char *data = file->data;
    for (size_t at = from; at < from + n_bytes; at += FAULT_AROUND)
        (void)data[at];
    return n_bytes > 0;
}

bool os_next_entry(const char **name, DIR *folder, const char *path, struct gpt2_error *err) {
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(folder);
    } while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
    *name = entry ? entry->d_name : NULL;
    return entry || !errno ||
           error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot read the folder %s", path);
}

bool os_sync_folder(const char *path) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES;
    const bool ok = fsync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP;
    const int reason = errno;
    close(fd);
    errno = reason;
    return ok;
}

#define THREAD_STACK ((size_t)1 << 20)

int os_thread(pthread_t *thread, void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return code;
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    code = pthread_attr_setstacksize(&attributes, THREAD_STACK);
    if (code == 0)
        code = pthread_create(thread, &attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

void os_yield(void) {
    sched_yield();
}

uint64_t os_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
