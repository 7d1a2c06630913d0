/* completion.c - from a prompt to new text: what the caller asks for, as requests of a generator.
 */
#include <gpt2/completion.h>

#include "base/error_internal.h"
#include "base/os.h"
#include "decode/completion_internal.h"
#include "decode/generator_internal.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#define MAX_SAMPLES 4096
#define MAX_ROWS    512 /* tokens of a pass, where the prompt has so many */
#define MAX_BATCH   64  /* texts at once, in a generator of its own       */

static bool check_search(const struct gpt2_completion_options *o, struct gpt2_error *err) {
    if (o->n_beams > 1 && (o->n_samples > o->n_beams || o->session || o->speculation ||
                           o->overflow == GPT2_OVERFLOW_SLIDE || o->max_tokens == 0))
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: %d beams: expected no more texts than that, got %d, at least "
                         "one token, no session, no speculation and no sliding",
                         o->n_beams, o->n_samples);
    return true;
}

static bool check_options(const struct gpt2_completion_options *o, struct gpt2_error *err) {
    if (o->max_tokens < -1)
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: expected 0 or more tokens, or -1 (until the context is "
                         "full), got %d",
                         o->max_tokens);
    if (o->n_samples < 0 || o->n_samples > MAX_SAMPLES || o->n_beams < 0 || o->n_top < 0)
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: expected 0 to %d texts, and no negative number of beams and "
                         "likeliest ids, got %d, %d and %d",
                         MAX_SAMPLES, o->n_samples, o->n_beams, o->n_top);
    if (o->n_generated < 0 || o->n_generated > INT_MAX || (o->n_generated && o->n_beams > 1))
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: expected 0 or more generated ids, and none for a search, got "
                         "%" PRId64,
                         o->n_generated);
    if (!(o->max_time >= 0)) // NaN fails
        return error_set(err, GPT2_ERR_USAGE, "completion: expected a time of 0 or more, got %g",
                         (double)o->max_time);
    if ((int)o->truncate < 0 || o->truncate > GPT2_TRUNCATE_RIGHT || (int)o->overflow < 0 ||
        o->overflow > GPT2_OVERFLOW_ERROR)
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: truncate %d and overflow %d: expected %d to %d and %d to %d",
                         (int)o->truncate, (int)o->overflow, GPT2_TRUNCATE_ERROR,
                         GPT2_TRUNCATE_RIGHT, GPT2_OVERFLOW_STOP, GPT2_OVERFLOW_ERROR);
    if ((int)o->kv < 0 || o->kv > GPT2_KV_Q8)
        return error_set(err, GPT2_ERR_USAGE, "completion: kv %d: expected %d to %d", (int)o->kv,
                         GPT2_KV_AUTO, GPT2_KV_Q8);
    return check_search(o, err);
}

/* What the model has to do with them. */
static bool check_model(const struct gpt2_completion_options *o, const struct gpt2_config *config,
                        struct gpt2_error *err) {
    if (o->overflow == GPT2_OVERFLOW_SLIDE && (o->keep < 0 || o->keep >= config->n_ctx))
        return error_set(err, GPT2_ERR_USAGE, "completion: expected 0 to %d tokens to keep, got %d",
                         config->n_ctx - 1, o->keep);
    if (o->sampler && gpt2_sampler_vocab(o->sampler) > config->n_vocab)
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: expected a sampler of at most %d ids, as the model has, got "
                         "one of %d",
                         config->n_vocab, gpt2_sampler_vocab(o->sampler));
    if (o->session && (gpt2_model_config(gpt2_session_model(o->session)) != config ||
                       gpt2_session_capacity(o->session) < config->n_ctx))
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: expected a session of the model and of its %d tokens, got "
                         "one of %d",
                         config->n_ctx, gpt2_session_capacity(o->session));
    return true;
}

/* Checks ids[0..n) and copies what the context holds of them. */
static bool take_prompt(struct gpt2_completion *c, const int32_t *ids, size_t n,
                        struct gpt2_error *err) {
    const struct gpt2_config *config = c->config;
    const size_t max = (size_t)config->n_ctx;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= config->n_vocab)
            return error_set(err, GPT2_ERR_USAGE,
                             "token id %" PRId32 " is not in the vocabulary (0 to %d)", ids[i],
                             config->n_vocab - 1);
    if (n > max && c->options.truncate == GPT2_TRUNCATE_ERROR) {
        error_set(err, GPT2_ERR_INPUT, "the prompt has %zu tokens, the model's context holds %zu",
                  n, max);
        return error_hint(err, "shorten the prompt, or --truncate left --on-overflow slide");
    }
    const size_t first = n > max && c->options.truncate == GPT2_TRUNCATE_LEFT ? n - max : 0;
    const size_t end = n > max ? first + max : n;
    for (size_t i = first; i < end; i++)
        if (!gpt2_ids_push(&c->prompt, ids[i], err))
            return false;
    return true;
}

