/* llmc_tokenizer.c - gpt2_tokenizer.bin has what decoding needs, and encoding can be had from it.
 *
 *     256 int32    [0] 20240328  [1] version: 1, 2  [2] count  [3] of version 2: <|endoftext|>'s id
 *     each token   a byte of length, and its bytes
 *
 * It has no merges. But GPT-2's vocabulary was made by merging: ids 0 to 255 are the single bytes,
 * and id 256 + r is what the r-th merge made. So the two parts of a token are what the merges
 * before it make of its bytes, which must be two tokens; all of them are found by this and checked.
 * A vocabulary that was made otherwise is refused. */
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/path.h"
#include "base/utf8.h"
#include "weights/llmc/llmc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC       20240328
#define HEADER_SIZE 1024u
#define MAX_TOKENS  (1 << 20)
#define N_BYTES     256

struct token {
    const unsigned char *text; /* [len] in the file */
    uint32_t len;
};

struct llmc_tokenizer_reader {
    struct token *tokens; /* [count] */
    uint32_t count, end;  /* end: the id of <|endoftext|> */
    uint32_t *slots;      /* [mask + 1] a hash table of ids + 1; 0 is free */
    uint32_t mask;
    const char *name;
    struct gpt2_error *err;
};

static uint32_t load(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- tokens by their bytes ---- */

static uint32_t *find_slot(const struct llmc_tokenizer_reader *r, const unsigned char *text,
                           uint32_t len) {
    uint32_t hash = 2166136261u; // FNV-1a
    for (uint32_t i = 0; i < len; i++)
        hash = (hash ^ text[i]) * 16777619u;
    for (uint32_t i = hash ^ hash >> 15;; i++) {
        uint32_t *slot = &r->slots[i & r->mask];
        const struct token *t = *slot ? &r->tokens[*slot - 1] : NULL;
        if (!t || (t->len == len && memcmp(t->text, text, len) == 0))
            return slot;
    }
}

static bool read_tokens(struct llmc_tokenizer_reader *r, const unsigned char *bytes,
                        size_t n_bytes) {
    if (n_bytes < HEADER_SIZE || load(bytes) != MAGIC)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: expected a tokenizer of llm.c, which begins with %d, found another "
                         "thing",
                         r->name, MAGIC);
    const uint32_t version = load(bytes + 4);
    r->count = load(bytes + 8);
    r->end = version == 1 ? 50256 : load(bytes + 12);
    if (version != 1 && version != 2)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: expected version 1 or 2 of llm.c's tokenizers, found %" PRIu32,
                         r->name, version);
    if (r->count <= N_BYTES || r->count > MAX_TOKENS || r->end >= r->count || r->end < N_BYTES)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: expected %d to %d tokens and <|endoftext|> among them, found %" PRIu32
                         " and %" PRIu32,
                         r->name, N_BYTES + 1, MAX_TOKENS, r->count, r->end);
    r->mask = 1;
    while (r->mask < 2 * r->count)
        r->mask = 2 * r->mask + 1;
    r->tokens = os_alloc(r->count, sizeof *r->tokens, "tokens", r->err);
    r->slots = os_alloc((size_t)r->mask + 1, sizeof *r->slots, "an index of tokens", r->err);
    if (!r->tokens || !r->slots)
        return false;
    size_t at = HEADER_SIZE;
    for (uint32_t i = 0; i < r->count; i++) {
        const uint32_t len = at < n_bytes ? bytes[at] : 0;
        if (at >= n_bytes || len > n_bytes - at - 1)
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: expected %" PRIu32 " tokens, found it to end in token %" PRIu32
                             ": the file is truncated",
                             r->name, r->count, i);
        r->tokens[i] = (struct token){bytes + at + 1, len};
        at += 1 + len;
        if (i == r->end)
            continue; // found only by its id
        uint32_t *slot = find_slot(r, r->tokens[i].text, len);
        if (len == 0 || *slot)
            return error_set(r->err, GPT2_ERR_MODEL, "%s: token %" PRIu32 " is %s", r->name, i,
                             len ? "there twice" : "empty");
        *slot = i + 1;
    }
    return at == n_bytes ||
           error_set(r->err, GPT2_ERR_MODEL,
                     "%s: expected its end after %" PRIu32 " tokens, found %zu bytes more", r->name,
                     r->count, n_bytes - at);
}

/* ---- merges ---- */

/* What the merges of tokens below `id` make of its bytes: *left is its first part's length. False
 * if that is not two parts. Always the merge of the lowest rank, leftmost first. */
