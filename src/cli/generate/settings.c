/* settings.c - the table of the options of a text, and what they are made into. */
#include "cli/generate/settings.h"
#include "cli/io/report.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct settings settings_unset(void) {
    return (struct settings){.max_tokens = INT_MIN,
                             .num_samples = INT_MIN,
                             .logprobs = -1,
                             .temperature = NAN,
                             .top_p = NAN,
                             .min_p = NAN,
                             .typical_p = NAN,
                             .repeat_penalty = NAN,
                             .presence_penalty = NAN,
                             .frequency_penalty = NAN,
                             .top_k = INT_MIN,
                             .repeat_last_n = INT_MIN,
                             .beams = 1,
                             .length_penalty = 1};
}

int settings_table(struct option *rows, struct settings *s) {
    static const char *const compats[] = {"native", "hf", "openai", "llama.cpp", "nanogpt", NULL};
    static const char *const overflows[] = {"stop", "slide", "error", NULL};
    static const char *const truncates[] = {"error", "left", "right", NULL};
    static const char *const untils[] = {"never", "sentence", "line", "paragraph", NULL};
    static const char *const early[] = {"false", "true", "never", NULL};
    const struct option table[] = {
        {.name = "Sampling (in this order: temperature, top-k, top-p, min-p, typical-p)",
         .type = OPTION_SECTION},
        {"temp", 0, "temperature", OPTION_FLOAT, &s->temperature, 0, 1e6, NULL, "F",
         "temperature (default 0.8); 0 is greedy"},
        {"top-k", 0, "k", OPTION_INT, &s->top_k, 0, INT_MAX, NULL, "K",
         "only the K likeliest tokens (default 40; 0: off)"},
        {"top-p", 0, NULL, OPTION_FLOAT, &s->top_p, 0, 1, NULL, "P",
         "only the likeliest tokens that together reach P\n(default 0.95; 1: off)"},
        {"min-p", 0, NULL, OPTION_FLOAT, &s->min_p, 0, 1, NULL, "P",
         "only tokens at least P times as likely as the\nlikeliest (default 0: off)"},
        {"typical-p", 0, "typical", OPTION_FLOAT, &s->typical_p, 0, 1, NULL, "P",
         "only tokens about as surprising as expected, that\ntogether reach P (default 1: off)"},
        {"greedy", 0, "no-sample", OPTION_FLAG, &s->greedy, 0, 0, NULL, NULL,
         "always the likeliest token, of equals the lowest id"},
        {"seed", 's', "random-seed", OPTION_SEED, &s->seed, 0, 0, NULL, "SEED",
         "a number (default 0; nanogpt: 1337), or \"random\" for\nanother text each time"},
        {"compat", 0, NULL, OPTION_CHOICE, &s->compat, 0, 0, compats, "SYSTEM",
         "rules and defaults of native, hf, openai, llama.cpp\nor nanogpt (default native); openai "
         "and nanogpt go on\nbehind <|endoftext|>"},
        {.name = "Repetition and bans", .type = OPTION_SECTION},
        {"repeat-penalty", 0, "repetition-penalty", OPTION_FLOAT, &s->repeat_penalty, 1e-3, 1e3,
         NULL, "F", "divides the logits of tokens seen lately (default 1:\noff)"},
        {"repeat-last-n", 0, NULL, OPTION_INT, &s->repeat_last_n, -1, INT_MAX, NULL, "N",
         "how far back penalties look (default 64; -1: all)"},
        {"presence-penalty", 0, NULL, OPTION_FLOAT, &s->presence_penalty, -1e3, 1e3, NULL, "F",
         "taken off the logits of tokens seen lately"},
        {"frequency-penalty", 0, NULL, OPTION_FLOAT, &s->frequency_penalty, -1e3, 1e3, NULL, "F",
         "the same, for each time they were seen"},
        {"no-repeat-ngram", 0, "no-repeat-ngram-size", OPTION_INT, &s->no_repeat_ngram, 0, INT_MAX,
         NULL, "N", "never the same N tokens in a row twice (default 0:\noff)"},
        {"logit-bias", 'l', NULL, OPTION_STRINGS, &s->bias, 0, 0, NULL, "ID+F",
         "added to a token's logit: 262-5 or ' the'-5; may be\nrepeated"},
        {"ban", 0, NULL, OPTION_STRINGS, &s->ban, 0, 0, NULL, "TEXT",
         "never this token, with a space in front or without;\nmay be repeated"},
        {.name = "Length", .type = OPTION_SECTION},
        {"max-tokens", 'n', "n-predict predict max-new-tokens length num-predict sample-len",
         OPTION_INT, &s->max_tokens, -1, INT_MAX, NULL, "N",
         "how many tokens at most (default 256; -1: until the\ncontext is full)"},
        {"min-tokens", 0, "min-new-tokens", OPTION_INT, &s->min_tokens, 0, INT_MAX, NULL, "N",
         "no end of text before so many tokens"},
        {"ignore-eos", 0, NULL, OPTION_FLAG, &s->ignore_eos, 0, 0, NULL, NULL,
         "never choose the token that ends a text"},
        {"stop", 0, "reverse-prompt stop-token stop-strings", OPTION_STRINGS, &s->stop, 0, 0, NULL,
         "TEXT", "end in front of this text; may be repeated"},
        {"include-stop", 0, NULL, OPTION_FLAG, &s->include_stop, 0, 0, NULL, NULL, "end behind it"},
        {"until", 0, NULL, OPTION_CHOICE, &s->until, 0, 0, untils, "WHAT",
         "end with the sentence, line or paragraph"},
        {"max-time", 0, NULL, OPTION_FLOAT, &s->max_time, 0, 1e9, NULL, "S",
         "end after so many seconds; the text then depends on\nthe machine"},
        {"on-overflow", 0, NULL, OPTION_CHOICE, &s->overflow, 0, 0, overflows, "WHAT",
         "where the context is full: stop (default), slide on,\nor error"},
        {"keep", 0, NULL, OPTION_INT, &s->keep, 0, INT_MAX, NULL, "N",
         "slide keeps the first N tokens and the later half of\nthe others (default 0)"},
        {"truncate", 0, NULL, OPTION_CHOICE, &s->truncate, 0, 0, truncates, "SIDE",
         "a prompt longer than the context: error (default), or\ncut its left or right end"},
        {.name = "Form", .type = OPTION_SECTION},
        {"num-samples", 0, "nsamples num-return-sequences n", OPTION_INT, &s->num_samples, 1, 4096,
         NULL, "N", "so many texts for the prompt (default 1)"},
        {"best-of", 0, NULL, OPTION_INT, &s->best_of, 0, 4096, NULL, "N",
         "make N texts, give those with the best mean\nlog-probability"},
        {"choices", 0, NULL, OPTION_STRING, &s->choices, 0, 0, NULL, "A,B,C",
         "the text is one of these"},
        {"heal", 0, "token-healing", OPTION_FLAG, &s->heal, 0, 0, NULL, NULL,
         "say the end of the prompt again where it may have cut\na token short"},
        {"special", 0, NULL, OPTION_FLAG, &s->special, 0, 0, NULL, NULL,
         "<|endoftext|> in the prompt is the special token;\nelse it is text like any other"},
        {"echo", 0, "display-prompt include-prefix return-full-text", OPTION_FLAG, &s->echo, 0, 0,
         NULL, NULL, "print the prompt first"},
        {"logprobs", 0, "n-probs top-logprobs", OPTION_INT, &s->logprobs, 0, 100, NULL, "N",
         "with --json: log-probabilities of the tokens and of\nthe N likeliest, of the unmodified "
         "logits"},
        {.name = "Beam search (in place of sampling)", .type = OPTION_SECTION},
        {"beams", 0, "num-beams", OPTION_INT, &s->beams, 1, MAX_BEAMS, NULL, "N",
         "the likeliest text, looking at N at a time (default\n1: off); --num-samples gives the "
         "best so many"},
        {"length-penalty", 0, NULL, OPTION_FLOAT, &s->length_penalty, -100, 100, NULL, "F",
         "above 0 favours long texts, below 0 short ones\n(default 1)"},
        {"early-stopping", 0, NULL, OPTION_CHOICE, &s->early_stopping, 0, 0, early, "WHEN",
         "false (default), true: when N texts have ended, never"},
        {0},
    };
    _Static_assert(sizeof table / sizeof *table <= SETTINGS_ROWS, "SETTINGS_ROWS is too small");
    memcpy(rows, table, sizeof table);
    return (int)(sizeof table / sizeof *table) - 1;
}

