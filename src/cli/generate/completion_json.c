/* completion_json.c - completions as OpenAI's API has them. */
#include "cli/generate/completion_json.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

/* A prompt and what its choices are written with. */
struct json_source {
    const struct gpt2_completion *completion;
    const struct settings *settings;
    const struct gpt2_tokenizer *tokenizer; /* or NULL */
    const int32_t *prompt;                  /* [n_prompt] */
    int n_prompt, n_read;
    const struct prompt_scores *scores; /* of the prompt; NULL: they are not wanted */
};

/* A token as JSON: what is no character by itself as its bytes. */
static void json_token(const struct json_source *from, struct buffer *out, int32_t id) {
    size_t n;
    const char *bytes = gpt2_tokenizer_token(from->tokenizer, id, &n);
    bool whole = true;
    for (size_t i = 0, len; whole && i < n; i += len) {
        len = utf8_length((const unsigned char *)bytes + i, n - i);
        whole = len > 0;
    }
    if (whole) {
        buffer_json(out, bytes, n);
        return;
    }
    buffer_format(out, "\"bytes:");
    for (size_t i = 0; i < n; i++)
        buffer_format(out, "\\\\x%02x", (unsigned char)bytes[i]);
    buffer_format(out, "\"");
}

static void add_bytes(const struct json_source *from, const int32_t *ids, int n_ids,
                      struct buffer *out) {
    for (int i = 0; i < n_ids; i++) {
        size_t n;
        const char *bytes = gpt2_tokenizer_token(from->tokenizer, ids[i], &n);
        buffer_bytes(out, bytes, n);
    }
}

/* The i-th token of prompt and text. */
static int32_t id_at(const struct json_source *from, const struct gpt2_sample *s, int i) {
    return i < from->n_read ? from->prompt[i] : s->ids[i - from->n_read];
}

/* Where each of the n tokens begins, after `skip` others: in characters, from the start of the
 * prompt, as OpenAI counts. Of a token that begins within a character it is that character's place.
 */
static void json_offsets(const struct json_source *from, const struct gpt2_sample *s, int skip,
                         int n, struct buffer *out) {
    struct buffer all = {0};
    size_t n_bytes, at = 0, n_characters = 0, start = 0;
    add_bytes(from, from->prompt, from->n_read, &all);
    add_bytes(from, s->ids, s->n_ids, &all);
    out->failed |= all.failed;
    for (int i = 0; i < skip + n && !all.failed; i++) {
        for (; at < start; n_characters++) {
            size_t len = utf8_length((const unsigned char *)all.data + at, all.len - at);
            at += len ? len : 1;
        }
        if (i >= skip)
            buffer_format(out, "%s%zu", i > skip ? "," : "",
                          at > start ? n_characters - 1 : n_characters);
        gpt2_tokenizer_token(from->tokenizer, id_at(from, s, i), &n_bytes);
        start += n_bytes;
    }
    buffer_free(&all);
}

static void json_top(const struct json_source *from, const struct gpt2_logprob *top, int n_top,
                     struct buffer *out) {
    buffer_format(out, "{");
    for (int i = 0; i < n_top; i++) {
        buffer_format(out, "%s", i ? "," : "");
        json_token(from, out, top[i].id);
        buffer_format(out, ":%.9g", top[i].logprob);
    }
    buffer_format(out, "}");
}

/* The alternatives to a token of the prompt, as of one that was generated. */
static void json_prompt_top(const struct json_source *from, int i, struct buffer *out) {
    const struct prompt_scores *scores = from->scores;
    struct gpt2_logprob top[100]; // --logprobs has at most so many
    for (int k = 0; k < scores->n_top; k++) {
        const struct gpt2_alternative *item = &scores->top[(i - 1) * scores->n_top + k];
        top[k] = (struct gpt2_logprob){.id = item->id, .logprob = item->logprob};
    }
    json_top(from, top, scores->n_top, out);
}

/* With the prompt's scores the lists begin with its tokens, the first of which has none. */
static void json_logprobs(const struct json_source *from, const struct gpt2_sample *s,
                          struct buffer *out) {
    int skip = from->scores ? 0 : from->n_read, n = from->n_read + s->n_ids;
    buffer_format(out, "{\"tokens\":[");
    for (int i = skip; i < n; i++) {
        buffer_format(out, "%s", i > skip ? "," : "");
        json_token(from, out, id_at(from, s, i));
    }
    buffer_format(out, "],\"token_logprobs\":[");
    for (int i = skip; i < n; i++) {
        buffer_format(out, "%s", i > skip ? "," : "");
        if (i >= from->n_read)
            buffer_format(out, "%.9g", s->logprobs[i - from->n_read]);
        else if (i > 0)
            buffer_format(out, "%.9g", from->scores->scores[i - 1].logprob);
        else
            buffer_format(out, "null");
    }
    buffer_format(out, "],\"top_logprobs\":[");
    for (int i = skip; i < n; i++) {
        size_t k = i < from->n_read ? 0 : (size_t)(i - from->n_read) * (size_t)s->n_top;
        buffer_format(out, "%s", i > skip ? "," : "");
        if (i >= from->n_read)
            json_top(from, s->n_top ? s->top + k : NULL, s->n_top, out);
        else if (i > 0)
            json_prompt_top(from, i, out);
        else
            buffer_format(out, "null");
    }
    buffer_format(out, "],\"text_offset\":[");
    json_offsets(from, s, skip, n - skip, out);
    buffer_format(out, "]}");
}

static void json_text(const struct json_source *from, const struct gpt2_sample *s,
                      struct buffer *out) {
    struct buffer text = {0};
    if (from->settings->echo && from->tokenizer)
        add_bytes(from, from->prompt, from->n_prompt, &text);
    buffer_bytes(&text, s->bytes, s->n_bytes);
    buffer_json(out, text.data, text.len);
    out->failed |= text.failed;
    buffer_free(&text);
}