static bool split(const struct llmc_tokenizer_reader *r, uint32_t id, uint32_t *left) {
    const struct token *t = &r->tokens[id];
    uint32_t ends[256] = {0}, n = 0; // of the parts
    for (uint32_t i = 0; i < t->len; i++)
        ends[n++] = i + 1;
    while (n > 2) {
        uint32_t best = id, at = 0;
        for (uint32_t i = 0; i + 1 < n; i++) {
            const uint32_t begin = i ? ends[i - 1] : 0;
            const uint32_t slot = *find_slot(r, t->text + begin, ends[i + 1] - begin);
            if (slot && slot - 1 < best) {
                best = slot - 1;
                at = i;
            }
        }
        if (best == id)
            return false;
        memmove(&ends[at], &ends[at + 1], (--n - at) * sizeof *ends);
    }
    *left = ends[0];
    const uint32_t second = *find_slot(r, t->text + *left, t->len - *left);
    const uint32_t first = *find_slot(r, t->text, *left);
    return n == 2 && first && second && first <= id && second <= id;
}

/* ---- texts ---- */

/* Bytes as GPT-2's vocabulary files spell them (bytes_to_unicode in OpenAI's encoder.py): printable
 * ones as themselves, the others in order as U+0100, U+0101 ... In JSON a quote and a backslash get
 * another one in front. */
static void put_alphabet(struct buffer *out, const unsigned char *text, uint32_t len, bool json) {
    for (uint32_t i = 0; i < len; i++) {
        const unsigned b = text[i];
        unsigned letter = b;
        if (b <= 32)
            letter = 256 + b;
        else if (b >= 127 && b <= 160)
            letter = 256 + 33 + (b - 127);
        else if (b == 173)
            letter = 256 + 67;
        if (json && (letter == '"' || letter == '\\'))
            buffer_byte(out, '\\');
        char form[4];
        buffer_bytes(out, form, utf8_encode(form, letter));
    }
}

static bool write_vocab(const struct llmc_tokenizer_reader *r, struct buffer *out) {
    buffer_format(out, "{");
    for (uint32_t i = 0; i < r->count; i++) {
        if (i == r->end)
            continue;
        buffer_format(out, i ? ",\"" : "\"");
        put_alphabet(out, r->tokens[i].text, r->tokens[i].len, true);
        buffer_format(out, "\":%" PRIu32, i);
    }
    buffer_format(out, "}");
    return true;
}

static bool write_merges(const struct llmc_tokenizer_reader *r, struct buffer *out) {
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t left = 0;
        if (i == r->end)
            continue;
        const struct token *t = &r->tokens[i];
        if ((i < N_BYTES) != (t->len == 1) || (i >= N_BYTES && !split(r, i, &left))) {
            error_set(r->err, GPT2_ERR_MODEL,
                      "%s: token %" PRIu32 " is not made of two tokens before it: this vocabulary "
                      "is not in the order of its merges, which the file does not have",
                      r->name, i);
            return error_hint(r->err,
                              "put vocab.json and merges.txt, or tokenizer.json, beside the "
                              "model instead");
        }
        if (i < N_BYTES)
            continue;
        put_alphabet(out, t->text, left, false);
        buffer_byte(out, ' ');
        put_alphabet(out, t->text + left, t->len - left, false);
        buffer_byte(out, '\n');
    }
    return true;
}

static bool write_added(const struct llmc_tokenizer_reader *r, struct buffer *out) {
    buffer_format(out, "{\"<|endoftext|>\":%" PRIu32 "}", r->end);
    return true;
}

static bool write_text(struct tokenizer_texts *out, enum tokenizer_text which, const char *what,
                       bool (*write)(const struct llmc_tokenizer_reader *r, struct buffer *out),
                       const struct llmc_tokenizer_reader *r) {
    struct buffer text = {0};
    if (!write(r, &text)) {
        buffer_free(&text);
        return false;
    }
    out->items[which].text = buffer_take(&text, &out->items[which].len);
    out->items[which].what = what;
    return out->items[which].text || error_memory(r->err, what, 0);
}

bool llmc_tokenizer_parse(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                          const char *name, struct gpt2_error *err) {
    struct llmc_tokenizer_reader r = {.name = name, .err = err};
    const bool ok =
        read_tokens(&r, bytes, n_bytes) &&
        write_text(out, TOKENIZER_VOCAB, "the tokens of gpt2_tokenizer.bin", write_vocab, &r) &&
        write_text(out, TOKENIZER_MERGES, "the merges of gpt2_tokenizer.bin", write_merges, &r) &&
        write_text(out, TOKENIZER_ADDED, "the end of gpt2_tokenizer.bin", write_added, &r);
    os_free(r.tokens);
    os_free(r.slots);
    return ok;
}

bool llmc_tokenizer(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                    const char *path, struct gpt2_error *err) {
    char *dir = path_directory(path, err);
    char *name = dir ? path_join(dir, "gpt2_tokenizer.bin", err) : NULL;
    bool exists = false, ok = name && look_exists(&exists, name, GPT2_ERR_MODEL, err);
    struct os_file file;
    if (exists) {
        ok = os_map(&file, name, GPT2_ERR_MODEL, err);
        if (ok) {
            ok = llmc_tokenizer_parse(out, file.data, file.size, name, err);
            os_unmap(&file);
        }
    }
    free(name);
    free(dir);
    return ok;
}