static bool make_prompt(struct gpt2_completion *c, const struct gpt2_prompt *prompt,
                        struct gpt2_error *err) {
    const struct gpt2_config *config = c->config;
    if (prompt->text && !c->tokenizer)
        return error_set(err, GPT2_ERR_USAGE, "prompt: expected ids without a tokenizer, got text");
    struct gpt2_ids encoded = {0};
    bool ok =
        !prompt->text || gpt2_tokenizer_encode(c->tokenizer, prompt->text, strlen(prompt->text),
                                               prompt->flags, &encoded, err);
    const int32_t *ids = prompt->text ? encoded.data : prompt->ids;
    const size_t n = prompt->text ? encoded.len : (size_t)(prompt->n_ids > 0 ? prompt->n_ids : 0);
    ok = ok && take_prompt(c, ids, n, err);
    gpt2_ids_free(&encoded);
    if (!ok || c->prompt.len > 0)
        return ok;
    if (config->bos_id >= 0)
        return gpt2_ids_push(&c->prompt, config->bos_id, err);
    error_set(err, GPT2_ERR_INPUT, "the prompt is empty and the model has no token to start from");
    return error_hint(err, "give a prompt");
}

void gpt2_completion_defaults(struct gpt2_sampler_options *o, const struct gpt2_config *config) {
    const struct gpt2_generation_config *said = &config->generation;
    gpt2_sampler_defaults(o, GPT2_COMPAT_NATIVE);
    o->greedy = said->do_sample == 0;
    const struct {
        float *to, from;
    } reals[] = {
        {&o->temperature, said->temperature},
        {&o->top_p, said->top_p},
        {&o->min_p, said->min_p},
        {&o->typical_p, said->typical_p},
        {&o->repeat_penalty, said->repetition_penalty},
    };
    const struct {
        int *to, from;
    } numbers[] = {
        {&o->top_k, said->top_k},
        {&o->last_n, said->repeat_last_n},
        {&o->no_repeat_ngram, said->no_repeat_ngram_size},
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (!isnan(reals[i].from))
            *reals[i].to = reals[i].from;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].from != GPT2_UNSAID)
            *numbers[i].to = numbers[i].from;
    o->eos_ids = config->eos_ids;
    o->n_eos = config->n_eos;
}

/* The sampler of a caller that has none. */
static bool make_sampler(struct gpt2_completion *c, struct gpt2_error *err) {
    struct gpt2_ids banned = {0};
    const bool ok = gpt2_tokenizer_lacks(c->tokenizer, c->config->n_vocab, &banned, err);
    struct gpt2_sampler_options o;
    gpt2_completion_defaults(&o, c->config);
    o.banned = banned.data;
    o.n_banned = (int)banned.len;
    o.ignore_eos = c->options.ignore_eos;
    if (ok)
        c->own_sampler = gpt2_sampler_create(&o, c->config->n_vocab, err);
    gpt2_ids_free(&banned);
    c->options.sampler = c->own_sampler;
    return c->own_sampler != NULL;
}

/* The texts, and what is needed to make them. */
static bool make_samples(struct gpt2_completion *c, struct gpt2_error *err) {
    struct gpt2_completion_options *o = &c->options;
    if (!o->sampler && !make_sampler(c, err))
        return false;
    if (!c->tokenizer)
        o->stops = NULL;
    else if (!o->stops)
        o->stops = c->own_stops = gpt2_stops_create(&(struct gpt2_stops_options){0}, err);
    c->samples = os_alloc((size_t)o->n_samples, sizeof *c->samples, "the texts of a prompt", err);
    c->top = os_alloc((size_t)o->n_top, sizeof *c->top, "the likeliest tokens", err);
    if ((c->tokenizer && !o->stops) || !c->samples || !c->top)
        return false;
    struct constraints_options options = {
        .sampler = o->n_beams > 1 ? NULL : o->sampler,
        .tokenizer = c->tokenizer,
        .stops = o->stops,
        .choices = o->choices,
        .healer = o->healer,
        .n_generated = (int)o->n_generated}; // beams have their own histories
    for (; c->n_samples < o->n_samples; c->n_samples++) {
        struct completion_sample *text = &c->samples[c->n_samples];
        if (!completion_sample_begin(text, &options, c->prompt.data, (int)c->prompt.len, &c->n_read,
                                     err)) {
            completion_sample_free(text);
            return false;
        }
        text->wants_logprobs = o->logprobs;
        text->n_top = o->n_top;
    }
    return completion_draft_begin(c, &options, err) &&
           (o->n_beams <= 1 || completion_search_create(c, err));
}

