/* cmd_embed.c - `gpt2 embed`: a vector for each line, from the residual stream after a block. */
#include "base/npy.h"
#include "base/path.h"
#include "cli/command/commands.h"
#include "cli/command/engine.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/io/line_errors.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/token_reader.h"

#include <gpt2/session.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum embed_pool { POOL_MEAN, POOL_LAST };
enum embed_format { EMBED_JSONL, EMBED_JSON, EMBED_NPY, EMBED_UNSAID };

struct embed_arguments {
    struct text_source source;
    struct model_options opening;
    struct sandbox sandbox;
    const char *model, *cpu, *output;
    int layer, pool, kv, threads, format;
};

/* Everything that is allocated; freed by close_all. */
struct embed_run {
    struct embed_arguments args;
    struct engine engine;
    struct token_reader reader;
    struct gpt2_session *session;
    struct gpt2_batch *batch;
    struct gpt2_ids ids;
    struct output out;
    struct buffer rows; /* of a .npy file, whose header says how many there are */
    size_t n_rows;
    uint64_t n_errors;
    double *sums;  /* [n_embd] over the rows of the text so far */
    float *vector; /* [n_embd] of the text                      */
    int first;     /* the position from which rows count        */
};

/* Adds the rows of the chosen block to the sums. */
static void watch(void *user, enum gpt2_site site, int layer, const struct gpt2_session *session,
                  int position, int n_rows, const float *data, int width, size_t stride) {
    struct embed_run *run = user;
    (void)session;
    if (site != GPT2_SITE_RESID || layer != run->args.layer)
        return;
    for (int row = 0; row < n_rows; row++)
        for (int i = 0; position + row >= run->first && i < width; i++)
            run->sums[i] += (double)data[(size_t)row * stride + (size_t)i];
}

/* The vector of run->ids, which are all, or too many. */
static bool embed(struct embed_run *run, size_t n_all, struct gpt2_error *err) {
    const int n = (int)run->ids.len, n_embd = gpt2_model_config(run->engine.model)->n_embd;
    if (n_all == 0 || n_all > (size_t)gpt2_session_capacity(run->session))
        return command_error(err, GPT2_ERR_INPUT, NULL, "expected 1 to %d tokens, found %zu",
                             gpt2_session_capacity(run->session), n_all);
    run->first = run->args.pool == POOL_LAST ? n - 1 : n > 1 ? 1 : 0;
    memset(run->sums, 0, (size_t)n_embd * sizeof *run->sums);
    const struct gpt2_span span = {.session = run->session, .ids = run->ids.data, .n_ids = n};
    if (!gpt2_session_rewind(run->session, 0, err) || !gpt2_batch_run(run->batch, &span, 1, err))
        return false;
    for (int i = 0; i < n_embd; i++)
        run->vector[i] = (float)(run->sums[i] / (n - run->first));
    return true;
}

/* ---- what is written ---- */

static bool write_json(struct embed_run *run, bool ok, struct gpt2_error *err) {
    const int n_embd = gpt2_model_config(run->engine.model)->n_embd;
    const bool list = run->args.format == EMBED_JSON;
    const char *before = list && run->n_rows ? ",\n" : "", *end = list ? "}" : "}\n";
    bool good = output_format(&run->out, err, "%s{\"index\": %zu, ", before, run->n_rows);
    if (!ok || !good)
        return good && output_string(&run->out, "\"embedding\": null", err) &&
               output_string(&run->out, end, err);
    good = output_format(&run->out, err, "\"tokens\": %zu, \"embedding\": [", run->ids.len);
    for (int i = 0; good && i < n_embd; i++)
        good = output_format(&run->out, err, i ? ", %.9g" : "%.9g", (double)run->vector[i]);
    return good && output_string(&run->out, "]", err) && output_string(&run->out, end, err) &&
           output_flush(&run->out, err);
}

