/* generate_once.c - continues one prompt and prints the result. */
#include "cli/generate/generate_once.h"
#include "base/fnv.h"
#include "base/plural.h"
#include "cli/command/draws.h"
#include "cli/generate/completion_json.h"
#include "cli/generate/generate_output.h"
#include "cli/generate/prompt_special.h"
#include "cli/generate/session_file.h"
#include "cli/io/find_model.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Reads the prompt into run->ids. */
static bool read_prompt(struct generate_run *run, struct gpt2_error *err) {
    const struct generate_arguments *args = &run->args;
    if (args->ids) {
        if (args->source.option || args->source.word || args->source.file)
            return usage_error(err, "the prompt is given more than once: --ids and text");
        return text_parse_ids(args->ids, strlen(args->ids), "--ids", &run->ids, err);
    }
    if (!text_read(&run->prompt, &args->source, err))
        return false;
    const struct text *prompt = &run->prompt;
    if (prompt->len > 0 && prompt->data[prompt->len - 1] == ' ' && !args->settings.heal &&
        isatty(STDERR_FILENO))
        fprintf(stderr, "hint: the prompt ends in a space, which words begin with; "
                        "leave it out, or --heal\n");
    size_t n;
    const char *token = isatty(STDERR_FILENO) ? prompt_special(run->tokenizer, &args->settings,
                                                               prompt->data, prompt->len, &n)
                                              : NULL;
    if (token)
        report_done("hint: %.*s in the prompt is read as text; --special reads it as the "
                    "special token",
                    (int)(n < 60 ? n : 60), token);
    if (session_file_wanted(args)) // which is compared with all of the prompt
        return gpt2_tokenizer_encode(run->tokenizer, prompt->data, prompt->len,
                                     settings_encode_flags(&args->settings), &run->ids, err);
    return settings_encode(&args->settings, gpt2_model_config(run->model)->n_ctx, run->tokenizer,
                           prompt->data, prompt->len, &run->ids, err);
}

/* Texts that could not be shown as they came: several of them. */
static bool show_samples(struct generate_run *run, struct gpt2_error *err) {
    int chosen[MAX_CHOSEN];
    int n = completion_chosen(run->completion, &run->decoding.settings, chosen);
    bool several = run->decoding.settings.num_samples > 1;
    for (int i = 0; i < n; i++) {
        struct gpt2_sample s = gpt2_completion_get(run->completion, chosen[i]);
        bool ok = (!several || output_format(&run->out, err, "%s==== SAMPLE %d ====\n",
                                             i ? "\n" : "", i + 1)) &&
                  (!run->args.settings.echo || show_prompt(run, err));
        if (run->args.format == FORMAT_TEXT)
            ok = ok && show_text(run, s.bytes, s.n_bytes, err) && show_end(run, err);
        for (int k = 0; ok && run->args.format == FORMAT_IDS && k < s.n_ids; k++)
            ok = output_format(&run->out, err, "%s%" PRId32,
                               k || run->args.settings.echo ? " " : "", s.ids[k]);
        if (!ok)
            return false;
    }
    return true;
}

static bool show_json(struct generate_run *run, struct gpt2_error *err) {
    struct buffer text = {0};
    struct prompt_scores scores = {0};
    const struct settings *settings = &run->decoding.settings;
    bool wants_prompt = completion_wants_prompt(settings, run->tokenizer);
    struct prompt_scorer scorer = {.model = run->model,
                                   .tokenizer = run->tokenizer,
                                   .runtime = run->runtime,
                                   .kv = (enum gpt2_kv)run->args.kv};
    bool scored = !wants_prompt ||
                  prompt_scores_make(&scores, &scorer, run->completion, settings->logprobs, err);
    prompt_scorer_free(&scorer);
    if (!scored)
        return false;
    const char *name = model_or_default(run->args.model);
    buffer_format(&text,
                  "{\"id\":\"cmpl-0\",\"object\":\"text_completion\",\"created\":%lld,\"model\":",
                  (long long)time(NULL));
    buffer_json(&text, name, strlen(name));
    completions_json(&run->completion, wants_prompt ? &scores : NULL, 1, &run->decoding,
                     run->tokenizer, &text);
    buffer_format(&text, ",\"timings\":{\"load_ms\":%.3f,\"prompt_ms\":%.3f,\"decode_ms\":%.3f}}",
                  (double)run->load_ns * 1e-6, (double)run->prompt_ns * 1e-6,
                  (double)run->decode_ns * 1e-6);
    bool ok = text.failed
                  ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the result")
                  : output_bytes(&run->out, text.data, text.len, err);
    buffer_free(&text);
    prompt_scores_free(&scores);
    return ok;
}

static double rate(int n, uint64_t ns) {
    return ns ? (double)n / ((double)ns * 1e-9) : 0;
}

