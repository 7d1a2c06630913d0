/* cmd_score.c - `gpt2 score`: log-probabilities of a text by token, word, line or document. */
#include "cli/command/commands.h"
#include "cli/command/engine.h"
#include "cli/command/memory_limit.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/command/session_io.h"
#include "cli/io/line_errors.h"
#include "cli/io/output.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"
#include "cli/io/terminal.h"
#include "cli/io/token_reader.h"
#include "cli/score/score_record.h"
#include "cli/score/score_report.h"
#include "cli/score/scored_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct score_arguments {
    struct text_source source;
    const char *model, *cpu, *protocol, *filter;
    struct sandbox sandbox;
    const char *output, *context, *input, *load_session, *save_session;
    size_t cache_memory;
    struct model_options opening;
    bool ids, special, lines, bos, no_bos, no_header, quiet;
    int by, kv, threads, top, ctx, format, tint, color; /* tint: enum score_tint */
};

struct score_run {
    struct score_arguments args;
    struct engine engine;
    struct token_reader reader;
    struct gpt2_scorer *scorer;
    struct scoring *scoring;
    struct scoring_text *text; /* what is being scored */
    uint64_t n_ids;            /* of it */
    struct gpt2_ids context;   /* that texts have unless they say another */
    struct scored_session session;
    uint64_t n_errors; /* lines that could not be scored */
    unsigned char *marked;
    struct gpt2_plan plan;
    char protocol[40]; /* its name */
    struct score_filter filter;
    struct score_report report;
    bool is_aligned; /* no format is asked for: a terminal gets aligned columns */
};

/* Sets run->plan and run->protocol by --protocol, --ctx, --bos and --no-bos. */
static bool choose_protocol(struct score_run *run, struct gpt2_error *err) {
    const struct score_arguments *args = &run->args;
    const struct gpt2_config *config = gpt2_model_config(run->engine.model);
    const char *name = args->protocol;
    struct gpt2_plan *plan = &run->plan;
    const bool has_bos = config->bos_id >= 0 && config->bos_id < engine_vocab(&run->engine);
    int ctx = config->n_ctx;
    bool is_stride = !name || !strcmp(name, "stride") || !strncmp(name, "stride=", 7);
    if (is_stride)
        plan->protocol = GPT2_PROTOCOL_STRIDE;
    else if (!strcmp(name, "disjoint"))
        plan->protocol = GPT2_PROTOCOL_DISJOINT;
    else if (!strcmp(name, "llama.cpp"))
        plan->protocol = GPT2_PROTOCOL_LLAMA_CPP;
    else if (!strcmp(name, "lm-eval"))
        plan->protocol = GPT2_PROTOCOL_LM_EVAL;
    else
        return usage_error(err,
                           "--protocol: expected disjoint, stride=N, llama.cpp or lm-eval, got "
                           "\"%s\"",
                           name);
    if (plan->protocol == GPT2_PROTOCOL_LLAMA_CPP && ctx > 512)
        ctx = 512; // llama.cpp's default
    if (args->ctx > config->n_ctx)
        return usage_error(err, "--ctx: expected 2 to %d, the model's context, got %d",
                           config->n_ctx, args->ctx);
    if (args->ctx)
        ctx = args->ctx;
    if (ctx < 2)
        return usage_error(err, "scoring needs a context of 2 tokens, this model's is %d", ctx);
    plan->n_ctx = ctx;
    plan->stride = ctx / 2;
    snprintf(run->protocol, sizeof run->protocol, "%s", name ? name : "");
    if (is_stride) {
        if (name && name[6]) {
            char *end;
            long stride = strtol(name + 7, &end, 10);
            if (end == name + 7 || *end || stride < 1 || stride > ctx)
                return usage_error(err, "--protocol: expected stride=1 to stride=%d, got \"%s\"",
                                   ctx, name);
            plan->stride = (int)stride;
        }
        snprintf(run->protocol, sizeof run->protocol, "stride=%d", plan->stride);
    }
    plan->bos = !name || plan->protocol == GPT2_PROTOCOL_LM_EVAL;
    if (args->bos && !has_bos)
        return usage_error(err, "--bos: the model has no token that begins a text");
    if (args->bos || args->no_bos)
        plan->bos = args->bos;
    plan->bos = plan->bos && has_bos;
    const bool has_context = args->context || args->input || args->load_session;
    return plan->protocol != GPT2_PROTOCOL_LLAMA_CPP || !has_context ||
           usage_error(err, "--protocol llama.cpp scores the second half of each window: expected "
                            "another one with a context");
}

