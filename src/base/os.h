/* os.h - the few things asked of the operating system: files, memory, clock, processors. */
#ifndef BASE_OS_H
#define BASE_OS_H

#include <dirent.h>
#include <gpt2/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole file, mapped read-only and private. An empty file has data "" and size 0. */
struct os_file {
    const unsigned char *data; /* [size] */
    size_t size;
};

/* Maps a regular file. Fails with `status` naming the path and the reason (missing, a directory,
 * no permission, a link to nothing ...), with GPT2_ERR_MEMORY where the address space is out. */
bool os_map(struct os_file *file, const char *path, enum gpt2_status status,
            struct gpt2_error *err);

/* The same of a file that is open, which stays so; `path` is its name in messages. */
bool os_map_open(struct os_file *file, int fd, const char *path, enum gpt2_status status,
                 struct gpt2_error *err);

/* For a handler of SIGBUS (it is async-signal-safe): the file that is mapped at an address, with
 * the size that it was mapped with; NULL: none that is known. The path is borrowed and lives as
 * long as the mapping. A page of a mapping cannot be read where the file became shorter or the disk
 * fails. */
const char *os_mapped_at(const void *address, size_t *size);
void os_unmap(struct os_file *file); /* leaves {NULL, 0}; a zeroed struct is allowed */

/* Zeroed memory for count * size bytes at an address that is a multiple of 64 (a cache line, the
 * widest vector). Untouched pages cost nothing. NULL where the product overflows or memory is out;
 * then err is set, naming `what`. A count or size of 0 gives a valid pointer. Free: os_free. */
void *os_alloc(size_t count, size_t size, const char *what, struct gpt2_error *err);
void os_free(void *memory); /* NULL is allowed */

#define OS_HUGE_PAGE ((size_t)2 << 20)

/* Zeroed memory for large data that is read in streams: at a multiple of 2 MiB, on 2 MiB pages
 * where the system grants them and n_bytes is at least one. NULL: memory is out, err is set. Free:
 * os_free_huge with the same size. */
void *os_alloc_huge(size_t n_bytes, const char *what, struct gpt2_error *err);
void os_free_huge(void *memory, size_t n_bytes); /* NULL is allowed */

/* Asks for 2 MiB pages where whole ones lie in the memory. Before it is touched. */
void os_large_pages(void *memory, size_t n_bytes);

/* Asks for ordinary pages instead. Before the memory is touched; to measure what pages matter. */
void os_small_pages(void *memory, size_t n_bytes);

/* How many bytes of such memory lie on huge pages now; 0 where the system does not tell. */
size_t os_huge_bytes(const void *memory, size_t n_bytes);

/* Data of a mapped file that is not needed soon: its pages leave this process's memory, and come
 * back from the file when they are read again. Data elsewhere is left alone. */
void os_forget(const struct os_file *file, const void *data, size_t n_bytes);

/* Reads a little of a part of a mapped file in every place, so that its pages are there when all of
 * it is read. False: out of the file's range. */
bool os_populate(const struct os_file *file, size_t from, size_t n_bytes);

/* Puts a folder's entries on the disk. True also where the file system knows no such thing or the
 * folder may not be read; false with errno set. */
bool os_sync_folder(const char *path);

/* Sets *name to that of the next entry of an open folder but "." and "..", valid until the next
 * call; to NULL at the end. False where the folder at `path` cannot be read on: its end is not
 * known. */
bool os_next_entry(const char **name, DIR *folder, const char *path, struct gpt2_error *err);

/* Asks that this process may use the tiles of AMX, which Linux wants before the first use of them
 * (Documentation/arch/x86/xstate.rst). False: it may not, or the system or the machine has none. */
bool os_allow_tiles(void);

/* Processors this process may run on: the affinity mask. */
int os_processors(void);

/* Processors this process may use: affinity mask and cgroup CPU quota (v2 cpu.max, v1
 * cpu.cfs_quota_us), whichever is less; at least 1. */
int os_cpus(void);

/* Memory that this process may use: that of the machine, or the limit of its cgroup (v2 memory.max,
 * v1 memory.limit_in_bytes) where that is less; 0 where the system does not tell. */
uint64_t os_memory(void);

/* What the processor calls itself, as one line; "unknown" where the system does not tell. */
void os_cpu_name(char *name, size_t cap);

/* What an arm64 processor can do beyond its base instruction set; 0 on others. */
#define OS_ARM_DOTPROD 1u /* SDOT, UDOT */
#define OS_ARM_I8MM    2u /* SMMLA, USDOT */
unsigned os_arm_features(void);

/* The path of the program that runs, links followed; "" where the system does not tell. False: it
 * could not look. */
bool os_program_path(char *path, size_t cap, struct gpt2_error *err);

/* This process, which is a child, gets SIGKILL when its parent dies, where the system has that. May
 * be called between fork and exec. */
void os_end_with_parent(void);

/* Starts a thread with a stack of 1 MiB, whatever the limit of the process's own is, which blocks
 * all signals but those of its own faults (SIGBUS ...). 0, or the reason as an errno. */
int os_thread(pthread_t *thread, void *(*run)(void *), void *argument);

/* Random bytes of the system, at most 256. False: it has none. No file is opened. */
bool os_random(void *bytes, size_t n);

/* Lets others have this thread's processor, if they wait for one. */
void os_yield(void);

/* Monotonic nanoseconds. */
uint64_t os_now_ns(void);

#endif
