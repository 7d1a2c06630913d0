/* bench_report.c - prints benchmark results as tables, CSV or JSON. */
#include "cli/bench/bench_report.h"
#include "base/plural.h"
#include "cli/bench/bench_table.h"
#include "cli/io/report.h"

#include <gpt2/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_name(char *name, size_t cap, const struct bench_result *result) {
    char depth[32] = "", batch[32] = "";
    if (result->depth)
        snprintf(depth, sizeof depth, "@d%d", result->depth);
    if (result->batch > 1)
        snprintf(batch, sizeof batch, " b%d", result->batch);
    snprintf(name, cap, "%s%d%s%s", result->n_prompt ? "pp" : "tg",
             result->n_prompt ? result->n_prompt : result->n_decode, depth, batch);
}

/* Figures of one result. A rate and its share are negative if they do not apply to the test. */
struct figures {
    double median, least, most;         /* tokens a second */
    double read_rate, read_share;       /* bytes a second  */
    double compute_rate, compute_share; /* operations a second */
    char doubt[128];                    /* why not to believe them; "" if there is no reason */
};

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double divide(double a, double b) {
    return b > 0 ? a / b : 0;
}

/* A measurement is in doubt beyond these: the share of a limit, which cannot be exceeded but for
 * noise, and the distance of the fastest round from the slowest, as a share of the median. */
#define MOST_SHARE  1.02
#define MOST_SPREAD 0.20

/* A share is the time at the machine's limit, divided by the time that the test took. */
static struct figures figures_of(const struct bench_result *result, int rounds) {
    const struct gpt2_rates *limits = &result->limits;
    qsort(result->rates, (size_t)rounds, sizeof *result->rates, compare);
    struct figures f = {.read_rate = -1, .read_share = -1, .compute_rate = -1, .compute_share = -1};
    f.least = result->rates[0];
    f.most = result->rates[rounds - 1];
    f.median = (result->rates[(rounds - 1) / 2] + result->rates[rounds / 2]) / 2;
    double tokens = (double)(result->n_prompt + result->n_decode) * result->batch;
    double seconds = divide(tokens, f.median);
    if (result->n_decode) {
        double limit =
            limits->read_huge > limits->read_small ? limits->read_huge : limits->read_small;
        f.read_rate = divide(result->read_bytes, seconds);
        f.read_share = divide(f.read_rate, limit);
    }
    if (result->n_prompt || result->batch > 1) {
        f.compute_rate = divide(result->f32_operations + result->int8_operations, seconds);
        f.compute_share = divide(divide(result->f32_operations, limits->fma) +
                                     divide(result->int8_operations, limits->dot4),
                                 seconds);
    }
    if (f.read_share > MOST_SHARE || f.compute_share > MOST_SHARE)
        snprintf(f.doubt, sizeof f.doubt, "%.1f %% of %s, so the limit was measured too low",
                 (f.read_share > MOST_SHARE ? f.read_share : f.compute_share) * 100,
                 f.read_share > MOST_SHARE ? "the read limit" : "the peak");
    else if (f.most - f.least > MOST_SPREAD * f.median)
        snprintf(f.doubt, sizeof f.doubt, "its rounds differ by %.0f %%",
                 divide(f.most - f.least, f.median) * 100);
    return f;
}

static void name_columns(struct bench_line *heading, const char *const names[], int n_columns) {
    for (int c = 0; c < n_columns; c++)
        snprintf(heading->cell[c], sizeof heading->cell[c], "%s", names[c]);
}

/* Prints a number; nothing if it is negative. */
static void put(char cell[48], const char *format, double value) {
    if (value >= 0)
        snprintf(cell, 48, format, value);
}

static bool print_limits(struct output *out, struct bench_line *lines,
                         const struct bench_result *results, int n_results,
                         struct gpt2_error *err) {
    static const char *const names[] = {
        "limits",  "threads",  "read, 4 KiB pages", "read, 2 MiB pages", "read, 4 x as much",
        "f32 fma", "int8 dot",
    };
    int n_columns = (int)(sizeof names / sizeof *names), n_lines = 1;
    name_columns(&lines[0], names, n_columns);
    for (int i = 0; i < n_results; i++) {
        const struct bench_result *r = &results[i];
        if (i > 0 && r->group == results[i - 1].group)
            continue;
        struct bench_line *line = &lines[n_lines++];
        snprintf(line->cell[0], sizeof line->cell[0], "%s", r->kernels);
        put(line->cell[1], "%.0f", r->threads);
        put(line->cell[2], "%.1f GB/s", r->limits.read_small * 1e-9);
        snprintf(line->cell[3], sizeof line->cell[3], "unavailable");
        if (r->limits.read_huge > 0)
            put(line->cell[3], "%.1f GB/s", r->limits.read_huge * 1e-9);
        put(line->cell[4], "%.1f GB/s", r->limits.read_far * 1e-9);
        put(line->cell[5], "%.1f GFLOP/s", r->limits.fma * 1e-9);
        snprintf(line->cell[6], sizeof line->cell[6], "%.1f GOP/s %s", r->limits.dot4 * 1e-9,
                 r->limits.dot4_name);
    }
    return bench_table(out, lines, n_lines, n_columns, err);
}