/* One row of the result; `ok`: the text has a vector. */
static bool write_row(struct embed_run *run, bool ok, struct gpt2_error *err) {
    const size_t n_embd = (size_t)gpt2_model_config(run->engine.model)->n_embd;
    bool good = true;
    if (run->args.format != EMBED_NPY) {
        good = write_json(run, ok, err);
    } else {
        for (size_t i = 0; !ok && i < n_embd; i++)
            run->vector[i] = NAN;
        buffer_bytes(&run->rows, run->vector, n_embd * sizeof *run->vector);
        if (run->rows.failed)
            good = command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the vectors");
    }
    run->n_rows++;
    return good;
}

static bool write_array(struct embed_run *run, struct gpt2_error *err) {
    const size_t shape[] = {run->n_rows, (size_t)gpt2_model_config(run->engine.model)->n_embd};
    struct buffer header = {0};
    npy_header(&header, shape, 2);
    const bool ok =
        header.failed
            ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the header")
            : output_bytes(&run->out, header.data, header.len, err) &&
                  (!run->rows.len || output_bytes(&run->out, run->rows.data, run->rows.len, err));
    buffer_free(&header);
    return ok;
}

/* ---- the work ---- */

static bool embed_lines(struct embed_run *run, struct gpt2_error *err) {
    for (uint64_t number = 1;; number++) {
        struct text_line line;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            return true;
        run->ids.len = 0;
        size_t n_all;
        bool ok = gpt2_tokenizer_encode_some(
                      run->engine.tokenizer, line.bytes, line.n, run->reader.flags,
                      (size_t)gpt2_session_capacity(run->session), false, &run->ids, &n_all, err) &&
                  embed(run, n_all, err);
        if (!ok && !line_errors_take(&run->n_errors, run->reader.input.name, number, err))
            return false;
        if (!write_row(run, ok, err))
            return false;
    }
}

static bool open_all(struct embed_run *run, struct gpt2_error *err) {
    struct embed_arguments *a = &run->args;
    run->reader.lines = true;
    if (!token_reader_open(&run->reader, &a->source, err) ||
        !engine_open(&run->engine, a->model, &a->opening, a->threads, a->cpu, false, err))
        return false;
    run->reader.tokenizer = run->engine.tokenizer;
    const struct gpt2_config *config = gpt2_model_config(run->engine.model);
    if (a->layer >= config->n_layer)
        return usage_error(err, "--layer: expected 0 to %d, the model's blocks, got %d",
                           config->n_layer - 1, a->layer);
    if (a->layer < 0)
        a->layer = config->n_layer - 1;
    run->sums = calloc((size_t)config->n_embd, sizeof *run->sums);
    run->vector = calloc((size_t)config->n_embd, sizeof *run->vector);
    if (!run->sums || !run->vector)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a vector");
    struct memory_use use = {0};
    memory_model(&use, run->engine.model);
    memory_sessions(&use, run->engine.model,
                    &(struct memory_sessions){.kv = (enum gpt2_kv)a->kv, .n = 1});
    memory_batch(&use, run->engine.model, run->engine.runtime, 0, 0);
    if (!memory_check(&use, a->opening.max_memory, err))
        return false;
    run->session = gpt2_session_create(
        run->engine.model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)a->kv}, err);
    run->batch =
        run->session ? gpt2_batch_create(run->engine.model, run->engine.runtime, NULL, err) : NULL;
    if (run->batch)
        gpt2_batch_set_tap(run->batch, watch, run);
    return run->batch && output_begin(&run->out, a->output, err);
}

static void close_all(struct embed_run *run) {
    output_discard(&run->out);
    buffer_free(&run->rows);
    gpt2_ids_free(&run->ids);
    gpt2_batch_free(run->batch);
    gpt2_session_free(run->session);
    token_reader_close(&run->reader);
    engine_close(&run->engine);
    free(run->sums);
    free(run->vector);
}