struct gpt2_completion *gpt2_completion_create(const struct gpt2_model *model,
                                               const struct gpt2_tokenizer *tokenizer,
                                               const struct gpt2_prompt *prompt,
                                               const struct gpt2_completion_options *options,
                                               struct gpt2_error *err) {
    if (!error_reserved(options->reserved, "gpt2_completion_options", err) ||
        !check_options(options, err) || !check_model(options, gpt2_model_config(model), err))
        return NULL;
    struct gpt2_completion *c = os_alloc(1, sizeof *c, "a completion", err);
    if (!c)
        return NULL;
    c->model = model;
    c->config = gpt2_model_config(model);
    c->tokenizer = tokenizer;
    c->options = *options;
    c->start_ns = os_now_ns();
    if (options->n_samples == 0)
        c->options.n_samples = 1;
    if (!options->logprobs)
        c->options.n_top = 0;
    else if (options->n_top > completion_rows(c))
        c->options.n_top = completion_rows(c);
    if (make_prompt(c, prompt, err) && make_samples(c, err))
        return c;
    gpt2_completion_free(c);
    return NULL;
}

void gpt2_completion_free(struct gpt2_completion *c) {
    if (!c)
        return;
    while (c->n_samples > 0)
        completion_sample_free(&c->samples[--c->n_samples]);
    constraints_free(&c->probe);
    gpt2_beams_free(c->beams);
    gpt2_sampler_free(c->own_sampler);
    gpt2_stops_free(c->own_stops);
    gpt2_ids_free(&c->prompt);
    os_free(c->top);
    os_free(c->samples);
    os_free(c);
}

/* What the logits say about a token, where that is wanted. */
static void measure(const struct gpt2_completion *c, const float *logits,
                    struct sample_token *token) {
    const int n_vocab = completion_rows(c), n_top = c->options.n_top;
    if (!c->options.logprobs)
        return;
    double total = gpt2_logprobs_total(logits, n_vocab);
    token->logprob = (double)logits[token->id] - total;
    token->top = c->top;
    if (n_top > 0)
        gpt2_logprobs_top(logits, n_vocab, total, c->top, n_top);
}

static int32_t choose(void *user, const struct gpt2_step *step, bool *last) {
    struct gpt2_completion *c = user;
    const struct gpt2_completion_options *o = &c->options;
    enum gpt2_finish *finish = &c->samples[step->sample].finish;
    if (o->go_on && !o->go_on(o->user, step->logits)) {
        *finish = GPT2_FINISH_STOPPED;
        return -1;
    }
    struct sample_token token = {
        .id = completion_draw(c, &c->samples[step->sample].constraints, step)};
    if (token.id >= 0)
        measure(c, step->logits, &token);
    if (token.id < 0 || completion_ends_with(c, token.id)) {
        if (token.id >= 0)
            completion_sample_note_end(&c->samples[step->sample], &token);
        *finish = GPT2_FINISH_EOS;
        return -1;
    }
    if (!completion_append(c, step->sample, &token, last)) {
        *finish = GPT2_FINISH_FAILED;
        return -1;
    }
    if (!*last && completion_timed_out(c)) {
        *finish = GPT2_FINISH_TIME;
        *last = true;
    }
    return token.id;
}

static void ended(void *user, int sample, enum gpt2_end end) {
    static const enum gpt2_finish finishes[] = {
        [GPT2_END_CHOSEN] = GPT2_FINISH_NONE, // choose has set it
        [GPT2_END_LIMIT] = GPT2_FINISH_LENGTH,
        [GPT2_END_CONTEXT] = GPT2_FINISH_CONTEXT,
    };
    struct gpt2_completion *c = user;
    if (c->options.speculation)
        completion_draft_end(c, sample);
    completion_close(c, sample, finishes[end]);
}

static bool start(struct gpt2_completion *c, struct gpt2_generator *generator,
                  struct gpt2_error *err) {
    const struct gpt2_completion_options *o = &c->options;
    if (o->max_tokens == 0) {
        for (int i = 0; i < c->n_samples; i++)
            completion_close(c, i, GPT2_FINISH_LENGTH);
        return true;
    }
    if (c->beams)
        return gpt2_beams_start(c->beams, generator, c->prompt.data, (int)c->prompt.len, err);
    return gpt2_generator_add(
        generator,
        &(struct gpt2_request){.ids = c->prompt.data,
                               .n_ids = c->n_read,
                               .n_samples = c->n_samples,
                               .max_tokens = o->max_tokens < 0 ? INT_MAX : o->max_tokens,
                               .overflow = o->overflow,
                               .keep = o->keep,
                               .session = o->session,
                               .user = c,
                               .choose = choose,
                               .draft = o->speculation ? completion_draft : NULL,
                               .ended = ended},
        err);
}

