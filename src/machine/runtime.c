/* runtime.c - chooses the thread pool and the kernel variant, once. */
#include "base/error_internal.h"
#include "base/os.h"
#include "machine/runtime_internal.h"

#define MAX_THREADS 1024

struct gpt2_runtime *gpt2_runtime_create(const struct gpt2_runtime_options *options,
                                         struct gpt2_error *err) {
    struct gpt2_runtime_options defaults = {0};
    if (!options)
        options = &defaults;
    if (!error_reserved(options->reserved, "gpt2_runtime_options", err))
        return NULL;
    if (options->n_threads < 0 || options->n_threads > MAX_THREADS) {
        error_set(err, GPT2_ERR_USAGE, "threads: expected 0 to %d, got %d", MAX_THREADS,
                  options->n_threads);
        return NULL;
    }
    const struct kernels *kernels = kernels_select(options->cpu);
    if (!kernels) {
        if (kernels_is_known(options->cpu))
            error_set(err, GPT2_ERR_USAGE, "kernel variant \"%s\": this CPU cannot run it",
                      options->cpu);
        else
            error_set(err, GPT2_ERR_USAGE, "kernel variant \"%s\": expected one of %s",
                      options->cpu, kernels_names());
        error_hint(err, "`gpt2 info` lists the variants that this CPU can run");
        return NULL;
    }
    struct gpt2_runtime *runtime = os_alloc(1, sizeof *runtime, "the runtime", err);
    if (!runtime)
        return NULL;
    runtime->kernels = runtime->attention_kernels = kernels;
    runtime->pool = pool_create(options->n_threads ? options->n_threads : os_cpus(), err);
    if (!runtime->pool) {
        gpt2_runtime_free(runtime);
        return NULL;
    }
    return runtime;
}

void gpt2_runtime_free(struct gpt2_runtime *runtime) {
    if (!runtime)
        return;
    pool_free(runtime->pool);
    os_free(runtime);
}

int gpt2_runtime_threads(const struct gpt2_runtime *runtime) {
    return pool_size(runtime->pool);
}

const char *gpt2_runtime_cpu(const struct gpt2_runtime *runtime) {
    return runtime->kernels->name;
}

void gpt2_machine_describe(struct gpt2_machine *machine) {
    os_cpu_name(machine->cpu, sizeof machine->cpu);
    machine->n_cpus = os_cpus();
}

const char *gpt2_cpu_variant(int i) {
    const struct kernels *kernels = kernels_variant(i);
    return kernels ? kernels->name : NULL;
}

const char *gpt2_cpu_variant_names(void) {
    return kernels_names();
}
