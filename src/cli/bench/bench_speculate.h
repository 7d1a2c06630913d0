/* bench_speculate.h - `gpt2 bench --speculate`: one text with and without guesses, alternately. */
#ifndef CLI_BENCH_BENCH_SPECULATE_H
#define CLI_BENCH_BENCH_SPECULATE_H

#include "cli/command/speculate.h"
#include "cli/io/output.h"
#include <gpt2/session.h>

struct bench_speculate {
    struct speculate_arguments args; /* args.speculate is set */
    const char *file;                /* of the prompt; NULL: "Once upon a time" */
    float temperature;               /* NaN: what the model recommends          */
    int top_k;                       /* INT_MIN: likewise                       */
    bool greedy;                     /* always the likeliest token              */
    const char *path;                /* the model's; borrowed                   */
    const struct gpt2_model *model;  /* borrowed                                */
    const char *cpu;
    enum gpt2_kv kv;
    size_t max_memory; /* 0: no limit */
    int threads, n_decode, rounds;
};

/* A draw that is not said is what `gpt2 generate` does with this model, seed 0.
 * Measures and appends a table: rates of both ways, medians of the rounds; how many guesses were
 * right; and the rate as a share of what reading all weights for each token would allow. The first
 * round warms up. With a signal it ends early, and the table has nothing. Fails as the completion
 * does, and with GPT2_ERR_RUNTIME where the texts differ. */
bool bench_speculate(const struct bench_speculate *bench, struct output *out,
                     struct gpt2_error *err);

#endif
