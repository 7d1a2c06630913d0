/* cmd_eval.c - `gpt2 eval`: LAMBADA and HellaSwag, by the rules of the published figures. */
#include "base/error_internal.h"
#include "base/plural.h"
#include "base/utf8.h"
#include "cli/command/commands.h"
#include "cli/command/memory_limit.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/io/line_errors.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/suggest.h"
#include "cli/io/terminal.h"
#include "cli/io/token_reader.h"
#include "cli/score/scored_continuation.h"

#include <gpt2/task.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct eval_arguments {
    struct sandbox sandbox;
    const char *task, *file, *model, *cpu, *output;
    struct model_options opening;
    int form, kv, threads, limit, format; /* format: 0 TSV, 1 JSON, 2 unset */
    size_t cache_memory;
};

/* Sums over all items. */
struct tally {
    int64_t n;
    int64_t right, right_norm, last_right;
    double logprob, logprob_squared; /* of LAMBADA's last words */
};

struct eval_run {
    struct eval_arguments args;
    enum gpt2_task task;
    struct engine engine;
    struct token_reader reader;
    struct gpt2_scorer *scorer;
    struct tally tally;
    uint64_t n_errors; /* records that could not be scored */
    struct output out;
    bool is_aligned; /* no format is asked for: a terminal gets aligned columns */
};

/* What a choice's log-probability is divided by: for lm-eval the number of characters of the
 * ending, for llm.c the number of its tokens. */
static double norm_of(const struct eval_run *run, const struct scored_continuation *item) {
    if (run->args.form == GPT2_FORM_LLM_C)
        return item->n_tokens;
    int n = (int)utf8_count(item->text + 1, strlen(item->text + 1)); // without the space before it
    return n > 0 ? n : 1;
}

static void count(struct eval_run *run, const struct gpt2_task_item *item,
                  const struct scored_continuation *items) {
    struct tally *tally = &run->tally;
    tally->n++;
    if (run->task == GPT2_TASK_LAMBADA) {
        tally->right += items[0].is_greedy;
        tally->last_right += items[0].last_first;
        tally->logprob += items[0].logprob;
        tally->logprob_squared += items[0].logprob * items[0].logprob;
        return;
    }
    int best = 0, best_norm = 0;
    for (int i = 1; i < item->n_choices; i++) {
        if (items[i].logprob > items[best].logprob)
            best = i;
        if (items[i].logprob / norm_of(run, &items[i]) >
            items[best_norm].logprob / norm_of(run, &items[best_norm]))
            best_norm = i;
    }
    tally->right += best == item->label;
    tally->right_norm += best_norm == item->label;
}

/* A record that is none ends the run: it is another file than was meant. One that the model cannot
 * score is reported and left out. */
static bool eval_line(struct eval_run *run, const char *line, size_t len, uint64_t number,
                      struct gpt2_error *err) {
    char what[300];
    snprintf(what, sizeof what, "%s, line %" PRIu64, run->reader.input.name, number);
    struct gpt2_task_item item;
    struct scored_continuation items[GPT2_MAX_CHOICES];
    if (!gpt2_task_parse(&item, run->task, (enum gpt2_task_form)run->args.form, line, len, what,
                         err))
        return false;
    for (int i = 0; i < item.n_choices; i++)
        items[i] =
            (struct scored_continuation){.text = item.choices[i], .len = strlen(item.choices[i])};
    bool ok = continuation_score(&run->engine, run->scorer, item.context, strlen(item.context),
                                 items, item.n_choices, true, err);
    if (ok)
        count(run, &item, items);
    gpt2_task_free(&item);
    return ok || line_errors_take(&run->n_errors, run->reader.input.name, number, err);
}

static bool eval_file(struct eval_run *run, struct gpt2_error *err) {
    char status[100];
    const uint64_t limit = run->args.limit ? (uint64_t)run->args.limit : UINT64_MAX;
    for (uint64_t number = 1; (uint64_t)run->tally.n + run->n_errors < limit; number++) {
        struct text_line line;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            break;
        size_t blank = 0;
        while (blank < line.n && line.bytes[blank] && strchr(" \t\r", line.bytes[blank]))
            blank++;
        if (blank == line.n)
            continue;
        if (!eval_line(run, line.bytes, line.n, number, err))
            return false;
        if (run->tally.n && run->tally.n % 10 == 0) {
            snprintf(status, sizeof status, "%" PRId64 " item%s, acc %.4f", run->tally.n,
                     plural(run->tally.n), (double)run->tally.right / (double)run->tally.n);
            terminal_status(status);
        }
    }
    terminal_clear_status();
    return run->tally.n > 0 ||
           command_error(err, GPT2_ERR_INPUT, NULL, "%s: no records%s", run->reader.input.name,
                         run->n_errors ? " that could be scored" : "");
}

