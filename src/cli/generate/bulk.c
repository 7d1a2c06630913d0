/* bulk.c - the loop of a bulk job: read ahead, step, write what is done, in the order of the input.
 *
 *   input --> records in order [done, running, running, done, ...] --> output
 *
 * A record that is done waits for those before it. The list is bounded, so memory is, too. */
#include "cli/generate/bulk.h"
#include "cli/generate/bulk_output.h"
#include "cli/generate/completion_json.h"
#include "cli/generate/record_settings.h"
#include "cli/io/line_reader.h"
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
#define MAX_HELD    (4 * MAX_LINE) /* of lines whose records are not written yet */

struct bulk_record {
    struct record record;
    struct decoding own;                  /* where the record has settings of its own */
    const struct decoding *decoding;      /* that, or the job's                       */
    struct gpt2_completion **completions; /* [n], one for each of the record's prompts */
    struct prompt_scores *scores;         /* [n] of them; NULL: not wanted */
    int n;
    bool failed;
    struct gpt2_error err;
    size_t n_line; /* bytes of its line */
    struct bulk_record *next;
};

struct job {
    const struct bulk *bulk;
    struct line_reader input;
    bool is_json, is_known; /* what the input's first line looks like */
    uint64_t number;        /* of the next line */
    uint64_t shard, n_shards;
    uint64_t n_skip; /* records that --resume found done */
    bool ended;      /* nothing more is read */
    struct decoding decoding;
    struct gpt2_generator *generator;
    struct bulk_record *first, **last;
    int n_records;
    size_t n_held; /* bytes of their lines */
    struct bulk_output out;
    struct progress progress;
    bool any_failed;
};

static void free_record(struct bulk_record *r) {
    for (int i = 0; i < r->n; i++)
        gpt2_completion_free(r->completions[i]);
    for (int i = 0; r->scores && i < r->n; i++)
        prompt_scores_free(&r->scores[i]);
    free(r->scores);
    free(r->completions);
    decoding_free(&r->own);
    record_free(&r->record);
    free(r);
}

static bool go_on(void *user, const float *logits) {
    return !signals_caught();
}

/* Makes completions of the record's prompts. Draws go on from prompt to prompt, as the numbers of
 * the choices do. */
static bool create_completions(struct job *job, struct bulk_record *r, struct gpt2_error *err) {
    struct record *record = &r->record;
    const struct bulk *b = job->bulk;
    struct gpt2_completion_options options;
    uint32_t n_samples = 0;
    r->decoding = &job->decoding;
    if (record->has_settings) {
        settings_resolve(&record->settings, gpt2_model_config(b->model));
        if (!decoding_create(&r->own, &record->settings, b->model, b->tokenizer, err))
            return false;
        r->decoding = &r->own;
    }
    r->completions = calloc((size_t)record->n_prompts, sizeof *r->completions);
    if (!r->completions)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    for (; r->n < record->n_prompts; r->n++) {
        const struct gpt2_ids *ids = &record->prompts[r->n];
        if (!decoding_options(r->decoding, ids, b->tokenizer, &options, err))
            return false;
        options.go_on = go_on;
        options.record = record->key;
        options.first_sample = n_samples;
        const struct gpt2_prompt prompt = {.ids = ids->data, .n_ids = (int)ids->len};
        r->completions[r->n] =
            gpt2_completion_create(b->model, b->tokenizer, &prompt, &options, err);
        if (!r->completions[r->n])
            return false;
        n_samples += (uint32_t)options.n_samples;
        if (n_samples > MAX_SAMPLES) {
            r->n++;
            return usage_error(err, "prompt: %d prompts have %d samples each: expected at most %d",
                               record->n_prompts, options.n_samples, MAX_SAMPLES);
        }
    }
    return true;
}

/* Reads the record and hands its prompts to the generator. *n_started is how many it has taken. */
static bool start_record(struct job *job, struct bulk_record *r, enum line_state state,
                         int *n_started) {
    const struct bulk *b = job->bulk;
    const struct buffer *line = &job->input.line;
    if (state == LINE_TOO_LONG) {
        buffer_format(&r->record.id, "%" PRIu64, job->number);
        return command_error(&r->err, GPT2_ERR_INPUT, NULL,
                             "a line of %zu bytes: expected at most %zu", job->input.n_bytes,
                             MAX_LINE);
    }
    if (!record_read(&r->record, line->data, line->len, job->is_json, job->number, b->settings,
                     b->tokenizer, &r->err) ||
        !create_completions(job, r, &r->err))
        return false;
    for (; *n_started < r->n; ++*n_started)
        if (!gpt2_completion_start(r->completions[*n_started], job->generator, &r->err))
            return false;
    return true;
}

/* Reads on to the next line that is ours. LINE_NONE: there is none, LINE_LATER: only without
 * `wait`, it is not there yet, LINE_FAILED: *err says why. */
