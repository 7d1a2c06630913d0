/* os.c - the only file that talks to the operating system about files, memory and processors. */
#if defined(__linux__)
#define _GNU_SOURCE // sched_getaffinity
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE // sysctl, _SC_NPROCESSORS_ONLN
#endif

#include "base/os.h"
#include "base/error_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* Why open() failed. A link to nothing is what a cache is left with where a download ended early.
 */
static bool refuse_to_open(const char *path, enum gpt2_status status, int reason,
                           struct gpt2_error *err) {
    char target[200];
    const ssize_t n = reason == ENOENT ? readlink(path, target, sizeof target - 1) : -1;
    if (n < 0)
        return error_set(err, status, "%s: cannot open: %s", path, strerror(reason));
    target[n] = 0;
    error_set(err, status,
              "%s: cannot open: download incomplete: it is a link to %s, which is missing", path,
              target);
    return error_hint(err, "fetch the model again, or copy the directory with what its links mean "
                           "(cp -L)");
}

bool os_map(struct os_file *file, const char *path, enum gpt2_status status,
            struct gpt2_error *err) {
    *file = (struct os_file){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe is refused, not waited for
    if (fd < 0)
        return refuse_to_open(path, status, errno, err);
    struct stat info;
    bool ok = false;
    if (fstat(fd, &info) < 0) {
        error_set(err, status, "%s: cannot stat: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        error_set(err, status, "%s: expected a regular file, found a %s", path,
                  S_ISDIR(info.st_mode) ? "directory" : "device, pipe or socket");
    } else if ((uintmax_t)info.st_size > SIZE_MAX) {
        error_set(err, status, "%s: %jd bytes do not fit this machine's address space", path,
                  (intmax_t)info.st_size);
    } else if (info.st_size == 0) { // mmap refuses a length of 0
        *file = (struct os_file){(const unsigned char *)"", 0};
        ok = true;
    } else {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            error_set(err, errno == ENOMEM ? GPT2_ERR_MEMORY : status,
                      "%s: cannot map %jd bytes: %s", path, (intmax_t)info.st_size,
                      strerror(errno));
        } else {
            *file = (struct os_file){data, (size_t)info.st_size};
            ok = true;
        }
    }
    close(fd); // the mapping keeps the file
    return ok;
}

void os_unmap(struct os_file *file) {
    if (file->size)
        munmap((void *)(uintptr_t)file->data, file->size);
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
        madvise(base + front, size, MADV_HUGEPAGE); // a wish: without it pages are small
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

bool os_is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool os_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 ||
           (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG);
}

#if defined(__linux__)
/* Reads a small text file of the kernel; false if it is not there. */
static bool read_text(char *text, size_t cap, const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(text, 1, cap - 1, file);
    text[n] = 0;
    fclose(file);
    return n > 0;
}

/* The CPU quota of one cgroup folder in processors (rounded down, at least 1), or 0 for none. */
static int folder_quota(const char *folder) {
    char path[1200], text[128];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder); // v2: "max 100000" or "150000 100000"
    if (read_text(text, sizeof text, path)) {
        if (sscanf(text, "%lf %lf", &quota, &period) != 2)
            return 0;
    } else { // v1: -1 is no quota
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_text(text, sizeof text, path) || sscanf(text, "%lf", &quota) != 1)
            return 0;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_text(text, sizeof text, path) || sscanf(text, "%lf", &period) != 1)
            return 0;
    }
    if (!(quota > 0 && period > 0))
        return 0;
    double cpus = quota / period;
    return cpus < 1 ? 1 : cpus > 65536 ? 65536 : (int)cpus;
}

/* The least quota on the way from this process's cgroup up to the root, 0 for none. Inside a
 * container the folder named in /proc/self/cgroup may not exist: the root then holds the quota. */
static int cgroup_quota(void) {
    char text[4096];
    if (!read_text(text, sizeof text, "/proc/self/cgroup"))
        return 0;
    int least = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *controllers = strchr(line, ':'); // "4:cpu,cpuacct:/a/b", v2 "0::/a/b"
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        controllers++;
        bool v2 = *controllers == 0;
        char list[256]; // ",cpu,cpuacct,": so that cpuset is not taken for cpu
        snprintf(list, sizeof list, ",%s,", controllers);
        if (!v2 && !strstr(list, ",cpu,"))
            continue;
        for (size_t len = strlen(path);; len--) {
            if (path[len] == '/' || path[len] == 0) {
                char folder[1100];
                snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%.*s", v2 ? "" : "/cpu",
                         (int)(len < 1000 ? len : 1000), path);
                int quota = folder_quota(folder);
                if (quota && (!least || quota < least))
                    least = quota;
            }
            if (len == 0)
                break;
        }
    }
    return least;
}

int os_processors(void) {
    /* The mask may be wider than cpu_set_t on large machines: grow until the kernel is content. */
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set)
            return 1;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    return 1;
}

size_t os_huge_bytes(const void *memory, size_t n_bytes) {
    FILE *file = fopen("/proc/self/smaps", "re");
    if (!file)
        return 0;
    char line[512];
    size_t total = 0;
    bool inside = false;
    while (fgets(line, sizeof line, file)) {
        uintptr_t begin, end;
        size_t kib;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            inside = begin < (uintptr_t)memory + n_bytes && end > (uintptr_t)memory;
        else if (inside && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
            total += kib * 1024;
    }
    fclose(file);
    return total < n_bytes ? total : n_bytes; // a mapping may hold more than this memory
}

int os_cpus(void) {
    int cpus = os_processors();
    int quota = cgroup_quota();
    return quota && quota < cpus ? quota : cpus;
}
#else
size_t os_huge_bytes(const void *memory, size_t n_bytes) {
    return 0;
}

int os_processors(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (int)cpus : 1;
}

int os_cpus(void) {
    return os_processors();
}
#endif

/* x86 kernels give the name in "model name", some others in "Model" or "Hardware". */
void os_cpu_name(char *name, size_t cap) {
    snprintf(name, cap, "unknown");
#if defined(__APPLE__)
    sysctlbyname("machdep.cpu.brand_string", name, &cap, NULL, 0);
#elif defined(__linux__)
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512], value[256];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        found = sscanf(line, "model name : %255[^\n]", value) == 1 ||
                sscanf(line, "Model : %255[^\n]", value) == 1 ||
                sscanf(line, "Hardware : %255[^\n]", value) == 1;
    }
    if (file)
        fclose(file);
    if (found)
        snprintf(name, cap, "%s", value);
#endif
}

void os_yield(void) {
    sched_yield();
}

uint64_t os_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
