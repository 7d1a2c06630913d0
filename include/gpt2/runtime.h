/* runtime.h - the resources of the machine: a pool of threads and a variant of the kernels.
 *
 * They change the speed, never the results: all kernel variants and numbers of threads compute the
 * same bits (README, "The same bits"). */
#ifndef GPT2_RUNTIME_H
#define GPT2_RUNTIME_H

#include <gpt2/error.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_runtime;

struct gpt2_runtime_options {
    int n_threads;   /* 1 to 1024; 0: all CPUs of this process (affinity, cgroup quota)     */
    const char *cpu; /* kernel variant, one of gpt2_cpu_variant's names; NULL: the fastest */
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Creates the threads and selects the kernels. `options` may be NULL for the defaults. Returns NULL
 * with GPT2_ERR_USAGE if this build has no such variant, the CPU cannot run it, or n_threads is out
 * of range, with GPT2_ERR_MEMORY, or with GPT2_ERR_RUNTIME if a thread cannot be started. The
 * caller frees the runtime, after everything that borrows it. */
struct gpt2_runtime *gpt2_runtime_create(const struct gpt2_runtime_options *options,
                                         struct gpt2_error *err);

/* Stops the threads. NULL is allowed. */
void gpt2_runtime_free(struct gpt2_runtime *runtime);

/* The number of threads, including the calling one. */
int gpt2_runtime_threads(const struct gpt2_runtime *runtime);

/* The name of the kernel variant, a constant string. */
const char *gpt2_runtime_cpu(const struct gpt2_runtime *runtime);

/* Where the time of passes goes: from now on the kernels of this runtime measure themselves, in
 * batches created after the call. That costs some percent. There is one profile in a process: at
 * most one runtime may be profiled at a time. */
void gpt2_runtime_profile(struct gpt2_runtime *runtime);

/* One kind of kernel: products with weights of a type ("Q8"), "attention", "softmax", ... */
struct gpt2_profile {
    const char *name; /* a static string */
    uint64_t calls;
    double seconds; /* of all threads together */
};

/* The i-th kind, with what was counted since the start or the last gpt2_profile_clear; false after
 * the last one. What the kinds leave of threads * time is not in kernels: copies, look-ups, waiting
 * for other threads. Not while a pass runs. */
bool gpt2_profile_kind(int i, struct gpt2_profile *kind);
void gpt2_profile_clear(void);

/* The machine that the process runs on. */
struct gpt2_machine {
    char cpu[128]; /* the processor's own name, or "unknown"                    */
    int n_cpus;    /* CPUs that this process may use (affinity, cgroup quota) */
};

void gpt2_machine_describe(struct gpt2_machine *machine);

/* The name of the i-th kernel variant that this CPU can run, slowest first; NULL after the last. */
const char *gpt2_cpu_variant(int i);

/* The names of all kernel variants of this build, whether this CPU can run them or not, slowest
 * first, as one string: "generic, avx2, avx512". */
const char *gpt2_cpu_variant_names(void);

#ifdef __cplusplus
}
#endif
#endif
