/* bench_report.h - what `gpt2 bench` measured, as a table for people, as CSV or as JSON. */
#ifndef CLI_BENCH_BENCH_REPORT_H
#define CLI_BENCH_BENCH_REPORT_H

#include "cli/io/output.h"
#include <gpt2/model.h>
#include <gpt2/roofline.h>

enum bench_format { BENCH_MD, BENCH_CSV, BENCH_JSON };

/* One test on one number of threads. */
struct bench_result {
    int group; /* results of one group shared a runtime, and their rounds took turns */
    int threads, n_prompt, n_decode, depth, batch; /* n_prompt or n_decode is 0 */

    /* what one run of it reads and computes at least */
    double read_bytes;                      /* weights and KV cache; of a prompt: 0               */
    double f32_operations, int8_operations; /* of the weights; a multiply-add counts as two       */

    double *rates; /* [rounds] tokens a second; owned by whoever made the result */
    const char *kernels;
    struct gpt2_rates limits; /* measured between the rounds */
};

/* What all results have in common. */
struct bench_context {
    const char *model; /* its path */
    const struct gpt2_config *config;
    struct gpt2_cost blocks, head;
    uint64_t parameters;
    const char *kv; /* type of the KV cache */
    int rounds;
    struct gpt2_machine machine;
};

/* "pp512", "tg128", "tg128 b16", each with "@d896" where it starts at a depth. */
void bench_name(char *name, size_t cap, const struct bench_result *result);

/* Writes all results; sorts their rates. */
bool bench_report(struct output *out, enum bench_format format, const struct bench_context *context,
                  struct bench_result *results, int n_results, struct gpt2_error *err);

#endif
