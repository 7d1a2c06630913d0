/* tokenizer_write.c - a tokenizer as the files of a directory, and as the metadata of a GGUF file.
 * Both hold tokens in the byte alphabet; special tokens stand as they are. */
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/os.h"
#include "base/outfile.h"
#include "base/path.h"
#include "text/alphabet.h"
#include "text/text_rules.h"
#include "text/tokenizer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char end_of_text[] = "<|endoftext|>";

struct tokenizer_writer {
    const struct vocab *vocab;
    struct vocab_merge *merges; /* [n_merges] */
    size_t n_merges;
    char *scratch; /* twice the longest token */
    struct gpt2_error *err;
};

/* What a tokenizer does that files cannot say, for messages; NULL: nothing. */
static const char *beyond_files(const struct vocab *vocab) {
    const struct text_rules *rules = vocab->rules;
    if (!vocab->split)
        return "does not split text";
    if (vocab->ignore_merges)
        return "takes whole pieces before merging";
    if (!rules)
        return NULL;
    bool bos = rules->around.n_prefix == 1 && rules->around.n_suffix == 0; // add_bos_token
    return text_rules_what(rules) ? text_rules_what(rules)
           : bos                  ? NULL
                                  : "puts tokens around each text";
}

/* The same for the metadata of a GGUF file. */
static const char *beyond_gguf(const struct vocab *vocab) {
    for (size_t i = 0; i < vocab->n_added; i++) {
        const struct vocab_token token = vocab->tokens[vocab->added[i]];
        if (token.lstrip || token.rstrip || token.single_word)
            return "has added tokens that take white space or stand alone";
    }
    return NULL;
}

/* Fails where the tokenizer does what the destination cannot say. */
static bool begin(struct tokenizer_writer *w, const struct gpt2_tokenizer *tokenizer, bool gguf,
                  struct gpt2_error *err) {
    const struct vocab *vocab = tokenizer_vocab(tokenizer);
    const struct bpe *bpe = tokenizer_bpe(tokenizer);
    *w = (struct tokenizer_writer){.vocab = vocab, .n_merges = bpe_n_merges(bpe), .err = err};
    const char *what = beyond_files(vocab);
    if (!what && gguf)
        what = beyond_gguf(vocab);
    if (what) {
        error_set(err, GPT2_ERR_MODEL, "the tokenizer %s, which %s cannot say", what,
                  gguf ? "a GGUF file" : "vocab.json and merges.txt");
        return error_hint(err, gguf ? "--to packed keeps it; --no-tokenizer leaves it out"
                                    : "--no-tokenizer leaves it out; then copy its tokenizer.json "
                                      "to the new directory");
    }
    size_t longest = 1;
    for (int32_t id = 0; id < vocab->size; id++)
        longest = vocab->tokens[id].len > longest ? vocab->tokens[id].len : longest;
    w->merges = os_alloc(w->n_merges, sizeof *w->merges, "the merges", err);
    w->scratch = os_alloc(longest, 2, "a token", err);
    if (w->merges)
        bpe_merges(bpe, w->merges);
    return w->merges && w->scratch;
}

static void finish(struct tokenizer_writer *w) {
    os_free(w->merges);
    os_free(w->scratch);
}

/* What can be shown of a token in these files. */
struct shown {
    const char *text; /* [len] */
    size_t len;
};

static struct shown raw(const struct tokenizer_writer *w, int32_t id) {
    const struct vocab_token token = w->vocab->tokens[id];
    return (struct shown){(const char *)w->vocab->bytes + token.offset, token.len};
}

/* Valid until the next one. */
static struct shown in_alphabet(const struct tokenizer_writer *w, int32_t id) {
    const struct shown r = raw(w, id);
    return (struct shown){w->scratch,
                          alphabet_encode(w->scratch, (const unsigned char *)r.text, r.len)};
}

/* True of what merging makes, and of <|endoftext|>, which GPT-2's files keep among these. */
static bool is_ordinary(const struct tokenizer_writer *w, int32_t id) {
    const struct shown r = raw(w, id);
    return vocab_find(w->vocab, r.text, r.len) == id ||
           (r.len == sizeof end_of_text - 1 && !memcmp(r.text, end_of_text, r.len));
}

static bool is_added(const struct tokenizer_writer *w, int32_t id) {
    const struct shown r = raw(w, id);
    return (w->vocab->tokens[id].special || w->vocab->tokens[id].added) &&
           !(r.len == sizeof end_of_text - 1 && !memcmp(r.text, end_of_text, r.len));
}

/* ---- files ---- */

static void put_json(struct buffer *out, struct shown s) {
    buffer_json(out, s.text, s.len);
}

