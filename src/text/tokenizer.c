/* tokenizer.c - the public face: text to ids and back.
 *
 * Encoding goes through three layers: special tokens are cut out where asked for, the text between
 * them is cut into pieces (pretokenize.h), and each piece becomes tokens, by look-up where it is
 * known (pieces.h) and by merging where it is not (bpe.h). */
#include "base/error_internal.h"
#include "base/os.h"
#include "text/bpe.h"
#include "text/ids.h"
#include "text/pieces.h"
#include "text/pretokenize.h"
#include "text/tables.h"
#include "text/tokenizer_internal.h"
#include "text/vocab_files.h"
#include "weights/containers.h"

#include <gpt2/tokenizer.h>
#include <stdatomic.h>
#include <string.h>

struct gpt2_tokenizer {
    struct vocab *vocab;
    struct bpe *bpe;
    _Atomic(struct pieces *) pieces; /* NULL: not made yet                      */
    atomic_size_t n_encoded;         /* bytes of text that went without it      */
    struct os_file file;             /* the file that the three borrow from, if they do */
    bool starts_special[256];        /* a special token begins with this byte */
};

/* Making the table of whole pieces merges every token of the vocabulary, some milliseconds. Merging
 * the pieces of a text of this many bytes, all calls together, costs about as much; a prompt, a
 * hundredth. */
#define PIECES_FROM ((size_t)128 << 10)

/* From how many bytes of text a cache of merged pieces is worth its memory. */
#define CACHE_FROM 4096

/* One call of encode. */
struct encoding {
    const struct gpt2_tokenizer *tokenizer;
    const struct pieces *pieces; /* NULL: none, everything is merged */
    struct piece_cache *cache;   /* NULL: none */
    struct gpt2_ids *ids;
    struct gpt2_error *err;
};

static void find_starts(struct gpt2_tokenizer *t) {
    const struct vocab *vocab = t->vocab;
    for (size_t i = 0; i < vocab->n_specials; i++)
        t->starts_special[vocab->bytes[vocab->tokens[vocab->specials[i]].offset]] = true;
}

struct gpt2_tokenizer *tokenizer_create(struct vocab *vocab, struct gpt2_error *err) {
    struct gpt2_tokenizer *t = os_alloc(1, sizeof *t, "the tokenizer", err);
    if (!t) {
        vocab_free(vocab);
        return NULL;
    }
    t->vocab = vocab;
    t->bpe = bpe_create(vocab, err);
    if (!t->bpe) {
        gpt2_tokenizer_close(t);
        return NULL;
    }
    find_starts(t);
    return t;
}

struct gpt2_tokenizer *tokenizer_unpack(const unsigned char *bytes, size_t n_bytes,
                                        const char *name, struct gpt2_error *err) {
    struct gpt2_tokenizer *t = os_alloc(1, sizeof *t, "the tokenizer", err);
    struct tables tables;
    if (!t || !tables_unpack(&tables, bytes, n_bytes, name, err)) {
        os_free(t);
        return NULL;
    }
    t->vocab = tables.vocab;
    t->bpe = tables.bpe;
    t->pieces = tables.pieces;
    find_starts(t);
    return t;
}

const struct vocab *tokenizer_vocab(const struct gpt2_tokenizer *tokenizer) {
    return tokenizer->vocab;
}

const struct bpe *tokenizer_bpe(const struct gpt2_tokenizer *tokenizer) {
    return tokenizer->bpe;
}

/* The table of whole pieces, made if it is not there. Threads that come at the same time make one
 * each, and the first stays. NULL: out of memory. */
static struct pieces *pieces_of(const struct gpt2_tokenizer *tokenizer, struct gpt2_error *err) {
    struct gpt2_tokenizer *t = (struct gpt2_tokenizer *)(uintptr_t)tokenizer; // it looks the same
    struct pieces *there = atomic_load(&t->pieces);
    if (there)
        return there;
    struct pieces *made = pieces_create(t->vocab, t->bpe, err);
    if (!made || atomic_compare_exchange_strong(&t->pieces, &there, made))
        return made;
    pieces_free(made);
    return there;
}

