/* cmd_choose.c - `gpt2 choose`: ranks given continuations of a prompt by their probability. */
#include "cli/command/commands.h"
#include "cli/command/fingerprint.h"
#include "cli/command/memory_limit.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/command/session_io.h"
#include "cli/io/line_errors.h"
#include "cli/io/line_output.h"
#include "cli/io/output.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"
#include "cli/io/separator.h"
#include "cli/io/token_reader.h"
#include "cli/score/score_fields.h"
#include "cli/score/score_record.h"
#include "cli/score/scored_continuation.h"
#include "cli/score/scored_session.h"
#include "cli/terminal/color.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum choose_format { FORMAT_TSV, FORMAT_JSON, FORMAT_JSONL, FORMAT_UNSET };
enum measure { MEASURE_SUM, MEASURE_MEAN, MEASURE_PMI };

struct choose_arguments {
    struct text_source source;
    struct string_list choices;
    struct model_options opening;
    struct sandbox sandbox;
    const char *input, *choices_file, *separator, *premise, *expected, *model, *cpu, *output;
    const char *load_session, *save_session;
    bool best, lines, resume, quiet;
    size_t cache_memory;
    int by, kv, threads, format; /* format: enum choose_format */
};

/* A candidate and its scores. */
struct choice {
    const char *name; /* as the user gave it */
    size_t len;
    char *text; /* including what joins it to the prompt */
    double score, p;
    bool is_greedy; /* each of its tokens is the likeliest at its place */
    int order;
};

struct choose_run {
    struct choose_arguments args;
    struct engine engine;
    struct gpt2_scorer *scorer;
    struct text prompt, list;
    struct token_reader reader;               /* of the prompts, with --lines */
    struct choice *choices;                   /* [n] */
    struct scored_continuation *continuation; /* [n] */
    int n;
    uint64_t n_errors; /* lines after which nothing could be ranked */
    struct output out;
    bool is_aligned; /* no format is asked for: a terminal gets aligned columns */
    struct scored_session session;
    struct line_output lines; /* of --input */
    char fingerprint[FINGERPRINT_BYTES];
};

static const struct line_form form = {.starts = {"{\"id\": "}, .space = " "};

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
}

static bool add(struct choose_run *run, const char *name, size_t len, struct gpt2_error *err) {
    if (len == 0)
        return command_error(err, GPT2_ERR_USAGE,
                             "a comma of a choice is \\,; --choices-file has a choice on each line",
                             "a choice is empty");
    for (int i = 0; i < run->n; i++)
        if (run->choices[i].len == len && !memcmp(run->choices[i].name, name, len))
            return usage_error(err, "the choice \"%.*s\" is given twice",
                               (int)(len < 100 ? len : 100), name);
    if ((run->n & (run->n - 1)) == 0) { // the array is full at each power of two
        size_t cap = run->n ? 2 * (size_t)run->n : 1;
        struct choice *grown = realloc(run->choices, cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        run->choices = grown;
    }
    run->choices[run->n] = (struct choice){.name = name, .len = len, .order = run->n};
    run->n++;
    return true;
}

static bool add_listed(struct choose_run *run, struct gpt2_error *err) {
    const struct string_list *list = &run->args.choices;
    for (int i = 0; i < list->n; i++)
        for (const char *text = list->items[i]; text;) {
            const size_t len = options_text_len(list, i, text);
            if (!add(run, text, len, err))
                return false;
            text = text[len] ? text + len + 1 : NULL;
        }
    return true;
}

static bool add_lines(struct choose_run *run, const char *text, size_t len,
                      struct gpt2_error *err) {
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        const size_t n = end ? (size_t)(end - text) : len;
        if (!add(run, text, n, err))
            return false;
        text += n + (end != NULL);
        len -= n + (end != NULL);
    }
    return true;
}

/* Whether the saved text is the prompt, as no other is given. */
static bool is_saved_prompt(const struct choose_arguments *args) {
    return args->load_session && !args->lines && !args->input && !args->source.option &&
           !args->source.word && !args->source.file;
}

/* Reads the prompt (-p, an argument or -f) and the choices (--choices, --choices-file or standard
 * input). If the choices do not come from standard input, the prompt may. With --lines the prompts
 * are only opened. */
