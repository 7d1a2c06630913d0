/* runtime.h - what the machine contributes: a pool of threads and a variant of the kernels.
 *
 * Neither changes a result. Every kernel variant and every number of threads computes the same bits
 * (README, "The same bits"); they only differ in speed. */
#ifndef GPT2_RUNTIME_H
#define GPT2_RUNTIME_H

#include <gpt2/error.h>
#include <gpt2/version.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_runtime;

struct gpt2_runtime_options {
    int n_threads; /* 0: as many as this process may use (affinity and cgroup quota), at least 1 */
    const char *cpu; /* kernel variant, one of gpt2_cpu_variant's names; NULL: the fastest */
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Creates the threads and chooses the kernels. `options` may be NULL: all defaults. Fails with
 * GPT2_ERR_USAGE if the variant is unknown or the CPU lacks it, or n_threads is outside 0..1024.
 * The caller frees the runtime after everything that borrows it. */
struct gpt2_runtime *gpt2_runtime_create(const struct gpt2_runtime_options *options,
                                         struct gpt2_error *err);

/* Stops the threads. NULL is allowed. */
void gpt2_runtime_free(struct gpt2_runtime *runtime);

int gpt2_runtime_threads(const struct gpt2_runtime *runtime); /* including the caller's */

/* Name of the kernel variant. It outlives the runtime. */
const char *gpt2_runtime_cpu(const struct gpt2_runtime *runtime);

/* What it all runs on. */
struct gpt2_machine {
    char cpu[128]; /* what the processor calls itself, or "unknown"       */
    int n_cpus;    /* that this process may use: affinity and cgroup quota */
};

void gpt2_machine_describe(struct gpt2_machine *machine);

/* Name of the i-th kernel variant that this CPU can run, slowest first; NULL past the last one. */
const char *gpt2_cpu_variant(int i);

/* Names of all kernel variants of this build, whether this CPU can run them or not, slowest first,
 * as in "generic, avx2, avx512". */
const char *gpt2_cpu_variant_names(void);

#ifdef __cplusplus
}
#endif
#endif
