/* cmd_compare.c - compares next-token distributions of models, or of KV cache types, over a text.
 *
 * <|endoftext|> separates documents. A document is read in windows of n_ctx tokens: the first
 * begins with <|endoftext|>, each later one with the last token of the window before. So every
 * token of the text is predicted exactly once; the <|endoftext|> that ends a document is not
 * predicted. */
#include "base/plural.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/terminal/bar.h"

#include <gpt2/divergence.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>
#include <gpt2/tokenizer.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MODELS 16
#define CHUNK      64 /* tokens read by all models before a comparison; bounds the logits held */

struct compare_arguments {
    const char *reference;
    char **models;
    int n_models;
    struct text_source source;
    const char *cpu, *output;
    struct model_options opening;
    int kv, threads, max_tokens, format; /* format: 0 text, 1 JSON */
};

/* One model and its sums over the text. */
struct compared_model {
    char *path;
    struct gpt2_model *model;
    struct gpt2_session *session;
    struct gpt2_batch *batch;
    double log_prob, kl, max_kl;
    size_t n_same_top;
};

struct comparison {
    const struct compare_arguments *args;
    struct gpt2_runtime *runtime;
    struct gpt2_tokenizer *tokenizer;
    struct text text;
    struct gpt2_ids ids;
    struct compared_model sides[1 + MAX_MODELS]; /* the reference first */
    int n_sides;
    int n_ctx; /* the smallest of all models */
    size_t n_tokens, n_bytes;
};

/* ---- opening ---- */

/* The first one is the reference. */
static bool open_side(struct comparison *c, const char *name, struct gpt2_error *err) {
    const struct model_options *options = &c->args->opening;
    const struct model_options numbers = {.max_memory = options->max_memory};
    const bool is_reference = c->n_sides == 0;
    struct compared_model *side = &c->sides[c->n_sides++];
    side->path = find_model(name, err);
    if (side->path)
        side->model = is_reference
                          ? model_options_open_numbers(side->path, &numbers, c->runtime, err)
                          : model_options_open(side->path, options, c->runtime, err);
    if (!side->model)
        return false;
    const struct gpt2_config *config = gpt2_model_config(side->model);
    const struct gpt2_config *first = gpt2_model_config(c->sides[0].model);
    if (config->n_vocab != first->n_vocab)
        return command_error(err, GPT2_ERR_MODEL, NULL,
                             "%s: expected the reference's vocabulary of %d tokens, found %d",
                             side->path, first->n_vocab, config->n_vocab);
    if (c->n_ctx == 0 || config->n_ctx < c->n_ctx)
        c->n_ctx = config->n_ctx;
    return true;
}

static enum gpt2_kv kv_of(const struct comparison *c, int side) {
    return side ? (enum gpt2_kv)c->args->kv : GPT2_KV_F32;
}

static bool check_memory(const struct comparison *c, struct gpt2_error *err) {
    struct memory_use all = {0};
    for (int i = 0; i < c->n_sides; i++) {
        const struct gpt2_model *model = c->sides[i].model;
        struct memory_use side = {0};
        memory_model(&side, model);
        memory_sessions(&side, model, &(struct memory_sessions){.kv = kv_of(c, i), .n = 1});
        memory_batch(&side, model, c->runtime, CHUNK, CHUNK);
        memory_add(&all, &side);
    }
    return memory_check(&all, c->args->opening.max_memory, err);
}

static bool start_side(struct comparison *c, int i, struct gpt2_error *err) {
    struct compared_model *side = &c->sides[i];
    side->session =
        gpt2_session_create(side->model, &(struct gpt2_session_options){.kv = kv_of(c, i)}, err);
    if (!side->session)
        return false;
    side->batch = gpt2_batch_create(
        side->model, c->runtime,
        &(struct gpt2_batch_options){.max_rows = CHUNK, .max_logits = CHUNK}, err);
    return side->batch != NULL;
}

