/* settings.c - the table of the options of a text, and what they are made into. */
#include "cli/generate/settings.h"
#include "base/buffer.h"
#include "cli/command/option_rules.h"
#include "cli/io/report.h"
#include "cli/io/separator.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPAT_UNSET (-1)

/* The heading of the options of drawing, with the filters in their order. */
static const char *sampling_section(void) {
    static char text[256];
    int n = snprintf(text, sizeof text, "Sampling (in this order: temperature, top-k");
    for (size_t i = 0; gpt2_filter_at(i); i++)
        n += snprintf(text + n, sizeof text - (size_t)n, ", %s", gpt2_filter_at(i)->name);
    snprintf(text + n, sizeof text - (size_t)n, ")");
    return text;
}

static float *filter_value(struct settings *s, const struct gpt2_filter *filter) {
    return (float *)(void *)((char *)&s->sampler + filter->offset);
}

/* What sampling has no effect with: the likeliest token is chosen anyway, or beams are searched. */
#define GREEDY "greedy temp=0 "
#define BEAMS  "beams"

int settings_table(struct option *table, struct settings *s) {
    static const char *const compats[] = {"native", "hf", "openai", "llama.cpp", "nanogpt", NULL};
    static const char *const overflows[] = {"stop", "slide", "error", NULL};
    static const char *const truncates[] = {"error", "left", "right", NULL};
    static const char *const untils[] = {"never", "sentence", "line", "paragraph", NULL};
    static const char *const early[] = {"false", "true", "never", NULL};
    const struct option first[] = {
        OPT_SECTION(sampling_section()),
        OPT_FLOAT("temp", 0, &s->sampler.temperature, 0, 1e6, "F",
                  "temperature (default 0.8); 0 is greedy", .aliases = "temperature",
                  .not_with = "greedy " BEAMS),
        OPT_INT("top-k", 0, &s->sampler.top_k, 0, INT_MAX, "K",
                "only the K likeliest tokens (default 40; 0: off)", .aliases = "k",
                .not_with = GREEDY BEAMS),
    };
    const struct option rest[] = {
        OPT_FLAG("greedy", 0, &s->sampler.greedy,
                 "always the likeliest token, of equals the lowest id", .aliases = "no-sample",
                 .not_with = BEAMS),
        OPT_SEED("seed", 's', &s->seed, "SEED",
                 "a number (default 0; nanogpt: 1337), or \"random\" for\n"
                 "another text each time",
                 .aliases = "random-seed", .not_with = GREEDY BEAMS),
        OPT_CHOICE("compat", 0, &s->compat, compats, "SYSTEM",
                   "rules and defaults of native, hf, openai, llama.cpp\n"
                   "or nanogpt; openai and nanogpt go on after\n"
                   "<|endoftext|> (default native, with the defaults that\n"
                   "the model's generation_config.json recommends)"),
        OPT_SECTION("Repetition and bans"),
        OPT_FLOAT("repeat-penalty", 0, &s->sampler.repeat_penalty, 1e-3, 1e3, "F",
                  "divides the logits of tokens seen lately (default 1:\n"
                  "off)",
                  .aliases = "repetition-penalty"),
        OPT_INT("repeat-last-n", 0, &s->sampler.last_n, -1, INT_MAX, "N",
                "how far back penalties look (default 64; -1: all)"),
        OPT_FLOAT("presence-penalty", 0, &s->sampler.presence_penalty, -1e3, 1e3, "F",
                  "taken off the logits of tokens seen lately (default\n"
                  "0: off)"),
        OPT_FLOAT("frequency-penalty", 0, &s->sampler.frequency_penalty, -1e3, 1e3, "F",
                  "the same, for each time they were seen (default 0:\n"
                  "off)"),
        OPT_INT("no-repeat-ngram", 0, &s->sampler.no_repeat_ngram, 0, INT_MAX, "N",
                "never the same N consecutive tokens twice (default 0:\n"
                "off)",
                .aliases = "no-repeat-ngram-size"),
        OPT_STRINGS("logit-bias", 'l', &s->bias, "ID+F",
                    "added to a token's logit: 262-5 or ' the'-5; may be\n"
                    "repeated"),
        OPT_STRINGS("ban", 0, &s->ban, "TEXT",
                    "never this token, with a space in front or without;\n"
                    "may be repeated",
                    .flags = OPTION_ESCAPES),
        OPT_SECTION("Length"),
        OPT_INT("max-tokens", 'n', &s->max_tokens, -1, INT_MAX, "N",
                "how many tokens at most (default 256, or what the\n"
                "model recommends: gpt2 info; -1: until the context is\n"
                "full)",
                .aliases = "n-predict predict max-new-tokens length num-predict sample-len"),
        OPT_INT("min-tokens", 0, &s->sampler.min_tokens, 0, INT_MAX, "N",
                "no end of text, and none by --until, before so many\n"
                "tokens (default 0)",
                .aliases = "min-new-tokens", .not_with = "ignore-eos choices"),
        OPT_FLAG("ignore-eos", 0, &s->sampler.ignore_eos, "never choose the token that ends a text",
                 .not_with = "choices"),
        OPT_STRINGS("stop", 0, &s->stop, "TEXT", "end in front of this text; may be repeated",
                    .flags = OPTION_ESCAPES, .aliases = "reverse-prompt stop-token stop-strings"),
        OPT_FLAG("include-stop", 0, &s->include_stop, "end after it",
                 .needs = "stop until=sentence until=line until=paragraph"),
        OPT_CHOICE("until", 0, &s->until, untils, "WHAT",
                   "end with the sentence, line or paragraph (default\n"
                   "never)",
                   .not_with = "choices"),
        OPT_FLOAT("max-time", 0, &s->max_time, 0, 1e9, "S",
                  "end after so many seconds (default 0: no limit); the\n"
                  "text then depends on the machine"),
        OPT_CHOICE("on-overflow", 0, &s->overflow, overflows, "WHAT",
                   "where the context is full: stop (default), slide on,\n"
                   "or error"),
        OPT_INT("keep", 0, &s->keep, 0, INT_MAX, "N",
                "slide keeps the first N tokens and the later half of\n"
                "the others (default 0)",
                .needs = "on-overflow=slide"),
        OPT_CHOICE("truncate", 0, &s->truncate, truncates, "SIDE",
                   "a prompt longer than the context: error (default), or\n"
                   "cut its left or right end"),
        OPT_SECTION("Form"),
        OPT_INT("num-samples", 0, &s->num_samples, 1, 4096, "N",
                "so many texts for the prompt (default 1)",
                .aliases = "nsamples num-return-sequences n", .flags = OPTION_NOT_IN_SESSION),
        OPT_INT("best-of", 0, &s->best_of, 0, 4096, "N",
                "make N texts, give those with the best mean\n"
                "log-probability (default 0: as many as are given)",
                .flags = OPTION_NOT_IN_SESSION, .not_with = GREEDY "beams format=jsonl"),
        OPT_STRINGS("choices", 'c', &s->choices, "A,B,C",
                    "the text is one of these; may be repeated",
                    .flags = OPTION_ESCAPES | OPTION_LIST),
        OPT_STRING("separator", 0, &s->separator, "TEXT",
                   "what stands between prompt and choice (default: a\n"
                   "space, unless there is white space)",
                   .flags = OPTION_ESCAPES, .needs = "choices"),
        OPT_FLAG("heal", 0, &s->heal,
                 "say the end of the prompt again where it may have cut\n"
                 "a token short",
                 .aliases = "token-healing"),
        OPT_FLAG("special", 0, &s->special,
                 "<|endoftext|> in the prompt is the special token;\n"
                 "else it is text like any other (--compat hf: always)",
                 .not_with = "ids"),
        OPT_FLAG("echo", 0, &s->echo,
                 "print the prompt first; with --logprobs and --json its\n"
                 "tokens' log-probabilities, too",
                 .aliases = "display-prompt include-prefix return-full-text",
                 .flags = OPTION_NOT_IN_SESSION, .not_with = "format=jsonl"),
        OPT_INT("logprobs", 0, &s->logprobs, 0, 100, "N",
                "with --json or --jsonl: log-probabilities of the tokens\n"
                "and (--json) of the N likeliest, of the unmodified\n"
                "logits (default: none)",
                .aliases = "n-probs top-logprobs", .flags = OPTION_NOT_IN_SESSION,
                .needs = "format=json format=jsonl"),
        OPT_SECTION("Beam search (in place of sampling)"),
        OPT_INT("beams", 0, &s->beams, 1, MAX_BEAMS, "N",
                "the likeliest text, looking at N at a time (default\n"
                "1: off); --num-samples gives the best so many",
                .aliases = "num-beams"),
        OPT_FLOAT("length-penalty", 0, &s->length_penalty, -100, 100, "F",
                  "above 0 favours long texts, below 0 short ones\n"
                  "(default 1)",
                  .needs = "beams"),
        OPT_CHOICE("early-stopping", 0, &s->early_stopping, early, "WHEN",
                   "false (default), true: when N texts have ended, never", .needs = "beams"),
        OPT_END,
    };
    const int n_first = sizeof first / sizeof *first, n_rest = sizeof rest / sizeof *rest;
    int n = n_first;
    memcpy(table, first, sizeof first);
    for (const struct gpt2_filter *f; (f = gpt2_filter_at((size_t)(n - n_first))); n++)
        table[n] = (struct option)OPT_FLOAT(f->name, 0, filter_value(s, f), (double)f->min,
                                            (double)f->max, f->argument, f->help,
                                            .aliases = f->aliases, .not_with = GREEDY BEAMS);
    assert(n + n_rest <= SETTINGS_MAX);
    memcpy(table + n, rest, sizeof rest);
    return n + n_rest - 1;
}