static enum line_state next_line(struct job *job, bool wait, struct gpt2_error *err) {
    for (;; job->number++) {
        enum line_state state = line_reader_next(&job->input, wait, err);
        if (state == LINE_LATER)
            return state;
        if (state == LINE_NONE || state == LINE_FAILED) {
            job->ended = true;
            return state;
        }
        const struct buffer *line = &job->input.line;
        size_t blank = 0;
        while (blank < line->len && (line->data[blank] == ' ' || line->data[blank] == '\t'))
            blank++;
        if (!job->is_known && blank < line->len) {
            job->is_known = true;
            job->is_json = line->data[blank] == '{';
        }
        if ((job->is_json && blank == line->len) || job->number % job->n_shards != job->shard) {
            progress_read(&job->progress, job->input.n_bytes, false);
            continue;
        }
        if (job->n_skip == 0)
            return state;
        progress_read(&job->progress, job->input.n_bytes, true);
        if (--job->n_skip == 0 && !bulk_output_check(&job->out, line->data, line->len, job->is_json,
                                                     job->number, job->bulk, err)) {
            job->ended = true;
            return LINE_FAILED;
        }
    }
}

/* Takes the next record, if there is one. It is waited for only where nothing else is to be done,
 * as somebody may wait for our answer before writing it. False: the job cannot go on. */
static bool admit(struct job *job, bool *later, struct gpt2_error *err) {
    bool wait = !job->first && !gpt2_generator_busy(job->generator);
    enum line_state state = next_line(job, wait, err);
    *later = state == LINE_LATER;
    if (state == LINE_NONE || state == LINE_LATER || state == LINE_FAILED)
        return state != LINE_FAILED;
    struct bulk_record *r = calloc(1, sizeof *r);
    if (!r)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    *job->last = r;
    job->last = &r->next;
    job->n_records++;
    r->n_line = job->input.n_bytes;
    job->n_held += r->n_line < MAX_LINE ? r->n_line : MAX_LINE;
    int n_started = 0;
    r->failed = !start_record(job, r, state, &n_started);
    job->number++;
    // a record that failed is freed early: the generator must have nothing of it
    if (r->failed && (n_started > 0 || r->err.status == GPT2_ERR_MEMORY)) {
        *err = r->err;
        return false;
    }
    if (r->failed && job->bulk->options->fail_fast)
        job->ended = true; // what is before it is still finished
    return true;
}

static void print_error(struct buffer *line, const struct gpt2_error *err) {
    buffer_format(line, "{\"code\":\"%s\",\"message\":",
                  err->status == GPT2_ERR_USAGE   ? "invalid_option"
                  : err->status == GPT2_ERR_INPUT ? "invalid_record"
                                                  : "failed");
    buffer_json(line, err->message, strlen(err->message));
    buffer_format(line, "}");
}

static void print_record(const struct job *job, struct bulk_record *r, struct buffer *line) {
    const struct buffer *id = &r->record.id;
    bool batch = r->record.is_batch;
    buffer_format(line, batch ? "{\"custom_id\":" : "{\"id\":");
    buffer_append(line, id);
    if (r->failed) {
        buffer_format(line, batch ? ",\"response\":null,\"error\":" : ",\"error\":");
        print_error(line, &r->err);
        buffer_format(line, ",\"system_fingerprint\":\"%s\"}\n", job->out.fingerprint);
        return;
    }
    if (batch) {
        buffer_format(line, ",\"response\":{\"status_code\":200,\"body\":{\"id\":");
        buffer_append(line, id);
    }
    buffer_format(line, ",\"object\":\"text_completion\",\"model\":");
    buffer_json(line, job->bulk->model_name, strlen(job->bulk->model_name));
    buffer_format(line, ",\"system_fingerprint\":\"%s\"", job->out.fingerprint);
    completions_json(r->completions, r->scores, r->n, r->decoding, job->bulk->tokenizer, line);
    buffer_format(line, batch ? "}},\"error\":null}\n" : "}\n");
}

static uint64_t count_tokens(const struct bulk_record *r) {
    uint64_t n = 0;
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < gpt2_completion_count(r->completions[i]); k++)
            n += (uint64_t)gpt2_completion_get(r->completions[i], k).n_ids;
    return n;
}

/* Whether all texts of a record have ended; notes the failure of one. */
static bool is_done(struct bulk_record *r) {
    for (int i = 0; !r->failed && i < r->n; i++)
        if (!gpt2_completion_done(r->completions[i]))
            return false;
    for (int i = 0; !r->failed && i < r->n; i++) {
        const struct gpt2_error *failure = gpt2_completion_error(r->completions[i]);
        if (failure) {
            r->failed = true;
            r->err = *failure;
        }
    }
    return true;
}