/* ---- what is printed ---- */

static bool put(struct eval_run *run, const char *name, double value, double error,
                struct gpt2_error *err) {
    char spread[40];
    snprintf(spread, sizeof spread,
             isfinite(error)    ? "%.6f"
             : run->args.format ? "null"
                                : "NA",
             error);
    if (run->args.format)
        return output_format(&run->out, err, ", \"%s\": %.6f, \"%s_stderr\": %s", name, value, name,
                             spread);
    return output_format(&run->out, err, "%s\t%.6f\t%s\n", name, value, spread);
}

/* Prints a share of the items and its standard error. */
static bool put_share(struct eval_run *run, const char *name, int64_t right,
                      struct gpt2_error *err) {
    double n = (double)run->tally.n, p = (double)right / n;
    return put(run, name, p, n > 1 ? sqrt(p * (1 - p) / (n - 1)) : NAN, err);
}

/* Prints exp(mean of -log p(word)) and its standard error by the delta method. */
static bool put_perplexity(struct eval_run *run, struct gpt2_error *err) {
    const struct tally *tally = &run->tally;
    double n = (double)tally->n, mean = tally->logprob / n;
    double variance = fmax(tally->logprob_squared / n - mean * mean, 0);
    double perplexity = gpt2_exp(-mean);
    return put(run, "ppl", perplexity, n > 1 ? perplexity * sqrt(variance / (n - 1)) : NAN, err);
}

static bool print(struct eval_run *run, struct gpt2_error *err) {
    static const char *const forms[] = {"lm-eval", "llm.c"};
    const struct tally *tally = &run->tally;
    const char *form = forms[run->args.form];
    bool ok;
    if (run->args.format)
        ok = output_format(&run->out, err,
                           "{\"task\": \"%s\", \"form\": \"%s\", \"items\": %" PRId64
                           ", \"errors\": %" PRIu64,
                           run->args.task, form, tally->n, run->n_errors);
    else
        ok = output_format(&run->out, err, "# gpt2 eval: %s, form %s, %" PRId64 " item%s",
                           run->args.task, form, tally->n, plural(tally->n)) &&
             (!run->n_errors ||
              output_format(&run->out, err, ", %" PRIu64 " left out", run->n_errors)) &&
             output_string(&run->out, "\n", err) &&
             output_string(&run->out, "metric\tvalue\tstderr\n", err);
    ok = ok && put_share(run, "acc", tally->right, err);
    if (run->task == GPT2_TASK_LAMBADA)
        ok = ok && put_perplexity(run, err) &&
             put_share(run, "last_token_acc", tally->last_right, err);
    else
        ok = ok && put_share(run, "acc_norm", tally->right_norm, err);
    return ok && (!run->args.format || output_string(&run->out, "}\n", err)) &&
           output_end(&run->out, err);
}

static bool find_task(struct eval_run *run, struct gpt2_error *err) {
    static const char *const names[] = {
        [GPT2_TASK_LAMBADA] = "lambada", [GPT2_TASK_HELLASWAG] = "hellaswag"};
    const char *task = run->args.task;
    if (!task)
        return command_error(err, GPT2_ERR_USAGE, "for example: gpt2 eval lambada lambada.jsonl",
                             "expected lambada or hellaswag, got nothing");
    struct suggestion nearest = {.distance = 3};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(task, names[i])) {
            run->task = (enum gpt2_task)i;
            return true;
        }
        suggest(&nearest, task, strlen(task), names[i]);
    }
    usage_error(err, "expected lambada or hellaswag, got \"%.100s\"", task);
    if (nearest.name)
        error_hint(err, "did you mean %s?", nearest.name);
    return false;
}

