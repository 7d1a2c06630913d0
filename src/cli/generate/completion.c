/* completion.c - see completion.h. */
#include "cli/generate/completion.h"
#include "base/os.h"
#include "base/utf8.h"
#include "cli/generate/beams.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Cuts a prompt that is too long, or says so. */
static bool fit_prompt(struct completion *c, int n_ctx, struct gpt2_error *err) {
    size_t n = c->prompt.len, max = (size_t)n_ctx;
    if (n <= max)
        return true;
    if (c->decoding->settings.truncate == TRUNCATE_ERROR)
        return command_error(err, GPT2_ERR_INPUT, "shorten the prompt, or --truncate left",
                             "the prompt has %zu tokens, the model's context holds %d", n, n_ctx);
    if (c->decoding->settings.truncate == TRUNCATE_LEFT)
        memmove(c->prompt.data, c->prompt.data + (n - max), max * sizeof *c->prompt.data);
    c->prompt.len = max;
    return true;
}

static bool check_prompt(struct completion *c, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(c->model);
    for (size_t i = 0; i < c->prompt.len; i++)
        if (c->prompt.data[i] >= config->n_vocab)
            return command_error(err, GPT2_ERR_USAGE, NULL,
                                 "token id %" PRId32 ": the model's vocabulary ends at %d",
                                 c->prompt.data[i], config->n_vocab - 1);
    if (c->prompt.len > 0)
        return fit_prompt(c, config->n_ctx, err);
    if (config->bos_id < 0)
        return command_error(err, GPT2_ERR_INPUT, "give a prompt",
                             "the prompt is empty and the model has no token to start from");
    return gpt2_ids_push(&c->prompt, config->bos_id, err);
}

static bool create_sample(struct completion *c, struct sample *sample, struct gpt2_error *err) {
    const struct decoding *d = c->decoding;
    c->n_prompt = (int)c->prompt.len;
    if (d->healer) {
        sample->heal = gpt2_heal_begin(d->healer, c->prompt.data, (int)c->prompt.len, 1, err);
        if (!sample->heal)
            return false;
        c->n_prompt = gpt2_heal_kept(sample->heal);
    }
    if (d->stops && !(sample->stream = gpt2_stop_stream_create(d->stops, err)))
        return false;
    if (d->settings.beams > 1 || !gpt2_sampler_needs_history(d->sampler))
        return true; // beams have histories of their own
    sample->history = gpt2_history_create(d->sampler, err);
    return sample->history &&
           gpt2_history_push(sample->history, c->prompt.data, c->n_prompt, false, err);
}

bool completion_create(struct completion *c, const struct decoding *decoding,
                       const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                       struct gpt2_ids *prompt, uint64_t record, struct gpt2_error *err) {
    const struct settings *s = &decoding->settings;
    *c = (struct completion){.decoding = decoding,
                             .model = model,
                             .tokenizer = tokenizer,
                             .record = record,
                             .prompt = *prompt,
                             .wants_logprobs = s->logprobs >= 0 || s->best_of > s->num_samples,
                             .start_ns = os_now_ns()};
    *prompt = (struct gpt2_ids){0};
    c->choices = decoding_choices(decoding, &c->prompt, tokenizer);
    bool ok = check_prompt(c, err);
    if (ok && s->best_of && s->best_of < s->num_samples)
        ok = usage_error(err, "best-of: expected at least num-samples, %d, got %d", s->num_samples,
                         s->best_of);
    int n = s->best_of > s->num_samples ? s->best_of : s->num_samples;
    c->samples = ok ? calloc((size_t)n, sizeof *c->samples) : NULL;
    if (ok && !c->samples)
        ok = command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for %d samples", n);
    for (int i = 0; ok && i < n; i++) {
        c->n_samples++;
        ok = create_sample(c, &c->samples[i], err);
    }
    if (ok && s->beams > 1)
        ok = beams_create(c, err);
    if (!ok)
        completion_free(c);
    return ok;
}

void completion_keep(struct completion *c, int n) {
    while (c->n_samples > n) {
        struct sample *s = &c->samples[--c->n_samples];
        gpt2_history_free(s->history);
        gpt2_stop_stream_free(s->stream);
        gpt2_heal_free(s->heal);
        gpt2_ids_free(&s->ids);
        struct buffer *buffers[] = {&s->text, &s->tokens, &s->token_logprobs, &s->top_logprobs};
        for (size_t b = 0; b < sizeof buffers / sizeof *buffers; b++)
            buffer_free(buffers[b]);
    }
}

void completion_free(struct completion *c) {
    completion_keep(c, 0);
    gpt2_beams_free(c->beams);
    free(c->samples);
    gpt2_ids_free(&c->prompt);
    *c = (struct completion){0};
}