static void put_vocab(struct buffer *out, const struct tokenizer_writer *w) {
    const char *separator = "{";
    for (int32_t id = 0; id < w->vocab->size; id++) {
        if (!vocab_has(w->vocab, id) || !is_ordinary(w, id))
            continue;
        buffer_text(out, separator);
        put_json(out, in_alphabet(w, id));
        buffer_format(out, ": %" PRId32, id);
        separator = ", ";
    }
    buffer_text(out, "}");
}

static void put_merges(struct buffer *out, const struct tokenizer_writer *w) {
    buffer_text(out, "#version: 0.2\n");
    for (size_t i = 0; i < w->n_merges; i++) {
        if (w->merges[i].left < 0)
            continue;
        struct shown half = in_alphabet(w, w->merges[i].left);
        buffer_bytes(out, half.text, half.len);
        buffer_byte(out, ' ');
        half = in_alphabet(w, w->merges[i].right);
        buffer_bytes(out, half.text, half.len);
        buffer_byte(out, '\n');
    }
}

static void put_added(struct buffer *out, const struct tokenizer_writer *w) {
    const char *separator = "{\n  ";
    for (size_t i = 0; i < w->vocab->n_added; i++) {
        const int32_t id = w->vocab->added[i];
        if (!is_added(w, id))
            continue;
        buffer_text(out, separator);
        put_json(out, raw(w, id));
        buffer_format(out, ": %" PRId32, id);
        separator = ",\n  ";
    }
    if (*separator == ',')
        buffer_text(out, "\n}\n");
}

static void put_switch(struct buffer *out, const char *name, bool on) {
    buffer_format(out, ", \"%s\": %s", name, on ? "true" : "false");
}

/* What added_tokens.json does not say: how they are matched. */
static void put_settings(struct buffer *out, const struct tokenizer_writer *w) {
    buffer_format(out, "{\n  \"tokenizer_class\": \"GPT2Tokenizer\",\n  \"add_prefix_space\": %s",
                  w->vocab->add_prefix_space ? "true" : "false");
    if (w->vocab->rules) {
        buffer_text(out, ",\n  \"add_bos_token\": true,\n  \"bos_token\": ");
        put_json(out, raw(w, w->vocab->rules->around.prefix[0]));
    }
    int n_added = 0;
    const char *separator = ",\n  \"added_tokens_decoder\": {\n    ";
    for (size_t i = 0; i < w->vocab->n_added; i++) {
        const int32_t id = w->vocab->added[i];
        if (!is_added(w, id))
            continue;
        buffer_format(out, "%s\"%" PRId32 "\": {\"content\": ", separator, id);
        put_json(out, raw(w, id));
        const struct vocab_token token = w->vocab->tokens[id];
        put_switch(out, "lstrip", token.lstrip);
        put_switch(out, "normalized", token.normalized);
        put_switch(out, "rstrip", token.rstrip);
        put_switch(out, "single_word", token.single_word);
        put_switch(out, "special", token.special);
        buffer_byte(out, '}');
        separator = ",\n    ";
        n_added++;
    }
    buffer_text(out, n_added ? "\n  }\n}\n" : "\n}\n");
}

/* Writes what `put` prints, unless that is nothing. */
static bool save(const struct tokenizer_writer *w, const char *directory, const char *name,
                 void (*put)(struct buffer *out, const struct tokenizer_writer *w)) {
    size_t size;
    struct outfile file = {0};
    struct buffer out = {0};
    put(&out, w);
    char *text = buffer_take(&out, &size);
    bool ok = text || error_memory(w->err, name, 0);
    char *path = ok ? path_join(directory, name, w->err) : NULL;
    ok = path &&
         (size == 0 || (outfile_create(&file, path, w->err) &&
                        outfile_write(&file, text, size, w->err) && outfile_commit(&file, w->err)));
    outfile_discard(&file);
    free(path);
    free(text);
    return ok;
}

bool gpt2_tokenizer_save(const struct gpt2_tokenizer *tokenizer, const char *directory,
                         struct gpt2_error *err) {
    struct tokenizer_writer w;
    bool ok = begin(&w, tokenizer, false, err) && save(&w, directory, "vocab.json", put_vocab) &&
              save(&w, directory, "merges.txt", put_merges) &&
              save(&w, directory, "added_tokens.json", put_added) &&
              save(&w, directory, "tokenizer_config.json", put_settings);
    finish(&w);
    return ok;
}

/* ---- GGUF (weights/gguf/gguf.h) ---- */

enum { TYPE_I32 = 5, TYPE_BOOL = 7, TYPE_STRING = 8, TYPE_ARRAY = 9 };
enum token_kind { KIND_NORMAL = 1, KIND_CONTROL = 3, KIND_USER_DEFINED, KIND_UNUSED };

static void put_u32(struct buffer *out, uint32_t value) {
    buffer_bytes(out, &value, sizeof value);
}

