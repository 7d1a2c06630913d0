/* memory_limit.h - --max-memory: what a run takes, named part by part before it is allocated.
 *
 * A command fills a memory_use by the functions below, then asks memory_check. */
#ifndef CLI_COMMAND_MEMORY_LIMIT_H
#define CLI_COMMAND_MEMORY_LIMIT_H

#include "cli/command/options.h"

#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>

/* Bytes, at most. */
struct memory_use {
    uint64_t weights, kv, batch, prefix, draft;
    uint64_t other;    /* what a command has beside: named where there is any */
    uint64_t kv_least; /* of kv: without which nothing is computed */
};

#define MEMORY_FILE ((uint64_t)8 << 20) /* of a model's file that is written: its buffer */

#define OPT_MAX_MEMORY(dest)                                             \
    OPT_SIZE("max-memory", 0, dest, "SIZE",                              \
             "refuse a run that would take more memory (default: warn\n" \
             "where the machine or the cgroup has too little)")

/* The sessions of a command: at most n, each with room for n_ctx tokens (0: the model's context).
 */
struct memory_sessions {
    enum gpt2_kv kv;
    int n, n_ctx;
    size_t most; /* of all of them, but one is always there; 0: no bound */
};

/* Adds what runs beside it. */
void memory_add(struct memory_use *use, const struct memory_use *more);

void memory_model(struct memory_use *use, const struct gpt2_model *model);
void memory_sessions(struct memory_use *use, const struct gpt2_model *model,
                     const struct memory_sessions *sessions);
void memory_batch(struct memory_use *use, const struct gpt2_model *model,
                  const struct gpt2_runtime *runtime, int max_rows, int max_logits);

/* Model, sessions and batch of a generator for texts of which at most max_samples are in progress,
 * those of a search among them. */
void memory_generator(struct memory_use *use, const struct gpt2_model *model,
                      const struct gpt2_runtime *runtime, enum gpt2_kv kv, int max_samples);

/* Model, sessions and batch of a scorer. */
void memory_scorer(struct memory_use *use, const struct gpt2_model *model,
                   const struct gpt2_runtime *runtime, enum gpt2_kv kv);

/* A small model that guesses, with its session and batch; NULL: `model` itself with smaller
 * weights.
 */
void memory_draft(struct memory_use *use, const struct gpt2_model *model,
                  const struct gpt2_model *draft, const struct gpt2_runtime *runtime);

/* False: GPT2_ERR_MEMORY, more than `limit`. Where limit is 0 and this process may not use as much
 * memory as the least takes, there is a note on standard error. */
bool memory_check(const struct memory_use *use, size_t limit, struct gpt2_error *err);

#endif
