/* bulk.c - the loop of a bulk job: read ahead, step, write what is done, in the order of the input.
 *
 *   input --> records in order [done, running, running, done, ...] --> output
 *
 * A record that is done waits for those before it. The list is bounded, so memory is, too. */
#include "cli/generate/bulk.h"
#include "cli/command/memory_limit.h"
#include "cli/generate/bulk_output.h"
#include "cli/generate/completion_json.h"
#include "cli/generate/record_error.h"
#include "cli/generate/record_lines.h"
#include "cli/generate/record_texts.h"
#include "cli/io/line_errors.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/terminal/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_LINE    ((size_t)16 << 20)
#define MAX_SAMPLES 4096           /* of a record's prompts together */
#define MAX_HELD    (4 * MAX_LINE) /* bytes of records that are not written yet */

/* A record that is not written yet, and the texts that it becomes. */
struct queued_record {
    struct record_texts texts;
    bool failed;
    struct gpt2_error err;
    uint64_t number; /* of its line, from 0   */
    uint64_t hash;   /* of its line */
    size_t n_line;   /* bytes of its line     */
    size_t n_held;   /* bytes of memory for it */
    struct queued_record *next;
};

struct bulk_run {
    const struct bulk_job *job;
    struct record_lines input;
    uint64_t number; /* of the next line */
    uint64_t shard, n_shards;
    bool ended; /* nothing more is read */
    struct decoding decoding;
    struct text_maker maker;
    struct prompt_scorer scorer;
    struct gpt2_generator *generator;
    struct queued_record *first, **last;
    int n_records;
    size_t n_held; /* theirs together */
    struct bulk_output out;
    struct progress progress;
    bool any_failed;
};

static void free_record(struct queued_record *r) {
    record_texts_free(&r->texts);
    free(r);
}

static bool is_json(const struct bulk_run *run) {
    return run->input.format == INPUT_JSONL;
}

static bool go_on(void *user, const float *logits) {
    return !signals_caught();
}

/* Reads the record and hands its prompts to the generator. *n_started is how many it has taken. */
static bool start_record(struct bulk_run *run, struct queued_record *r, enum line_state state,
                         int *n_started) {
    const struct bulk_job *job = run->job;
    if (state == LINE_TOO_LONG) {
        buffer_format(&r->texts.record.id, "%" PRIu64, run->number);
        return command_error(&r->err, GPT2_ERR_INPUT, NULL,
                             "a line of %zu bytes: expected at most %zu", run->input.n_bytes,
                             MAX_LINE);
    }
    const struct prompt_encoder encoder = text_maker_encoder(&run->maker);
    if (!bulk_record_read(&r->texts.record, run->input.bytes, run->input.n, is_json(run),
                          run->number, job->settings, &encoder, &r->err) ||
        !record_texts_create(&r->texts, &run->maker, go_on, NULL, &r->err))
        return false;
    for (; *n_started < r->texts.n; ++*n_started)
        if (!gpt2_completion_start(r->texts.completions[*n_started], run->generator, &r->err))
            return false;
    return true;
}

/* Reads on to the next line that is ours. LINE_NONE: there is none, LINE_LATER: only without
 * `wait`, it is not there yet, LINE_FAILED: *err says why. */
static enum line_state next_line(struct bulk_run *run, bool wait, struct gpt2_error *err) {
    for (;; run->number++) {
        enum line_state state = record_lines_next(&run->input, wait, err);
        if (state == LINE_LATER)
            return state;
        if (state == LINE_NONE || state == LINE_FAILED) {
            run->ended = true;
            // after a signal there may be more
            return state == LINE_NONE && !signals_caught() &&
                           !line_output_passed(&run->out.lines, err)
                       ? LINE_FAILED
                       : state;
        }
        if ((is_json(run) && run->input.is_blank) || run->number % run->n_shards != run->shard) {
            progress_read(&run->progress, run->input.n_bytes, false);
            continue;
        }
        bool is_done;
        if (!line_output_pass(&run->out.lines,
                              &(struct record_line){.bytes = run->input.bytes,
                                                    .n = run->input.n,
                                                    .number = run->number,
                                                    .is_json = is_json(run),
                                                    .input = run->input.reader.input.name},
                              &is_done, err)) {
            run->ended = true;
            return LINE_FAILED;
        }
        if (!is_done)
            return state;
        progress_read(&run->progress, run->input.n_bytes, true);
    }
}

/* Takes the next record, if there is one. It is waited for only where nothing else is to be done,
 * as the writer may wait for our answer before it goes on. False: the job cannot go on. */