static void put_string(struct buffer *out, struct shown s) {
    const uint64_t len = s.len;
    buffer_bytes(out, &len, sizeof len);
    buffer_bytes(out, s.text, s.len);
}

static void put_text(struct buffer *out, const char *text) {
    put_string(out, (struct shown){text, strlen(text)});
}

static void begin_array(struct buffer *out, const char *key, uint32_t type, uint64_t count) {
    put_text(out, key);
    put_u32(out, TYPE_ARRAY);
    put_u32(out, type);
    buffer_bytes(out, &count, sizeof count);
}

static uint32_t kind_of(const struct tokenizer_writer *w, int32_t id) {
    if (!vocab_has(w->vocab, id))
        return KIND_UNUSED;
    const struct vocab_token token = w->vocab->tokens[id];
    return token.special ? KIND_CONTROL : token.added ? KIND_USER_DEFINED : KIND_NORMAL;
}

static void put_token(struct buffer *out, const struct tokenizer_writer *w, int32_t id) {
    char unused[32];
    snprintf(unused, sizeof unused, "[PAD%" PRId32 "]", id);
    if (!vocab_has(w->vocab, id))
        put_text(out, unused);
    else
        put_string(out, kind_of(w, id) == KIND_NORMAL ? in_alphabet(w, id) : raw(w, id));
}

static void put_merge(struct buffer *out, const struct tokenizer_writer *w,
                      struct vocab_merge merge) {
    const struct shown left = raw(w, merge.left), right = raw(w, merge.right);
    const size_t n_left = alphabet_encode(w->scratch, (const unsigned char *)left.text, left.len);
    const size_t n_right =
        alphabet_encode(w->scratch, (const unsigned char *)right.text, right.len);
    const uint64_t len = n_left + 1 + n_right;
    buffer_bytes(out, &len, sizeof len);
    const struct shown a = in_alphabet(w, merge.left);
    buffer_bytes(out, a.text, a.len);
    buffer_byte(out, ' ');
    const struct shown b = in_alphabet(w, merge.right);
    buffer_bytes(out, b.text, b.len);
}

/* Returns how many pairs there are. */
static size_t put_pairs(struct buffer *out, const struct tokenizer_writer *w, int n_vocab) {
    put_text(out, "tokenizer.ggml.model");
    put_u32(out, TYPE_STRING);
    put_text(out, "gpt2");
    put_text(out, "tokenizer.ggml.pre");
    put_u32(out, TYPE_STRING);
    put_text(out, "gpt-2");
    put_text(out, "tokenizer.ggml.add_space_prefix");
    put_u32(out, TYPE_BOOL);
    buffer_byte(out, (char)w->vocab->add_prefix_space);
    if (w->vocab->rules) {
        put_text(out, "tokenizer.ggml.add_bos_token");
        put_u32(out, TYPE_BOOL);
        buffer_byte(out, 1);
    }
    begin_array(out, "tokenizer.ggml.tokens", TYPE_STRING, (uint64_t)n_vocab);
    for (int32_t id = 0; id < n_vocab; id++)
        put_token(out, w, id);
    begin_array(out, "tokenizer.ggml.token_type", TYPE_I32, (uint64_t)n_vocab);
    for (int32_t id = 0; id < n_vocab; id++)
        put_u32(out, kind_of(w, id));
    uint64_t n_merges = 0;
    for (size_t i = 0; i < w->n_merges; i++)
        n_merges += w->merges[i].left >= 0;
    begin_array(out, "tokenizer.ggml.merges", TYPE_STRING, n_merges);
    for (size_t i = 0; i < w->n_merges; i++)
        if (w->merges[i].left >= 0)
            put_merge(out, w, w->merges[i]);
    return 6 + (w->vocab->rules != NULL);
}

bool gpt2_tokenizer_gguf(const struct gpt2_tokenizer *tokenizer, int n_vocab,
                         struct gpt2_gguf_pairs *pairs, struct gpt2_error *err) {
    struct tokenizer_writer w;
    bool ok = begin(&w, tokenizer, true, err);
    if (ok && w.vocab->size > n_vocab)
        ok = error_set(err, GPT2_ERR_MODEL,
                       "expected a tokenizer of at most as many tokens as the model, %d, found "
                       "%" PRId32,
                       n_vocab, w.vocab->size);
    *pairs = (struct gpt2_gguf_pairs){0};
    if (ok) {
        struct buffer out = {0};
        const size_t n_pairs = put_pairs(&out, &w, n_vocab);
        pairs->bytes = (unsigned char *)buffer_take(&out, &pairs->n_bytes);
        pairs->n_pairs = pairs->bytes ? n_pairs : 0;
        pairs->bos_id = w.vocab->rules ? w.vocab->rules->around.prefix[0] : -1;
        ok = pairs->bytes || error_memory(err, "the tokenizer's metadata", 0);
    }
    finish(&w);
    return ok;
}