static bool read_input(struct choose_run *run, struct gpt2_error *err) {
    struct choose_arguments *args = &run->args;
    run->reader.lines = true;
    if (args->input) {
        args->source = (struct text_source){.file = args->input, .keep_newline = true};
        return token_reader_open(&run->reader, &args->source, err);
    }
    bool listed = args->choices.n || (args->choices_file && strcmp(args->choices_file, "-"));
    bool has_prompt =
        args->source.option || args->source.word || args->source.file || args->load_session;
    if (!listed && !has_prompt)
        return usage_error(err,
                           "expected choices and a prompt, got neither --choices nor a prompt");
    args->source.keep_newline = args->lines;
    if (args->lines && !listed)
        return usage_error(err, "--lines reads prompts: expected --choices or --choices-file");
    if (!is_saved_prompt(args) &&
        !(args->lines ? token_reader_open(&run->reader, &args->source, err)
                      : text_read(&run->prompt, &args->source, err)))
        return false;
    if (args->choices.n)
        return add_listed(run, err);
    struct text_source list = {.file = args->choices_file};
    return text_read(&run->list, &list, err) && add_lines(run, run->list.data, run->list.len, err);
}

/* Moves spaces at the prompt's end to the beginning of the choices, since GPT-2's tokens begin with
 * the space. If there is no white space on either side, inserts the separator. */
static bool join_choices(struct choose_run *run, struct gpt2_error *err) {
    struct text *prompt = &run->prompt;
    size_t len = prompt->len;
    while (len > 0 && prompt->data[len - 1] == ' ')
        len--;
    for (int i = 0; i < run->n; i++) {
        struct choice *c = &run->choices[i];
        bool is_open = prompt->len == 0 || is_white_space(prompt->data[prompt->len - 1]);
        const char *between = choice_separator(run->args.separator, is_open, c->name);
        size_t spaces = prompt->len - len;
        size_t n = strlen(between);
        free(c->text);
        c->text = malloc(spaces + n + c->len + 1);
        if (!c->text)
            return no_memory(err);
        memcpy(c->text, prompt->data + len, spaces);
        memcpy(c->text + spaces, between, n);
        memcpy(c->text + spaces + n, c->name, c->len);
        run->continuation[i] =
            (struct scored_continuation){.text = c->text, .len = spaces + n + c->len};
    }
    prompt->len = len;
    return true;
}