/* What the texts were drawn with, and whether the model recommends a part. */
static void print_sampling(struct buffer *out, const struct generate_run *run) {
    const char *name;
    double value;
    buffer_format(out, "draws   ");
    draws_print(out, &run->args.settings.sampler);
    buffer_format(out, "%s\n",
                  gpt2_model_recommends(run->model, 0, &name, &value)
                      ? " (the model recommends some: gpt2 info)"
                      : "");
}

static void print_stats(const struct generate_run *run) {
    static const char *const reasons[] = {
        "",         "end of text", "stop string", "choice made", "max-tokens", "context full",
        "max-time", "interrupted", "failed"};
    const struct gpt2_completion *c = run->completion;
    int n_ids, n_read, decoded = 0; // the first came with the prompt
    gpt2_completion_prompt(c, &n_ids, &n_read);
    for (int i = 0; i < gpt2_completion_count(c); i++) {
        int n = gpt2_completion_get(c, i).n_ids;
        decoded += n > 1 ? n - 1 : 0;
    }
    struct buffer table = {0}, *out = &table;
    enum gpt2_kv kv = (enum gpt2_kv)run->args.kv;
    struct gpt2_session *session =
        gpt2_session_create(run->model, &(struct gpt2_session_options){.n_ctx = 1, .kv = kv}, NULL);
    buffer_format(out, "load    %9.1f ms\n", (double)run->load_ns * 1e-6);
    buffer_format(out, "prompt  %9.1f ms  %6d token%-1s  %10.1f tok/s\n",
                  (double)run->prompt_ns * 1e-6, n_read, plural(n_read),
                  rate(n_read, run->prompt_ns));
    if (run->session)
        buffer_format(out, "reused  %d of these tokens, from a saved session\n", run->n_reused);
    buffer_format(out, "decode  %9.1f ms  %6d token%-1s  %10.1f tok/s\n",
                  (double)run->decode_ns * 1e-6, decoded, plural(decoded),
                  rate(decoded, run->decode_ns));
    const enum gpt2_finish finish = gpt2_completion_get(c, 0).finish;
    buffer_format(out, "stop    %s", reasons[finish]);
    if (finish == GPT2_FINISH_LENGTH)
        buffer_format(out, ", %d", run->decoding.settings.max_tokens);
    buffer_byte(out, '\n');
    buffer_format(out, "seed    %" PRIu64 "\n", run->args.settings.seed.value);
    print_sampling(out, run);
    buffer_format(out, "cache   %s\n", kv_types[session ? gpt2_session_kv(session) : kv]);
    gpt2_session_free(session);
    buffer_format(out, "machine %d thread%s, kernels %s\n", gpt2_runtime_threads(run->runtime),
                  plural(gpt2_runtime_threads(run->runtime)), gpt2_runtime_cpu(run->runtime));
    size_t huge, moved = gpt2_model_moved(run->model, &huge);
    if (moved)
        buffer_format(out, "weights moved, %.1f MiB, %.0f %% on huge pages%s\n",
                      (double)moved / (1 << 20), 100 * (double)huge / (double)moved,
                      huge ? "" : ": the system grants none");
    else
        buffer_format(out, "weights in the mapped file, on its pages\n");
    sandbox_print(out, &run->args.sandbox);
    speculate_print(out, &run->speculate);
    buffer_format(out, "logits  %016" PRIx64 "\n", run->hash);
    report_table(out);
    buffer_free(out);
}

static bool generate(struct generate_run *run, struct gpt2_error *err) {
    if (run->args.settings.echo && run->shows && run->args.format != FORMAT_JSONL &&
        !show_prompt(run, err))
        return false;
    run->start_ns = os_now_ns();
    bool ok = gpt2_completion_run(run->completion, run->runtime, err);
    run->decode_ns = os_now_ns() - run->start_ns - run->prompt_ns;
    return ok;
}

#define MOST_ROWS  512 /* of a pass */
#define MOST_DRAFT 16  /* guesses of a text, about */