static void or_float(float *value, float otherwise) {
    if (isnan(*value))
        *value = otherwise;
}

static void or_int(int *value, int otherwise) {
    if (*value == INT_MIN)
        *value = otherwise;
}

/* False for a number that still is what settings_unset made it. */
static bool is_set(const struct option *o) {
    return o->type == OPTION_FLOAT ? !isnan(*(const float *)o->dest)
                                   : o->type != OPTION_INT || *(const int *)o->dest != INT_MIN;
}

/* Whether a number of the first section, which is about drawing, was given: Hugging Face draws
 * where it is told how, and is greedy otherwise. */
static bool told_how_to_draw(const struct option *table) {
    for (const struct option *o = table + 1; o->name && o->type != OPTION_SECTION; o++)
        if ((o->type == OPTION_FLOAT || o->type == OPTION_INT) && is_set(o))
            return true;
    return false;
}

void settings_resolve(struct settings *s, const struct gpt2_config *config) {
    struct gpt2_sampler_options o;
    gpt2_sampler_defaults(&o, (enum gpt2_compat)s->compat);
    struct gpt2_compat_habits habits =
        gpt2_compat_habits((enum gpt2_compat)s->compat, config->n_ctx);
    struct option table[SETTINGS_ROWS];
    settings_table(table, s);
    s->greedy = s->greedy || (o.greedy && !told_how_to_draw(table));
    or_float(&s->temperature, o.temperature);
    or_float(&s->top_p, o.top_p);
    or_float(&s->min_p, o.min_p);
    or_float(&s->typical_p, o.typical_p);
    or_float(&s->repeat_penalty, o.repeat_penalty);
    or_float(&s->presence_penalty, o.presence_penalty);
    or_float(&s->frequency_penalty, o.frequency_penalty);
    or_int(&s->top_k, o.top_k);
    or_int(&s->repeat_last_n, o.last_n);
    or_int(&s->max_tokens, habits.max_tokens);
    or_int(&s->num_samples, habits.num_samples);
    s->goes_on = !habits.ends_at_eos;
    if (!s->seed.is_set)
        s->seed.value = o.seed;
    for (const struct option *option = table; option->name; option++)
        assert(option->type == OPTION_SECTION || is_set(option)); // a new one has a default above
}