static int by_order(const void *a, const void *b) {
    const struct choice *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_score(const void *a, const void *b) {
    const struct choice *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return by_order(a, b);
}

/* Scores and sorts all choices, and normalizes their probabilities to a sum of 1. */
static bool rank(struct choose_run *run, struct gpt2_error *err) {
    const struct choose_arguments *args = &run->args;
    struct scored_continuation *c = run->continuation;
    const char *premise = args->premise ? args->premise : "";
    if (!continuation_score(&run->engine, run->scorer, run->prompt.data, run->prompt.len, c, run->n,
                            false, err))
        return false;
    for (int i = 0; i < run->n; i++) {
        run->choices[i].is_greedy = c[i].is_greedy;
        run->choices[i].score =
            args->by == MEASURE_MEAN ? c[i].logprob / c[i].n_tokens : c[i].logprob;
    }
    if (args->by == MEASURE_PMI) {
        if (!continuation_score(&run->engine, run->scorer, premise, strlen(premise), c, run->n,
                                false, err))
            return false;
        for (int i = 0; i < run->n; i++)
            run->choices[i].score -= c[i].logprob;
    }
    qsort(run->choices, (size_t)run->n, sizeof *run->choices, by_score);
    double total = 0;
    for (int i = 0; i < run->n; i++)
        total += run->choices[i].p = gpt2_exp(run->choices[i].score - run->choices[0].score);
    for (int i = 0; i < run->n; i++)
        run->choices[i].p /= total;
    return true;
}

static bool print(struct choose_run *run, struct gpt2_error *err) {
    struct output *out = &run->out;
    bool ok = true;
    bool best = run->args.best || run->args.lines;
    if (best && run->args.format == FORMAT_TSV)
        return color_whole(out, run->choices[0].name, run->choices[0].len, err) &&
               output_string(out, "\n", err);
    bool tsv = run->args.format == FORMAT_TSV,
         whole = run->args.format == FORMAT_JSON && !run->args.lines;
    if (tsv || whole)
        ok = output_string(out, tsv ? "p\tscore\ttokens\tchoice\n" : "[\n", err);
    for (int i = 0; ok && i < (best ? 1 : run->n); i++) {
        const struct choice *c = &run->choices[i];
        int n_tokens = run->continuation[c->order].n_tokens;
        if (!tsv)
            ok = output_string(out, "{\"choice\": ", err) &&
                 output_json_string(out, c->name, c->len, err) &&
                 output_format(out, err, ", \"p\": %.6f, \"score\": %.6f, \"tokens\": %d}%s\n",
                               c->p, c->score + 0.0, n_tokens, whole && i + 1 < run->n ? "," : "");
        else
            ok = output_format(out, err, "%.6f\t%.6f\t%d\t", c->p, c->score + 0.0, n_tokens) &&
                 score_escaped(out, c->name, c->len, err) && output_string(out, "\n", err);
    }
    return ok && (!whole || output_string(out, "]\n", err));
}

/* Sets the exit code of --test: 0 if the first choice is the expected one, which must be among
 * them. */
static bool test(struct choose_run *run, int *code, struct gpt2_error *err) {
    const char *expected = run->args.expected;
    for (int i = 0; i < run->n; i++) {
        const struct choice *c = &run->choices[i];
        if (strlen(expected) == c->len && !memcmp(expected, c->name, c->len)) {
            *code = i == 0 ? 0 : 1;
            return true;
        }
    }
    return usage_error(err, "--test: \"%s\" is none of the choices", expected);
}

/* For the scores of the n choices. */
static bool make_room(struct choose_run *run, struct gpt2_error *err) {
    free(run->continuation);
    run->continuation = calloc((size_t)run->n, sizeof *run->continuation);
    return run->continuation || no_memory(err);
}

static bool set_prompt(struct choose_run *run, const char *text, size_t len,
                       struct gpt2_error *err) {
    text_free(&run->prompt);
    run->prompt.data = malloc(len + 1);
    if (!run->prompt.data)
        return no_memory(err);
    memcpy(run->prompt.data, text, len);
    run->prompt.data[len] = 0;
    run->prompt.len = len;
    return true;
}

/* The saved text is the prompt. */
static bool take_saved_prompt(struct choose_run *run, struct gpt2_error *err) {
    struct buffer text = {0};
    bool ok = scored_session_text(&run->session, run->engine.tokenizer, run->args.load_session,
                                  &text, err) &&
              set_prompt(run, text.data, text.len, err);
    buffer_free(&text);
    return ok;
}

static bool prepare(struct choose_run *run, struct gpt2_error *err) {
    const struct choose_arguments *args = &run->args;
    if (!read_input(run, err))
        return false;
    if (!args->input && run->n == 0)
        return usage_error(err, "no choices given: expected at least one");
    if (!args->input && !make_room(run, err))
        return false;
    int ignored;
    if ((args->expected && !test(run, &ignored, err)) ||
        !engine_open(&run->engine, args->model, &args->opening, args->threads, args->cpu, false,
                     err))
        return false;
    const bool many = args->lines || args->input;
    const bool keeps = many || args->load_session || args->save_session;
    struct memory_use use = {.prefix = many ? args->cache_memory : 0};
    memory_scorer(&use, run->engine.model, run->engine.runtime, (enum gpt2_kv)args->kv);
    if (args->load_session || args->save_session)
        memory_sessions(&use, run->engine.model,
                        &(struct memory_sessions){.kv = (enum gpt2_kv)args->kv, .n = 1});
    if (!memory_check(&use, args->opening.max_memory, err))
        return false;
    struct gpt2_scorer_options options = {.kv = (enum gpt2_kv)args->kv,
                                          .prefix_bytes = keeps ? args->cache_memory : 0};
    run->scorer = engine_scorer(&run->engine, options, err);
    if (!run->scorer || (args->load_session &&
                         !scored_session_load(&run->session, &run->engine, (enum gpt2_kv)args->kv,
                                              args->load_session, err)))
        return false;
    if (many)
        return options.prefix_bytes == 0 || scored_session_use(&run->session, run->scorer, err);
    return !is_saved_prompt(args) || take_saved_prompt(run, err);
}

/* Answers what is known, before the input is waited for (input.h). */
static bool answer(void *user, struct gpt2_error *err) {
    struct choose_run *run = user;
    return output_flush(&run->out, err);
}

/* The answer to a line after which nothing can be ranked: an empty line, or {"error": ...}. */
static bool print_error(struct choose_run *run, const struct gpt2_error *fault,
                        struct gpt2_error *err) {
    if (run->args.format == FORMAT_TSV)
        return output_string(&run->out, "\n", err);
    return output_string(&run->out, "{\"error\": ", err) &&
           line_errors_output(&run->out, fault, 0, err) && output_string(&run->out, "}\n", err);
}

/* Ranks the choices after each line of the input. */
static bool rank_lines(struct choose_run *run, struct gpt2_error *err) {
    for (uint64_t number = 1;; number++) {
        struct text_line line;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            return true;
        qsort(run->choices, (size_t)run->n, sizeof *run->choices, by_order);
        if (!set_prompt(run, line.bytes, line.n, err) || !join_choices(run, err))
            return false;
        if (rank(run, err)) {
            if (!print(run, err))
                return false;
            continue;
        }
        const struct gpt2_error fault = *err;
        if (!line_errors_take(&run->n_errors, run->reader.input.name, number, &fault) ||
            !print_error(run, &fault, err))
            return false;
    }
}

static void free_choices(struct choose_run *run) {
    for (int i = 0; i < run->n; i++)
        free(run->choices[i].text);
    free(run->choices);
    run->choices = NULL;
    run->n = 0;
}

/* A fault of a record is one of its line. */
static bool add_choices(struct choose_run *run, const struct gpt2_field *list,
                        struct gpt2_error *err) {
    for (int i = 1; i <= list->n_inside; i++)
        if (!add(run, list[i].text, strlen(list[i].text), err)) {
            err->status = err->status == GPT2_ERR_USAGE ? GPT2_ERR_INPUT : err->status;
            return false;
        }
    return true;
}

enum { MEMBER_PROMPT, MEMBER_CHOICES, N_MEMBERS };

static bool rank_record(struct choose_run *run, const struct score_member *members,
                        struct gpt2_error *err) {
    const char *prompt = members[MEMBER_PROMPT].field->text;
    return add_choices(run, members[MEMBER_CHOICES].field, err) && make_room(run, err) &&
           set_prompt(run, prompt, strlen(prompt), err) && join_choices(run, err) && rank(run, err);
}

/* The choices in the order of the record, and which one is the first of the ranking. */
static bool print_record(struct choose_run *run, const struct score_record *record,
                         uint64_t line_number, uint64_t hash, const struct gpt2_error *fault,
                         struct gpt2_error *err) {
    struct buffer line = {0};
    buffer_format(&line, "{\"id\": %s", record->id.data);
    if (fault) {
        buffer_text(&line, ", \"error\": ");
        line_errors_json(&line, fault, record->has_id ? 0 : line_number, " ");
    } else {
        buffer_format(&line, ", \"best\": %d, \"choices\": [", run->choices[0].order);
        qsort(run->choices, (size_t)run->n, sizeof *run->choices, by_order);
        for (int i = 0; i < run->n; i++) {
            const struct choice *c = &run->choices[i];
            buffer_text(&line, i ? ", {\"choice\": " : "{\"choice\": ");
            buffer_json(&line, c->name, c->len);
            buffer_format(&line, ", \"p\": %.6f, \"score\": %.6f, \"tokens\": %d, \"greedy\": %s}",
                          c->p, c->score + 0.0, run->continuation[i].n_tokens,
                          c->is_greedy ? "true" : "false");
        }
        buffer_byte(&line, ']');
    }
    buffer_text(&line, ", ");
    line_output_mark(&line, &form, run->fingerprint, hash);
    buffer_text(&line, "}\n");
    bool ok =
        line.failed ? no_memory(err) : line_output_line(&run->lines, line.data, line.len, err);
    buffer_free(&line);
    return ok;
}

/* Ranks the choices of each record of the input that is not done. */
static bool rank_records(struct choose_run *run, struct gpt2_error *err) {
    struct score_member members[N_MEMBERS] = {
        [MEMBER_PROMPT] = {.name = "prompt"},
        [MEMBER_CHOICES] = {.name = "choices", .is_list = true},
    };
    for (uint64_t number = 0;; number++) {
        struct text_line line;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            return line_output_passed(&run->lines, err);
        if (strspn(line.bytes, " \t") == line.n)
            continue;
        bool is_done;
        if (!line_output_pass(&run->lines,
                              &(struct record_line){.bytes = line.bytes,
                                                    .n = line.n,
                                                    .number = number,
                                                    .is_json = true,
                                                    .input = run->reader.input.name},
                              &is_done, err))
            return false;
        if (is_done)
            continue;
        struct score_record record;
        struct gpt2_error fault;
        free_choices(run);
        bool ok =
            score_record_read(&record, members, N_MEMBERS, line.bytes, line.n, number, &fault);
        ok = ok && rank_record(run, members, &fault);
        bool goes_on =
            ok || line_errors_take(&run->n_errors, run->args.quiet ? NULL : run->reader.input.name,
                                   number + 1, &fault);
        if (!goes_on)
            *err = fault;
        goes_on =
            goes_on && print_record(run, &record, number + 1, line_output_hash(line.bytes, line.n),
                                    ok ? NULL : &fault, err);
        score_record_free(&record);
        if (!goes_on)
            return false;
    }
}

/* What a line depends on beside its record. */
static bool make_fingerprint(struct choose_run *run, struct gpt2_error *err) {
    const struct choose_arguments *args = &run->args;
    const char *texts[] = {args->separator ? args->separator : "",
                           args->premise ? args->premise : ""};
    struct buffer options = {0};
    buffer_format(&options, "choose by=%d separator=%d\n", args->by, args->separator != NULL);
    for (int i = 0; i < 2; i++)
        buffer_json(&options, texts[i], strlen(texts[i]));
    bool ok = fingerprint_make(run->fingerprint, run->engine.model, run->engine.tokenizer,
                               run->engine.runtime, (enum gpt2_kv)args->kv, "", &options, err);
    buffer_free(&options);
    return ok;
}

static int answer_records(struct choose_run *run) {
    const struct line_request request = {.path = run->args.output,
                                         .resume = run->args.resume,
                                         .form = &form,
                                         .fingerprint = run->fingerprint};
    struct gpt2_error err, close_err;
    bool ok = make_fingerprint(run, &err) && line_output_open(&run->lines, &request, &err) &&
              rank_records(run, &err);
    if (!line_output_close(&run->lines, ok, &close_err) && ok) {
        err = close_err;
        ok = false;
    }
    if (!ok)
        return run->lines.broken_pipe ? 128 + SIGPIPE : report(&err);
    return line_errors_code(run->n_errors + run->lines.n_errors);
}

static int answer_lines(struct choose_run *run) {
    struct gpt2_error err;
    run->reader.input.idle = answer;
    run->reader.input.idle_user = run;
    bool ok = output_begin(&run->out, run->args.output, &err) && rank_lines(run, &err) &&
              output_end(&run->out, &err);
    return ok ? line_errors_code(run->n_errors) : output_failed(&run->out, &err);
}

/* What the prompt has in a file is not read again; with --save-session it gets there. */
static bool use_session(struct choose_run *run, struct gpt2_error *err) {
    const struct choose_arguments *args = &run->args;
    const struct engine *engine = &run->engine;
    struct gpt2_ids own = {0};
    bool ok = (!args->load_session && !args->save_session) ||
              gpt2_tokenizer_encode(engine->tokenizer, run->prompt.data, run->prompt.len,
                                    GPT2_ENCODE_TEXT, &own, err);
    if (ok && args->load_session)
        ok = session_io_begins(engine->tokenizer, &run->session.ids, own.data, own.len,
                               args->load_session, "the prompt",
                               "without a prompt the saved text is continued", err);
    if (ok && args->save_session)
        ok = scored_session_save(&run->session, engine, (enum gpt2_kv)args->kv, own.data, own.len,
                                 args->save_session, err);
    gpt2_ids_free(&own);
    return ok && scored_session_use(&run->session, run->scorer, err);
}

static int execute(struct choose_run *run) {
    struct gpt2_error err;
    int code = 0;
    sandbox_begin(&run->args.sandbox,
                  (const char *const[]){run->args.output, run->args.save_session}, 2);
    if (!prepare(run, &err))
        return report(&err);
    sandbox_enter(&run->args.sandbox, 0);
    if (run->args.input)
        return answer_records(run);
    if (run->args.lines)
        return answer_lines(run);
    if (!join_choices(run, &err) || !use_session(run, &err) || !rank(run, &err))
        return report(&err);
    if (run->args.expected)
        return test(run, &code, &err) ? code : report(&err);
    bool ok = output_begin(&run->out, run->args.output, &err);
    if (ok && run->is_aligned && !run->args.best)
        output_table(&run->out);
    ok = ok && print(run, &err) && output_end(&run->out, &err);
    return ok ? 0 : output_failed(&run->out, &err);
}

static void close_all(struct choose_run *run) {
    output_discard(&run->out);
    free_choices(run);
    free(run->continuation);
    token_reader_close(&run->reader);
    gpt2_scorer_free(run->scorer);
    scored_session_free(&run->session);
    engine_close(&run->engine);
    text_free(&run->prompt);
    text_free(&run->list);
}

static int run_choose(int argc, char **argv) {
    struct gpt2_error err;
    struct choose_run *run = calloc(1, sizeof *run);
    if (!run) {
        no_memory(&err);
        return report(&err);
    }
    run->reader.input.fd = -1;
    struct choose_arguments *a = &run->args;
    a->cache_memory = CACHE_MEMORY;
    a->format = FORMAT_UNSET;
    static const char *const formats[] = {"tsv", "json", "jsonl", NULL};
    static const char *const measures[] = {"sum", "mean", "pmi", NULL};
    const struct option table[] = {
        OPT_SECTION("Prompt and choices"),
        OPT_STRING("prompt", 'p', &a->source.option, "TEXT",
                   "what the choices continue (also as a plain argument,\n"
                   "where with --choices \"-\", or a pipe if nothing is given,\n"
                   "is standard input; -p - is a text)"),
        OPT_STRING("file", 'f', &a->source.file, "FILE",
                   "read the prompt from a file, without one newline\n"
                   "at its end; a prompt that is given, too, follows it",
                   .flags = OPTION_READS),
        OPT_FLAG("escape", 'e', &a->source.escape,
                 "\\n, \\r, \\t, \\\\ and \\xHH in the prompt are those bytes",
                 .needs = "prompt @"),
        OPT_FLAG("lines", 0, &a->lines,
                 "every line of the input is a prompt of its own, answered\n"
                 "by its first choice before the next one is waited for",
                 .not_with = "test best"),
        OPT_STRING("input", 0, &a->input, "FILE",
                   "an object of JSON on each line, with \"prompt\",\n"
                   "\"choices\" and an \"id\"; \"-\" is stdin. Each is answered\n"
                   "by an object with \"best\" and the \"choices\"",
                   .flags = OPTION_READS,
                   .not_with = "prompt @ file lines choices choices-file test best"),
        OPT_FLAG("resume", 0, &a->resume,
                 "go on where the output ends: what is there is compared\n"
                 "with the input, the model and the options",
                 .needs = "input+output"),
        OPT_FLAG("quiet", 'q', &a->quiet, "nothing on standard error about bad records",
                 .needs = "input"),
        OPT_STRINGS("choices", 'c', &a->choices, "A,B,C",
                    "the choices, separated by commas; may be repeated\n"
                    "(default: the lines of standard input)",
                    .aliases = "candidates", .flags = OPTION_ESCAPES | OPTION_LIST),
        OPT_STRING("choices-file", 0, &a->choices_file, "FILE", "the choices, one a line",
                   .flags = OPTION_READS, .not_with = "choices"),
        OPT_STRING("separator", 0, &a->separator, "TEXT",
                   "what stands between prompt and choice (default: a\n"
                   "space, unless there is white space)",
                   .flags = OPTION_ESCAPES),
        OPT_SECTION("Model"),
        OPT_MODEL(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_SANDBOX(&a->sandbox),
        OPT_CACHE_MEMORY(&a->cache_memory, .needs = "lines input"),
        OPT_STRING("load-session", 0, &a->load_session, "FILE",
                   "what a prompt begins with, read before by generate,\n"
                   "score or choose; without a prompt the prompt itself",
                   .flags = OPTION_READS | OPTION_FILE_ONLY | OPTION_UPDATES),
        OPT_STRING("save-session", 0, &a->save_session, "FILE", "keep what the prompt was read to",
                   .flags = OPTION_WRITES | OPTION_FILE_ONLY | OPTION_UPDATES,
                   .not_with = "lines input"),
        OPT_SECTION("Ranking"),
        OPT_CHOICE("by", 0, &a->by, measures, "sum|mean|pmi",
                   "the sum of the tokens' log-probabilities (default),\n"
                   "their mean, or the sum less that after the premise",
                   .aliases = "normalize"),
        OPT_STRING("premise", 0, &a->premise, "TEXT",
                   "for pmi: the prompt that says nothing (default \"\",\n"
                   "which is <|endoftext|>)",
                   .needs = "by=pmi"),
        OPT_SECTION("Output"),
        OPT_JOB_OUTPUT(&a->output),
        OPT_CHOICE("format", 0, &a->format, formats, "tsv|json|jsonl",
                   "tab-separated (default; on a terminal in aligned\n"
                   "columns, rounded), a JSON list of objects, or an\n"
                   "object for each choice; with --lines an object on a\n"
                   "line for each prompt; with --input always jsonl",
                   .not_with = "input+!format=jsonl"),
        OPT_VALUE("tsv", &a->format, formats, "tsv", "short for --format tsv"),
        OPT_VALUE("json", &a->format, formats, "json", "short for --format json"),
        OPT_VALUE("jsonl", &a->format, formats, "jsonl", "short for --format jsonl"),
        OPT_FLAG("best", 0, &a->best, "print only the first choice", .not_with = "format test"),
        OPT_STRING("test", 0, &a->expected, "CHOICE",
                   "print nothing; exit with 0 if CHOICE comes first, 1\n"
                   "if another does",
                   .flags = OPTION_ESCAPES, .not_with = "output format"),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_choose, table, argc, argv, 1, &n_words, &code)) {
        a->source.word = n_words ? argv[0] : NULL;
        run->is_aligned = a->format == FORMAT_UNSET;
        if (run->is_aligned)
            a->format = FORMAT_TSV;
        code = execute(run);
    }
    close_all(run);
    free(run);
    return code;
}

const struct command command_choose = {
    .name = "choose",
    .summary = "rank given continuations of a prompt",
    .usage = "[OPTIONS] [PROMPT] --choices A,B,C",
    .details =
        "Prints the likeliest first: its probability among the choices (the softmax of the "
        "scores), its\n"
        "score and its number of tokens. Equal scores keep the order in which they were given.\n"
        "sum is the probability of the text; it favours short choices. mean divides by the "
        "tokens.\n"
        "A prompt, the list of choices and a line have at most 64 MiB each. A line of --lines "
        "that\n"
        "cannot be read is reported and answered by an empty one; the exit code is 3 then.\n"
        "pmi asks how much likelier the prompt makes a choice (Holtzman et al. 2021).\n\n"
        "  if gpt2 choose \"$review I liked it:\" -c yes,no --test yes; then ...\n",
    .examples = EXAMPLES(
        {"gpt2 choose \"The fox is\" --choices sly,blue,round", "rank three continuations"},
        {"if gpt2 choose \"I liked it:\" -c yes,no --test yes; then echo good; fi",
         "a condition for the shell"},
        {"gpt2 choose --input questions.jsonl -o answers.jsonl",
         "a record for each question, with choices of its own"},
        {"gpt2 choose -f lines.txt --lines -c happy,sad --by pmi", "label each line of a file"}),
    .common = "prompt file choices choices-file input model by best test json",
    .related = "score generate",
    .run = run_choose,
};