static void json_finish(const struct settings *settings, const struct gpt2_sample *s,
                        struct buffer *out) {
    static const char *const untils[] = {"", "sentence", "line", "paragraph"};
    static const char *const reasons[] = {
        [GPT2_FINISH_EOS] = "stop",       [GPT2_FINISH_STOP] = "stop",
        [GPT2_FINISH_CHOICE] = "stop",    [GPT2_FINISH_LENGTH] = "length",
        [GPT2_FINISH_CONTEXT] = "length", [GPT2_FINISH_TIME] = "time",
        [GPT2_FINISH_STOPPED] = "abort",  [GPT2_FINISH_NONE] = "abort",
        [GPT2_FINISH_FAILED] = "abort"};
    buffer_format(out, ",\"finish_reason\":\"%s\",\"stop\":", reasons[s->finish]);
    if (s->finish == GPT2_FINISH_STOP) {
        const char *stop = s->stop >= 0 ? settings->stop.items[s->stop] : untils[settings->until];
        buffer_json(out, stop, strlen(stop));
    } else {
        buffer_format(out, s->finish == GPT2_FINISH_EOS ? "\"<|endoftext|>\"" : "null");
    }
}

static void json_choice(const struct json_source *from, const struct gpt2_sample *s, int index,
                        struct buffer *out) {
    buffer_format(out, "%s{\"index\":%d,\"text\":", index ? "," : "", index);
    json_text(from, s, out);
    buffer_format(out, ",\"token_ids\":[");
    for (int i = 0; i < s->n_ids; i++)
        buffer_format(out, "%s%" PRId32, i ? "," : "", s->ids[i]);
    buffer_format(out, "],\"logprobs\":");
    if (from->settings->logprobs >= 0 && from->tokenizer)
        json_logprobs(from, s, out);
    else
        buffer_format(out, "null");
    json_finish(from->settings, s, out);
    buffer_format(out, "}");
}

/* The best sample not yet given, by mean log-probability; of equals the first. */
static int best(const struct gpt2_completion *completion, const bool *given) {
    int found = -1;
    double most = 0;
    for (int i = 0; i < gpt2_completion_count(completion); i++) {
        struct gpt2_sample s = gpt2_completion_get(completion, i);
        double mean = s.n_ids ? s.sum / s.n_ids : -1e300;
        if (!given[i] && (found < 0 || mean > most)) {
            found = i;
            most = mean;
        }
    }
    return found;
}

int completion_chosen(const struct gpt2_completion *completion, const struct settings *settings,
                      int chosen[MAX_CHOSEN]) {
    bool given[MAX_CHOSEN] = {false};
    int n = gpt2_completion_count(completion), n_given = settings->num_samples;
    n_given = n_given < n ? n_given : n; // beams may find fewer
    for (int i = 0; i < n_given; i++) {
        chosen[i] = n > n_given ? best(completion, given) : i;
        given[chosen[i]] = true;
    }
    return n_given;
}

bool completion_wants_prompt(const struct settings *settings,
                             const struct gpt2_tokenizer *tokenizer) {
    return settings->echo && settings->logprobs >= 0 && tokenizer;
}

bool completion_score_prompt(struct prompt_scores *scores, const struct gpt2_completion *completion,
                             const struct settings *settings, const struct gpt2_model *model,
                             const struct gpt2_tokenizer *tokenizer, struct gpt2_runtime *runtime,
                             enum gpt2_kv kv, struct gpt2_error *err) {
    int n_prompt, n_read, rows = gpt2_model_config(model)->n_vocab;
    int size = gpt2_tokenizer_size(tokenizer), n_vocab = size < rows ? size : rows;
    const int32_t *ids = gpt2_completion_prompt(completion, &n_prompt, &n_read);
    const struct gpt2_scorer_options options = {
        .n_vocab = n_vocab,
        .n_top = settings->logprobs < n_vocab ? settings->logprobs : n_vocab,
        .kv = kv};
    return prompt_scores_make(scores, model, runtime, &options, ids, n_read, err);
}

/* Writes the choices of one prompt, the first as number `index`. Returns how many. */
static int json_choices(const struct json_source *from, int index, struct buffer *out) {
    int chosen[MAX_CHOSEN], n = completion_chosen(from->completion, from->settings, chosen);
    for (int i = 0; i < n; i++) {
        struct gpt2_sample sample = gpt2_completion_get(from->completion, chosen[i]);
        json_choice(from, &sample, index + i, out);
    }
    return n;
}

void completions_json(struct gpt2_completion *const *completions,
                      const struct prompt_scores *prompts, int n, const struct decoding *decoding,
                      const struct gpt2_tokenizer *tokenizer, struct buffer *out) {
    int index = 0;
    size_t n_tokens = 0, n_prompt = 0;
    buffer_format(out, ",\"choices\":[");
    for (int k = 0; k < n; k++) {
        struct json_source from = {.completion = completions[k],
                                   .settings = &decoding->settings,
                                   .tokenizer = tokenizer,
                                   .scores = prompts ? &prompts[k] : NULL};
        from.prompt = gpt2_completion_prompt(completions[k], &from.n_prompt, &from.n_read);
        index += json_choices(&from, index, out);
        for (int i = 0; i < gpt2_completion_count(completions[k]); i++)
            n_tokens += (size_t)gpt2_completion_get(completions[k], i).n_ids;
        n_prompt += (size_t)from.n_prompt;
    }
    buffer_format(
        out,
        "],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}"
        ",\"seed\":%" PRIu64,
        n_prompt, n_tokens, n_prompt + n_tokens, decoding->settings.seed.value);
}
