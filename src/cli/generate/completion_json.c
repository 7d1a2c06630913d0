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
    struct gpt2_logprob end;            /* the end id of the text at hand, if it has one */
    const struct gpt2_logprob *end_top;
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

/* The i-th token of prompt and text, and of the end id after them. */
static int32_t id_at(const struct json_source *from, const struct gpt2_sample *s, int i) {
    return i < from->n_read              ? from->prompt[i]
           : i < from->n_read + s->n_ids ? s->ids[i - from->n_read]
                                         : from->end.id;
}

/* Where each of the tokens [first, n) begins: in characters, from the start of the prompt, as
 * OpenAI counts. Of a token that begins within a character it is that character's place. */
static void json_offsets(const struct json_source *from, const struct gpt2_sample *s, int first,
                         int n, struct buffer *out) {
    struct buffer all = {0};
    size_t n_bytes, at = 0, n_characters = 0, start = 0;
    add_bytes(from, from->prompt, from->n_read, &all);
    add_bytes(from, s->ids, s->n_ids, &all);
    out->failed |= all.failed;
    for (int i = 0; i < n && !all.failed; i++) {
        for (; at < start; n_characters++) {
            size_t len = utf8_length((const unsigned char *)all.data + at, all.len - at);
            at += len ? len : 1;
        }
        if (i >= first)
            buffer_format(out, "%s%zu", i > first ? "," : "",
                          at > start ? n_characters - 1 : n_characters);
        gpt2_tokenizer_token(from->tokenizer, id_at(from, s, i), &n_bytes);
        start += n_bytes;
    }
    buffer_free(&all);
}

/* The digits from which the same double is read. */
static void json_logprob(double logprob, struct buffer *out) {
    buffer_format(out, "%.17g", logprob);
}