/* True if an entry of a table sets a number of the sampler. */
static bool is_sampler_number(const struct option *o, const struct settings *s) {
    const char *dest = o->type == OPTION_FLOAT ? (const char *)o->dest.real
                       : o->type == OPTION_INT ? (const char *)o->dest.number
                                               : NULL;
    const char *sampler = (const char *)&s->sampler;
    return dest && dest >= sampler && dest < sampler + sizeof s->sampler;
}

struct settings settings_unset(void) {
    struct settings s = {.compat = COMPAT_UNSET,
                         .max_tokens = INT_MIN,
                         .num_samples = INT_MIN,
                         .logprobs = -1,
                         .beams = 1,
                         .length_penalty = 1};
    struct option table[SETTINGS_MAX];
    settings_table(table, &s);
    for (const struct option *o = table; o->name; o++) {
        if (is_sampler_number(o, &s) && o->type == OPTION_FLOAT)
            *o->dest.real = NAN;
        else if (is_sampler_number(o, &s))
            *o->dest.number = INT_MIN;
    }
    return s;
}

/* False for a number that still is what settings_unset made it. */
static bool is_set(const struct option *o) {
    return o->type == OPTION_FLOAT ? !isnan(*o->dest.real)
                                   : o->type != OPTION_INT || *o->dest.number != INT_MIN;
}

