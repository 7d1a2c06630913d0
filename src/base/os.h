/* os.h - the few things asked of the operating system: files, memory, clock, processors. */
#ifndef BASE_OS_H
#define BASE_OS_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole file, mapped read-only and private. An empty file has data "" and size 0. */
struct os_file {
    const unsigned char *data; /* [size] */
    size_t size;
};

/* Maps a regular file. Fails with `status` naming the path and the reason (missing, a directory,
 * no permission ...). */
bool os_map(struct os_file *file, const char *path, enum gpt2_status status,
            struct gpt2_error *err);
void os_unmap(struct os_file *file); /* leaves {NULL, 0}; a zeroed struct is allowed */

/* Zeroed memory for count * size bytes at an address that is a multiple of 64 (a cache line, the
 * widest vector). Untouched pages cost nothing. NULL where the product overflows or memory is out;
 * then err is set, naming `what`. A count or size of 0 gives a valid pointer. Free: os_free. */
void *os_alloc(size_t count, size_t size, const char *what, struct gpt2_error *err);
void os_free(void *memory); /* NULL is allowed */

bool os_is_directory(const char *path);
bool os_exists(const char *path);

/* Processors this process may use: affinity mask and cgroup CPU quota (v2 cpu.max, v1
 * cpu.cfs_quota_us), whichever is less; at least 1. */
int os_cpus(void);

/* Monotonic nanoseconds. */
uint64_t os_now_ns(void);

#endif
