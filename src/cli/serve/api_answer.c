/* api_answer.c - writes completions, pieces of streams and errors as JSON. */
#include "cli/serve/api_answer.h"
#include "cli/generate/completion_json.h"
#include "cli/generate/record_error.h"

#include <string.h>

#define JSON "application/json"

const char api_no_memory[] = "{\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\","
                             "\"param\":null,\"code\":null}}\n";

static void put_string(struct buffer *out, const char *text) {
    if (text)
        buffer_json(out, text, strlen(text));
    else
        buffer_text(out, "null");
}

static void error_json(struct buffer *out, const char *type, const char *param, const char *code,
                       const char *message, const char *hint) {
    struct buffer whole = {0};
    buffer_text(&whole, message);
    if (hint && *hint)
        buffer_format(&whole, " (%s)", hint);
    buffer_text(out, "{\"error\":{\"message\":");
    buffer_json(out, whole.data, whole.len);
    buffer_text(out, ",\"type\":");
    put_string(out, type);
    buffer_text(out, ",\"param\":");
    put_string(out, param);
    buffer_text(out, ",\"code\":");
    put_string(out, code);
    buffer_text(out, "}}");
    out->failed |= whole.failed;
    buffer_free(&whole);
}

void api_refuse(struct http_exchange *x, unsigned status, const char *type, const char *param,
                const char *code, const char *message) {
    struct buffer body = {0};
    error_json(&body, type, param, code, message, NULL);
    buffer_byte(&body, '\n');
    http_answer(x, status, JSON, &body);
}

/* Whether `name` of a request is the option, or the member, that a message begins with. */
static bool is_meant(const struct option *table, const char *name, const char *message) {
    const struct option *option = options_find(table, name);
    const char *names[] = {name, option ? option->name : name};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(names[i]);
        if (!strncmp(message, names[i], n) && (message[n] == ':' || message[n] == ' '))
            return true;
    }
    return false;
}

/* The member of the request that a message is about; NULL: none in particular. */
static const char *param_of(const struct bulk_record *record, const char *message) {
    struct settings settings = settings_unset();
    struct option table[SETTINGS_MAX];
    const struct gpt2_field *field;
    settings_table(table, &settings);
    for (int i = 0; record && record->json && (field = gpt2_record_field(record->json, i));
         i += 1 + field->n_inside)
        if (is_meant(table, field->name, message))
            return field->name;
    return NULL;
}

static bool is_of_client(const struct gpt2_error *err) {
    return err->status == GPT2_ERR_USAGE || err->status == GPT2_ERR_INPUT;
}

void api_refuse_error(struct http_exchange *x, const struct gpt2_error *err,
                      const struct bulk_record *record) {
    struct buffer body = {0};
    const bool client = is_of_client(err);
    const struct gpt2_error worded = record_error(record, err);
    error_json(&body, client ? "invalid_request_error" : "server_error",
               client ? param_of(record, worded.message) : NULL, NULL, worded.message, worded.hint);
    buffer_byte(&body, '\n');
    http_answer(x, client ? 400 : err->status == GPT2_ERR_MEMORY ? 503 : 500, JSON, &body);
}

static void put_head(const struct api_request *r, const char *model_name, struct buffer *out) {
    buffer_format(out, "{\"id\":\"%s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":",
                  r->id, (long long)r->created);
    put_string(out, model_name);
}

/* What was ignored. */
static void put_ignored(const struct api_request *r, struct buffer *out) {
    const struct buffer *ignored = &r->texts.record.ignored;
    if (!ignored->len)
        return;
    buffer_text(out, ",\"ignored\":[");
    buffer_append(out, ignored);
    buffer_byte(out, ']');
}

void api_answer(struct api_request *r, const char *model_name,
                const struct gpt2_tokenizer *tokenizer) {
    const struct record_texts *t = &r->texts;
    struct buffer body = {0};
    put_head(r, model_name, &body);
    completions_json(t->completions, t->scores, t->n, t->decoding, tokenizer, &body);
    put_ignored(r, &body);
    buffer_text(&body, "}\n");
    http_answer(r->x, 200, JSON, &body);
}

