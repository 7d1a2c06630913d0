/* bench_report.h - prints what `gpt2 bench` measured: tables, as Markdown or for a terminal; CSV or
 * JSON. */
#ifndef CLI_BENCH_BENCH_REPORT_H
#define CLI_BENCH_BENCH_REPORT_H

#include "cli/io/output.h"
#include <gpt2/model.h>
#include <gpt2/roofline.h>
#include <gpt2/runtime.h>

/* BENCH_MD: as bench_table.h says. */
enum bench_format { BENCH_MD, BENCH_CSV, BENCH_JSON };

#define BENCH_KINDS 32 /* the most kinds of kernel in a profile */

/* One test with one number of threads. */
struct bench_result {
    int group; /* results of one group shared a runtime; their rounds alternated */
    int threads, n_prompt, n_decode, depth, batch; /* n_prompt or n_decode is 0 */

    /* the least that one run reads and computes */
    double read_bytes;                      /* weights and KV cache; 0 for a prompt              */
    double f32_operations, int8_operations; /* with the weights; a multiply-add counts as two    */

    double *rates; /* [rounds] tokens per second; the caller's */
    const char *kernels;
    struct gpt2_rates limits; /* measured between the rounds */

    /* with --profile: of all rounds that count */
    struct gpt2_profile profile[BENCH_KINDS]; /* [n_kinds] */
    int n_kinds;
    double thread_seconds; /* threads * time */
};

/* What is the same for all results. */
struct bench_context {
    const char *model; /* its path */
    const struct gpt2_config *config;
    struct gpt2_cost blocks, head;
    uint64_t parameters;
    const char *kv; /* type of the KV cache */
    int rounds;
    struct gpt2_machine machine;
};

/* The test's name: "pp512", "tg128", "tg128 b16", with "@d896" if it starts at a depth. */
void bench_name(char *name, size_t cap, const struct bench_result *result);

/* Prints all results. Sorts the rates of each. */
bool bench_report(struct output *out, enum bench_format format, const struct bench_context *context,
                  struct bench_result *results, int n_results, struct gpt2_error *err);

#endif