/* Without a MODEL the reference is compared with itself, under --kv and with --lora. */
static bool open_sides(struct comparison *c, const struct compare_arguments *args,
                       struct gpt2_error *err) {
    c->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = args->threads, .cpu = args->cpu}, err);
    c->args = args;
    bool ok = c->runtime && open_side(c, args->reference, err);
    for (int i = 0; ok && i < args->n_models; i++)
        ok = open_side(c, args->models[i], err);
    if (ok && args->n_models == 0)
        ok = open_side(c, args->reference, err);
    ok = ok && check_memory(c, err);
    for (int i = 0; ok && i < c->n_sides; i++)
        ok = start_side(c, i, err);
    return ok;
}

static bool read_text(struct comparison *c, const struct compare_arguments *args,
                      struct gpt2_error *err) {
    c->tokenizer = gpt2_tokenizer_open(c->sides[0].path, err);
    if (!c->tokenizer || !text_read(&c->text, &args->source, err) ||
        !gpt2_tokenizer_encode(c->tokenizer, c->text.data, c->text.len, GPT2_ENCODE_SPECIAL,
                               &c->ids, err))
        return false;
    int n_vocab = gpt2_model_config(c->sides[0].model)->n_vocab;
    for (size_t i = 0; i < c->ids.len; i++)
        if (c->ids.data[i] >= n_vocab)
            return command_error(err, GPT2_ERR_MODEL, NULL,
                                 "token id %" PRId32 " is not in the vocabulary (0 to %d)",
                                 c->ids.data[i], n_vocab - 1);
    return true;
}

static void close_all(struct comparison *c) {
    for (int i = 0; i < c->n_sides; i++) {
        gpt2_batch_free(c->sides[i].batch);
        gpt2_session_free(c->sides[i].session);
        gpt2_model_close(c->sides[i].model);
        free(c->sides[i].path);
    }
    gpt2_ids_free(&c->ids);
    text_free(&c->text);
    gpt2_tokenizer_close(c->tokenizer);
    gpt2_runtime_free(c->runtime);
}

/* ---- comparing ---- */

/* Adds the scores of targets[0..n), each the token after one of the n that were just read. */
static void add_rows(struct comparison *c, const int32_t *targets, int n) {
    const int n_vocab = gpt2_model_config(c->sides[0].model)->n_vocab;
    for (int row = 0; row < n; row++) {
        const float *reference = gpt2_batch_logits(c->sides[0].batch, 0, row);
        size_t n_bytes;
        gpt2_tokenizer_token(c->tokenizer, targets[row], &n_bytes);
        c->n_tokens++;
        c->n_bytes += n_bytes;
        for (int i = 1; i < c->n_sides; i++) {
            struct compared_model *side = &c->sides[i];
            struct gpt2_divergence d = gpt2_divergence(
                reference, gpt2_batch_logits(side->batch, 0, row), n_vocab, targets[row]);
            if (i == 1)
                c->sides[0].log_prob += d.reference_log_prob;
            side->log_prob += d.log_prob;
            side->kl += d.kl;
            side->max_kl = d.kl > side->max_kl ? d.kl : side->max_kl;
            side->n_same_top += d.top == d.reference_top;
        }
    }
}

/* Runs ids[0..n) through all models; the targets are ids[1..n]. */
static bool compare_chunk(struct comparison *c, const int32_t *ids, int n, struct gpt2_error *err) {
    for (int i = 0; i < c->n_sides; i++) {
        struct gpt2_span span = {c->sides[i].session, ids, n, n};
        if (!gpt2_batch_run(c->sides[i].batch, &span, 1, err))
            return false;
    }
    add_rows(c, ids + 1, n);
    return true;
}

static bool forget(struct comparison *c, struct gpt2_error *err) {
    for (int i = 0; i < c->n_sides; i++)
        if (!gpt2_session_rewind(c->sides[i].session, 0, err))
            return false;
    return true;
}