static void send_event(struct api_request *r, struct buffer *event) {
    buffer_text(event, "\n\n");
    if (event->failed)
        http_stream_end(r->x, false);
    else
        http_stream_send(r->x, event->data, event->len);
    buffer_free(event);
}

/* What is new of a sample, if there is something: bytes, tokens whose log-probabilities are wanted,
 * or its end. */
static void stream_sample(struct api_request *r, int prompt, int i, const char *model_name,
                          const struct gpt2_tokenizer *tokenizer) {
    const struct record_texts *t = &r->texts;
    const struct gpt2_completion *completion = t->completions[prompt];
    const struct settings *settings = &t->decoding->settings;
    const int index = prompt * r->n_each + i;
    struct sent_part *sent = &r->sent[index];
    if (sent->ended || i >= gpt2_completion_count(completion))
        return;
    const struct gpt2_sample s = gpt2_completion_get(completion, i);
    const struct choice_part part = {.n_ids = sent->n_ids,
                                     .n_bytes = sent->n_bytes,
                                     .begins = !sent->begun,
                                     .ends = s.finish != GPT2_FINISH_NONE};
    const bool echoes = part.begins && settings->echo;
    const bool is_more =
        s.n_bytes > part.n_bytes || echoes || (settings->logprobs >= 0 && s.n_ids > part.n_ids);
    if (!is_more && !part.ends)
        return;
    struct buffer event = {0};
    buffer_text(&event, "data: ");
    put_head(r, model_name, &event);
    buffer_text(&event, ",\"choices\":[");
    completion_part_json(completion, i, index, &part, t->scores ? &t->scores[prompt] : NULL,
                         settings, tokenizer, &event);
    buffer_text(&event, "],\"seed\":");
    settings_seed_json(&settings->seed, &event);
    if (r->includes_usage)
        buffer_text(&event, ",\"usage\":null");
    if (part.begins)
        put_ignored(r, &event);
    buffer_byte(&event, '}');
    send_event(r, &event);
    *sent = (struct sent_part){
        .n_ids = s.n_ids, .n_bytes = s.n_bytes, .begun = true, .ended = part.ends};
}

static void begin(struct api_request *r) {
    if (!r->began)
        http_stream_begin(r->x, "text/event-stream");
    r->began = true;
}

void api_stream(struct api_request *r, const char *model_name,
                const struct gpt2_tokenizer *tokenizer) {
    if (r->n_started == 0 || http_is_gone(r->x) || record_texts_to_score(&r->texts, tokenizer))
        return; // with the prompt's log-probabilities a stream begins when they are there
    begin(r);
    for (int prompt = 0; prompt < r->n_started; prompt++)
        for (int i = 0; i < r->n_each; i++)
            stream_sample(r, prompt, i, model_name, tokenizer);
}

void api_stream_end(struct api_request *r, const char *model_name) {
    struct usage usage = {0};
    for (int i = 0; i < r->texts.n; i++) {
        const struct usage more = completion_usage(r->texts.completions[i]);
        usage.n_prompt += more.n_prompt;
        usage.n_tokens += more.n_tokens;
    }
    struct buffer event = {0};
    begin(r);
    if (r->includes_usage) {
        buffer_text(&event, "data: ");
        put_head(r, model_name, &event);
        buffer_text(&event, ",\"choices\":[],\"usage\":");
        usage_json(&usage, &event);
        buffer_text(&event, "}\n\n");
    }
    buffer_text(&event, "data: [DONE]");
    send_event(r, &event);
    http_stream_end(r->x, true);
}

void api_stream_fail(struct api_request *r, const struct gpt2_error *err) {
    struct buffer event = {0};
    const struct gpt2_error worded = record_error(&r->texts.record, err);
    begin(r);
    buffer_text(&event, "data: ");
    error_json(&event, is_of_client(err) ? "invalid_request_error" : "server_error", NULL, NULL,
               worded.message, worded.hint);
    send_event(r, &event);
    http_stream_end(r->x, false);
}