/* Marks the ids that begin a word or end the text (score_report.h). */
static bool mark_words(struct score_run *run, int n_vocab, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(run->engine.model);
    if (!run->engine.tokenizer)
        return command_error(err, GPT2_ERR_MODEL, NULL, "--by word: the model has no tokenizer");
    run->marked = calloc((size_t)n_vocab, 1);
    if (!run->marked)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    for (int32_t id = 0; id < n_vocab; id++) {
        size_t n;
        const char *bytes = gpt2_tokenizer_token(run->engine.tokenizer, id, &n);
        run->marked[id] = bytes && (*bytes == ' ' || (*bytes >= '\t' && *bytes <= '\r'));
    }
    for (int i = 0; i < config->n_eos; i++)
        if (config->eos_ids[i] < n_vocab)
            run->marked[config->eos_ids[i]] = 1;
    return true;
}

static bool check(struct score_run *run, struct gpt2_error *err) {
    struct score_arguments *args = &run->args;
    if (args->filter && !score_filter_parse(&run->filter, args->filter, err))
        return false;
    if (args->filter || args->by == SCORE_LINE || args->input)
        args->lines = true;
    if (args->input) {
        args->source = (struct text_source){.file = args->input};
        args->by = SCORE_DOC;
        args->format = SCORE_JSONL;
    }
    return true;
}

/* The context of all texts, by --context or of a session, which is checked, saved, and not read
 * again. */
static bool read_context(struct score_run *run, bool keeps, struct gpt2_error *err) {
    const struct score_arguments *args = &run->args;
    const struct engine *engine = &run->engine;
    const enum gpt2_kv kv = (enum gpt2_kv)args->kv;
    struct scored_session *session = &run->session;
    if (args->load_session && !scored_session_load(session, engine, kv, args->load_session, err))
        return false;
    if (args->context &&
        !gpt2_tokenizer_encode(engine->tokenizer, args->context, strlen(args->context),
                               GPT2_ENCODE_TEXT, &run->context, err))
        return false;
    for (size_t i = 0; !args->context && i < session->ids.len; i++)
        if (!gpt2_ids_push(&run->context, session->ids.data[i], err))
            return false;
    const struct gpt2_ids *context = &run->context;
    if (args->load_session && !args->input &&
        !session_io_begins(engine->tokenizer, &session->ids, context->data, context->len,
                           args->load_session, "the context",
                           "without --context the saved text is the context", err))
        return false;
    if (args->save_session && !scored_session_save(session, engine, kv, context->data, context->len,
                                                   args->save_session, err))
        return false;
    return !keeps || scored_session_use(session, run->scorer, err);
}