static bool admit(struct bulk_run *run, bool *later, struct gpt2_error *err) {
    bool wait = !run->first && !gpt2_generator_busy(run->generator);
    enum line_state state = next_line(run, wait, err);
    *later = state == LINE_LATER;
    if (state == LINE_NONE || state == LINE_LATER || state == LINE_FAILED)
        return state != LINE_FAILED;
    struct queued_record *r = calloc(1, sizeof *r);
    if (!r)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    *run->last = r;
    run->last = &r->next;
    run->n_records++;
    r->n_line = run->input.n_bytes;
    r->number = run->number;
    r->hash = line_output_hash(run->input.bytes, run->input.n);
    int n_started = 0;
    r->failed = !start_record(run, r, state, &n_started);
    r->n_held = bulk_record_bytes(&r->texts.record);
    run->n_held += r->n_held;
    run->number++;
    // a record that failed is freed early: the generator must have nothing of it
    if (r->failed && (n_started > 0 || r->err.status == GPT2_ERR_MEMORY)) {
        *err = r->err;
        return false;
    }
    if (r->failed && run->job->options->fail_fast)
        run->ended = true; // what is before it is still finished
    return true;
}

static void print_record(const struct bulk_run *run, struct queued_record *r, struct buffer *line) {
    const struct buffer *id = &r->texts.record.id;
    bool batch = r->texts.record.is_batch;
    buffer_format(line, batch ? "{\"custom_id\":" : "{\"id\":");
    buffer_append(line, id);
    if (r->failed) {
        buffer_format(line, batch ? ",\"response\":null,\"error\":" : ",\"error\":");
        const struct gpt2_error err = record_error(&r->texts.record, &r->err);
        line_errors_json(line, &err, r->texts.record.has_id ? 0 : r->number + 1, "");
        buffer_byte(line, ',');
        bulk_output_mark(&run->out, r->hash, line);
        buffer_text(line, "}\n");
        return;
    }
    if (batch) {
        buffer_format(line, ",\"response\":{\"status_code\":200,\"body\":{\"id\":");
        buffer_append(line, id);
    }
    buffer_format(line, ",\"object\":\"text_completion\",\"model\":");
    buffer_json(line, run->job->model_name, strlen(run->job->model_name));
    buffer_byte(line, ',');
    bulk_output_mark(&run->out, r->hash, line);
    completions_json(r->texts.completions, r->texts.scores, r->texts.n, r->texts.decoding,
                     run->job->tokenizer, line);
    buffer_format(line, batch ? "}},\"error\":null}\n" : "}\n");
}

static uint64_t count_tokens(const struct queued_record *r) {
    uint64_t n = 0;
    for (int i = 0; i < r->texts.n; i++)
        if (r->texts.completions[i])
            n += completion_usage(r->texts.completions[i]).n_tokens;
    return n;
}

/* Whether all texts of a record have ended; notes the failure of one. */
static bool is_done(struct queued_record *r) {
    if (r->failed)
        return true;
    if (!record_texts_done(&r->texts))
        return false;
    const struct gpt2_error *failure = record_texts_error(&r->texts);
    if (failure) {
        r->failed = true;
        r->err = *failure;
    }
    return true;
}

/* Scores the prompts of a record that is done, where that is asked for. */
static bool score_prompts(struct bulk_run *run, struct queued_record *r) {
    while (!r->failed && record_texts_to_score(&r->texts, run->job->tokenizer))
        if (!record_texts_score(&r->texts, &run->scorer, &r->err))
            return false;
    return true;
}

/* Writes the records at the head of the list that are done. */
static bool write_done(struct bulk_run *run, struct gpt2_error *err) {
    while (run->first && is_done(run->first)) {
        struct queued_record *r = run->first;
        r->failed = !score_prompts(run, r) || r->failed;
        // memory may be there the next time: --resume reads this record again
        if (r->failed && r->err.status == GPT2_ERR_MEMORY) {
            *err = r->err;
            return false;
        }
        if (r->failed && !run->job->options->quiet && !run->job->options->progress_json) {
            const struct gpt2_error fault = record_error(&r->texts.record, &r->err);
            line_errors_report(run->input.reader.input.name, r->number + 1, &fault);
        }
        struct buffer line = {0};
        print_record(run, r, &line);
        bool ok = line.failed
                      ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a line")
                      : line_output_line(&run->out.lines, line.data, line.len, err);
        buffer_free(&line);
        if (!ok)
            return false;
        run->any_failed |= r->failed;
        progress_read(&run->progress, r->n_line, false);
        progress_done(&run->progress, r->failed, count_tokens(r));
        bool last = r->failed && run->job->options->fail_fast;
        run->first = r->next;
        run->n_records--;
        run->n_held -= r->n_held;
        if (!run->first)
            run->last = &run->first;
        free_record(r);
        if (last) {
            run->ended = true;
            return true;
        }
    }
    return true;
}