static bool print_results(struct output *out, struct bench_line *lines,
                          const struct bench_context *context, const struct bench_result *results,
                          int n_results, struct gpt2_error *err) {
    static const char *const names[] = {
        "test", "threads", "tok/s", "min", "max", "GB/s", "of read", "GOP/s", "of peak",
    };
    int n_columns = (int)(sizeof names / sizeof *names);
    name_columns(&lines[0], names, n_columns);
    for (int i = 0; i < n_results; i++) {
        struct bench_line *line = &lines[i + 1];
        struct figures f = figures_of(&results[i], context->rounds);
        memset(line, 0, sizeof *line);
        bench_name(line->cell[0], sizeof line->cell[0], &results[i]);
        put(line->cell[1], "%.0f", results[i].threads);
        put(line->cell[2], "%.1f", f.median);
        put(line->cell[3], "%.1f", f.least);
        put(line->cell[4], "%.1f", f.most);
        put(line->cell[5], "%.1f", f.read_rate * 1e-9);
        put(line->cell[6], "%.1f %%", f.read_share * 100);
        put(line->cell[7], "%.1f", f.compute_rate * 1e-9);
        put(line->cell[8], "%.1f %%", f.compute_share * 100);
    }
    return bench_table(out, lines, n_results + 1, n_columns, err);
}

/* The kinds of a test's profile that took time, and what is not in kernels. */
static bool print_profile(struct output *out, const struct bench_result *result,
                          struct gpt2_error *err) {
    static const char *const names[] = {"", "threads", "calls", "ms", "share"};
    struct bench_line lines[BENCH_KINDS + 2];
    int n_columns = (int)(sizeof names / sizeof *names), n_lines = 1;
    double rest = result->thread_seconds;
    memset(lines, 0, sizeof lines);
    name_columns(&lines[0], names, n_columns);
    snprintf(lines[0].cell[0], sizeof lines[0].cell[0], "profile of ");
    bench_name(lines[0].cell[0] + strlen("profile of "), 36, result);
    for (int i = 0; i <= result->n_kinds; i++) {
        struct gpt2_profile other = {"not in kernels", 0, rest > 0 ? rest : 0};
        const struct gpt2_profile *kind = i < result->n_kinds ? &result->profile[i] : &other;
        if (kind->seconds <= 0)
            continue;
        rest -= kind->seconds;
        struct bench_line *line = &lines[n_lines++];
        snprintf(line->cell[0], sizeof line->cell[0], "%s", kind->name);
        put(line->cell[1], "%.0f", result->threads);
        put(line->cell[2], "%.0f", kind == &other ? -1 : (double)kind->calls);
        put(line->cell[3], "%.2f", kind->seconds * 1e3);
        put(line->cell[4], "%.1f %%", divide(kind->seconds, result->thread_seconds) * 100);
    }
    return bench_table(out, lines, n_lines, n_columns, err);
}

static bool print_profiles(struct output *out, const struct bench_result *results, int n_results,
                           struct gpt2_error *err) {
    bool ok = true, any = false;
    for (int i = 0; ok && i < n_results; i++)
        if (results[i].n_kinds) {
            ok = print_profile(out, &results[i], err);
            any = true;
        }
    return ok && (!any || (output_string(out, "\n", err) &&
                           bench_prose(out,
                                       "Time of all threads in all rounds, by kind of kernel: "
                                       "products with weights by their type, \"rows by\nrows\" "
                                       "those of a head that is not in panels. Not in kernels: "
                                       "copies, look-ups, waiting.\n",
                                       err)));
}