/* ids[0..len): the separator and one document. False with err->status GPT2_OK: a signal arrived. */
static bool compare_document(struct comparison *c, const int32_t *ids, size_t len, size_t most,
                             struct bar *bar, struct gpt2_error *err) {
    for (size_t at = 0; at + 1 < len && c->n_tokens < most; at += (size_t)c->n_ctx) {
        if (!forget(c, err))
            return false;
        size_t window = len - 1 - at; // tokens to predict
        if (window > (size_t)c->n_ctx)
            window = (size_t)c->n_ctx;
        for (size_t done = 0; done < window && c->n_tokens < most; done += CHUNK) {
            size_t n = window - done < CHUNK ? window - done : CHUNK;
            n = n < most - c->n_tokens ? n : most - c->n_tokens;
            if (signals_caught()) {
                err->status = GPT2_OK;
                return false;
            }
            if (!compare_chunk(c, ids + at + done, (int)n, err))
                return false;
            bar_show(bar, c->n_tokens, most < c->ids.len ? most : c->ids.len);
        }
    }
    return true;
}

/* Compares all documents. The text's separators come before all but the first, which gets one here
 * if the model has such a token. */
static bool compare_text(struct comparison *c, const struct compare_arguments *args,
                         struct gpt2_error *err) {
    const int32_t bos = gpt2_model_config(c->sides[0].model)->bos_id;
    const size_t most = args->max_tokens ? (size_t)args->max_tokens : SIZE_MAX;
    if (bos >= 0) {
        if (!gpt2_ids_push(&c->ids, bos, err))
            return false;
        memmove(c->ids.data + 1, c->ids.data, (c->ids.len - 1) * sizeof *c->ids.data);
        c->ids.data[0] = bos;
    }
    struct bar bar = bar_begin();
    bool ok = true;
    for (size_t from = 0, to; ok && from < c->ids.len; from = to) {
        for (to = from + 1; to < c->ids.len && c->ids.data[to] != bos;)
            to++;
        ok = compare_document(c, c->ids.data + from, to - from, most, &bar, err);
    }
    bar_hide(&bar);
    if (ok && c->n_tokens == 0)
        return command_error(err, GPT2_ERR_INPUT, NULL,
                             "expected a text of at least %s, found nothing to predict",
                             bos >= 0 ? "one token" : "two tokens");
    return ok;
}

/* ---- the table ---- */

static double perplexity(const struct comparison *c, const struct compared_model *side) {
    return exp(-side->log_prob / (double)c->n_tokens);
}

static double bits_per_byte(const struct comparison *c, const struct compared_model *side) {
    return c->n_bytes ? -side->log_prob / log(2) / (double)c->n_bytes : 0;
}

static const char *weight_type(const struct compared_model *side) {
    struct gpt2_cost blocks, head;
    gpt2_model_cost(side->model, &blocks, &head);
    return blocks.type;
}

/* Columns of a line of the table without its model. */
#define TABLE_COLUMNS 85

static bool is_too_narrow(const struct output *out, const struct comparison *c) {
    size_t longest = 0;
    for (int i = 0; i < c->n_sides; i++) {
        const size_t n = strlen(c->sides[i].path);
        longest = n > longest ? n : longest;
    }
    return out->width > 0 && (size_t)out->width < TABLE_COLUMNS + 2 + longest;
}

/* For a terminal of 80 columns: the models are named on lines of their own. */
static bool print_narrow(struct output *out, const struct comparison *c, struct gpt2_error *err) {
    const struct compared_model *reference = &c->sides[0];
    bool ok = output_string(
        out, "weights  cache  bits/byte  perplexity     change  mean KL   max KL  same top\n", err);
    for (int i = 0; ok && i < c->n_sides; i++) {
        const struct compared_model *side = &c->sides[i];
        ok = output_shown(out, side->path, err) &&
             output_format(out, err, "%s\n%-7s  %-5s  %9.4f  %10.4f", i ? "" : ", the reference",
                           weight_type(side), kv_types[gpt2_session_kv(side->session)],
                           bits_per_byte(c, side), perplexity(c, side));
        if (ok && i > 0)
            ok = output_format(out, err, "  %+7.3f %%  %7.2g  %7.2g  %6.2f %%",
                               100 * (perplexity(c, side) / perplexity(c, reference) - 1),
                               side->kl / (double)c->n_tokens, side->max_kl,
                               100 * (double)side->n_same_top / (double)c->n_tokens);
        ok = ok && output_string(out, "\n", err);
    }
    return ok;
}