static bool create(struct score_run *run, struct gpt2_error *err) {
    const struct score_arguments *args = &run->args;
    if (!engine_open(&run->engine, args->model, &args->opening, args->threads, args->cpu, args->ids,
                     err) ||
        !choose_protocol(run, err))
        return false;
    const struct gpt2_config *config = gpt2_model_config(run->engine.model);
    int n_vocab = engine_vocab(&run->engine);
    bool words = args->by == SCORE_WORD && !args->filter && !args->tint;
    if (args->top > n_vocab)
        return usage_error(err, "--top: expected 0 to %d, the vocabulary, got %d", n_vocab,
                           args->top);
    if (words && !mark_words(run, n_vocab, err))
        return false;
    struct memory_use use = {.prefix = args->input ? args->cache_memory : 0};
    memory_scorer(&use, run->engine.model, run->engine.runtime, (enum gpt2_kv)args->kv);
    if (args->context || args->load_session)
        memory_sessions(&use, run->engine.model,
                        &(struct memory_sessions){.kv = (enum gpt2_kv)args->kv, .n = 1});
    if (!memory_check(&use, args->opening.max_memory, err))
        return false;
    const bool keeps = args->context || args->input || args->load_session || args->save_session;
    struct gpt2_scorer_options scorer = {.n_top = args->top,
                                         .marked = run->marked,
                                         .kv = (enum gpt2_kv)args->kv,
                                         .prefix_bytes = keeps ? args->cache_memory : 0};
    run->scorer = engine_scorer(&run->engine, scorer, err);
    if (!run->scorer || !read_context(run, scorer.prefix_bytes > 0, err))
        return false;
    struct scoring_options options = {
        .plan = run->plan,
        .context_bos = args->bos,
        .bos_id = config->bos_id,
        .end_id = words && config->n_eos && config->eos_ids[0] < n_vocab ? config->eos_ids[0] : -1,
        .n_top = args->top};
    const struct scoring_sink sink = {score_report_token, score_report_end, score_text_free,
                                      &run->report};
    run->scoring = scoring_create(run->scorer, &options, &sink, err);
    const char *slash = strrchr(run->engine.path, '/');
    struct score_report *report = &run->report;
    report->by = (enum score_unit)args->by;
    report->format = (enum score_format)args->format;
    report->header = !args->no_header && !args->input;
    report->lines = args->lines;
    report->tint = (enum score_tint)args->tint;
    report->plain = (output_is_file(args->output) && args->color == COLOR_AUTO) ||
                    !terminal_wants_color(args->color);
    report->n_top = args->top;
    report->filter = args->filter ? &run->filter : NULL;
    report->tokenizer = run->engine.tokenizer;
    report->protocol = run->protocol;
    report->model = slash && slash[1] ? slash + 1 : run->engine.path;
    report->n_ctx = run->plan.n_ctx;
    report->bos = run->context.len ? args->bos : run->plan.bos;
    return run->scoring != NULL;
}

/* Counts the ids of a text, and checks those given as numbers; a sink's `take`. */
static bool count_ids(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                      struct gpt2_error *err) {
    struct score_run *run = user;
    const int n_vocab = engine_vocab(&run->engine);
    for (size_t i = 0; run->args.ids && i < n; i++)
        if (ids[i] >= n_vocab)
            return command_error(err, GPT2_ERR_USAGE, NULL,
                                 "token id %" PRId32 " is not in the vocabulary (0 to %d)", ids[i],
                                 n_vocab - 1);
    run->n_ids += n;
    return true;
}

/* The same, and the ids go on to run->text. */
static bool score_ids(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                      struct gpt2_error *err) {
    struct score_run *run = user;
    return count_ids(user, ids, extents, n, err) &&
           scoring_add(run->scoring, run->text, ids, n, err);
}

/* Whether a text can be scored, before anything of it is. */
static bool check_text(struct score_run *run, const char *bytes, size_t len,
                       struct gpt2_error *err) {
    const struct gpt2_encode_sink sink = {count_ids, run, false};
    run->n_ids = 0;
    return token_reader_encode(&run->reader, bytes, len, &sink, err);
}

/* Scores a text that was checked and is begun: as it is encoded, as its ids may be four times as
 * long. False also where it was not begun. */
static bool score_text(struct score_run *run, const char *bytes, size_t len,
                       struct gpt2_error *err) {
    const struct gpt2_encode_sink sink = {score_ids, run, false};
    return run->text && token_reader_encode(&run->reader, bytes, len, &sink, err) &&
           scoring_end(run->scoring, run->text, err);
}