static bool report_md(struct output *out, const struct bench_context *context,
                      const struct bench_result *results, int n_results, struct gpt2_error *err) {
    struct bench_line *lines = calloc((size_t)n_results + 1, sizeof *lines);
    if (!lines)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    bool same = !strcmp(context->blocks.type, context->head.type);
    bool f32 = context->blocks.f32_products || context->head.f32_products;
    bool int8 = context->blocks.int8_products || context->head.int8_products;
    const char *peak = !int8  ? "f32 fma"
                       : !f32 ? "int8 dot"
                              : "int8 dot and, for its part, f32 fma";
    char legend[512];
    snprintf(legend, sizeof legend,
             "Median, least and most of %d round%s. GB/s: weights and KV cache, each read "
             "once a pass;\nof read: of the read limit on the faster of the two page sizes. GOP/s: "
             "the weights'\nmultiply-adds, two operations each; of peak: of %s.\n",
             context->rounds, plural(context->rounds), peak);
    bool ok =
        output_format(out, err, "gpt2 %s on %s, %d processor%s\n", gpt2_version(),
                      context->machine.cpu, context->machine.n_cpus,
                      plural(context->machine.n_cpus)) &&
        output_string(out, context->model, err) &&
        output_format(out, err, ": %.1f M parameters, %s%s%s, %.1f MB a token; KV cache %s\n",
                      (double)context->parameters * 1e-6, context->blocks.type,
                      same ? "" : " and head ", same ? "" : context->head.type,
                      (double)(context->blocks.bytes + context->head.bytes) * 1e-6, context->kv) &&
        print_limits(out, lines, results, n_results, err) &&
        print_results(out, lines, context, results, n_results, err) &&
        print_profiles(out, results, n_results, err) && output_string(out, "\n", err) &&
        bench_prose(out, legend, err);
    for (int i = 0; ok && i < n_results; i++) {
        struct figures f = figures_of(&results[i], context->rounds);
        char name[64];
        bench_name(name, sizeof name, &results[i]);
        if (*f.doubt)
            ok = output_format(out, err, "Not to be believed: %s, %d thread%s: %s.\n", name,
                               results[i].threads, plural(results[i].threads), f.doubt);
    }
    free(lines);
    return ok;
}

/* For programs: CSV and JSON print the same list of fields. */
#define MAX_FIELDS (44 + BENCH_KINDS)

struct report_field {
    char name[48];
    const char *string; /* NULL: it is a number       */
    char number[32];    /* "": not measured, or does not apply */
};

struct report_fields {
    struct report_field item[MAX_FIELDS];
    int n;
};

/* Names the last field. A blank in a name becomes `_`. */
static void name_field(struct report_fields *fields, const char *name) {
    char *to = fields->item[fields->n - 1].name;
    snprintf(to, sizeof fields->item->name, "%s", name);
    for (; *to; to++)
        *to = *to == ' ' ? '_' : *to;
}

static void add_string(struct report_fields *fields, const char *name, const char *value) {
    fields->item[fields->n++] = (struct report_field){.string = value};
    name_field(fields, name);
}

static void add_number(struct report_fields *fields, const char *name, const char *format,
                       double value) {
    struct report_field *field = &fields->item[fields->n++];
    *field = (struct report_field){0};
    name_field(fields, name);
    if (value >= 0)
        snprintf(field->number, sizeof field->number, format, value);
}