static bool print_table(struct output *out, const struct comparison *c, struct gpt2_error *err) {
    const struct compared_model *reference = &c->sides[0];
    output_fit(out);
    bool ok = output_format(out, err, "%zu token%s, %zu byte%s, windows of %d tokens\n\n",
                            c->n_tokens, plural((int64_t)c->n_tokens), c->n_bytes,
                            plural((int64_t)c->n_bytes), c->n_ctx);
    if (is_too_narrow(out, c))
        return ok && print_narrow(out, c, err);
    ok = ok && output_string(out,
                             "weights  cache  bits/byte  perplexity  to reference  mean KL    "
                             "max KL     same top  model\n",
                             err);
    for (int i = 0; ok && i < c->n_sides; i++) {
        const struct compared_model *side = &c->sides[i];
        ok = output_format(out, err, "%-7s  %-5s  %9.4f  %10.4f  ", weight_type(side),
                           kv_types[gpt2_session_kv(side->session)], bits_per_byte(c, side),
                           perplexity(c, side));
        if (!ok)
            break;
        ok = i == 0 ? output_format(out, err, "%12s  %-9s  %-9s  %8s", "reference", "", "", "")
                    : output_format(out, err, "%+10.3f %%  %-9.3g  %-9.3g  %6.2f %%",
                                    100 * (perplexity(c, side) / perplexity(c, reference) - 1),
                                    side->kl / (double)c->n_tokens, side->max_kl,
                                    100 * (double)side->n_same_top / (double)c->n_tokens);
        ok = ok && output_string(out, "  ", err) && output_shown(out, side->path, err) &&
             output_string(out, "\n", err);
    }
    return ok;
}

static bool print_side(struct output *out, const struct comparison *c,
                       const struct compared_model *side, struct gpt2_error *err) {
    bool ok = output_string(out, "{\"model\": ", err) &&
              output_json_string(out, side->path, strlen(side->path), err) &&
              output_format(out, err,
                            ", \"type\": \"%s\", \"cache\": \"%s\", \"bits_per_byte\": %.9g, "
                            "\"ppl\": %.9g",
                            weight_type(side), kv_types[gpt2_session_kv(side->session)],
                            bits_per_byte(c, side), perplexity(c, side));
    if (ok && side != &c->sides[0])
        ok = output_format(out, err,
                           ", \"ppl_ratio\": %.9g, \"mean_kl\": %.9g, \"max_kl\": %.9g, "
                           "\"same_top\": %.9g",
                           perplexity(c, side) / perplexity(c, &c->sides[0]),
                           side->kl / (double)c->n_tokens, side->max_kl,
                           (double)side->n_same_top / (double)c->n_tokens);
    return ok && output_string(out, "}", err);
}

static bool print_json(struct output *out, const struct comparison *c, struct gpt2_error *err) {
    bool ok =
        output_format(out, err, "{\"tokens\": %zu, \"bytes\": %zu, \"window\": %d, \"reference\": ",
                      c->n_tokens, c->n_bytes, c->n_ctx) &&
        print_side(out, c, &c->sides[0], err) && output_string(out, ", \"models\": [", err);
    for (int i = 1; ok && i < c->n_sides; i++)
        ok = (i == 1 || output_string(out, ", ", err)) && print_side(out, c, &c->sides[i], err);
    return ok && output_string(out, "]}\n", err);
}