/* Ids that are never chosen: rows of wte that stand for no token, and --ban. */
static bool ban(struct decoding *d, int n_vocab, const struct gpt2_tokenizer *tokenizer,
                struct gpt2_error *err) {
    size_t n;
    for (int32_t id = 0; tokenizer && id < n_vocab; id++)
        if (!gpt2_tokenizer_token(tokenizer, id, &n) && !gpt2_ids_push(&d->banned, id, err))
            return false;
    for (int i = 0; i < d->settings.ban.n; i++) {
        const char *text = d->settings.ban.items[i];
        char spaced[256];
        if (!tokenizer || !*text || strlen(text) > sizeof spaced - 2)
            return usage_error(err, "--ban: expected a text of 1 to %d bytes",
                               (int)sizeof spaced - 2);
        int n_banned = 0;
        spaced[0] = ' ';
        memcpy(spaced + 1, text, strlen(text) + 1);
        for (int with_space = 0; with_space < 2; with_space++) {
            struct gpt2_ids ids = {0};
            const char *word = with_space ? spaced : text;
            bool ok = gpt2_tokenizer_encode(tokenizer, word, strlen(word), 0, &ids, err);
            if (ok && ids.len == 1)
                ok = gpt2_ids_push(&d->banned, ids.data[0], err);
            n_banned += ids.len == 1;
            gpt2_ids_free(&ids);
            if (!ok)
                return false;
        }
        if (n_banned == 0) // banning its first token would ban other words, too
            return usage_error(err, "--ban: \"%s\" is no single token, with or without a space",
                               text);
    }
    return true;
}