/* Answers what is known, before the input is waited for (input.h). */
static bool answer(void *user, struct gpt2_error *err) {
    struct score_run *run = user;
    return scoring_flush(run->scoring, err) && output_flush(&run->report.out, err);
}

/* Begins to score a text after a context, as run->text. False: `user` is NULL, or err says why. */
static bool begin(struct score_run *run, struct score_text *user, const struct gpt2_ids *context,
                  struct gpt2_error *err) {
    run->text = NULL;
    if (!user)
        return false;
    score_text_context(user, context->len);
    run->text = scoring_begin(run->scoring, user, context->data, context->len, err);
    return run->text != NULL;
}

/* Scores the whole input as one text. */
static bool score_stream(struct score_run *run, struct gpt2_error *err) {
    struct score_text *user = score_text_create(&run->report, 1, 0, NULL, 0, err);
    const struct gpt2_encode_sink sink = {score_ids, run, false};
    if (!begin(run, user, &run->context, err))
        return false;
    for (bool more = true; more;)
        if (!token_reader_next(&run->reader, &sink, &more, err))
            return false;
    return scoring_end(run->scoring, run->text, err) && scoring_flush(run->scoring, err);
}

/* A line that cannot be scored is answered in its turn. */
static bool take_error(struct score_run *run, uint64_t number, const struct score_record *record,
                       const struct text_line *line, struct gpt2_error *err) {
    const struct gpt2_error fault = *err;
    return line_errors_take(&run->n_errors, run->args.quiet ? NULL : run->reader.input.name, number,
                            &fault) &&
           scoring_flush(run->scoring, err) &&
           score_report_error(&run->report, number, record, line->bytes, line->n, &fault, err);
}

/* Scores each line as a text of its own. */
static bool score_lines(struct score_run *run, struct gpt2_error *err) {
    for (uint64_t number = 1;; number++) {
        struct text_line line;
        // of ids in the text that they are, which is not the input
        uint64_t offset = run->args.ids ? 0 : run->reader.offset;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            return scoring_flush(run->scoring, err);
        if (!check_text(run, line.bytes, line.n, err) ||
            !score_report_length(&run->plan, run->n_ids, err)) {
            if (!take_error(run, number, NULL, &line, err))
                return false;
            continue;
        }
        struct score_text *user =
            score_text_create(&run->report, number, offset, line.bytes, line.n_whole, err);
        if (!begin(run, user, &run->context, err) || !score_text(run, line.bytes, line.n, err))
            return false;
    }
}

enum { MEMBER_CONTEXT, MEMBER_TEXT, N_MEMBERS };

/* The ids of a record's own context, n_ctx of them at most; that is one too many. */
static bool encode_context(const struct score_run *run, const char *text, struct gpt2_ids *ids,
                           size_t *n_all, struct gpt2_error *err) {
    return gpt2_tokenizer_encode_some(run->engine.tokenizer, text, strlen(text), GPT2_ENCODE_TEXT,
                                      (size_t)run->plan.n_ctx, false, ids, n_all, err);
}

/* Begins the text of a record as run->text. False: err says why. */
static bool begin_record(struct score_run *run, const struct score_record *record,
                         const struct score_member *members, uint64_t number,
                         struct gpt2_error *err) {
    const struct gpt2_field *own = members[MEMBER_CONTEXT].field;
    const char *bytes = members[MEMBER_TEXT].field->text;
    struct gpt2_ids context = {0};
    size_t n_context = 0;
    bool ok = check_text(run, bytes, strlen(bytes), err) &&
              (!own || encode_context(run, own->text, &context, &n_context, err));
    if (ok) {
        struct score_text *user = score_text_create(&run->report, number, 0, NULL, 0, err);
        // of a context that is too long only the number is looked at
        const struct gpt2_ids all = {context.data, n_context, n_context};
        ok = user && score_text_record(user, record->id.data, err);
        if (ok)
            ok = begin(run, user, own ? &all : &run->context, err);
        else if (user)
            score_text_free(user);
    }
    gpt2_ids_free(&context);
    return ok;
}