/* Whether a text ends with this id. Among choices the end token says which one is meant. */
static bool is_end(const struct completion *c, int32_t id) {
    const struct gpt2_config *config = gpt2_model_config(c->model);
    if (c->decoding->settings.goes_on && !c->choices)
        return false;
    for (int i = 0; i < config->n_eos; i++)
        if (config->eos_ids[i] == id)
            return true;
    return false;
}

/* A token as JSON, as OpenAI's completions had it: what is no character by itself as its bytes. */
static void json_token(const struct completion *c, struct buffer *out, int32_t id) {
    size_t n;
    const char *bytes = gpt2_tokenizer_token(c->tokenizer, id, &n);
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

/* Remembers how likely the model found `id`, and what else it had in mind. */
static void note_likelihood(struct completion *c, struct sample *s, int32_t id,
                            const struct likelihood *likelihood) {
    s->sum += likelihood->logprob;
    if (c->decoding->settings.logprobs < 0 || !c->tokenizer)
        return;
    const char *comma = s->ids.len > 1 ? "," : "";
    buffer_format(&s->tokens, "%s", comma);
    json_token(c, &s->tokens, id);
    buffer_format(&s->token_logprobs, "%s%.9g", comma, likelihood->logprob);
    buffer_format(&s->top_logprobs, "%s{", comma);
    for (int i = 0; i < likelihood->n_top; i++) {
        buffer_format(&s->top_logprobs, "%s", i ? "," : "");
        json_token(c, &s->top_logprobs, likelihood->top[i].id);
        buffer_format(&s->top_logprobs, ":%.9g", likelihood->top[i].logprob);
    }
    buffer_format(&s->top_logprobs, "}");
}

/* Draws the next id within what choices and healing allow. -1: there is none. */
static int32_t draw(struct completion *c, struct sample *s, const struct gpt2_turn *turn) {
    struct gpt2_draw draw = {.record = c->record,
                             .sample = (uint32_t)(c->first_sample + turn->sample),
                             .position = (uint32_t)turn->n_ids,
                             .history = s->history};
    if (s->heal)
        draw.allowed = gpt2_heal_allowed(s->heal, &draw.n_allowed);
    if (!draw.allowed && c->choices)
        draw.allowed = gpt2_choices_allowed(c->choices, s->place, &draw.n_allowed);
    return gpt2_sampler_next(c->decoding->sampler, turn->logits, draw);
}

bool completion_take(struct completion *c, int sample, int32_t id,
                     const struct likelihood *likelihood, bool *last) {
    struct sample *s = &c->samples[sample];
    struct gpt2_error *err = &c->err;
    size_t n = 0, n_new;
    const char *bytes = c->tokenizer ? gpt2_tokenizer_token(c->tokenizer, id, &n) : "";
    n_new = n;
    bool healing = s->heal && gpt2_heal_rest(s->heal, &n_new) && n_new > 0;
    n_new = n;
    if (healing && !gpt2_heal_step(s->heal, id, &n_new, err))
        return false;
    if (!healing && c->choices) {
        int left;
        s->place = gpt2_choices_step(c->choices, s->place, id);
        if (!gpt2_choices_allowed(c->choices, s->place, &left)) {
            s->finish = FINISH_CHOICE;
            *last = true;
        }
    }
    if (!gpt2_ids_push(&s->ids, id, err) ||
        (s->history && !gpt2_history_push(s->history, &id, 1, true, err)))
        return false;
    if (c->wants_logprobs)
        note_likelihood(c, s, id, likelihood);
    struct gpt2_shown shown = {.bytes = "", .stop = GPT2_STOP_NONE};
    if (s->stream && !gpt2_stop_stream_push(s->stream, bytes + (n - n_new), n_new, &shown, err))
        return false;
    buffer_bytes(&s->text, shown.bytes, shown.n_bytes);
    if (shown.stop != GPT2_STOP_NONE) {
        static const char *const untils[] = {"", "sentence", "line", "paragraph"};
        const struct settings *settings = &c->decoding->settings;
        s->stop = shown.stop >= 0 ? settings->stop.items[shown.stop] : untils[settings->until];
        s->finish = FINISH_STOP;
        *last = true;
    }
    struct shown_token token = {sample,      (int)s->ids.len - 1, id,
                                shown.bytes, shown.n_bytes,       likelihood->logprob};
    return !c->show || c->show(c->user, &token, err);
}

/* What the logits say about `id`; `top` has room for MAX_TOP. */
static struct likelihood measure(const struct completion *c, const float *logits, int32_t id,
                                 struct gpt2_logprob *top) {
    int n_vocab = gpt2_model_config(c->model)->n_vocab, n_top = c->decoding->settings.logprobs;
    double total = gpt2_logprobs_total(logits, n_vocab);
    struct likelihood likelihood = {.logprob = (double)logits[id] - total, .top = top};
    if (n_top > 0)
        likelihood.n_top = gpt2_logprobs_top(logits, n_vocab, total, top, n_top);
    return likelihood;
}

static int32_t choose(void *user, const struct gpt2_turn *turn, bool *last) {
    struct completion *c = user;
    struct sample *s = &c->samples[turn->sample];
    if (signals_caught()) {
        s->finish = FINISH_INTERRUPTED;
        return -1;
    }
    if (c->see)
        c->see(c->user, turn->logits);
    int32_t id = draw(c, s, turn);
    if (id < 0 || is_end(c, id)) {
        s->finish = FINISH_EOS;
        return -1;
    }
    struct gpt2_logprob top[MAX_TOP];
    struct likelihood likelihood = {0};
    if (c->wants_logprobs)
        likelihood = measure(c, turn->logits, id, top);
    if (!completion_take(c, turn->sample, id, &likelihood, last)) {
        s->finish = FINISH_FAILED;
        return -1;
    }
    float max_time = c->decoding->settings.max_time;
    if (!*last && max_time > 0 && (double)(os_now_ns() - c->start_ns) * 1e-9 >= (double)max_time) {
        s->finish = FINISH_TIME;
        *last = true;
    }
    return id;
}

void completion_finish(struct completion *c, int sample) {
    struct sample *s = &c->samples[sample];
    if (!s->stream || s->finish == FINISH_STOP || s->finish == FINISH_FAILED)
        return;
    struct gpt2_shown shown;
    gpt2_stop_stream_end(s->stream, &shown);
    buffer_bytes(&s->text, shown.bytes, shown.n_bytes);
    struct shown_token rest = {
        .sample = sample, .id = -1, .bytes = shown.bytes, .n_bytes = shown.n_bytes};
    if (shown.n_bytes && c->show && !c->show(c->user, &rest, &c->err))
        s->finish = FINISH_FAILED;
}

bool completion_context_full(struct completion *c) {
    if (c->decoding->settings.overflow != OVERFLOW_ERROR)
        return true;
    return command_error(&c->err, GPT2_ERR_INPUT, "--on-overflow stop or slide",
                         "the context of %d tokens is full", gpt2_model_config(c->model)->n_ctx);
}

static void ended(void *user, int sample, enum gpt2_end end) {
    struct completion *c = user;
    struct sample *s = &c->samples[sample];
    c->n_ended++;
    if (end == GPT2_END_LIMIT)
        s->finish = FINISH_LENGTH;
    if (end == GPT2_END_CONTEXT)
        s->finish = completion_context_full(c) ? FINISH_CONTEXT : FINISH_FAILED;
    completion_finish(c, sample);
}

bool completion_start(struct completion *c, struct gpt2_generator *generator,
                      struct gpt2_error *err) {
    const struct settings *s = &c->decoding->settings;
    if (s->max_tokens == 0) {
        for (int i = 0; i < c->n_samples; i++)
            c->samples[i].finish = FINISH_LENGTH;
        c->n_ended = c->n_samples;
        return true;
    }
    if (c->beams)
        return gpt2_beams_start(c->beams, generator, c->prompt.data, (int)c->prompt.len, err);
    struct gpt2_job job = {.ids = c->prompt.data,
                           .n_ids = c->n_prompt,
                           .n_samples = c->n_samples,
                           .max_tokens = s->max_tokens < 0 ? INT_MAX : s->max_tokens,
                           .overflow = s->overflow == OVERFLOW_SLIDE ? GPT2_OVERFLOW_SLIDE
                                                                     : GPT2_OVERFLOW_STOP,
                           .keep = s->keep,
                           .session = c->session,
                           .user = c,
                           .choose = choose,
                           .ended = ended};
    return gpt2_generator_add(generator, &job, err);
}

bool completion_done(const struct completion *c) {
    return c->n_ended == c->n_samples;
}

bool completion_failed(const struct completion *c) {
    for (int i = 0; i < c->n_samples; i++)
        if (c->samples[i].finish == FINISH_FAILED)
            return true;
    return false;
}

/* The best sample not yet given, by mean log-probability; of equals the first. */
static int best(const struct completion *c, const bool *given) {
    int found = -1;
    double most = 0;
    for (int i = 0; i < c->n_samples; i++) {
        const struct sample *s = &c->samples[i];
        double mean = s->ids.len ? s->sum / (double)s->ids.len : -1e300;
        if (!given[i] && (found < 0 || mean > most)) {
            found = i;
            most = mean;
        }
    }
    return found;
}

/* Where each token begins: in characters, from the start of the prompt, as OpenAI counts. Of a
 * token that begins within a character it is that character's place. */
static void json_offsets(const struct completion *c, const struct sample *s, struct buffer *out) {
    struct buffer all = {0};
    size_t n, at = 0, n_characters = 0, start = 0;
    for (int i = 0; i < c->n_prompt; i++) {
        const char *bytes = gpt2_tokenizer_token(c->tokenizer, c->prompt.data[i], &n);
        buffer_bytes(&all, bytes, n);
    }
    start = all.len;
    for (size_t i = 0; i < s->ids.len; i++) {
        const char *bytes = gpt2_tokenizer_token(c->tokenizer, s->ids.data[i], &n);
        buffer_bytes(&all, bytes, n);
    }
    out->failed |= all.failed;
    for (size_t i = 0; i < s->ids.len && !all.failed; i++) {
        for (; at < start; n_characters++) {
            size_t len = utf8_length((const unsigned char *)all.data + at, all.len - at);
            at += len ? len : 1;
        }
        buffer_format(out, "%s%zu", i ? "," : "", at > start ? n_characters - 1 : n_characters);
        gpt2_tokenizer_token(c->tokenizer, s->ids.data[i], &n);
        start += n;
    }
    buffer_free(&all);
}

static void json_choice(const struct completion *c, const struct sample *s, int index,
                        struct buffer *out) {
    const struct settings *settings = &c->decoding->settings;
    buffer_format(out, "%s{\"index\":%d,\"text\":", index ? "," : "", index);
    struct buffer text = {0};
    if (settings->echo && c->tokenizer)
        for (size_t i = 0; i < c->prompt.len; i++) {
            size_t n;
            const char *bytes = gpt2_tokenizer_token(c->tokenizer, c->prompt.data[i], &n);
            buffer_bytes(&text, bytes, n);
        }
    buffer_append(&text, &s->text);
    buffer_json(out, text.data, text.len);
    out->failed |= text.failed;
    buffer_free(&text);
    buffer_format(out, ",\"token_ids\":[");
    for (size_t i = 0; i < s->ids.len; i++)
        buffer_format(out, "%s%" PRId32, i ? "," : "", s->ids.data[i]);
    buffer_format(out, "],\"logprobs\":");
    if (settings->logprobs >= 0 && c->tokenizer) {
        const struct buffer *lists[] = {&s->tokens, &s->token_logprobs, &s->top_logprobs};
        static const char *const names[] = {"tokens", "token_logprobs", "top_logprobs"};
        for (int i = 0; i < 3; i++) {
            buffer_format(out, "%s\"%s\":[", i ? "," : "{", names[i]);
            buffer_append(out, lists[i]);
            buffer_format(out, "]");
        }
        buffer_format(out, ",\"text_offset\":[");
        json_offsets(c, s, out);
        buffer_format(out, "]}");
    } else {
        buffer_format(out, "null");
    }
    bool stopped =
        s->finish == FINISH_EOS || s->finish == FINISH_STOP || s->finish == FINISH_CHOICE;
    buffer_format(out, ",\"finish_reason\":\"%s\",\"stop\":", stopped ? "stop" : "length");
    if (s->finish == FINISH_STOP)
        buffer_json(out, s->stop, strlen(s->stop));
    else
        buffer_format(out, s->finish == FINISH_EOS ? "\"<|endoftext|>\"" : "null");
    buffer_format(out, "}");
}

void completions_json(const struct completion *completions, int n, struct buffer *out) {
    int index = 0;
    size_t n_tokens = 0, n_prompt = 0;
    buffer_format(out, ",\"choices\":[");
    for (int k = 0; k < n; k++) {
        const struct completion *c = &completions[k];
        bool given[4096] = {false};
        int n_given = c->decoding->settings.num_samples;
        n_given = n_given < c->n_samples ? n_given : c->n_samples; // beams may find fewer
        for (int i = 0; i < n_given; i++) {
            int at = c->n_samples > n_given ? best(c, given) : i;
            given[at] = true;
            json_choice(c, &c->samples[at], index++, out);
        }
        for (int i = 0; i < c->n_samples; i++)
            n_tokens += c->samples[i].ids.len;
        n_prompt += c->prompt.len;
    }
    buffer_format(
        out,
        "],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}"
        ",\"seed\":%" PRIu64,
        n_prompt, n_tokens, n_prompt + n_tokens, completions[0].decoding->settings.seed.value);
}
