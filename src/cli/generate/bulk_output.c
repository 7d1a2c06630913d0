/* bulk_output.c - what the lines of a bulk job look like, and what they depend on. */
#include "cli/generate/bulk_output.h"
#include "cli/command/fingerprint.h"

static const struct line_form form = {.starts = {"{\"id\":", "{\"custom_id\":"}, .space = ""};

static bool make_fingerprint(struct bulk_output *out, const struct bulk_job *job,
                             const struct settings *s, struct gpt2_error *err) {
    // every option that a record could set, so that a new one counts by itself
    struct settings settings = *s;
    struct option table[SETTINGS_MAX];
    settings_table(table, &settings);
    struct buffer text = {0};
    options_print(table, &text);
    buffer_format(&text, "input-format=%d\n", (int)job->options->format);
    bool ok = fingerprint_make(out->fingerprint, job->model, job->tokenizer, job->runtime, job->kv,
                               job->model_name, &text, err);
    buffer_free(&text);
    return ok;
}

bool bulk_output_open(struct bulk_output *out, const struct bulk_job *job,
                      const struct settings *settings, struct gpt2_error *err) {
    const struct line_request request = {.path = job->options->output,
                                         .resume = job->options->resume,
                                         .form = &form,
                                         .fingerprint = out->fingerprint};
    return make_fingerprint(out, job, settings, err) &&
           line_output_open(&out->lines, &request, err);
}

void bulk_output_mark(const struct bulk_output *out, uint64_t hash, struct buffer *line) {
    line_output_mark(line, &form, out->fingerprint, hash);
}