/* Scores the prompts of a record that is done, where that is asked for. */
static bool score_prompts(const struct job *job, struct bulk_record *r) {
    const struct bulk *b = job->bulk;
    const struct settings *settings = r->decoding ? &r->decoding->settings : NULL;
    if (r->failed || !settings || !completion_wants_prompt(settings, b->tokenizer))
        return true;
    r->scores = calloc((size_t)r->n, sizeof *r->scores);
    if (!r->scores)
        return command_error(&r->err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    for (int i = 0; i < r->n; i++)
        if (!completion_score_prompt(&r->scores[i], r->completions[i], settings, b->model,
                                     b->tokenizer, b->runtime, b->kv, &r->err))
            return false;
    return true;
}

/* Writes the records at the head of the list that are done. */
static bool write_done(struct job *job, struct gpt2_error *err) {
    while (job->first && is_done(job->first)) {
        struct bulk_record *r = job->first;
        r->failed = !score_prompts(job, r) || r->failed;
        // memory may be there the next time: --resume reads this record again
        if (r->failed && r->err.status == GPT2_ERR_MEMORY) {
            *err = r->err;
            return false;
        }
        struct buffer line = {0};
        print_record(job, r, &line);
        bool ok = line.failed
                      ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a line")
                      : bulk_output_line(&job->out, line.data, line.len, err);
        buffer_free(&line);
        if (!ok)
            return false;
        job->any_failed |= r->failed;
        progress_read(&job->progress, r->n_line, false);
        progress_done(&job->progress, r->failed, count_tokens(r));
        bool last = r->failed && job->bulk->options->fail_fast;
        job->first = r->next;
        job->n_records--;
        job->n_held -= r->n_line < MAX_LINE ? r->n_line : MAX_LINE;
        if (!job->first)
            job->last = &job->first;
        free_record(r);
        if (last) {
            job->ended = true;
            return true;
        }
    }
    return true;
}

static bool work(struct job *job, struct gpt2_error *err) {
    int window = 4 * job->bulk->max_samples;
    while (!signals_caught()) {
        bool later = false;
        while (!later && !job->ended && !signals_caught() && job->n_records < window &&
               job->n_held < MAX_HELD && gpt2_generator_room(job->generator) > 0)
            if (!admit(job, &later, err))
                return false;
        if (gpt2_generator_busy(job->generator) && !gpt2_generator_step(job->generator, err))
            return false;
        // after a signal a text may have ended early: nothing more is written
        if (signals_caught())
            break;
        if (!write_done(job, err))
            return false;
        progress_show(&job->progress);
        if (job->ended && (!job->first || (job->any_failed && job->bulk->options->fail_fast)))
            break;
    }
    return true;
}

static bool parse_shard(struct job *job, struct gpt2_error *err) {
    const char *text = job->bulk->options->shard;
    job->n_shards = 1;
    if (!text)
        return true;
    char rest;
    if (sscanf(text, "%" SCNu64 "/%" SCNu64 "%c", &job->shard, &job->n_shards, &rest) != 2 ||
        strchr(text, '-') || job->n_shards == 0 || job->shard >= job->n_shards)
        return usage_error(err, "--shard: expected I/N with I from 0 to N - 1, got \"%s\"", text);
    return true;
}

static bool open_job(struct job *job, struct gpt2_error *err) {
    const struct bulk_options *o = job->bulk->options;
    const struct gpt2_config *config = gpt2_model_config(job->bulk->model);
    if (!parse_shard(job, err))
        return false;
    job->is_known = o->format != INPUT_AUTO;
    job->is_json = o->format == INPUT_JSONL;
    if (!line_reader_open(&job->input, o->input, MAX_LINE, err))
        return false;
    struct settings settings = *job->bulk->settings;
    settings_resolve(&settings, config);
    job->generator = gpt2_generator_create(
        job->bulk->model, job->bulk->runtime,
        &(struct gpt2_generator_options){
            .max_samples = job->bulk->max_samples, .max_search = MAX_BEAMS, .kv = job->bulk->kv},
        err);
    if (!job->generator ||
        !decoding_create(&job->decoding, &settings, job->bulk->model, job->bulk->tokenizer, err))
        return false;
    return bulk_output_open(&job->out, job->bulk, &settings, job->input.input.fd, &job->n_skip,
                            err);
}

int bulk_run(const struct bulk *bulk) {
    struct job job = {.bulk = bulk, .input = {.input = {.fd = -1}}};
    struct gpt2_error err;
    job.last = &job.first;
    bool ok = open_job(&job, &err);
    if (ok) {
        signals_catch();
        job.progress = progress_begin(job.input.input.fd, job.n_skip, bulk->options->progress_json,
                                      bulk->options->quiet);
        ok = work(&job, &err);
        progress_end(&job.progress);
    }
    struct gpt2_error close_err;
    if (!bulk_output_close(&job.out, &close_err) && ok) {
        ok = false;
        err = close_err;
    }
    int code = ok                    ? job.any_failed || job.out.had_errors ? GPT2_ERR_RECORDS : 0
               : job.out.broken_pipe ? 128 + SIGPIPE
                                     : report(&err);
    if (ok && signals_caught())
        code = 128 + signals_caught();
    while (job.first) {
        struct bulk_record *next = job.first->next;
        free_record(job.first);
        job.first = next;
    }
    gpt2_generator_free(job.generator);
    decoding_free(&job.decoding);
    line_reader_close(&job.input);
    return code;
}
