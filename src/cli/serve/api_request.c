/* api_request.c - reads what a client asks for, and refuses what is not supported. */
#include "cli/serve/api_request.h"
#include "cli/io/report.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SLIDING (1 << 16) /* tokens of a text that is not bounded by the context */

/* What a request that says nothing else is: 16 tokens, drawn at temperature 1 from all of them, as
 * OpenAI's API has it, whatever the model recommends. */
static struct settings api_defaults(void) {
    struct settings s = settings_unset();
    gpt2_sampler_defaults(&s.sampler, GPT2_COMPAT_OPENAI); // of which only its numbers are kept
    s.max_tokens = 16;
    s.num_samples = 1;
    return s;
}

static bool read_bool(const struct gpt2_field *field, bool *value, struct gpt2_error *err) {
    if (!field || field->kind == GPT2_FIELD_NULL)
        return true;
    if (field->kind != GPT2_FIELD_BOOL)
        return usage_error(err, "%s: expected true or false, got %s", field->name,
                           gpt2_field_kind_name(field->kind));
    *value = !strcmp(field->text, "true");
    return true;
}

/* The members of the API that no text depends on. */
static const char *const api_members[] = {"model",  "stream", "stream_options",
                                          "suffix", "user",   NULL};

static bool read_stream_options(struct api_request *r, struct gpt2_error *err) {
    const struct gpt2_record *json = r->texts.record.json;
    const struct gpt2_field *field;
    for (int i = 0; (field = gpt2_record_field(json, i)); i += 1 + field->n_inside) {
        if (strcmp(field->name, "stream_options") != 0 || field->kind == GPT2_FIELD_NULL)
            continue;
        if (field->kind != GPT2_FIELD_OBJECT)
            return usage_error(err, "stream_options: expected an object, got %s",
                               gpt2_field_kind_name(field->kind));
        if (!r->streams)
            return usage_error(err, "stream_options: only with \"stream\": true");
        const struct gpt2_field *item;
        for (int k = i + 1; k <= i + field->n_inside; k += 1 + item->n_inside) {
            item = gpt2_record_field(json, k);
            if (!strcmp(item->name, "include_usage") && !read_bool(item, &r->includes_usage, err))
                return false;
        }
    }
    return true;
}

static bool read_members(struct api_request *r, const char *model_name, bool *no_model,
                         struct gpt2_error *err) {
    const struct bulk_record *record = &r->texts.record;
    const struct gpt2_field *model = bulk_record_member(record, "model");
    const struct gpt2_field *suffix = bulk_record_member(record, "suffix");
    if (model && model->kind != GPT2_FIELD_NULL && model->kind != GPT2_FIELD_STRING)
        return usage_error(err, "model: expected a string, got %s",
                           gpt2_field_kind_name(model->kind));
    if (model && model->kind != GPT2_FIELD_NULL && strcmp(model->text, model_name) != 0) {
        *no_model = true;
        return usage_error(err, "model: expected \"%s\", which is what this server has, got \"%s\"",
                           model_name, model->text);
    }
    if (suffix && *suffix->text)
        return usage_error(err, "suffix: GPT-2 cannot fill in, expected null");
    return read_bool(bulk_record_member(record, "stream"), &r->streams, err) &&
           read_stream_options(r, err);
}

/* What has no bound of its own, or cannot be streamed. */
static bool check(const struct api_request *r, struct gpt2_error *err) {
    const struct settings *s = &r->texts.record.settings;
    if (s->num_samples > API_MAX_SAMPLES)
        return usage_error(err, "n: expected at most %d, got %d", API_MAX_SAMPLES, s->num_samples);
    if (s->best_of > API_MAX_SAMPLES)
        return usage_error(err, "best_of: expected at most %d, got %d", API_MAX_SAMPLES,
                           s->best_of);
    if (s->overflow == GPT2_OVERFLOW_SLIDE && (s->max_tokens < 0 || s->max_tokens > MAX_SLIDING))
        return usage_error(err,
                           "max_tokens: expected at most %d with \"on_overflow\": \"slide\", got "
                           "%d",
                           MAX_SLIDING, s->max_tokens);
    if (r->streams && s->best_of > s->num_samples)
        return usage_error(err,
                           "best_of: the best of %d texts cannot be streamed before they have "
                           "ended: expected no best_of, or no stream",
                           s->best_of);
    return true;
}

static bool go_on(void *user, const float *logits) {
    return !http_is_gone(((const struct api_request *)user)->x);
}

static bool read_request(struct api_request *r, const char *body, size_t n, const char *model_name,
                         const struct text_maker *maker, bool *no_model, struct gpt2_error *err) {
    struct settings defaults = api_defaults();
    struct settings *s = &r->texts.record.settings;
    struct option table[SETTINGS_MAX];
    const struct prompt_encoder encoder = text_maker_encoder(maker);
    if (!bulk_record_read_request(&r->texts.record, body, n, api_members, &defaults, &encoder,
                                  err) ||
        !read_members(r, model_name, no_model, err) || !check(r, err))
        return false;
    settings_table(table, s);
    if (!s->seed.is_set && !options_set(table, "seed", "random", err))
        return false;
    if (!record_texts_create(&r->texts, maker, go_on, r, err))
        return false;
    r->n_each = s->num_samples;
    r->sent = calloc((size_t)r->texts.n * (size_t)r->n_each, sizeof *r->sent);
    return r->sent || command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a request");
}

struct api_request *api_request_create(const char *body, size_t n, const char *model_name,
                                       const struct text_maker *maker, bool *no_model,
                                       struct gpt2_error *err) {
    *no_model = false;
    struct api_request *r = calloc(1, sizeof *r);
    if (!r)
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a request");
    else if (read_request(r, body, n, model_name, maker, no_model, err))
        return r;
    api_request_free(r);
    return NULL;
}

void api_request_free(struct api_request *r) {
    if (!r)
        return;
    record_texts_free(&r->texts);
    free(r->sent);
    free(r);
}