bool gpt2_tokenizer_pack(const struct gpt2_tokenizer *tokenizer, unsigned char **bytes,
                         size_t *n_bytes, struct gpt2_error *err) {
    struct tables tables = {tokenizer->vocab, tokenizer->bpe, pieces_of(tokenizer, err)};
    return tables.pieces && tables_pack(&tables, bytes, n_bytes, err);
}

/* Of a file that has it inside ready for use: the tokenizer takes the mapping over. */
static struct gpt2_tokenizer *open_tables(struct given *given, const char *path, bool *none,
                                          struct gpt2_error *err) {
    const unsigned char *tables;
    size_t n_tables;
    if (!given->format->tables(&tables, &n_tables, given->file.data, given->file.size, path, err))
        return NULL;
    *none = !tables;
    if (!tables) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a tokenizer in the file, found none", path);
        error_hint(err, "without a tokenizer, give and take token ids: --ids, --output ids");
        return NULL;
    }
    struct gpt2_tokenizer *t = tokenizer_unpack(tables, n_tables, path, err);
    if (t) {
        t->file = given->file;
        given->file = (struct os_file){NULL, 0};
    }
    return t;
}

/* *none says that it failed as there is no tokenizer, and for no other reason. */
static struct gpt2_tokenizer *open_any(const char *path, bool *none, struct gpt2_error *err) {
    struct given given;
    *none = false;
    if (!containers_identify(&given, path, err))
        return NULL;
    struct gpt2_tokenizer *t = NULL;
    if (given.format && given.format->tables) {
        t = open_tables(&given, path, none, err);
    } else {
        struct vocab *vocab = vocab_files_read(path, &given, none, err);
        t = vocab ? tokenizer_create(vocab, err) : NULL;
    }
    containers_close(&given);
    return t;
}

struct gpt2_tokenizer *gpt2_tokenizer_open(const char *path, struct gpt2_error *err) {
    bool none;
    return open_any(path, &none, err);
}

bool gpt2_tokenizer_open_if_any(struct gpt2_tokenizer **tokenizer, const char *path,
                                struct gpt2_error *err) {
    bool none;
    *tokenizer = open_any(path, &none, err);
    return *tokenizer || none;
}

void gpt2_tokenizer_close(struct gpt2_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    pieces_free(tokenizer->pieces);
    bpe_free(tokenizer->bpe);
    vocab_free(tokenizer->vocab);
    os_unmap(&tokenizer->file);
    os_free(tokenizer);
}

/* ---- encoding ---- */

/* A piece on its way to its tokens. */
struct lookup {
    const unsigned char *text; /* [n] */
    size_t n;
    struct piece_key key; /* {0, 0} and no slot for a piece that is too long for one */
    uint64_t hash;
    struct cached_piece *slot; /* NULL: none */
};

/* A piece that the cache does not have; it does afterwards. */
static bool encode_rare(struct encoding *encoding, const struct lookup *piece) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    struct gpt2_ids *ids = encoding->ids;
    size_t before = ids->len;
    int32_t id = -1;
    if (piece->key.hi && encoding->pieces)
        id = pieces_find(encoding->pieces, piece->key, piece->hash);
    else if (t->vocab->ignore_merges)
        id = vocab_find(t->vocab, piece->text, piece->n);
    if (!(id >= 0 ? ids_append(ids, &id, 1, encoding->err)
                  : bpe_encode(t->bpe, piece->text, piece->n, ids, encoding->err)))
        return false;
    size_t count = ids->len - before;
    if (piece->slot && count <= CACHED_IDS) {
        piece->slot->key = piece->key;
        piece->slot->n = (int32_t)count;
        memcpy(piece->slot->ids, ids->data + before, count * sizeof *ids->data);
    }
    return true;
}