/* Whether a number of the first section, which is about drawing, was given: Hugging Face draws
 * where it is told how, and is greedy otherwise. */
static bool told_how_to_draw(const struct option *table) {
    for (const struct option *o = table + 1; o->name && o->type != OPTION_SECTION; o++)
        if ((o->type == OPTION_FLOAT || o->type == OPTION_INT) && is_set(o))
            return true;
    return false;
}

/* What a command line that says nothing means: the system's habits that --compat names, or else
 * what the model's files recommend, or else ours. */
static void find_defaults(struct gpt2_sampler_options *o, struct gpt2_compat_habits *habits,
                          const struct settings *s, const struct gpt2_config *config) {
    if (s->compat != COMPAT_UNSET) {
        gpt2_sampler_defaults(o, (enum gpt2_compat)s->compat);
        *habits = gpt2_compat_habits((enum gpt2_compat)s->compat, config->n_ctx);
        return;
    }
    gpt2_completion_defaults(o, config);
    *habits = gpt2_compat_habits(GPT2_COMPAT_NATIVE, config->n_ctx);
    if (config->generation.max_new_tokens != GPT2_UNSAID)
        habits->max_tokens = config->generation.max_new_tokens;
}

void settings_resolve(struct settings *s, const struct gpt2_config *config) {
    struct settings given = *s;
    struct option table[SETTINGS_MAX], given_table[SETTINGS_MAX];
    struct gpt2_compat_habits habits;
    settings_table(table, s);
    settings_table(given_table, &given);
    find_defaults(&s->sampler, &habits, &given, config);
    const bool greedy = s->sampler.greedy && !told_how_to_draw(given_table);
    s->max_tokens = habits.max_tokens;
    s->num_samples = habits.num_samples;
    for (int i = 0; table[i].name; i++) // what was given replaces the defaults
        if (option_is_shown(&table[i]) && is_set(&given_table[i]))
            options_copy(&table[i], &given_table[i]);
    s->sampler.greedy |= greedy;
    if (s->compat == COMPAT_UNSET)
        s->compat = GPT2_COMPAT_NATIVE;
    s->sampler.compat = (enum gpt2_compat)s->compat;
    if (!s->seed.is_set)
        s->seed.value = s->sampler.seed;
    s->sampler.seed = s->seed.value;
    s->goes_on = !habits.ends_at_eos;
    for (const struct option *o = table; o->name; o++)
        assert(!option_is_shown(o) || is_set(o)); // a new one has a default above
}

