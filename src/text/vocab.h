/* vocab.h - a vocabulary in memory: tokens, their ids, and the merges in order of rank.
 *
 * Everything a tokenizer's files say, in one form, whatever files they were (vocab_parse.h reads
 * them). Tokens are kept as the raw bytes they stand for. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include "text/ids.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_rules;

#define VOCAB_MAX_TOKEN ((1 << 26) - 1) /* bytes of one token */

/* A token that training made, or an added one: special, or `added`. */
struct vocab_token {
    uint32_t offset;                 /* into vocab.bytes                                        */
    uint32_t len : 26;               /* 0: the vocabulary has no such id                        */
    uint32_t lstrip : 1, rstrip : 1; /* takes the white space before it, after it       */
    uint32_t single_word : 1;        /* only where no word goes on at its sides          */
    uint32_t normalized : 1;         /* matched in text that has been normalized         */
    uint32_t added : 1;              /* not special: always cut out of text              */
    uint32_t special : 1;            /* such as <|endoftext|>: cut out where asked for   */
};

struct vocab_merge {
    int32_t left, right; /* adjacent tokens */
    int32_t result;      /* become this one */
};

/* A hash table from bytes to ids: slots hold id + 1, 0 is free; size a power of two. */
struct vocab_index {
    uint32_t *slots; /* [mask + 1] */
    size_t mask;
};

struct vocab {
    unsigned char *bytes; /* [n_bytes], all tokens one after the other */
    size_t n_bytes;
    struct vocab_token *tokens; /* [size], by id */
    int32_t size;               /* one past the largest id */
    struct vocab_merge *merges; /* [n_merges], by rank: the first is applied first */
    size_t n_merges;
    struct vocab_index ordinary;    /* what merging can make                                   */
    struct vocab_index added_index; /* apart: an added token may spell what an ordinary does */
    int32_t *added;                 /* [n_added] ids of special and added tokens, in order   */
    size_t n_added;

    bool split;               /* cut text into pieces first (pretokenize.h); false: one piece  */
    bool add_prefix_space;    /* put a space before text that does not begin with one          */
    bool ignore_merges;       /* a piece that is a token becomes it even if merging would not  */
    struct text_rules *rules; /* owned; NULL: text is treated as GPT-2 does (text_rules.h) */
    bool borrowed;            /* the arrays above are not owned (tables.h)                     */
};

/* An empty vocabulary with room for ids 0..size-1, of which n_added are added or special, for
 * n_bytes bytes of tokens and n_merges merges. NULL: out of memory. Free with vocab_free. */
struct vocab *vocab_create(int32_t size, size_t n_tokens, size_t n_added, size_t n_bytes,
                           size_t n_merges, struct gpt2_error *err);
void vocab_free(struct vocab *vocab); /* NULL is allowed */

/* Adds an ordinary token, within the room given to vocab_create: text[0..len), len > 0, under an
 * id that is free. Returns -1, or the id that already has this text; then nothing was added. */
int32_t vocab_add(struct vocab *vocab, int32_t id, const void *text, size_t len);

/* Adds an added token, or makes an ordinary one added too (as "!" is where it serves as padding):
 * the id must be free or have this very text. Returns as vocab_add does; adding the same token
 * again is no mistake, and makes it special if one of the times does. */
int32_t vocab_add_added(struct vocab *vocab, int32_t id, const void *text, size_t len,
                        bool special);

/* True if the id is in range and has a token. */
bool vocab_has(const struct vocab *vocab, int64_t id);

/* The id of exactly these bytes, or -1. */
int32_t vocab_find(const struct vocab *vocab, const void *text, size_t len);
int32_t vocab_find_added(const struct vocab *vocab, const void *text, size_t len);

#endif
