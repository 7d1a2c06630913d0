/* tokenizer.h - bytes to token ids and back: GPT-2's byte-level BPE.
 *
 * Text is any sequence of bytes. What is not valid UTF-8 is kept byte for byte, NUL is a character
 * like others: decode(encode(text)) == text, unless the tokenizer's files say otherwise:
 * add_prefix_space puts one space in front, a post_processor tokens around the text, a normalizer
 * changes it, a pre_tokenizer or an added token may leave white space out. What the GPT-2 family
 * uses of these is followed as Hugging Face's library has it; any other component is refused by
 * name when the tokenizer is opened.
 *
 * add_bos_token and add_eos_token of tokenizer_config.json put bos_token before each text and
 * eos_token after it, unless the post_processor does so already; false takes nothing away. Hugging
 * Face's AutoTokenizer differs between versions here. This is transformers 5
 * (TokenizersBackend.update_post_processor), where true counts beside a tokenizer.json as well.
 * Version 4 follows add_bos_token without a tokenizer.json (GPT2Converter), and beside one reads it
 * and does nothing (GPT2TokenizerFast); it has no add_eos_token of GPT-2.
 *
 * A tokenizer is read-only after gpt2_tokenizer_open and may be shared by threads. */
#ifndef GPT2_TOKENIZER_H
#define GPT2_TOKENIZER_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_tokenizer;

/* A growing list of token ids. Start from {0}; free with gpt2_ids_free. */
struct gpt2_ids {
    int32_t *data;
    size_t len;
    size_t cap;
};

/* Appends one id. False: out of memory, the list is unchanged. */
bool gpt2_ids_push(struct gpt2_ids *ids, int32_t id, struct gpt2_error *err);
void gpt2_ids_free(struct gpt2_ids *ids);

/* Opens the tokenizer of a directory (tokenizer.json, else vocab.json + merges.txt, or encoder.json
 * + vocab.bpe; generation needs no other file), of a packed model file (quantize.h) or a GGUF
 * file, which have it inside, or of the directory that holds the file `path`: other weights,
 * config.json, or one of the tokenizer's files, which is then used. Any other file is refused.
 * Fails with GPT2_ERR_MODEL: a missing or malformed file is named, with the entry that is wrong. */
struct gpt2_tokenizer *gpt2_tokenizer_open(const char *path, struct gpt2_error *err);

/* The same for a caller that can do with ids alone: where there is no tokenizer at all this
 * succeeds, and *tokenizer is NULL. One that is there and cannot be used is an error as above. */
bool gpt2_tokenizer_open_if_any(struct gpt2_tokenizer **tokenizer, const char *path,
                                struct gpt2_error *err);
void gpt2_tokenizer_close(struct gpt2_tokenizer *tokenizer); /* NULL is allowed */

/* Makes the tokenizer's tables into one stretch of bytes for gpt2_quantize: the same for the same
 * files on every machine of this byte order. To be freed with free(). Fails with GPT2_ERR_MEMORY.
 */
bool gpt2_tokenizer_pack(const struct gpt2_tokenizer *tokenizer, unsigned char **bytes,
                         size_t *n_bytes, struct gpt2_error *err);

/* Writes vocab.json and merges.txt into a directory that is there and, where it has settings or
 * added tokens beyond <|endoftext|>, tokenizer_config.json and added_tokens.json: what
 * gpt2_tokenizer_open and Hugging Face's GPT2Tokenizer make the same tokenizer of. Fails with
 * GPT2_ERR_MODEL where such files cannot say what the tokenizer does, GPT2_ERR_RUNTIME where they
 * cannot be written, GPT2_ERR_MEMORY. */
bool gpt2_tokenizer_save(const struct gpt2_tokenizer *tokenizer, const char *directory,
                         struct gpt2_error *err);

/* The tokenizer as key-value pairs of a GGUF file, for gpt2_model_save_gguf. Start from {0}; free
 * `bytes` with free(). */
struct gpt2_gguf_pairs {
    unsigned char *bytes; /* [n_bytes] */
    size_t n_bytes, n_pairs;
    int bos_id; /* what it puts before each text, the file's bos_token_id; -1: nothing */
};

/* n_vocab: rows of wte; ids that the tokenizer lacks become unused tokens. Fails with
 * GPT2_ERR_MODEL where the tokenizer has more ids than that, or does what GGUF cannot say. */
bool gpt2_tokenizer_gguf(const struct gpt2_tokenizer *tokenizer, int n_vocab,
                         struct gpt2_gguf_pairs *pairs, struct gpt2_error *err);

enum gpt2_encode_flags {
    GPT2_ENCODE_TEXT = 0,         /* "<|endoftext|>" in the text is text (seven tokens)        */
    GPT2_ENCODE_SPECIAL = 1 << 0, /* special tokens in the text become their one id            */
    GPT2_ENCODE_PART = 1 << 1, /* a part of a text: without the tokens (as BOS) that the tokenizer
                                  puts around a whole one */
    GPT2_ENCODE_DROP_UNKNOWN = 1 << 2 /* bytes that no token has are left out; else an error   */
};

