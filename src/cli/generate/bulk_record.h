/* bulk_record.h - one line of input as prompts and their options. */
#ifndef CLI_GENERATE_BULK_RECORD_H
#define CLI_GENERATE_BULK_RECORD_H

#include "base/buffer.h"
#include "cli/generate/settings.h"
#include <gpt2/record.h>

#define MAX_PROMPTS 2048 /* of one record */

struct bulk_record {
    struct gpt2_record *json; /* what strings are borrowed from; NULL of a plain line */
    struct settings settings; /* unresolved */
    bool has_settings;        /* some of its own */
    bool says_special;        /* whether special tokens in its prompt are these, or text */
    uint64_t given;           /* bit i: option i of their table */
    bool is_batch;            /* an OpenAI batch line */
    bool is_request;          /* the body of a request of OpenAI's API */
    struct buffer ignored;    /* of a request: the names that mean nothing here, "a","b" */
    struct buffer id;         /* as JSON */
    bool has_id;              /* it is the record's own; else the number of its line */
    uint64_t key;             /* of the draws: a whole number itself, a hash of a string */
    struct gpt2_ids *prompts; /* [n_prompts]: one, or those of a list */
    int n_prompts;
    char (*biases)[56]; /* what settings.bias points to, where logit_bias was an object */
};

/* What prompts are encoded with. */
struct prompt_encoder {
    const struct gpt2_tokenizer *tokenizer;
    int n_ctx; /* the model's: of a longer prompt no more than that is kept (settings_encode) */
};

/* Parses a line, `number` of which is its id where it has none. On failure the id is still filled
 * as far as it could be read, and err says what is wrong. */
bool bulk_record_read(struct bulk_record *record, const char *line, size_t n, bool is_json,
                      uint64_t number, const struct settings *defaults,
                      const struct prompt_encoder *encoder, struct gpt2_error *err);

/* The same of the body of a request to OpenAI's completions endpoint. `others` are members that are
 * the caller's to look at, in record->json; ends with NULL. Unknown names are no error:
 * record->ignored lists them. The key is 0. */
bool bulk_record_read_request(struct bulk_record *record, const char *body, size_t n,
                              const char *const *others, const struct settings *defaults,
                              const struct prompt_encoder *encoder, struct gpt2_error *err);

/* A member of the record, NULL: there is none. */
const struct gpt2_field *bulk_record_member(const struct bulk_record *record, const char *name);

/* How many bytes of memory it takes at most; `settings` aside. */
size_t bulk_record_bytes(const struct bulk_record *record);

void bulk_record_free(struct bulk_record *record);

#endif
