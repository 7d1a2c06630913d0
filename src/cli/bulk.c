/* bulk.c - the loop of a bulk job: read ahead, step, write what is done, in the order of the input.
 *
 *   input --> tasks in order [done, under way, under way, done, ...] --> output
 *
 * A task that is done waits for those in front of it. The list is bounded, so memory is, too. */
#include "cli/bulk.h"
#include "cli/bulk_output.h"
#include "cli/completion.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/record_settings.h"
#include "cli/report.h"
#include "cli/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_LINE ((size_t)16 << 20)

struct task {
    struct record record;
    struct decoding own; /* where the record has settings of its own */
    struct completion completion;
    bool failed;
    struct gpt2_error err;
    size_t n_line; /* bytes of its line */
    struct task *next;
};

struct job {
    const struct bulk *bulk;
    FILE *input;
    char *line;
    size_t line_cap, n_line; /* its memory, its bytes with the line feed */
    bool is_json, is_known;  /* what the input's first line looks like */
    uint64_t number;         /* of the next line */
    uint64_t shard, n_shards;
    uint64_t n_skip; /* records that --resume found done */
    bool ended;      /* nothing more is read */
    struct decoding decoding;
    struct gpt2_generator *generator;
    struct task *first, **last;
    int n_tasks;
    struct bulk_output out;
    struct progress progress;
    bool any_failed;
};

static void free_task(struct task *task) {
    completion_free(&task->completion);
    decoding_free(&task->own);
    record_free(&task->record);
    free(task);
}

/* Prepares a task for a line; what is wrong with the line is kept in the task. */
static void begin_task(struct job *job, struct task *task, size_t n) {
    const struct bulk *b = job->bulk;
    task->failed = true;
    if (n > MAX_LINE) {
        buffer_format(&task->record.id, "%" PRIu64, job->number);
        command_error(&task->err, GPT2_ERR_INPUT, NULL, "a line of %zu bytes: expected at most %zu",
                      n, MAX_LINE);
        return;
    }
    if (!record_read(&task->record, job->line, n, job->is_json, job->number, b->settings,
                     b->tokenizer, &task->err))
        return;
    const struct decoding *decoding = &job->decoding;
    if (task->record.has_settings) {
        settings_resolve(&task->record.settings, gpt2_model_config(b->model));
        if (!decoding_create(&task->own, &task->record.settings, b->model, b->tokenizer,
                             &task->err))
            return;
        decoding = &task->own;
    }
    task->failed = !completion_create(&task->completion, decoding, b->model, b->tokenizer,
                                      &task->record.prompt, task->record.key, &task->err) ||
                   !completion_start(&task->completion, job->generator, &task->err);
}

/* Reads on to the next line that is ours. False: there is none, or *err says why. */
static bool next_line(struct job *job, size_t *n, struct gpt2_error *err) {
    for (;; job->number++) {
        errno = 0;
        ssize_t got = getline(&job->line, &job->line_cap, job->input);
        if (got < 0) {
            job->ended = true;
            if (ferror(job->input) && !signals_caught())
                command_error(err, GPT2_ERR_INPUT, NULL, "cannot read %s: %s",
                              job->bulk->options->input, strerror(errno));
            return false;
        }
        *n = job->n_line = (size_t)got;
        while (*n > 0 && (job->line[*n - 1] == '\n' || job->line[*n - 1] == '\r'))
            --*n;
        size_t blank = 0;
        while (blank < *n && strchr(" \t", job->line[blank]) && job->line[blank])
            blank++;
        if (!job->is_known && blank < *n) {
            job->is_known = true;
            job->is_json = job->line[blank] == '{';
        }
        if ((job->is_json && blank == *n) || job->number % job->n_shards != job->shard) {
            progress_read(&job->progress, job->n_line, false);
            continue;
        }
        if (job->n_skip == 0)
            return true;
        progress_read(&job->progress, job->n_line, true);
        if (--job->n_skip == 0 && !bulk_output_check(&job->out, job->line, *n, job->is_json,
                                                     job->number, job->bulk, err)) {
            job->ended = true;
            return false;
        }
    }
}