static bool work(struct bulk_run *run, struct gpt2_error *err) {
    int window = 4 * run->job->max_samples;
    while (!signals_caught()) {
        bool later = false;
        while (!later && !run->ended && !signals_caught() && run->n_records < window &&
               run->n_held < MAX_HELD && gpt2_generator_room(run->generator) > 0)
            if (!admit(run, &later, err))
                return false;
        if (gpt2_generator_busy(run->generator) && !gpt2_generator_step(run->generator, err))
            return false;
        // after a signal a text may have ended early: nothing more is written
        if (signals_caught())
            break;
        if (!write_done(run, err))
            return false;
        progress_show(&run->progress);
        if (run->ended && (!run->first || (run->any_failed && run->job->options->fail_fast)))
            break;
    }
    return true;
}

static bool parse_shard(struct bulk_run *run, struct gpt2_error *err) {
    const char *text = run->job->options->shard;
    run->n_shards = 1;
    if (!text)
        return true;
    char rest;
    if (sscanf(text, "%" SCNu64 "/%" SCNu64 "%c", &run->shard, &run->n_shards, &rest) != 2 ||
        strchr(text, '-') || run->n_shards == 0 || run->shard >= run->n_shards)
        return usage_error(err, "--shard: expected I/N with I from 0 to N - 1, got \"%s\"", text);
    return true;
}

static bool open_run(struct bulk_run *run, struct gpt2_error *err) {
    const struct bulk_options *o = run->job->options;
    const struct gpt2_config *config = gpt2_model_config(run->job->model);
    if (!parse_shard(run, err))
        return false;
    if (!record_lines_open(&run->input, o->input, (enum input_format)o->format, MAX_LINE, err))
        return false;
    struct settings settings = *run->job->settings;
    settings_resolve(&settings, config);
    if (o->resume && settings.seed.is_random)
        return command_error(err, GPT2_ERR_USAGE, "give a number: the same is needed each time",
                             "--resume: --seed random draws another seed in each run, with which "
                             "no job goes on");
    struct memory_use use = {.prefix = run->job->cache_memory};
    memory_generator(&use, run->job->model, run->job->runtime, run->job->kv,
                     run->job->max_samples > MAX_BEAMS ? run->job->max_samples : MAX_BEAMS);
    if (!memory_check(&use, run->job->max_memory, err))
        return false;
    run->generator = gpt2_generator_create(
        run->job->model, run->job->runtime,
        &(struct gpt2_generator_options){.max_samples = run->job->max_samples,
                                         .max_search = MAX_BEAMS,
                                         .kv = run->job->kv,
                                         .prefix_bytes = run->job->cache_memory},
        err);
    if (!run->generator ||
        !decoding_create(&run->decoding, &settings, run->job->model, run->job->tokenizer, err))
        return false;
    run->maker = (struct text_maker){.model = run->job->model,
                                     .tokenizer = run->job->tokenizer,
                                     .decoding = &run->decoding,
                                     .max_samples = MAX_SAMPLES};
    run->scorer = (struct prompt_scorer){.model = run->job->model,
                                         .tokenizer = run->job->tokenizer,
                                         .runtime = run->job->runtime,
                                         .kv = run->job->kv};
    return bulk_output_open(&run->out, run->job, &settings, err);
}

int bulk_run(const struct bulk_job *job) {
    struct bulk_run run = {.job = job, .input = {.reader = {.input = {.fd = -1}}}};
    struct gpt2_error err;
    run.last = &run.first;
    bool ok = open_run(&run, &err);
    if (ok) {
        sandbox_enter(job->sandbox, 0);
        signals_catch();
        run.progress =
            progress_begin(run.input.reader.input.fd, run.out.lines.n_found, run.out.lines.n_errors,
                           job->options->progress_json, job->options->quiet);
        ok = work(&run, &err);
        if (ok || run.number > 0) // else the error says it all
            progress_end(&run.progress);
    }
    struct gpt2_error close_err;
    if (!line_output_close(&run.out.lines, ok && !signals_caught(), &close_err) && ok) {
        ok = false;
        err = close_err;
    }
    int code = ok ? run.any_failed || run.out.lines.n_errors ? GPT2_ERR_RECORDS : 0
               : run.out.lines.broken_pipe ? 128 + SIGPIPE
                                           : report(&err);
    if (ok && signals_caught())
        code = 128 + signals_caught();
    while (run.first) {
        struct queued_record *next = run.first->next;
        free_record(run.first);
        run.first = next;
    }
    gpt2_generator_free(run.generator);
    prompt_scorer_free(&run.scorer);
    decoding_free(&run.decoding);
    record_lines_close(&run.input);
    return code;
}