static int execute(struct embed_run *run) {
    struct gpt2_error err;
    sandbox_begin(&run->args.sandbox, (const char *const[]){run->args.output}, 1);
    if (!open_all(run, &err))
        return output_failed(&run->out, &err);
    sandbox_enter(&run->args.sandbox, 0);
    const bool list = run->args.format == EMBED_JSON;
    bool ok = (!list || output_string(&run->out, "[\n", &err)) && embed_lines(run, &err) &&
              (!list || output_string(&run->out, run->n_rows ? "\n]\n" : "]\n", &err)) &&
              (run->args.format != EMBED_NPY || write_array(run, &err)) &&
              output_end(&run->out, &err);
    return ok ? line_errors_code(run->n_errors) : output_failed(&run->out, &err);
}

static int run_embed(int argc, char **argv) {
    struct embed_run *run = calloc(1, sizeof *run);
    struct gpt2_error err;
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    struct embed_arguments *a = &run->args;
    a->layer = -1;
    a->format = EMBED_UNSAID;
    static const char *const pools[] = {"mean", "last", NULL};
    static const char *const formats[] = {"jsonl", "json", "npy", NULL};
    const struct option table[] = {
        OPT_SECTION("Text (each line is one)"),
        OPT_STRING("prompt", 'p', &a->source.option, "TEXT",
                   "the text (also as a plain argument, where \"-\", or a pipe\n"
                   "if nothing is given, is standard input; -p - is a text)"),
        OPT_STRING("file", 'f', &a->source.file, "FILE", "read lines from a file",
                   .flags = OPTION_READS, .not_with = "prompt @"),
        OPT_RENAMED("input", "-f: embed reads lines of text, no records of JSON"),
        OPT_SECTION("Model"),
        OPT_MODEL(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_SANDBOX(&a->sandbox),
        OPT_KV(&a->kv),
        OPT_SECTION("Vectors"),
        OPT_INT("layer", 0, &a->layer, 0, 4095, "L",
                "the residual stream after block L, from 0 (default:\n"
                "the last); the middle ones tell texts apart best"),
        OPT_CHOICE("pool", 0, &a->pool, pools, "mean|last",
                   "mean (default) over the tokens after the first, whose\n"
                   "vector is hardly about the text; or the last token's"),
        OPT_SECTION("Output"),
        OPT_OUTPUT(&a->output),
        OPT_CHOICE("format", 0, &a->format, formats, "jsonl|json|npy",
                   "an object for each line, a list of them, or one array\n"
                   "of NumPy's, [lines, n_embd] f32 little-endian\n"
                   "(default: npy where -o ends in .npy, else jsonl)"),
        OPT_VALUE("json", &a->format, formats, "json", "short for --format json"),
        OPT_VALUE("jsonl", &a->format, formats, "jsonl", "short for --format jsonl"),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_embed, table, argc, argv, 1, &n_words, &code)) {
        a->source.word = n_words ? argv[0] : NULL;
        if (a->format == EMBED_UNSAID)
            a->format = path_ends_in(a->output, ".npy") ? EMBED_NPY : EMBED_JSONL;
        code = execute(run);
    }
    close_all(run);
    free(run);
    return code;
}

const struct command command_embed = {
    .name = "embed",
    .summary = "a vector for each line of a text, for NumPy or as JSON",
    .usage = "[OPTIONS] [TEXT]",
    .details =
        "A line that has no vector (it is empty, or longer than the context) is reported; its row\n"
        "is NaN in an array and null in JSON, and the exit code is 3. A few features of GPT-2's\n"
        "stream are hundreds of times larger than the others: standardise features over your "
        "texts\n"
        "before you take cosines (Timkey & van Schijndel 2021, arXiv:2109.04404).\n",
    .examples = EXAMPLES(
        {"gpt2 embed -f lines.txt -o vectors.npy", "an array of NumPy with a row for each line"},
        {"gpt2 embed \"The fox ran.\" --layer 3",
         "one vector, of the stream in the middle, as JSON"},
        {"gpt2 embed -f lines.txt --pool last --jsonl", "the vectors of the last tokens"}),
    .common = "prompt file model layer pool format json output threads",
    .related = "inspect",
    .run = run_embed,
};