/* Takes the next record. False: the job cannot go on. */
static bool admit(struct job *job, struct gpt2_error *err) {
    size_t n;
    err->status = GPT2_OK;
    if (!next_line(job, &n, err))
        return err->status == GPT2_OK;
    struct task *task = calloc(1, sizeof *task);
    if (!task)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    *job->last = task;
    job->last = &task->next;
    job->n_tasks++;
    task->n_line = job->n_line;
    begin_task(job, task, n);
    job->number++;
    if (task->failed && task->err.status == GPT2_ERR_MEMORY) {
        *err = task->err;
        return false;
    }
    if (task->failed && job->bulk->options->fail_fast)
        job->ended = true; // what is in front of it is still finished
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

static void print_task(const struct job *job, struct task *task, struct buffer *line) {
    const struct buffer *id = &task->record.id;
    bool batch = task->record.is_batch;
    buffer_format(line, batch ? "{\"custom_id\":" : "{\"id\":");
    buffer_bytes(line, id->data, id->len);
    if (task->failed) {
        buffer_format(line, batch ? ",\"response\":null,\"error\":" : ",\"error\":");
        print_error(line, &task->err);
        buffer_format(line, ",\"system_fingerprint\":\"%s\"}\n", job->out.fingerprint);
        return;
    }
    if (batch) {
        buffer_format(line, ",\"response\":{\"status_code\":200,\"body\":{\"id\":");
        buffer_bytes(line, id->data, id->len);
    }
    buffer_format(line, ",\"object\":\"text_completion\",\"model\":");
    buffer_json(line, job->bulk->model_name, strlen(job->bulk->model_name));
    buffer_format(line, ",\"system_fingerprint\":\"%s\"", job->out.fingerprint);
    completion_json(&task->completion, line);
    buffer_format(line, batch ? "}},\"error\":null}\n" : "}\n");
}

/* Writes the tasks at the head of the list that are done. */
static bool write_done(struct job *job, struct gpt2_error *err) {
    while (job->first && (job->first->failed || completion_done(&job->first->completion))) {
        struct task *task = job->first;
        if (!task->failed && completion_failed(&task->completion)) {
            task->failed = true;
            task->err = task->completion.err;
        }
        struct buffer line = {0};
        print_task(job, task, &line);
        bool ok = line.failed
                      ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a line")
                      : bulk_output_line(&job->out, line.data, line.len, err);
        buffer_free(&line);
        if (!ok)
            return false;
        job->any_failed |= task->failed;
        progress_read(&job->progress, task->n_line, false);
        progress_done(&job->progress, task->failed, &task->completion);
        bool last = task->failed && job->bulk->options->fail_fast;
        job->first = task->next;
        job->n_tasks--;
        if (!job->first)
            job->last = &job->first;
        free_task(task);
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
        while (!job->ended && !signals_caught() && job->n_tasks < window &&
               gpt2_generator_room(job->generator) > 0)
            if (!admit(job, err))
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
    job->input = strcmp(o->input, "-") ? fopen(o->input, "re") : stdin;
    if (!job->input)
        return command_error(err, GPT2_ERR_INPUT, NULL, "cannot open %s: %s", o->input,
                             strerror(errno));
    struct settings settings = *job->bulk->settings;
    settings_resolve(&settings, config);
    job->generator =
        gpt2_generator_create(job->bulk->model, job->bulk->runtime,
                              &(struct gpt2_generator_options){
                                  .max_samples = job->bulk->max_samples, .kv = job->bulk->kv},
                              err);
    if (!job->generator ||
        !decoding_create(&job->decoding, &settings, job->bulk->model, job->bulk->tokenizer, err))
        return false;
    return bulk_output_open(&job->out, job->bulk, &settings, fileno(job->input), &job->n_skip, err);
}

int bulk_run(const struct bulk *bulk) {
    struct job job = {.bulk = bulk};
    struct gpt2_error err;
    job.last = &job.first;
    bool ok = open_job(&job, &err);
    if (ok) {
        signals_catch();
        job.progress = progress_begin(fileno(job.input), job.n_skip, bulk->options->progress_json,
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
        struct task *next = job.first->next;
        free_task(job.first);
        job.first = next;
    }
    gpt2_generator_free(job.generator);
    decoding_free(&job.decoding);
    if (job.input && job.input != stdin)
        fclose(job.input);
    free(job.line);
    return code;
}