/* Whether an option says something: it is not what settings_unset has, whose entry is `unset`. */
static bool is_active(const struct option *o, const struct option *unset) {
    switch (o->type) {
    case OPTION_FLAG:
        return *o->dest.flag;
    case OPTION_INT:
    case OPTION_CHOICE:
        return *o->dest.number != *unset->dest.number;
    case OPTION_FLOAT:
        return !isnan(*o->dest.real) && *o->dest.real != *unset->dest.real;
    case OPTION_SEED:
        return o->dest.seed->is_set;
    case OPTION_STRING:
        return *o->dest.string != NULL;
    case OPTION_STRINGS:
        return o->dest.strings->n > 0;
    default:
        return false;
    }
}

bool settings_check_own(const struct option *table, uint64_t own, struct gpt2_error *err) {
    if (own == 0)
        return true;
    struct settings unset = settings_unset();
    struct option unset_table[SETTINGS_MAX];
    struct given_options given = {.is_record = true};
    settings_table(unset_table, &unset);
    for (int i = 0; table[i].name; i++) {
        given.entry[i] = is_active(&table[i], &unset_table[i]);
        given.passed[i] = !(own >> i & 1);
    }
    return given_check(&given, NULL, table, err);
}

bool settings_check_effects(const struct settings *given, const struct settings *resolved,
                            struct gpt2_error *err) {
    const struct gpt2_sampler_options *o = &resolved->sampler;
    const bool penalized =
        o->repeat_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0;
    if (given->sampler.last_n != INT_MIN && !penalized)
        return usage_error(err, "--repeat-last-n has an effect only with --repeat-penalty, "
                                "--presence-penalty or --frequency-penalty");
    return true;
}

void settings_seed_json(const struct seed *seed, struct buffer *out) {
    const char *quote = seed->value > SEED_MAX_NUMBER ? "\"" : "";
    buffer_format(out, "%s%" PRIu64 "%s", quote, seed->value, quote);
}

unsigned settings_encode_flags(const struct settings *s) {
    if (s->compat == GPT2_COMPAT_HF)
        return GPT2_ENCODE_SPECIAL | GPT2_ENCODE_DROP_UNKNOWN;
    return s->special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
}

