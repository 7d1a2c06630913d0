/* speculate.h - --speculate and --lookup: guesses that save passes and change no text
 * (gpt2/speculation.h). */
#ifndef CLI_COMMAND_SPECULATE_H
#define CLI_COMMAND_SPECULATE_H

#include "base/buffer.h"
#include "cli/command/options.h"
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/speculation.h>
#include <gpt2/tokenizer.h>

struct speculate_arguments {
    const char *speculate; /* NULL: auto */
    const char *lookup;    /* a file; NULL: none */
};

/* Entries of an option table. */
#define OPT_SPECULATE(dest)                                                      \
    OPT_STRING("speculate", 0, &(dest)->speculate, "auto|off|lookup|self|MODEL", \
               "guess some tokens and check them in one pass: the\n"             \
               "same text, sooner. auto (default) and lookup: what\n"            \
               "followed the last tokens before, as long as it pays;\n"          \
               "self: the model's own weights in Q8 or Q4, made at\n"            \
               "the start; MODEL: a smaller model with the same\n"               \
               "vocabulary",                                                     \
               .not_with = "beams input"),                                       \
        OPT_STRING("lookup", 0, &(dest)->lookup, "FILE",                         \
                   "a text in which guesses are looked up, too: one that\n"      \
                   "is quoted or much like what is to come",                     \
                   .flags = OPTION_READS, .not_with = "beams input")

struct speculate {
    struct gpt2_speculation *speculation; /* NULL: off */
    struct gpt2_model *model;             /* that guesses; NULL: lookup */
    const char *mode;                     /* for speculate_print */
    const char *why_off;                  /* NULL: it is not */
};

/* Makes what the arguments ask for, for texts of this model. `n_texts` of one prompt and beams at a
 * time: by default there are no guesses for several. The tokenizer may be NULL where only ids go in
 * and out. Borrows all but the arguments. */
bool speculate_create(struct speculate *speculate, const struct speculate_arguments *args,
                      const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                      struct gpt2_runtime *runtime, int n_texts, bool beams,
                      struct gpt2_error *err);
void speculate_free(struct speculate *speculate); /* a zeroed struct is allowed */

/* Appends lines of --stats: what the guesses were good for, or why there are none. */
struct buffer;
void speculate_print(struct buffer *out, const struct speculate *speculate);

#endif