/* Scores the text of each record. */
static bool score_records(struct score_run *run, struct gpt2_error *err) {
    struct score_member members[N_MEMBERS] = {
        [MEMBER_CONTEXT] = {.name = "context", .may_be_out = true},
        [MEMBER_TEXT] = {.name = "text"},
    };
    for (uint64_t number = 0;; number++) {
        struct text_line line;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            return scoring_flush(run->scoring, err);
        if (strspn(line.bytes, " \t") == line.n)
            continue;
        struct score_record record;
        bool ok = score_record_read(&record, members, N_MEMBERS, line.bytes, line.n, number, err) &&
                  begin_record(run, &record, members, number, err);
        if (ok) {
            const char *text = members[MEMBER_TEXT].field->text;
            ok = score_text(run, text, strlen(text), err);
        } else {
            ok = take_error(run, number + 1, &record, &line, err);
        }
        score_record_free(&record);
        if (!ok)
            return false;
    }
}

static void close_all(struct score_run *run) {
    output_discard(&run->report.out);
    scoring_free(run->scoring);
    gpt2_scorer_free(run->scorer);
    token_reader_close(&run->reader);
    gpt2_ids_free(&run->context);
    scored_session_free(&run->session);
    free(run->marked);
    engine_close(&run->engine);
}

static int execute(struct score_run *run) {
    const struct score_arguments *args = &run->args;
    struct gpt2_error err;
    sandbox_begin(&run->args.sandbox,
                  (const char *const[]){run->args.output, run->args.save_session}, 2);
    if (!check(run, &err) || !create(run, &err))
        return report(&err);
    run->reader.tokenizer = run->engine.tokenizer;
    run->reader.is_ids = args->ids;
    run->reader.lines = args->lines;
    run->args.source.keep_newline = args->lines;
    run->reader.flags = args->special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
    if (!token_reader_open(&run->reader, &args->source, &err))
        return report(&err);
    struct output *out = &run->report.out;
    if (!output_begin(out, args->output, &err))
        return report(&err);
    if (run->is_aligned && !args->filter && !args->tint)
        output_table(out);
    sandbox_enter(&args->sandbox, 0);
    run->reader.input.idle = answer;
    run->reader.input.idle_user = run;
    bool ok = score_report_header(&run->report, &err) &&
              (args->input   ? score_records(run, &err)
               : args->lines ? score_lines(run, &err)
                             : score_stream(run, &err)) &&
              score_report_footer(&run->report, &err);
    if (!ok && run->report.n_printed == 0 && !args->filter && !args->tint)
        output_forget(out); // a header without results
    struct gpt2_error write_err;
    bool written =
        out->broken_pipe || (ok ? output_end(out, &write_err) : output_flush(out, &write_err));
    if (!ok)
        return output_failed(&run->report.out, &err);
    return written ? line_errors_code(run->n_errors) : output_failed(out, &write_err);
}