static void list_fields(struct report_fields *fields, char name[64], char doubt[128],
                        const struct bench_context *context, const struct bench_result *result) {
    struct figures f = figures_of(result, context->rounds);
    fields->n = 0;
    bench_name(name, 64, result);
    snprintf(doubt, 128, "%s", f.doubt);
    add_string(fields, "test", name);
    add_number(fields, "n_prompt", "%.0f", result->n_prompt);
    add_number(fields, "n_gen", "%.0f", result->n_decode);
    add_number(fields, "depth", "%.0f", result->depth);
    add_number(fields, "batch", "%.0f", result->batch);
    add_number(fields, "threads", "%.0f", result->threads);
    add_number(fields, "rounds", "%.0f", context->rounds);
    add_number(fields, "tok_s", "%.7g", f.median);
    add_number(fields, "tok_s_min", "%.7g", f.least);
    add_number(fields, "tok_s_max", "%.7g", f.most);
    add_number(fields, "gb_s", "%.7g", f.read_rate * 1e-9);
    add_number(fields, "read_percent", "%.4g", f.read_share * 100);
    add_number(fields, "gop_s", "%.7g", f.compute_rate * 1e-9);
    add_number(fields, "peak_percent", "%.4g", f.compute_share * 100);
    const struct gpt2_rates *limits = &result->limits;
    add_number(fields, "limit_read_4k_gb_s", "%.7g", limits->read_small * 1e-9);
    add_number(fields, "limit_read_2m_gb_s", "%.7g",
               limits->read_huge > 0 ? limits->read_huge * 1e-9 : -1);
    add_number(fields, "limit_fma_gflop_s", "%.7g", limits->fma * 1e-9);
    add_number(fields, "limit_int8_gop_s", "%.7g", limits->dot4 * 1e-9);
    add_string(fields, "model", context->model);
    add_string(fields, "type", context->blocks.type);
    add_string(fields, "head", context->head.type);
    add_string(fields, "kv", context->kv);
    add_number(fields, "parameters", "%.0f", (double)context->parameters);
    add_number(fields, "weight_bytes", "%.0f",
               (double)(context->blocks.bytes + context->head.bytes));
    add_number(fields, "n_layer", "%.0f", context->config->n_layer);
    add_number(fields, "n_embd", "%.0f", context->config->n_embd);
    add_number(fields, "n_vocab", "%.0f", context->config->n_vocab);
    add_number(fields, "n_ctx", "%.0f", context->config->n_ctx);
    add_string(fields, "kernels", result->kernels);
    add_string(fields, "cpu", context->machine.cpu);
    add_number(fields, "n_cpus", "%.0f", context->machine.n_cpus);
    add_string(fields, "version", gpt2_version());
    add_number(fields, "limit_read_far_gb_s", "%.7g", limits->read_far * 1e-9);
    add_number(fields, "limit_read_far_bytes", "%.0f", (double)limits->far_bytes);
    add_string(fields, "limit_int8_instruction", limits->dot4_name);
    add_string(fields, "doubt", *doubt ? doubt : NULL);
    for (int i = 0; i < result->n_kinds; i++) {
        char kind[48];
        snprintf(kind, sizeof kind, "profile %s percent", result->profile[i].name);
        add_number(fields, kind, "%.4g",
                   divide(result->profile[i].seconds, result->thread_seconds) * 100);
    }
}

/* RFC 4180: strings in quotes, quotes doubled. */
static bool csv_string(struct output *out, const char *string, struct gpt2_error *err) {
    bool ok = output_string(out, "\"", err);
    for (; ok && *string; string++)
        ok = output_bytes(out, *string == '"' ? "\"\"" : string, *string == '"' ? 2 : 1, err);
    return ok && output_string(out, "\"", err);
}

static bool report_csv(struct output *out, const struct report_fields *fields, bool first,
                       struct gpt2_error *err) {
    bool ok = true;
    for (int i = 0; ok && first && i < fields->n; i++)
        ok = output_format(out, err, "%s%s", fields->item[i].name, i + 1 < fields->n ? "," : "\n");
    for (int i = 0; ok && i < fields->n; i++) {
        const struct report_field *field = &fields->item[i];
        ok = (field->string ? csv_string(out, field->string, err)
                            : output_string(out, field->number, err)) &&
             output_string(out, i + 1 < fields->n ? "," : "\n", err);
    }
    return ok;
}

static bool report_json(struct output *out, const struct report_fields *fields, bool first,
                        struct gpt2_error *err) {
    bool ok = output_string(out, first ? "[\n  {" : ",\n  {", err);
    for (int i = 0; ok && i < fields->n; i++) {
        const struct report_field *field = &fields->item[i];
        ok = output_format(out, err, "%s\"%s\": ", i ? ", " : "", field->name);
        if (ok && field->string)
            ok = output_json_string(out, field->string, strlen(field->string), err);
        else if (ok)
            ok = output_string(out, *field->number ? field->number : "null", err);
    }
    return ok && output_string(out, "}", err);
}

bool bench_report(struct output *out, enum bench_format format, const struct bench_context *context,
                  struct bench_result *results, int n_results, struct gpt2_error *err) {
    if (format == BENCH_MD)
        return report_md(out, context, results, n_results, err);
    struct report_fields fields;
    char name[64], doubt[128];
    bool ok = true;
    for (int i = 0; ok && i < n_results; i++) {
        list_fields(&fields, name, doubt, context, &results[i]);
        ok = format == BENCH_CSV ? report_csv(out, &fields, i == 0, err)
                                 : report_json(out, &fields, i == 0, err);
    }
    return ok && (format != BENCH_JSON || output_string(out, "\n]\n", err));
}
