/* memory_limit.c - adds up what a run takes, and compares it with what it may. */
#include "cli/command/memory_limit.h"
#include "base/os.h"
#include "cli/io/report.h"

#include <stdio.h>

#define DRAFT_ROWS 128 /* of the pass in which a small model reads a prompt */

/* Below that no machine is asked what it has. */
#define SMALL ((uint64_t)256 << 20)

static double mib(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

void memory_add(struct memory_use *use, const struct memory_use *more) {
    use->weights += more->weights;
    use->kv += more->kv;
    use->batch += more->batch;
    use->prefix += more->prefix;
    use->draft += more->draft;
    use->other += more->other;
    use->kv_least += more->kv_least;
}

void memory_model(struct memory_use *use, const struct gpt2_model *model) {
    use->weights = gpt2_model_bytes(model);
}

void memory_sessions(struct memory_use *use, const struct gpt2_model *model,
                     const struct memory_sessions *sessions) {
    const struct gpt2_session_options options = {.n_ctx = sessions->n_ctx, .kv = sessions->kv};
    const uint64_t one = gpt2_session_bytes(model, &options);
    use->kv = one * (uint64_t)sessions->n;
    if (sessions->most && use->kv > sessions->most)
        use->kv = sessions->most > one ? sessions->most : one;
    use->kv_least = one;
}

void memory_batch(struct memory_use *use, const struct gpt2_model *model,
                  const struct gpt2_runtime *runtime, int max_rows, int max_logits) {
    const struct gpt2_batch_options options = {.max_rows = max_rows, .max_logits = max_logits};
    use->batch = gpt2_batch_bytes(model, runtime, &options);
}

/* The defaults of gpt2_generator_options. */
#define GENERATOR_ROWS  512
#define GENERATOR_CACHE ((size_t)2 << 30)

void memory_generator(struct memory_use *use, const struct gpt2_model *model,
                      const struct gpt2_runtime *runtime, enum gpt2_kv kv, int max_samples) {
    memory_model(use, model);
    memory_sessions(use, model,
                    &(struct memory_sessions){.kv = kv, .n = max_samples, .most = GENERATOR_CACHE});
    const int rows = max_samples > GENERATOR_ROWS ? max_samples : GENERATOR_ROWS;
    memory_batch(use, model, runtime, rows, max_samples);
}

/* The default of gpt2_scorer_options, and what a scorer's pass has. */
enum { SCORER_WINDOWS = 32, SCORER_ROWS = 512, SCORER_LOGITS = 96 };

void memory_scorer(struct memory_use *use, const struct gpt2_model *model,
                   const struct gpt2_runtime *runtime, enum gpt2_kv kv) {
    memory_model(use, model);
    memory_sessions(use, model, &(struct memory_sessions){.kv = kv, .n = SCORER_WINDOWS});
    memory_batch(use, model, runtime, SCORER_ROWS, SCORER_LOGITS);
}

void memory_draft(struct memory_use *use, const struct gpt2_model *model,
                  const struct gpt2_model *draft, const struct gpt2_runtime *runtime) {
    const struct gpt2_batch_options options = {.max_rows = DRAFT_ROWS};
    const struct gpt2_model *shape = draft ? draft : model;
    // Q8 is 9 bits of 8 with its scales; the other type is half of it
    use->draft = (draft ? gpt2_model_bytes(draft) : gpt2_model_parameters(model) * 9 / 8) +
                 gpt2_session_bytes(shape, NULL) + gpt2_batch_bytes(shape, runtime, &options);
}

bool memory_check(const struct memory_use *use, size_t limit, struct gpt2_error *err) {
    const uint64_t all =
        use->weights + use->kv + use->batch + use->prefix + use->draft + use->other;
    const uint64_t least = use->weights + use->kv_least + use->batch + use->draft + use->other;
    char parts[240], other[40] = "";
    if (use->other)
        snprintf(other, sizeof other, ", other %.1f", mib(use->other));
    snprintf(parts, sizeof parts,
             "weights %.1f, KV cache %.1f, batch %.1f, prefix cache %.1f, draft %.1f%s MiB",
             mib(use->weights), mib(use->kv), mib(use->batch), mib(use->prefix), mib(use->draft),
             other);
    if (limit && all > limit)
        return command_error(err, GPT2_ERR_MEMORY,
                             "a smaller model, --kv q8, less of --cache-memory, --parallel or -n",
                             "--max-memory: expected at most %.1f MiB, the run takes %.1f: %s",
                             mib(limit), mib(all), parts);
    const uint64_t there = limit || least < SMALL ? 0 : os_memory();
    if (there && least > there)
        report_note("the run takes %.1f MiB (%s), and this process may use %.1f: it may be slow or "
                    "be ended",
                    mib(all), parts, mib(there));
    return true;
}