static int run_score(int argc, char **argv) {
    struct gpt2_error err;
    struct score_run *run = calloc(1, sizeof *run);
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    run->reader.input.fd = -1;
    struct score_arguments *a = &run->args;
    a->cache_memory = CACHE_MEMORY;
    a->format = SCORE_UNSET;
    static const char *const units[] = {"token", "word", "line", "doc", NULL};
    static const char *const formats[] = {"tsv", "json", "jsonl", NULL};
    static const char *const tints[] = {"none", "surprisal", "rank", NULL};
    const struct option table[] = {
        OPT_SECTION("Text"),
        OPT_STRING("prompt", 'p', &a->source.option, "TEXT",
                   "the text (also as a plain argument, where \"-\", or a pipe\n"
                   "if nothing is given, is standard input; -p - is a text)",
                   .aliases = "text"),
        OPT_STRING("file", 'f', &a->source.file, "FILE",
                   "read the text from a file of any size, without one newline\n"
                   "at its end; a text that is given, too, follows it",
                   .flags = OPTION_READS),
        OPT_FLAG("keep-newline", 0, &a->source.exact,
                 "keep that newline, \"\\r\\n\" and a byte order mark: the\n"
                 "bytes as they are",
                 .not_with = "prompt+!file @+!file"),
        OPT_FLAG("escape", 'e', &a->source.escape,
                 "\\n, \\r, \\t, \\\\ and \\xHH in the text are those bytes", .needs = "prompt @"),
        OPT_FLAG("ids", 0, &a->ids, "the text is token ids: 1,2,3 or 1 2 3",
                 .not_with = "file+prompt file+@"),
        OPT_FLAG("special", 0, &a->special, "<|endoftext|> in the text is the special token",
                 .aliases = "allow-special", .not_with = "ids"),
        OPT_FLAG("lines", 0, &a->lines,
                 "every line is a text of its own (--by line and\n"
                 "--filter imply it)"),
        OPT_STRING("context", 0, &a->context, "TEXT",
                   "what stands before the text, or before each: it is\n"
                   "read and not scored. Its tokens are its own, so the\n"
                   "text begins with the space between them",
                   .flags = OPTION_ESCAPES, .not_with = "ids"),
        OPT_STRING("input", 0, &a->input, "FILE",
                   "an object of JSON on each line, with \"text\", a\n"
                   "\"context\" of its own and an \"id\"; \"-\" is stdin.\n"
                   "Each is answered by an object with the sum and\n"
                   "\"greedy\": each token is the likeliest at its place",
                   .flags = OPTION_READS,
                   .not_with = "prompt @ file lines ids keep-newline by top no-header "
                               "filter tint=surprisal tint=rank"),
        OPT_FLAG("quiet", 'q', &a->quiet, "nothing on standard error about bad records",
                 .needs = "input"),
        OPT_SECTION("Model"),
        OPT_MODEL(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_SANDBOX(&a->sandbox),
        OPT_CACHE_MEMORY(&a->cache_memory, .needs = "context input load-session"),
        OPT_STRING("load-session", 0, &a->load_session, "FILE",
                   "what the context begins with, read before by generate,\n"
                   "score or choose; without --context the context itself",
                   .flags = OPTION_READS | OPTION_FILE_ONLY | OPTION_UPDATES, .not_with = "ids"),
        OPT_STRING("save-session", 0, &a->save_session, "FILE", "keep what the context was read to",
                   .flags = OPTION_WRITES | OPTION_FILE_ONLY | OPTION_UPDATES,
                   .needs = "context load-session"),
        OPT_SECTION("Protocol (how a long text is cut, see below)"),
        OPT_STRING("protocol", 0, &a->protocol, "NAME",
                   "disjoint, stride=N, llama.cpp or lm-eval (default:\n"
                   "stride of half the context, --bos)"),
        OPT_INT("ctx", 'c', &a->ctx, 2, INT32_MAX, "N",
                "tokens of a window (default: the model's context;\n"
                "llama.cpp: at most 512)",
                .aliases = "ctx-size n-ctx"),
        OPT_FLAG("bos", 0, &a->bos, "the first token is predicted from <|endoftext|>",
                 .not_with = "no-bos"),
        OPT_FLAG("no-bos", 0, &a->no_bos,
                 "the first token is only context (the default of all\n"
                 "named protocols but lm-eval, and after a context)"),
        OPT_SECTION("Output"),
        OPT_CHOICE("by", 0, &a->by, units, "token|word|line|doc",
                   "a line for each (default token); words are corrected\n"
                   "for leading spaces, see below",
                   .not_with = "filter+!by=line tint=surprisal tint=rank"),
        OPT_INT("top", 0, &a->top, 0, 1000, "N",
                "also the N likeliest tokens at each place (default 0)",
                .aliases = "top-n logprobs", .needs = "by=token",
                .not_with = "filter tint=surprisal tint=rank"),
        OPT_OUTPUT(&a->output),
        OPT_CHOICE("format", 0, &a->format, formats, "tsv|json|jsonl",
                   "tab-separated (default; on a terminal in aligned\n"
                   "columns, rounded), with NA for what is not scored;\n"
                   "one JSON object with them all; or an object for each\n"
                   "line; with --input always jsonl",
                   .not_with = "input+!format=jsonl filter tint=surprisal tint=rank"),
        OPT_VALUE("tsv", &a->format, formats, "tsv", "short for --format tsv"),
        OPT_VALUE("json", &a->format, formats, "json", "short for --format json"),
        OPT_VALUE("jsonl", &a->format, formats, "jsonl", "short for --format jsonl"),
        OPT_FLAG("no-header", 0, &a->no_header, "without the lines that name protocol and columns",
                 .not_with = "format=json filter tint=surprisal tint=rank"),
        OPT_STRING("filter", 0, &a->filter, "'FIELD<X'",
                   "print only the lines for which it holds, unchanged:\n"
                   "'bits_per_byte<1.5', 'ppl<60 && tokens>=8'",
                   .aliases = "keep", .not_with = "tint=surprisal tint=rank ids"),
        OPT_CHOICE("tint", 0, &a->tint, tints, "none|surprisal|rank",
                   "the text itself, on a background that shows how\n"
                   "surprising each token is, in bits, or its rank, and\n"
                   "what the colours mean (default none)",
                   .not_with = "ids"),
        OPT_COLOR(&a->color, .hint = "--tint surprisal or --tint rank shows the text in colours"),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_score, table, argc, argv, 1, &n_words, &code)) {
        a->source.word = n_words ? argv[0] : NULL;
        run->is_aligned = a->format == SCORE_UNSET && !a->input;
        if (a->format == SCORE_UNSET)
            a->format = SCORE_TSV;
        code = execute(run);
    }
    close_all(run);
    free(run);
    return code;
}