/* "262-5" or "' the'+2.5": the sign in front of the number ends the name. */
static bool parse_bias(const char *text, const struct gpt2_tokenizer *tokenizer, int n_vocab,
                       struct gpt2_bias *bias, struct gpt2_error *err) {
    const char *at = text;
    if (*text == '\'') {
        const char *close = strrchr(text, '\'');
        struct gpt2_ids ids = {0};
        if (close == text || !tokenizer)
            return usage_error(err, "--logit-bias: expected 'text'+F, got \"%.100s\"", text);
        if (!gpt2_tokenizer_encode(tokenizer, text + 1, (size_t)(close - text - 1), 0, &ids, err))
            return false;
        size_t n = ids.len;
        bias->id = n == 1 ? ids.data[0] : -1;
        gpt2_ids_free(&ids);
        if (n != 1)
            return usage_error(err, "--logit-bias: %.100s is %zu tokens, expected one", text, n);
        at = close + 1;
    } else {
        char *end;
        long id = strtol(text, &end, 10);
        if (end == text || id < 0 || id >= n_vocab)
            return usage_error(
                err, "--logit-bias: expected ID+F with an id from 0 to %d, got \"%.100s\"",
                n_vocab - 1, text);
        bias->id = (int32_t)id;
        at = end;
    }
    char *end;
    bias->bias = (*at == '+' || *at == '-') ? strtof(at, &end) : NAN;
    if (isnan(bias->bias) || *end || bias->bias > 1e6f)
        return usage_error(err, "--logit-bias: expected +F or -F behind the token, got \"%.100s\"",
                           text);
    return true;
}

static bool make_sampler(struct decoding *d, const struct gpt2_config *config,
                         const struct gpt2_tokenizer *tokenizer, struct gpt2_error *err) {
    const struct settings *s = &d->settings;
    struct gpt2_bias biases[64];
    for (int i = 0; i < s->bias.n; i++)
        if (!parse_bias(s->bias.items[i], tokenizer, config->n_vocab, &biases[i], err))
            return false;
    struct gpt2_sampler_options o;
    gpt2_sampler_defaults(&o, (enum gpt2_compat)s->compat);
    o.temperature = s->greedy ? 0 : s->temperature;
    o.greedy = s->greedy;
    o.top_k = s->top_k;
    o.top_p = s->top_p;
    o.min_p = s->min_p;
    o.typical_p = s->typical_p;
    o.seed = s->seed.value;
    o.banned = d->banned.data;
    o.n_banned = (int)d->banned.len;
    o.repeat_penalty = s->repeat_penalty;
    o.presence_penalty = s->presence_penalty;
    o.frequency_penalty = s->frequency_penalty;
    o.last_n = s->repeat_last_n;
    o.no_repeat_ngram = s->no_repeat_ngram;
    o.biases = biases;
    o.n_biases = s->bias.n;
    o.min_tokens = s->min_tokens;
    o.ignore_eos = s->ignore_eos;
    o.eos_ids = config->eos_ids;
    o.n_eos = config->n_eos;
    d->sampler = gpt2_sampler_create(&o, config->n_vocab, err);
    return d->sampler != NULL;
}