/* Added tokens that are not special (a word that was added with add_tokens, "user-defined" in a
 * GGUF file) become their one id with any flags, as in Hugging Face and llama.cpp. */

/* Appends the ids of text[0..n_bytes) to `ids`. The result depends on the text alone. Linear time
 * on any input; memory is that of the ids, four bytes for each and half as much to grow, and with a
 * normalizer twice the text. Fails only with GPT2_ERR_MEMORY, or GPT2_ERR_INPUT where the
 * vocabulary lacks a byte of the text; then `ids` is as it was. */
bool gpt2_tokenizer_encode(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                           unsigned flags, struct gpt2_ids *ids, struct gpt2_error *err);

/* The bytes text[begin..end) that a token came from. Where the tokenizer puts one in (BOS, or the
 * space of add_prefix_space), begin == end is the place. */
struct gpt2_extent {
    size_t begin, end;
};

/* The same, and *extents, to be freed with free(): one for each id that was appended, in order.
 * They are places in the text that was given, also where the tokenizer normalizes it. On failure
 * *extents is NULL. */
bool gpt2_tokenizer_encode_extents(const struct gpt2_tokenizer *tokenizer, const char *text,
                                   size_t n_bytes, unsigned flags, struct gpt2_ids *ids,
                                   struct gpt2_extent **extents, struct gpt2_error *err);

/* Where the ids of a text go, as they are made. */
struct gpt2_encode_sink {
    /* Gets the next ids [n], n > 0, and where they came from [n], NULL unless wanted; valid for the
     * call. False, with *err set, ends the encoding. */
    bool (*take)(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                 struct gpt2_error *err);
    void *user;
    bool wants_extents;
};

/* The same ids as gpt2_tokenizer_encode, handed on some thousand at a time: no more of them are in
 * memory, even where a text is one word with a token for each byte. (Where merges are not ranked as
 * training ranks them, a word of 16 KiB and more takes 17 bytes for each of its own; and what a
 * normalizer or a pre_tokenizer of the tokenizer's files makes of the text is in memory.) A byte
 * that the vocabulary lacks is found before the first call of `take`. Fails as
 * gpt2_tokenizer_encode, or as `take` does. */
bool gpt2_tokenizer_encode_parts(const struct gpt2_tokenizer *tokenizer, const char *text,
                                 size_t n_bytes, unsigned flags,
                                 const struct gpt2_encode_sink *sink, struct gpt2_error *err);

/* Appends no more than `max` of the text's ids, the first ones, or the last ones where `last`.
 * *n_all is how many it has. Memory as of gpt2_tokenizer_encode_parts, and what is kept. Fails as
 * gpt2_tokenizer_encode. */
bool gpt2_tokenizer_encode_some(const struct gpt2_tokenizer *tokenizer, const char *text,
                                size_t n_bytes, unsigned flags, size_t max, bool last,
                                struct gpt2_ids *ids, size_t *n_all, struct gpt2_error *err);

/* For text that comes in parts: how many of its leading bytes can be encoded now, whatever follows.
 * Encoding them, and then the rest with what follows, gives the ids of the whole. 0: no place is
 * certain yet (one long word), or ever: this tokenizer does not cut text into pieces as GPT-2
 * does, puts something in front of every text, or has added tokens that take white space. `flags`
 * as for encoding. Less than n_bytes, so never the end. */
size_t gpt2_tokenizer_cut(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                          unsigned flags);

/* The bytes of one token: not NUL-terminated, may be part of a UTF-8 character, borrowed from the
 * tokenizer. NULL with *n_bytes = 0 where the vocabulary has no such id. */
const char *gpt2_tokenizer_token(const struct gpt2_tokenizer *tokenizer, int32_t id,
                                 size_t *n_bytes);

/* Appends the ids below n_vocab that no token has: rows of wte that pad, which a sampler is to ban.
 * A NULL tokenizer lacks none. False: memory ran out. */
bool gpt2_tokenizer_lacks(const struct gpt2_tokenizer *tokenizer, int n_vocab, struct gpt2_ids *ids,
                          struct gpt2_error *err);

/* One past the largest id. Rows of wte beyond it are padding and must never be sampled. */
int32_t gpt2_tokenizer_size(const struct gpt2_tokenizer *tokenizer);

/* How many of a model's n_vocab rows are for tokens: those before the padding. Of a NULL tokenizer
 * all. */
int gpt2_tokenizer_rows(const struct gpt2_tokenizer *tokenizer, int n_vocab);

/* The id whose whole text is `text` (for example "<|endoftext|>"), or -1. Special tokens first. */
int32_t gpt2_tokenizer_find(const struct gpt2_tokenizer *tokenizer, const char *text,
                            size_t n_bytes);

/* True for special tokens such as <|endoftext|>; not for added ones that stand for text. */
bool gpt2_tokenizer_is_special(const struct gpt2_tokenizer *tokenizer, int32_t id);

/* How many of the leading bytes can be shown now: n_bytes, less an unfinished UTF-8 character at
 * the end (at most 3 bytes), which the next token may complete. */
size_t gpt2_utf8_whole(const char *bytes, size_t n_bytes);

#ifdef __cplusplus
}
#endif
#endif