bool gpt2_completion_start(struct gpt2_completion *c, struct gpt2_generator *generator,
                           struct gpt2_error *err) {
    if (c->started)
        return error_set(err, GPT2_ERR_USAGE,
                         "completion: it was started before, and makes its "
                         "texts once");
    if (!generator_is_of(generator, c->config, err))
        return false;
    return c->started = start(c, generator, err);
}

bool gpt2_completion_done(const struct gpt2_completion *c) {
    return c->n_ended == c->n_samples;
}

const struct gpt2_error *gpt2_completion_error(const struct gpt2_completion *c) {
    for (int i = 0; i < c->n_samples; i++)
        if (c->samples[i].finish == GPT2_FINISH_FAILED)
            return &c->err;
    return NULL;
}

/* A generator with no more activations than the prompt needs. */
static struct gpt2_generator *make_generator(const struct gpt2_completion *c,
                                             struct gpt2_runtime *runtime, struct gpt2_error *err) {
    int max_samples = c->n_samples < MAX_BATCH ? c->n_samples : MAX_BATCH;
    int max_rows = c->n_read < MAX_ROWS ? c->n_read : MAX_ROWS;
    if (c->options.n_beams > 1)
        max_samples = c->options.n_beams;
    const struct gpt2_speculation *speculation = c->options.speculation;
    const int max_draft = speculation ? gpt2_speculation_max_draft(speculation) : 0;
    const int least = max_samples + max_draft;
    struct gpt2_generator_options options = {.max_samples = max_samples,
                                             .max_rows = max_rows > least ? max_rows : least,
                                             .max_draft = max_draft,
                                             .kv = c->options.kv};
    return gpt2_generator_create(c->model, runtime, &options, err);
}

bool gpt2_completion_run(struct gpt2_completion *c, struct gpt2_runtime *runtime,
                         struct gpt2_error *err) {
    struct gpt2_runtime *own = runtime ? NULL : gpt2_runtime_create(NULL, err);
    struct gpt2_generator *generator = NULL;
    if (runtime || own)
        generator = make_generator(c, runtime ? runtime : own, err);
    bool ok = generator && gpt2_completion_start(c, generator, err);
    while (ok && !gpt2_completion_done(c))
        ok = gpt2_generator_step(generator, err);
    gpt2_generator_free(generator);
    gpt2_runtime_free(own);
    const struct gpt2_error *failure = gpt2_completion_error(c);
    if (ok && failure && err)
        *err = *failure;
    return ok && !failure;
}

bool gpt2_complete(const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                   struct gpt2_runtime *runtime, const struct gpt2_prompt *prompt,
                   const struct gpt2_completion_options *options, struct gpt2_error *err) {
    struct gpt2_completion *c = gpt2_completion_create(model, tokenizer, prompt, options, err);
    bool ok = c && gpt2_completion_run(c, runtime, err);
    gpt2_completion_free(c);
    return ok;
}

const int32_t *gpt2_completion_prompt(const struct gpt2_completion *c, int *n_ids, int *n_read) {
    *n_ids = (int)c->prompt.len;
    *n_read = c->n_read;
    return c->prompt.data;
}

int gpt2_completion_count(const struct gpt2_completion *c) {
    return c->n_samples;
}

struct gpt2_sample gpt2_completion_get(const struct gpt2_completion *c, int i) {
    const struct completion_sample *text = &c->samples[i];
    return (struct gpt2_sample){
        .ids = text->ids.data,
        .n_ids = (int)text->ids.len,
        .bytes = text->bytes.data ? text->bytes.data : "",
        .n_bytes = text->bytes.len,
        .finish = text->finish,
        .stop = text->stop,
        .logprobs = (const void *)text->logprobs.data,
        .top = (const void *)text->top.data,
        .n_top = c->options.n_top,
        .sum = text->sum,
    };
}

bool gpt2_completion_end_token(const struct gpt2_completion *c, int i, struct gpt2_logprob *end,
                               const struct gpt2_logprob **top) {
    const struct completion_sample *text = &c->samples[i];
    if (text->end < 0 || text->logprobs.failed || text->top.failed)
        return false;
    double logprob;
    memcpy(&logprob, text->logprobs.data + text->ids.len * sizeof logprob, sizeof logprob);
    *end = (struct gpt2_logprob){.id = text->end, .logprob = logprob};
    const struct gpt2_logprob *all = (const void *)text->top.data;
    *top = all ? all + text->ids.len * (size_t)text->n_top : NULL;
    return true;
}