static bool make_stops(struct decoding *d, struct gpt2_error *err) {
    struct gpt2_stop strings[64];
    for (int i = 0; i < d->settings.stop.n; i++)
        strings[i] =
            (struct gpt2_stop){d->settings.stop.items[i], strlen(d->settings.stop.items[i])};
    d->stops =
        gpt2_stops_create(&(struct gpt2_stops_options){.strings = strings,
                                                       .n_strings = d->settings.stop.n,
                                                       .until = (enum gpt2_until)d->settings.until,
                                                       .include = d->settings.include_stop},
                          err);
    return d->stops != NULL;
}

static bool make_choices(struct decoding *d, const struct gpt2_config *config,
                         const struct gpt2_tokenizer *tokenizer, struct gpt2_error *err) {
    struct gpt2_choice list[256];
    struct gpt2_ids ids[256] = {{0}};
    int n = 0;
    bool ok = tokenizer || usage_error(err, "--choices: there is no tokenizer");
    for (const char *p = d->settings.choices; ok && p; n++) {
        size_t len = strcspn(p, ",");
        if (n == 256 || len == 0)
            ok = usage_error(err, "--choices: expected 1 to 256 texts, separated by commas");
        else
            ok = gpt2_tokenizer_encode(tokenizer, p, len, 0, &ids[n], err);
        if (!ok)
            break;
        list[n] = (struct gpt2_choice){ids[n].data, (int)ids[n].len};
        p = p[len] ? p + len + 1 : NULL;
    }
    if (ok)
        d->choices = gpt2_choices_create(list, n, config->n_eos ? config->eos_ids[0] : -1, err);
    for (int i = 0; i < 256; i++)
        gpt2_ids_free(&ids[i]);
    return d->choices != NULL;
}

/* What beam search cannot do, by name. */
static bool check_beams(const struct settings *s, struct gpt2_error *err) {
    if (s->beams == 1)
        return true;
    if (s->num_samples > s->beams)
        return command_error(err, GPT2_ERR_USAGE, "raise --beams, or lower --num-samples",
                             "--beams %d: expected no more samples than beams, got %d", s->beams,
                             s->num_samples);
    if (s->best_of)
        return command_error(err, GPT2_ERR_USAGE, "--num-samples gives the best beams",
                             "--beams goes without --best-of");
    if (s->max_tokens == 0)
        return command_error(err, GPT2_ERR_USAGE, NULL, "--beams: expected -n of at least 1");
    if (s->overflow == OVERFLOW_SLIDE)
        return command_error(err, GPT2_ERR_USAGE, "--on-overflow stop",
                             "--beams goes without --on-overflow slide");
    return true;
}

bool decoding_create(struct decoding *d, const struct settings *settings,
                     const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                     struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(model);
    *d = (struct decoding){.settings = *settings};
    bool ok = check_beams(settings, err) && ban(d, config->n_vocab, tokenizer, err) &&
              make_sampler(d, config, tokenizer, err);
    if (ok && tokenizer)
        ok = make_stops(d, err);
    else if (ok && (settings->stop.n || settings->until))
        ok = usage_error(err, "--stop and --until need text, there are only ids");
    if (ok && settings->choices)
        ok = make_choices(d, config, tokenizer, err);
    if (ok && settings->heal && tokenizer)
        ok = (d->healer = gpt2_healer_create(tokenizer, err)) != NULL;
    if (!ok)
        decoding_free(d);
    return ok;
}

void decoding_free(struct decoding *d) {
    gpt2_healer_free(d->healer);
    gpt2_choices_free(d->choices);
    gpt2_stops_free(d->stops);
    gpt2_sampler_free(d->sampler);
    gpt2_ids_free(&d->banned);
    *d = (struct decoding){0};
}