const struct command command_score = {
    .name = "score",
    .summary = "how likely is a text? By token, word, line, or as a whole",
    .usage = "[OPTIONS] [TEXT]",
    .details =
        "logprob is a natural logarithm, bits = -logprob / ln 2 is the surprisal, rank counts the\n"
        "tokens that were likelier, entropy (bits) is that of the whole distribution; begin and "
        "end\n"
        "are bytes of the text. A word, or a line with --lines, has at most 64 MiB; what is read "
        "is\n"
        "answered before more is waited for.\n\n"
        "Protocols, for windows of W tokens. Figures of different protocols do not compare.\n"
        "  stride=N    windows start every N tokens; each scores what none before it has. This is\n"
        "              Hugging Face's; its progress bar counts `windows`\n"
        "  disjoint    the same with N = W: every window starts from nothing\n"
        "  llama.cpp   whole disjoint windows, scored in their second half only\n"
        "  lm-eval     each window predicts W tokens, the first from the token before it\n\n"
        "Words end at white space. Tokens carry the space before a word, so their probability "
        "says\n"
        "that it begins and not that it ends; with B the tokens that begin with white space:\n"
        "p(word) = p(tokens) p(B after the word) / p(B before it). Pimentel & Meister 2024\n"
        "(arXiv:2406.14561), Oh & Schuler 2024 (arXiv:2406.10851). uncorrected_bits has the "
        "tokens'.\n",
    .examples = EXAMPLES(
        {"gpt2 score --by word \"The old man the boat.\"", "the surprisal of each word, in bits"},
        {"gpt2 score -f lines.txt --filter 'bits_per_byte<3'",
         "pass on the lines that are likely enough"},
        {"gpt2 score -f story.txt --by doc --protocol stride=128",
         "perplexity of a file, as Hugging Face measures it"},
        {"gpt2 score --top 3 --json \"Once upon a time\"", "what was likelier at each place"}),
    .common = "prompt file model by lines filter protocol top json output",
    .related = "choose eval generate",
    .run = run_score,
};