static void json_top(const struct json_source *from, const struct gpt2_logprob *top, int n_top,
                     struct buffer *out) {
    buffer_format(out, "{");
    for (int i = 0; i < n_top; i++) {
        buffer_format(out, "%s", i ? "," : "");
        json_token(from, out, top[i].id);
        buffer_format(out, ":");
        json_logprob(top[i].logprob, out);
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

/* The log-probability of the i-th token. */
static double logprob_at(const struct json_source *from, const struct gpt2_sample *s, int i) {
    const int k = i - from->n_read;
    return k < 0          ? from->scores->scores[i - 1].logprob
           : k < s->n_ids ? s->logprobs[k]
                          : from->end.logprob;
}

/* Of the tokens [first, n). The prompt's first one has none. */
static void json_logprobs(const struct json_source *from, const struct gpt2_sample *s, int first,
                          int n, struct buffer *out) {
    buffer_format(out, "{\"tokens\":[");
    for (int i = first; i < n; i++) {
        buffer_format(out, "%s", i > first ? "," : "");
        json_token(from, out, id_at(from, s, i));
    }
    buffer_format(out, "],\"token_logprobs\":[");
    for (int i = first; i < n; i++) {
        buffer_format(out, "%s", i > first ? "," : "");
        if (i > 0)
            json_logprob(logprob_at(from, s, i), out);
        else
            buffer_format(out, "null");
    }
    buffer_format(out, "],\"top_logprobs\":[");
    for (int i = first; i < n; i++) {
        const int k = i - from->n_read;
        buffer_format(out, "%s", i > first ? "," : "");
        if (k >= s->n_ids)
            json_top(from, from->end_top, s->n_top, out);
        else if (k >= 0)
            json_top(from, s->n_top ? s->top + (size_t)k * (size_t)s->n_top : NULL, s->n_top, out);
        else if (i > 0)
            json_prompt_top(from, i, out);
        else
            buffer_format(out, "null");
    }
    buffer_format(out, "],\"text_offset\":[");
    json_offsets(from, s, first, n, out);
    buffer_format(out, "]}");
}

static void json_text(const struct json_source *from, const struct gpt2_sample *s,
                      const struct choice_part *part, struct buffer *out) {
    struct buffer text = {0};
    if (part->begins && from->settings->echo && from->tokenizer)
        add_bytes(from, from->prompt, from->n_prompt, &text);
    buffer_bytes(&text, s->bytes + part->n_bytes, s->n_bytes - part->n_bytes);
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

static void json_part(struct json_source *from, int i, int index, const struct choice_part *part,
                      struct buffer *out) {
    const struct gpt2_sample s = gpt2_completion_get(from->completion, i);
    buffer_format(out, "{\"index\":%d,\"text\":", index);
    json_text(from, &s, part, out);
    buffer_format(out, ",\"token_ids\":[");
    for (int k = part->n_ids; k < s.n_ids; k++)
        buffer_format(out, "%s%" PRId32, k > part->n_ids ? "," : "", s.ids[k]);
    buffer_format(out, "],\"logprobs\":");
    if (from->settings->logprobs >= 0 && from->tokenizer) {
        const bool ended = part->ends && gpt2_completion_end_token(from->completion, i, &from->end,
                                                                   &from->end_top);
        json_logprobs(from, &s, part->begins && from->scores ? 0 : from->n_read + part->n_ids,
                      from->n_read + s.n_ids + ended, out);
    } else {
        buffer_format(out, "null");
    }
    if (part->ends)
        json_finish(from->settings, &s, out);
    else
        buffer_format(out, ",\"finish_reason\":null,\"stop\":null");
    buffer_format(out, "}");
}

static struct json_source source_of(const struct gpt2_completion *completion,
                                    const struct prompt_scores *scores,
                                    const struct settings *settings,
                                    const struct gpt2_tokenizer *tokenizer) {
    struct json_source from = {
        .completion = completion, .settings = settings, .tokenizer = tokenizer, .scores = scores};
    from.prompt = gpt2_completion_prompt(completion, &from.n_prompt, &from.n_read);
    return from;
}

void completion_part_json(const struct gpt2_completion *completion, int sample, int index,
                          const struct choice_part *part, const struct prompt_scores *scores,
                          const struct settings *settings, const struct gpt2_tokenizer *tokenizer,
                          struct buffer *out) {
    struct json_source from = source_of(completion, scores, settings, tokenizer);
    json_part(&from, sample, index, part, out);
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

struct usage completion_usage(const struct gpt2_completion *completion) {
    int n_prompt, n_read;
    gpt2_completion_prompt(completion, &n_prompt, &n_read);
    struct usage usage = {.n_prompt = (size_t)n_prompt};
    for (int i = 0; i < gpt2_completion_count(completion); i++)
        usage.n_tokens += (size_t)gpt2_completion_get(completion, i).n_ids;
    return usage;
}

void usage_json(const struct usage *usage, struct buffer *out) {
    buffer_format(out, "{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}",
                  usage->n_prompt, usage->n_tokens, usage->n_prompt + usage->n_tokens);
}

void completions_json(struct gpt2_completion *const *completions,
                      const struct prompt_scores *prompts, int n, const struct decoding *decoding,
                      const struct gpt2_tokenizer *tokenizer, struct buffer *out) {
    static const struct choice_part whole = {.begins = true, .ends = true};
    int index = 0, chosen[MAX_CHOSEN];
    struct usage usage = {0};
    buffer_format(out, ",\"choices\":[");
    for (int k = 0; k < n; k++) {
        struct json_source from =
            source_of(completions[k], prompts ? &prompts[k] : NULL, &decoding->settings, tokenizer);
        int n_chosen = completion_chosen(completions[k], &decoding->settings, chosen);
        for (int i = 0; i < n_chosen; i++, index++) {
            buffer_format(out, "%s", index ? "," : "");
            json_part(&from, chosen[i], index, &whole, out);
        }
        const struct usage more = completion_usage(completions[k]);
        usage.n_prompt += more.n_prompt;
        usage.n_tokens += more.n_tokens;
    }
    buffer_format(out, "],\"usage\":");
    usage_json(&usage, out);
    buffer_text(out, ",\"seed\":");
    settings_seed_json(&decoding->settings.seed, out);
}