static bool prepare(struct eval_run *run, struct gpt2_error *err) {
    const struct eval_arguments *args = &run->args;
    if (!find_task(run, err))
        return false;
    if (run->task == GPT2_TASK_LAMBADA && args->form == GPT2_FORM_LLM_C)
        return usage_error(err, "--form: llm.c has no form of lambada, expected lm-eval");
    struct text_source source = {.file = args->file, .keep_newline = true};
    run->reader.lines = true;
    if (!token_reader_open(&run->reader, &source, err) ||
        !engine_open(&run->engine, args->model, &args->opening, args->threads, args->cpu, false,
                     err))
        return false;
    struct memory_use use = {.prefix = args->cache_memory};
    memory_scorer(&use, run->engine.model, run->engine.runtime, (enum gpt2_kv)args->kv);
    if (!memory_check(&use, args->opening.max_memory, err))
        return false;
    struct gpt2_scorer_options options = {.kv = (enum gpt2_kv)args->kv,
                                          .prefix_bytes = args->cache_memory};
    run->scorer = engine_scorer(&run->engine, options, err);
    return run->scorer != NULL;
}

static int execute(struct eval_run *run) {
    struct gpt2_error err;
    sandbox_begin(&run->args.sandbox, (const char *const[]){run->args.output}, 1);
    if (!prepare(run, &err))
        return report(&err);
    sandbox_enter(&run->args.sandbox, 0);
    if (!eval_file(run, &err))
        return report(&err);
    bool ok = output_begin(&run->out, run->args.output, &err);
    if (ok && run->is_aligned)
        output_table(&run->out);
    ok = ok && print(run, &err);
    output_discard(&run->out);
    return ok ? line_errors_code(run->n_errors) : output_failed(&run->out, &err);
}

static int run_eval(int argc, char **argv) {
    struct gpt2_error err;
    struct eval_run *run = calloc(1, sizeof *run);
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    run->reader.input.fd = -1;
    struct eval_arguments *a = &run->args;
    a->cache_memory = CACHE_MEMORY;
    a->format = 2;
    static const char *const forms[] = {"lm-eval", "llm.c", NULL};
    static const char *const formats[] = {"tsv", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_SANDBOX(&a->sandbox),
        OPT_CACHE_MEMORY(&a->cache_memory, .needs = NULL),
        OPT_CHOICE("form", 0, &a->form, forms, "lm-eval|llm.c",
                   "whose rules: lm-evaluation-harness (default), or those\n"
                   "of llm.c's hellaswag.py"),
        OPT_INT("limit", 'n', &a->limit, 0, INT32_MAX, "N",
                "only the first N records (default 0: all)"),
        OPT_OUTPUT(&a->output),
        OPT_CHOICE("format", 0, &a->format, formats, "tsv|json",
                   "tab-separated (default; on a terminal in aligned\n"
                   "columns, rounded), or one JSON object"),
        OPT_VALUE("tsv", &a->format, formats, "tsv", "short for --format tsv"),
        OPT_VALUE("json", &a->format, formats, "json", "short for --format json"),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_eval, table, argc, argv, 2, &n_words, &code)) {
        a->task = n_words > 0 ? argv[0] : NULL;
        a->file = n_words > 1 ? argv[1] : NULL;
        run->is_aligned = a->format == 2;
        a->format = a->format == 1;
        code = execute(run);
    }
    gpt2_scorer_free(run->scorer);
    token_reader_close(&run->reader);
    engine_close(&run->engine);
    free(run);
    return code;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "LAMBADA and HellaSwag, by the rules of the published figures",
    .usage = "[OPTIONS] lambada|hellaswag [FILE]",
    .details =
        "FILE (or a pipe) has one JSON record a line, of at most 64 MiB:\n"
        "  lambada    {\"text\"}: acc is how often each token of the last word is the likeliest;\n"
        "             ppl is that of the whole last word; last_token_acc looks at its last token\n"
        "  hellaswag  {\"ctx_a\", \"ctx_b\", \"activity_label\", \"endings\", \"label\"}, or for\n"
        "             llm.c {\"ctx\", \"endings\", \"label\"}: acc by the sum of an ending's\n"
        "             log-probabilities; acc_norm by the same per character (lm-eval) or token "
        "(llm.c)\n"
        "A record that the model cannot score is reported and left out; the exit code is 3 then.\n"
        "A line that is no such record ends the run, with 5.\n"
        "Published for gpt2 (124M): lambada acc 0.3256, ppl 40.06; hellaswag in llm.c's form acc\n"
        "0.2859, acc_norm 0.2955.\n",
    .examples = EXAMPLES(
        {"gpt2 eval lambada lambada.jsonl", "accuracy and perplexity of the last words"},
        {"gpt2 eval hellaswag hellaswag.jsonl -n 100", "the first 100 records of HellaSwag"},
        {"gpt2 eval hellaswag hellaswag.jsonl --form lm-eval --json", "all figures as one object"}),
    .common = "model limit form threads output json",
    .related = "score choose",
    .run = run_eval,
};