bool settings_encode(const struct settings *s, int n_ctx, const struct gpt2_tokenizer *tokenizer,
                     const char *text, size_t n_bytes, struct gpt2_ids *ids,
                     struct gpt2_error *err) {
    size_t n_all;
    if (!gpt2_tokenizer_encode_some(tokenizer, text, n_bytes, settings_encode_flags(s),
                                    (size_t)n_ctx, s->truncate == GPT2_TRUNCATE_LEFT, ids, &n_all,
                                    err))
        return false;
    return n_all <= (size_t)n_ctx || s->truncate != GPT2_TRUNCATE_ERROR ||
           command_error(err, GPT2_ERR_INPUT,
                         "shorten the prompt, or --truncate left --on-overflow slide",
                         "the prompt has %zu tokens, the model's context holds %d", n_all, n_ctx);
}

/* Ids that are never chosen: rows of wte that stand for no token, and --ban. */
static bool ban(struct decoding *d, int n_vocab, const struct gpt2_tokenizer *tokenizer,
                struct gpt2_error *err) {
    if (!gpt2_tokenizer_lacks(tokenizer, n_vocab, &d->banned, err))
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
            bool ok =
                gpt2_tokenizer_encode(tokenizer, word, strlen(word), GPT2_ENCODE_PART, &ids, err);
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
        if (!gpt2_tokenizer_encode(tokenizer, text + 1, (size_t)(close - text - 1),
                                   GPT2_ENCODE_PART, &ids, err))
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
        size_t n;
        if (tokenizer && !gpt2_tokenizer_token(tokenizer, (int32_t)id, &n))
            return usage_error(err, "--logit-bias: token id %ld has no text and is never chosen",
                               id);
        bias->id = (int32_t)id;
        at = end;
    }
    char *end;
    bias->bias = (*at == '+' || *at == '-') ? strtof(at, &end) : NAN;
    if (isnan(bias->bias) || *end || bias->bias > 1e6f)
        return usage_error(err, "--logit-bias: expected +F or -F after the token, got \"%.100s\"",
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
    struct gpt2_sampler_options o = s->sampler;
    if (o.greedy)
        o.temperature = 0;
    o.banned = d->banned.data;
    o.n_banned = (int)d->banned.len;
    o.biases = biases;
    o.n_biases = s->bias.n;
    o.eos_ids = config->eos_ids;
    o.n_eos = config->n_eos;
    d->sampler = gpt2_sampler_create(&o, config->n_vocab, err);
    return d->sampler != NULL;
}

static bool make_stops(struct decoding *d, struct gpt2_error *err) {
    struct gpt2_stop strings[64];
    for (int i = 0; i < d->settings.stop.n; i++)
        if (!*d->settings.stop.items[i])
            return usage_error(err, "--stop: expected a text, got an empty one");
    for (int i = 0; i < d->settings.stop.n; i++)
        strings[i] =
            (struct gpt2_stop){d->settings.stop.items[i], strlen(d->settings.stop.items[i])};
    d->stops = gpt2_stops_create(
        &(struct gpt2_stops_options){.strings = strings,
                                     .n_strings = d->settings.stop.n,
                                     .until = (enum gpt2_until)d->settings.until,
                                     .until_tokens = (uint64_t)d->settings.sampler.min_tokens,
                                     .include = d->settings.include_stop},
        err);
    return d->stops != NULL;
}

/* The token ids of --choices. */
struct choice_list {
    struct gpt2_choice items[256];
    struct gpt2_ids ids[256];
    int n;
};

static bool add_choice(struct choice_list *list, const struct gpt2_tokenizer *tokenizer,
                       const char *separator, const char *text, size_t len,
                       struct gpt2_error *err) {
    const int cap = (int)(sizeof list->ids / sizeof *list->ids);
    if (list->n == cap || len == 0)
        return command_error(err, GPT2_ERR_USAGE, len ? NULL : "a comma of a choice is \\,",
                             "--choices: expected 1 to %d texts, separated by commas, got %s", cap,
                             len ? "more" : "an empty one");
    struct buffer joined = {0};
    struct gpt2_ids *ids = &list->ids[list->n];
    buffer_bytes(&joined, separator, strlen(separator));
    buffer_bytes(&joined, text, len);
    bool ok =
        joined.failed
            ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a choice")
            : gpt2_tokenizer_encode(tokenizer, joined.data, joined.len, GPT2_ENCODE_PART, ids, err);
    buffer_free(&joined);
    list->items[list->n++] = (struct gpt2_choice){ids->data, (int)ids->len};
    return ok;
}

