/* settings.h - the options of one text: on the command line for all, in a record for its own. */
#ifndef CLI_GENERATE_SETTINGS_H
#define CLI_GENERATE_SETTINGS_H

#include "cli/command/options.h"
#include <gpt2/completion.h>

#define MAX_BEAMS 256

/* A number that was not set is INT_MIN or NaN: it becomes what `compat` has, or where that is not
 * set either, what the model recommends. What a sampler is made from is in `sampler`, so that an
 * option of it cannot be read and not used; settings_resolve completes it, all but its lists. */
struct settings {
    struct gpt2_sampler_options sampler;
    int compat; /* enum gpt2_compat; -1: not set */
    struct seed seed;
    struct string_list ban, bias;
    int max_tokens, num_samples, best_of, logprobs;
    int overflow, keep, truncate;
    float max_time; /* seconds; 0: none */
    bool special, include_stop, heal, echo;
    bool goes_on; /* after <|endoftext|>; follows from compat */
    int until;
    int beams, early_stopping; /* beams: 1 is off */
    float length_penalty;
    struct string_list stop;
    struct string_list choices; /* each item one or several, separated by commas */
    const char *separator;      /* before a choice; NULL: choice_separator */
};

#define SETTINGS_MAX 64 /* room for a table, its end included */

struct settings settings_unset(void);

/* Fills table [SETTINGS_MAX] with options that set `settings`; returns how many before the end. */
int settings_table(struct option *table, struct settings *settings);

/* Replaces what was not set. */
void settings_resolve(struct settings *settings, const struct gpt2_config *config);

/* Whether what was given has an effect beside what was not and is resolved now; what the table of
 * options says is checked before. False with GPT2_ERR_USAGE: err names an option that has none. */
bool settings_check_effects(const struct settings *given, const struct settings *resolved,
                            struct gpt2_error *err);

/* Whether the options that a record itself gives, the entries of settings_table's table whose bits
 * are in `own`, have an effect beside the others that are set: the same rules as on the command
 * line. False with GPT2_ERR_USAGE: err names one that has none. */
bool settings_check_own(const struct option *table, uint64_t own, struct gpt2_error *err);

struct buffer;

/* Appends a seed as JSON: a number, or a string where it is above SEED_MAX_NUMBER. */
void settings_seed_json(const struct seed *seed, struct buffer *out);

/* How a prompt is encoded, as flags of gpt2_tokenizer_encode: Hugging Face reads special tokens in
 * it, and leaves out bytes that no token has. */
unsigned settings_encode_flags(const struct settings *settings);

/* Appends the ids of a prompt, no more than a context of n_ctx tokens holds: with `truncate` what
 * that leaves of them, without GPT2_ERR_INPUT where there are more, in the words of
 * gpt2_completion_create. A prompt of one token for each byte takes no more memory than another. */
bool settings_encode(const struct settings *settings, int n_ctx,
                     const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                     struct gpt2_ids *ids, struct gpt2_error *err);

/* What the settings are made into, for any number of texts with the same ones. */
struct decoding {
    struct settings settings;
    struct gpt2_ids banned;
    struct gpt2_sampler *sampler;
    struct gpt2_stops *stops;        /* NULL where there is no tokenizer */
    struct gpt2_choices *choices[2]; /* by the prompt; NULL: any text */
    struct gpt2_healer *healer;      /* NULL: not wanted                 */
};

/* `settings` are resolved; the tokenizer may be NULL where only ids go in and out. */
bool decoding_create(struct decoding *decoding, const struct settings *settings,
                     const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                     struct gpt2_error *err);
void decoding_free(struct decoding *decoding); /* a zeroed struct is allowed */

/* What a completion of this prompt is created with; it borrows the decoding. False
 * (GPT2_ERR_USAGE): best_of and num_samples contradict each other. */
bool decoding_options(const struct decoding *decoding, const struct gpt2_ids *prompt,
                      const struct gpt2_tokenizer *tokenizer,
                      struct gpt2_completion_options *options, struct gpt2_error *err);

#endif