/* Cuts off the piece that text[0..n) begins with. Where it will be looked up is on its way from
 * memory when this returns. */
static void next_piece(struct lookup *piece, const struct encoding *encoding,
                       const unsigned char *text, size_t n) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    piece->text = text;
    piece->n = t->vocab->split ? pretokenize_next(text, n, 0) : n;
    piece->key = (struct piece_key){0, 0};
    piece->slot = NULL;
    if (piece->n > PIECE_MAX)
        return;
    piece->key = n >= 16 ? piece_key_wide(text, piece->n) : piece_key(text, piece->n);
    piece->hash = piece_hash(piece->key);
    if (encoding->pieces)
        __builtin_prefetch(pieces_first(encoding->pieces, piece->hash));
    if (encoding->cache) {
        piece->slot = piece_cached(encoding->cache, piece->hash);
        __builtin_prefetch(piece->slot);
    }
}

/* Text without special tokens. A batch of pieces is cut off before any is looked up, so that the
 * memory they need is fetched for all at once. */
static bool encode_plain(struct encoding *encoding, const unsigned char *text, size_t n) {
    enum { BATCH = 16 };
    struct lookup pieces[BATCH];
    struct gpt2_ids *ids = encoding->ids;
    while (n > 0) {
        int n_pieces = 0;
        for (; n_pieces < BATCH && n > 0; n_pieces++) {
            struct lookup *piece = &pieces[n_pieces];
            next_piece(piece, encoding, text, n);
            text += piece->n;
            n -= piece->n;
        }
        for (int i = 0; i < n_pieces; i++) {
            struct cached_piece *slot = pieces[i].slot;
            if (slot && piece_equal(slot->key, pieces[i].key) &&
                ids->cap - ids->len >= CACHED_IDS) {
                // All of them are copied, and those that count kept: quicker than to look.
                memcpy(ids->data + ids->len, slot->ids, sizeof slot->ids);
                ids->len += (size_t)slot->n;
            } else if (!encode_rare(encoding, &pieces[i])) {
                return false;
            }
        }
    }
    return true;
}

/* The same with a space put before it where the tokenizer wants one. */
static bool encode_section(struct encoding *encoding, const unsigned char *text, size_t n) {
    if (!n || !encoding->tokenizer->vocab->add_prefix_space || text[0] == ' ')
        return encode_plain(encoding, text, n);
    unsigned char *spaced = n < SIZE_MAX ? os_alloc(n + 1, 1, "the text", encoding->err) : NULL;
    if (!spaced)
        return false;
    spaced[0] = ' ';
    memcpy(spaced + 1, text, n);
    bool ok = encode_plain(encoding, spaced, n + 1);
    os_free(spaced);
    return ok;
}

/* The longest special token that text[0..n) begins with, or -1. */
static int32_t special_at(const struct gpt2_tokenizer *t, const unsigned char *text, size_t n) {
    const struct vocab *vocab = t->vocab;
    int32_t best = -1;
    for (size_t i = 0; i < vocab->n_specials; i++) {
        struct vocab_token token = vocab->tokens[vocab->specials[i]];
        if (token.len <= n && (best < 0 || token.len > vocab->tokens[best].len) &&
            !memcmp(vocab->bytes + token.offset, text, token.len))
            best = vocab->specials[i];
    }
    return best;
}

/* Cuts special tokens out, leftmost and longest first. */
static bool encode_special(struct encoding *encoding, const unsigned char *text, size_t n) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        int32_t id = t->starts_special[text[i]] ? special_at(t, text + i, n - i) : -1;
        if (id < 0) {
            i++;
            continue;
        }
        if (!encode_section(encoding, text + from, i - from) ||
            !ids_append(encoding->ids, &id, 1, encoding->err))
            return false;
        from = i += t->vocab->tokens[id].len;
    }
    return encode_section(encoding, text + from, n - from);
}