/* `is_open`: for a prompt that is empty or ends in white space. */
static bool make_choices(struct gpt2_choices **choices, const struct settings *s, bool is_open,
                         const struct gpt2_config *config, const struct gpt2_tokenizer *tokenizer,
                         struct gpt2_error *err) {
    struct choice_list list = {.n = 0};
    bool ok = tokenizer || usage_error(err, "--choices: there is no tokenizer");
    for (int i = 0; ok && i < s->choices.n; i++)
        for (const char *p = s->choices.items[i]; ok && p;) {
            size_t len = options_text_len(&s->choices, i, p);
            ok = add_choice(&list, tokenizer, choice_separator(s->separator, is_open, p), p, len,
                            err);
            p = p[len] ? p + len + 1 : NULL;
        }
    if (ok)
        *choices =
            gpt2_choices_create(list.items, list.n, config->n_eos ? config->eos_ids[0] : -1, err);
    for (int i = 0; i < list.n; i++)
        gpt2_ids_free(&list.ids[i]);
    return *choices != NULL;
}

/* The choices after this prompt (separator.h), before a token to start from is put into it. NULL:
 * any text. */
static const struct gpt2_choices *choices_after(const struct decoding *d,
                                                const struct gpt2_ids *prompt,
                                                const struct gpt2_tokenizer *tokenizer) {
    size_t n = 0;
    const char *last = prompt->len && tokenizer
                           ? gpt2_tokenizer_token(tokenizer, prompt->data[prompt->len - 1], &n)
                           : NULL;
    return d->choices[!prompt->len || (last && n && is_white_space(last[n - 1]))];
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
        return command_error(err, GPT2_ERR_USAGE, NULL,
                             "--beams: expected --max-tokens of at least 1, got 0");
    if (s->overflow == GPT2_OVERFLOW_SLIDE)
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
    for (int is_open = 0; ok && settings->choices.n && is_open < 2; is_open++)
        ok = make_choices(&d->choices[is_open], settings, is_open, config, tokenizer, err);
    if (ok && settings->heal && tokenizer)
        ok = (d->healer = gpt2_healer_create(tokenizer, err)) != NULL;
    if (!ok)
        decoding_free(d);
    return ok;
}

void decoding_free(struct decoding *d) {
    gpt2_healer_free(d->healer);
    for (int i = 0; i < 2; i++)
        gpt2_choices_free(d->choices[i]);
    gpt2_stops_free(d->stops);
    gpt2_sampler_free(d->sampler);
    gpt2_ids_free(&d->banned);
    *d = (struct decoding){0};
}

bool decoding_options(const struct decoding *d, const struct gpt2_ids *prompt,
                      const struct gpt2_tokenizer *tokenizer,
                      struct gpt2_completion_options *options, struct gpt2_error *err) {
    const struct settings *s = &d->settings;
    if (s->best_of && s->best_of < s->num_samples)
        return usage_error(err, "--best-of: expected at least --num-samples, %d, got %d",
                           s->num_samples, s->best_of);
    *options = (struct gpt2_completion_options){
        .max_tokens = s->max_tokens,
        .n_samples = s->best_of ? s->best_of : s->num_samples,
        .sampler = d->sampler,
        .choices = choices_after(d, prompt, tokenizer),
        .healer = d->healer,
        .stops = d->stops,
        .ignore_eos = s->sampler.ignore_eos || s->goes_on,
        .truncate = (enum gpt2_truncate)s->truncate,
        .overflow = (enum gpt2_overflow)s->overflow,
        .keep = s->keep,
        .max_time = s->max_time,
        .n_beams = s->beams,
        .length_penalty = s->length_penalty,
        .early_stopping = (enum gpt2_early_stopping)s->early_stopping,
        .logprobs = s->logprobs >= 0 || s->best_of > s->num_samples,
        .n_top = s->logprobs > 0 ? s->logprobs : 0,
    };
    return true;
}