static int compare(const struct compare_arguments *args) {
    static struct output out;
    struct gpt2_error err;
    struct comparison *c = calloc(1, sizeof *c);
    if (!c) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    int code = 0;
    bool ok = open_sides(c, args, &err) && read_text(c, args, &err);
    if (ok) {
        signals_catch();
        ok = compare_text(c, args, &err);
    }
    if (!ok)
        code = signals_caught() ? 128 + signals_caught() : report(&err);
    else if (!output_begin(&out, args->output, &err) ||
             !(args->format ? print_json : print_table)(&out, c, &err) || !output_end(&out, &err))
        code = output_failed(&out, &err);
    output_discard(&out);
    close_all(c);
    free(c);
    return code;
}

static int run_compare(int argc, char **argv) {
    struct compare_arguments args = {.source.keep_newline = true};
    static const char *const formats[] = {"text", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_STRING("model", 'm', &args.reference, "MODEL",
                   "the reference, which keeps keys and values as f32\n"
                   "(default: $GPT2_MODEL, else the shipped \"tales\");\n"
                   "also the first plain argument",
                   .aliases = "reference", .flags = OPTION_FIRST_WORD),
        OPT_STRINGS("lora", 0, &args.opening.lora, "DIR[:SCALE]",
                    "a LoRA adapter (PEFT's folder), merged into every\n"
                    "MODEL but the reference, SCALE times (default 1);\n"
                    "may be repeated",
                    .aliases = "lora-scaled"),
        OPT_FLAG("expand", 0, &args.opening.expand,
                 "what a MODEL in GGUF has quantized becomes F32, as\n"
                 "it always does in the reference"),
        OPT_STRING("file", 'f', &args.source.file, "FILE",
                   "the text (\"-\", or a pipe if nothing is given, is\n"
                   "standard input); <|endoftext|> separates documents",
                   .flags = OPTION_READS),
        OPT_INT("max-tokens", 'n', &args.max_tokens, 0, INT32_MAX, "N",
                "only the first N tokens (default 0: all)"),
        OPT_OUTPUT(&args.output),
        OPT_CHOICE("format", 0, &args.format, formats, "text|json",
                   "a table (default; on a narrow terminal with the models\n"
                   "on lines of their own), or one JSON object"),
        OPT_VALUE("json", &args.format, formats, "json", "short for --format json"),
        OPT_KV(&args.kv),
        OPT_MAX_MEMORY(&args.opening.max_memory),
        OPT_THREADS(&args.threads),
        OPT_CPU(&args.cpu),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_compare, table, argc, argv, MAX_MODELS, &n_words, &code))
        return code;
    args.models = argv;
    args.n_models = n_words;
    return compare(&args);
}

const struct command command_compare = {
    .name = "compare",
    .summary = "measure how far a model is from the one it was made from",
    .usage = "[OPTIONS] [REFERENCE [MODEL...]]",
    .details =
        "For each MODEL: bits per byte and perplexity on the text, the mean and the largest\n"
        "Kullback-Leibler divergence of its next-token distribution from the reference's (nats),\n"
        "and how often both find the same token likeliest. Without MODEL it is the reference\n"
        "itself, which shows what --kv costs, what --lora changes and, of a quantized GGUF file,\n"
        "what products of integers cost.\n\n"
        "Every token is predicted once: documents are read from <|endoftext|> on, in windows of\n"
        "the context's length, each of which begins with the last token of the one before.\n",
    .examples = EXAMPLES(
        {"gpt2 compare gpt2 gpt2.q8 -f story.txt", "what quantizing costs, on a text of yours"},
        {"gpt2 compare gpt2 gpt2.q8 gpt2.q4 -f story.txt -n 500 --json", "two files, 500 tokens"},
        {"gpt2 compare gpt2 --kv q8 -f story.txt", "what an 8-bit KV cache costs"}),
    .common = "model lora file max-tokens kv threads output format json",
    .related = "quantize eval",
    .run = run_compare,
};