/* The table of whole pieces for a text of n bytes, if it is there or pays now. */
static const struct pieces *pieces_for(const struct gpt2_tokenizer *tokenizer, size_t n_bytes) {
    struct gpt2_tokenizer *t = (struct gpt2_tokenizer *)(uintptr_t)tokenizer; // only counts
    const struct pieces *there = atomic_load_explicit(&t->pieces, memory_order_acquire);
    if (there)
        return there;
    size_t before = atomic_fetch_add_explicit(&t->n_encoded, n_bytes, memory_order_relaxed);
    return before + n_bytes >= PIECES_FROM ? pieces_of(t, NULL) : NULL;
}

bool gpt2_tokenizer_encode(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                           unsigned flags, struct gpt2_ids *ids, struct gpt2_error *err) {
    const unsigned char *bytes = (const unsigned char *)text;
    struct encoding encoding = {.tokenizer = tokenizer, .ids = ids, .err = err};
    size_t before = ids->len;
    encoding.pieces =
        pieces_for(tokenizer, n_bytes); // where there is no memory, all goes on without
    if (n_bytes >= CACHE_FROM)
        encoding.cache = os_alloc(1, sizeof *encoding.cache, "", NULL);
    bool ok = ids_reserve(ids, n_bytes / 4 + 1, err) &&
              (flags & GPT2_ENCODE_SPECIAL ? encode_special(&encoding, bytes, n_bytes)
                                           : encode_section(&encoding, bytes, n_bytes));
    os_free(encoding.cache);
    if (!ok)
        ids->len = before;
    return ok;
}

/* True if a special token in text[0..n) covers both sides of text[i], or would if it went on. */
static bool in_special(const struct gpt2_tokenizer *t, const unsigned char *text, size_t n,
                       size_t i) {
    const struct vocab *vocab = t->vocab;
    for (size_t s = 0; s < vocab->n_specials; s++) {
        struct vocab_token token = vocab->tokens[vocab->specials[s]];
        for (size_t back = 1; back < token.len && back <= i; back++) {
            size_t known = n - i + back < token.len ? n - i + back : token.len;
            if (!memcmp(text + i - back, vocab->bytes + token.offset, known))
                return true;
        }
    }
    return false;
}

size_t gpt2_tokenizer_cut(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                          unsigned flags) {
    const struct vocab *vocab = tokenizer->vocab;
    const unsigned char *bytes = (const unsigned char *)text;
    if (!vocab->split || vocab->add_prefix_space)
        return 0;
    size_t cut = pretokenize_cut(bytes, n_bytes);
    while ((flags & GPT2_ENCODE_SPECIAL) && cut > 0 && in_special(tokenizer, bytes, n_bytes, cut))
        cut = pretokenize_cut(bytes, cut);
    return cut;
}

/* ---- tokens ---- */

const char *gpt2_tokenizer_token(const struct gpt2_tokenizer *tokenizer, int32_t id,
                                 size_t *n_bytes) {
    const struct vocab *vocab = tokenizer->vocab;
    *n_bytes = vocab_has(vocab, id) ? vocab->tokens[id].len : 0;
    return *n_bytes ? (const char *)vocab->bytes + vocab->tokens[id].offset : NULL;
}

int32_t gpt2_tokenizer_size(const struct gpt2_tokenizer *tokenizer) {
    return tokenizer->vocab->size;
}

int32_t gpt2_tokenizer_find(const struct gpt2_tokenizer *tokenizer, const char *text,
                            size_t n_bytes) {
    int32_t id = vocab_find_special(tokenizer->vocab, text, n_bytes);
    return id >= 0 ? id : vocab_find(tokenizer->vocab, text, n_bytes);
}

bool gpt2_tokenizer_is_special(const struct gpt2_tokenizer *tokenizer, int32_t id) {
    return vocab_has(tokenizer->vocab, id) && tokenizer->vocab->tokens[id].special;
}