/* Before anything of it is allocated; but of a model that guesses the file is open. */
static bool check_memory(const struct generate_run *run, struct gpt2_error *err) {
    const struct generate_arguments *args = &run->args;
    const struct settings *s = &args->settings;
    const int n_ctx = gpt2_model_config(run->model)->n_ctx;
    const int several = s->best_of > s->num_samples ? s->best_of : s->num_samples;
    const int n = s->beams > several ? s->beams : several < 1 ? 1 : several;
    const int n_ids = run->ids.len < (size_t)n_ctx ? (int)run->ids.len : n_ctx;
    const bool whole = session_file_wanted(args) || s->max_tokens < 0;
    const int rows = n_ids < MOST_ROWS ? n_ids : MOST_ROWS, logits = n + MOST_DRAFT;
    struct memory_sessions sessions = {.kv = (enum gpt2_kv)args->kv, .n = n > 1 ? n + 1 : 1};
    if (!whole && s->max_tokens < n_ctx - n_ids)
        sessions.n_ctx = n_ids + s->max_tokens < 1 ? 1 : n_ids + s->max_tokens;
    struct memory_use use = {0};
    memory_model(&use, run->model);
    memory_sessions(&use, run->model, &sessions);
    memory_batch(&use, run->model, run->runtime, rows > logits ? rows : logits, logits);
    const char *mode = args->speculate.speculate;
    if (run->speculate.model || (mode && !strcmp(mode, "self")))
        memory_draft(&use, run->model, run->speculate.model, run->runtime);
    return memory_check(&use, args->opening.max_memory, err);
}

static bool prepare(struct generate_run *run, struct gpt2_error *err) {
    struct generate_arguments *args = &run->args;
    struct settings *s = &args->settings;
    if (!session_file_is_prompt(args) && !read_prompt(run, err))
        return false;
    const struct settings given = *s;
    settings_resolve(s, gpt2_model_config(run->model));
    if (!settings_check_effects(&given, s, err))
        return false;
    run->colors = wants_colors(args);
    run->shows = args->format == FORMAT_JSONL ||
                 (args->format != FORMAT_JSON && s->num_samples == 1 && s->best_of <= 1);
    const bool several = s->num_samples > 1 || s->best_of > 1 || s->beams > 1;
    if (args->logits && several)
        return usage_error(err, "--logits are of one text: expected no --num-samples, --best-of "
                                "and --beams");
    if (session_file_wanted(args) && several)
        return usage_error(err,
                           "a saved session has one text: expected no --num-samples, --best-of "
                           "and --beams");
    if (!check_memory(run, err) || (session_file_wanted(args) && !session_file_load(run, err)) ||
        !decoding_create(&run->decoding, s, run->model, run->tokenizer, err) ||
        !speculate_create(&run->speculate, &args->speculate, run->model, run->tokenizer,
                          run->runtime, s->best_of > s->num_samples ? s->best_of : s->num_samples,
                          s->beams > 1, err) ||
        !create_completion(run, &run->ids, run->session, run->shows, err) ||
        !session_file_fit(run, err))
        return false;
    long long n_passes = s->max_tokens < 0 ? gpt2_model_config(run->model)->n_ctx : s->max_tokens;
    return weights_prepare(run->model, &args->weights, n_passes, err);
}

static bool end_logits(struct generate_run *run, struct gpt2_error *err) {
    return signals_caught() ||
           logits_file_end(&run->logits, gpt2_completion_get(run->completion, 0).n_ids, err);
}

int generate_once(struct generate_run *run) {
    struct gpt2_error err;
    const char *path = run->args.output;
    bool to_file = output_is_file(path);
    if (!prepare(run, &err) || !output_begin(&run->out, path, &err) ||
        !logits_file_open(&run->logits, run->args.logits, gpt2_model_config(run->model)->n_vocab,
                          &err))
        return report(&err);
    // at the end --stats reads what lies on huge pages
    sandbox_enter(&run->args.sandbox, run->args.stats ? CONFINE_READS : 0);
    signals_catch();
    run->hash = FNV_START;
    bool ok = generate(run, &err) && end_logits(run, &err);
    struct gpt2_error write_err;
    bool written = true;
    if (ok && run->args.format == FORMAT_JSON)
        written = show_json(run, &write_err);
    else if (ok && !run->shows)
        written = show_samples(run, &write_err);
    written = written && show_end(run, &write_err);
    if (run->args.format != FORMAT_JSONL &&
        (ok || run->seen)) // a text that broke off ends its line too
        written = written && output_string(&run->out, "\n", &write_err);
    if (run->colors && ok)
        written = written && color_surprisal_legend(&run->out, &write_err);
    written = written && output_flush(&run->out, &write_err);
    if (ok && written && to_file && !signals_caught())
        written = output_commit(&run->out, &write_err);
    if (!ok)
        return output_failed(&run->out, &err);
    if (!written)
        return output_failed(&run->out, &write_err);
    if (run->args.stats)
        print_stats(run);
    if (!session_file_save(run, &err))
        return report(&err);
    return signals_caught() ? 128 + signals_caught() : 0;
}

void generate_run_free(struct generate_run *run) {
    output_discard(&run->out);
    logits_file_discard(&run->logits);
    gpt2_completion_free(run->completion);
    speculate_free(&run->speculate);
    gpt2_session_free(run->session);
    gpt2_ids_free(&run->saved);
    decoding_free(&run->decoding);
    gpt2_ids_free(&run->ids);
    text_free(&run->prompt);
}
