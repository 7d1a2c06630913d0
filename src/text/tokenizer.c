/* tokenizer.c - the public face: text to ids and back.
 *
 * Encoding goes through three layers: added tokens are cut out, special ones where asked for, the
 * text between them is cut into pieces (pretokenize.h), and each piece becomes tokens, by look-up
 * where it is known (pieces.h) and by merging where it is not (bpe.h). */
#include "base/error_internal.h"
#include "base/os.h"
#include "text/added_search.h"
#include "text/bpe.h"
#include "text/ids.h"
#include "text/pieces.h"
#include "text/pretokenize.h"
#include "text/tables.h"
#include "text/text_rules.h"
#include "text/tokenizer_internal.h"
#include "text/vocab_files.h"
#include "weights/containers.h"

#include <gpt2/tokenizer.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct gpt2_tokenizer {
    struct vocab *vocab;
    struct bpe *bpe;
    _Atomic(struct pieces *) pieces; /* NULL: not made yet                      */
    atomic_size_t n_encoded;         /* bytes of text that went without it      */
    struct os_file file;             /* the file that the three borrow from, if they do */
    bool cuts;                       /* there are added tokens that are not special */
    bool lacks_some, lacks[256];     /* bytes that no token has */
    struct normalized *spelled; /* [n_added] as they stand in normalized text; NULL: as they are */
    struct added_search added[2]; /* tokens that are matched as they stand; in normalized text */
};

/* Making the table of whole pieces merges every token of the vocabulary, some milliseconds. Merging
 * the pieces of a text of this many bytes, all calls together, costs about as much; a prompt, a
 * hundredth. */
#define PIECES_FROM ((size_t)128 << 10)

/* From how many bytes of text a cache of merged pieces is worth its memory. */
#define CACHE_FROM 4096

/* How many ids are handed on together, about, and from how many bytes the tokens of one piece are
 * handed on before it has ended. */
#define PART_IDS   4096
#define PARTS_FROM ((size_t)16 << 10)

/* A growing list of where the ids came from. */
struct extents {
    struct gpt2_extent *items; /* [n of cap] */
    size_t n, cap;
};

/* Text on its way to pieces, and where it came from. */
struct section {
    const unsigned char *text; /* [n] */
    size_t n;
    size_t base; /* of text[0] in the whole text, where `normalized` is NULL */
    const struct normalized
        *normalized; /* text is a part of it, from `at` on; NULL: it stands so */
    size_t at;
};

/* The range of text that is being encoded, as far as its ids have their extents. */
struct encoded_range {
    const struct section *section;
    size_t first; /* id of the range without an extent */
    size_t at;    /* where in the section its token begins */
    size_t skip;  /* bytes of that token that were put in */
};

/* One call of encode. */
struct encoding {
    const struct gpt2_tokenizer *tokenizer;
    const struct pieces *pieces; /* NULL: none, everything is merged */
    struct piece_cache *cache;   /* NULL: none */
    struct gpt2_ids *ids;
    struct extents *extents; /* NULL: not asked for */
    struct encoded_range range;
    const struct gpt2_encode_sink *sink; /* NULL: all stays in ids */
    unsigned flags;
    struct gpt2_error *err;
};

/* The searches for added tokens. With a normalizer those that are matched in normalized text are
 * normalized themselves. */
static bool make_searches(struct gpt2_tokenizer *t, struct gpt2_error *err) {
    const struct vocab *vocab = t->vocab;
    const size_t n = vocab->n_added;
    for (int byte = 0; byte < 256; byte++) {
        t->lacks[byte] = vocab_find(vocab, &(unsigned char){(unsigned char)byte}, 1) < 0;
        t->lacks_some |= t->lacks[byte];
    }
    if (!added_search_create(&t->added[0], vocab, false, NULL, NULL, err))
        return false;
    if (!vocab->rules || !vocab->rules->normalizer || n == 0)
        return added_search_create(&t->added[1], vocab, true, NULL, NULL, err);
    t->spelled = os_alloc(n, sizeof *t->spelled, "the added tokens", err);
    const unsigned char **texts = os_alloc(n, sizeof *texts, "the added tokens", err);
    size_t *lens = os_alloc(n, sizeof *lens, "the added tokens", err);
    bool ok = t->spelled && texts && lens;
    for (size_t i = 0; ok && i < n; i++) {
        const struct vocab_token token = vocab->tokens[vocab->added[i]];
        ok = normalizer_run(vocab->rules->normalizer, vocab->bytes + token.offset, token.len, false,
                            &t->spelled[i], err);
        texts[i] = t->spelled[i].text;
        lens[i] = t->spelled[i].n;
    }
    ok = ok && added_search_create(&t->added[1], vocab, true, texts, lens, err);
    os_free(texts);
    os_free(lens);
    return ok;
}

struct gpt2_tokenizer *tokenizer_create(struct vocab *vocab, struct gpt2_error *err) {
    struct gpt2_tokenizer *t = os_alloc(1, sizeof *t, "the tokenizer", err);
    if (!t) {
        vocab_free(vocab);
        return NULL;
    }
    t->vocab = vocab;
    t->bpe = bpe_create(vocab, err);
    if (t->bpe && make_searches(t, err))
        return t;
    gpt2_tokenizer_close(t);
    return NULL;
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
    if (make_searches(t, err))
        return t;
    gpt2_tokenizer_close(t);
    return NULL;
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
        error_hint(err, "without a tokenizer, give and take token ids: --ids, --format ids");
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
    struct gpt2_error failure;
    bool none;
    *tokenizer = open_any(path, &none, &failure);
    if (!*tokenizer && !none && err)
        *err = failure;
    return *tokenizer || none;
}

void gpt2_tokenizer_close(struct gpt2_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    for (size_t i = 0; tokenizer->spelled && i < tokenizer->vocab->n_added; i++)
        normalizer_free_text(&tokenizer->spelled[i]);
    os_free(tokenizer->spelled);
    added_search_free(&tokenizer->added[0]);
    added_search_free(&tokenizer->added[1]);
    pieces_free(tokenizer->pieces);
    bpe_free(tokenizer->bpe);
    vocab_free(tokenizer->vocab);
    os_unmap(&tokenizer->file);
    os_free(tokenizer);
}

/* ---- encoding ---- */

static bool place_ids(struct encoding *encoding);

/* Hands on what there is. */
static bool hand_on(struct encoding *encoding) {
    struct gpt2_ids *ids = encoding->ids;
    if (!place_ids(encoding))
        return false;
    const struct gpt2_encode_sink *sink = encoding->sink;
    const bool ok = ids->len == 0 || sink->take(sink->user, ids->data,
                                                encoding->extents ? encoding->extents->items : NULL,
                                                ids->len, encoding->err);
    ids->len = encoding->range.first = 0;
    if (encoding->extents)
        encoding->extents->n = 0;
    return ok;
}

/* The same where it is worth a call; an ids_drain. */
static bool drain(void *user, struct gpt2_error *err) {
    struct encoding *encoding = user;
    return !encoding->sink || encoding->ids->len < PART_IDS || hand_on(encoding);
}

/* A piece on its way to its tokens. */
struct lookup {
    const unsigned char *text; /* [n] */
    size_t n;
    struct piece_key key; /* {0, 0} and no slot for a piece that is too long for one */
    uint64_t hash;
    struct cached_piece *slot; /* NULL: none */
};

/* Merges a piece whose bytes have tokens, or it is an error. */
static bool merge_known(struct encoding *encoding, const unsigned char *text, size_t n) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    if (encoding->sink && n >= PARTS_FROM)
        return bpe_encode_parts(t->bpe, text, n, encoding->ids,
                                &(struct ids_drain){drain, encoding}, encoding->err);
    return bpe_encode(t->bpe, text, n, encoding->ids, encoding->err);
}

/* Merges a piece; bytes that no token has are left out first, where that is asked for. */
static bool merge(struct encoding *encoding, const unsigned char *text, size_t n) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    size_t n_known = 0;
    for (size_t i = 0; t->lacks_some && i < n; i++)
        n_known += !t->lacks[text[i]];
    if (!t->lacks_some || n_known == n || !(encoding->flags & GPT2_ENCODE_DROP_UNKNOWN))
        return merge_known(encoding, text, n);
    unsigned char *known = n_known ? os_alloc(n_known, 1, "the text", encoding->err) : NULL;
    if (!known)
        return n_known == 0;
    n_known = 0;
    for (size_t i = 0; i < n; i++)
        if (!t->lacks[text[i]])
            known[n_known++] = text[i];
    bool ok = merge_known(encoding, known, n_known);
    os_free(known);
    return ok;
}

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
                  : merge(encoding, piece->text, piece->n)))
        return false;
    size_t count = ids->len - before; // of a piece that has a slot: others may be handed on
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
        if (!drain(encoding, encoding->err))
            return false;
    }
    return true;
}

/* ---- from a text to sections ---- */

/* A text that was normalized to nothing is NULL. */
static struct section part(const struct section *s, size_t begin, size_t end) {
    return (struct section){s->text ? s->text + begin : NULL, end - begin, s->base + begin,
                            s->normalized, s->at + begin};
}

/* The place in the whole text where text[i] came from, and where text[i - 1], i > 0, ended. */
static size_t origin(const struct section *s, size_t i) {
    if (!s->normalized)
        return s->base + i;
    return i < s->n ? s->normalized->from[s->at + i] : s->normalized->to[s->at + i - 1];
}

static size_t origin_end(const struct section *s, size_t i) {
    return s->normalized ? s->normalized->to[s->at + i - 1] : s->base + i;
}

static bool push_extent(struct encoding *encoding, size_t begin, size_t end) {
    struct extents *extents = encoding->extents;
    if (!extents)
        return true;
    if (extents->n == extents->cap) {
        size_t cap = extents->cap + extents->cap / 2 + 16;
        struct gpt2_extent *grown =
            cap < SIZE_MAX / sizeof *grown ? realloc(extents->items, cap * sizeof *grown) : NULL;
        if (!grown)
            return error_memory(encoding->err, "byte offsets", cap);
        extents->items = grown;
        extents->cap = cap;
    }
    extents->items[extents->n++] = (struct gpt2_extent){begin, end};
    return true;
}

static bool push_id(struct encoding *encoding, int32_t id, size_t begin, size_t end) {
    return ids_append(encoding->ids, &id, 1, encoding->err) && push_extent(encoding, begin, end);
}

/* Where the ids of the range came from that have no extent yet: their tokens are the bytes of the
 * section, less what has been left out. */
static bool place_ids(struct encoding *encoding) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    const bool drops = encoding->flags & GPT2_ENCODE_DROP_UNKNOWN;
    struct encoded_range *range = &encoding->range;
    const struct section *s = range->section;
    if (!encoding->extents || !s)
        return true;
    for (; range->first < encoding->ids->len; range->first++) {
        size_t len = t->vocab->tokens[encoding->ids->data[range->first]].len - range->skip, begin;
        range->skip = 0;
        for (begin = range->at; drops && begin < s->n && t->lacks[s->text[begin]];)
            begin++;
        for (range->at = begin; len > 0 && range->at < s->n; range->at++)
            len -= !(drops && t->lacks[s->text[range->at]]);
        if (!push_extent(encoding, origin(s, begin),
                         range->at > begin ? origin_end(s, range->at) : origin(s, begin)))
            return false;
    }
    return true;
}

/* One range of text without added tokens; a space is put before it where the tokenizer wants one.
 */
static bool encode_range(struct encoding *encoding, const struct section *s) {
    const bool spaced = s->n && encoding->tokenizer->vocab->add_prefix_space && s->text[0] != ' ';
    bool ok;
    encoding->range = (struct encoded_range){s, encoding->ids->len, 0, spaced};
    if (!spaced) {
        ok = encode_plain(encoding, s->text, s->n);
    } else {
        unsigned char *text =
            s->n < SIZE_MAX ? os_alloc(s->n + 1, 1, "the text", encoding->err) : NULL;
        if (!text)
            return false;
        text[0] = ' ';
        memcpy(text + 1, s->text, s->n);
        ok = encode_plain(encoding, text, s->n + 1);
        os_free(text);
    }
    ok = ok && place_ids(encoding);
    encoding->range.section = NULL;
    return ok;
}

/* Text without added tokens, normalized. */
static bool encode_section(struct encoding *encoding, const struct section *s) {
    const struct text_rules *rules = encoding->tokenizer->vocab->rules;
    struct range *ranges;
    size_t n;
    if (!rules || !rules->pretokenizer)
        return encode_range(encoding, s);
    bool ok = pretokenizer_run(rules->pretokenizer, s->text, s->n, &ranges, &n, encoding->err);
    for (size_t i = 0; ok && i < n; i++) {
        const struct section range = part(s, ranges[i].begin, ranges[i].end);
        ok = encode_range(encoding, &range);
    }
    free(ranges);
    return ok;
}

/* Cuts added tokens out with one of the two searches; `next` encodes what is between them. */
static bool cut_out(struct encoding *encoding, const struct section *s,
                    const struct added_search *search,
                    bool (*next)(struct encoding *encoding, const struct section *s)) {
    const bool special = encoding->flags & GPT2_ENCODE_SPECIAL;
    struct added_match match;
    size_t at = 0;
    if (!added_search_any(search, special))
        return next(encoding, s);
    for (; added_search_next(&match, search, s->text, s->n, at, special); at = match.end) {
        const struct section before = part(s, at, match.begin);
        const bool placed = encoding->extents != NULL;
        if ((before.n && !next(encoding, &before)) ||
            !push_id(encoding, match.id, placed ? origin(s, match.begin) : 0,
                     placed ? origin_end(s, match.end) : 0))
            return false;
    }
    const struct section rest = part(s, at, s->n);
    return !rest.n || next(encoding, &rest);
}

/* Text without those added tokens that are matched as they stand. */
static bool encode_unnormalized(struct encoding *encoding, const struct section *s) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    const struct text_rules *rules = t->vocab->rules;
    struct normalized normalized;
    if (!rules || !rules->normalizer)
        return cut_out(encoding, s, &t->added[1], encode_section);
    if (!normalizer_run(rules->normalizer, s->text, s->n, encoding->extents != NULL, &normalized,
                        encoding->err))
        return false;
    for (size_t i = 0; normalized.has_places && i < normalized.n; i++) {
        normalized.from[i] += s->base;
        normalized.to[i] += s->base;
    }
    const struct section all = {normalized.text, normalized.n, s->base, &normalized, 0};
    bool ok = cut_out(encoding, &all, &t->added[1], encode_section);
    normalizer_free_text(&normalized);
    return ok;
}

/* A whole text, with the tokens that go around it. */
static bool encode_text(struct encoding *encoding, const unsigned char *text, size_t n) {
    const struct gpt2_tokenizer *t = encoding->tokenizer;
    const struct section all = {text, n, 0, NULL, 0};
    const struct text_rules *rules = encoding->flags & GPT2_ENCODE_PART ? NULL : t->vocab->rules;
    for (int i = 0; rules && i < rules->around.n_prefix; i++)
        if (!push_id(encoding, rules->around.prefix[i], 0, 0))
            return false;
    if (!cut_out(encoding, &all, &t->added[0], encode_unnormalized))
        return false;
    for (int i = 0; rules && i < rules->around.n_suffix; i++)
        if (!push_id(encoding, rules->around.suffix[i], n, n))
            return false;
    return true;
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

static bool encode(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                   unsigned flags, struct gpt2_ids *ids, struct extents *extents,
                   const struct gpt2_encode_sink *sink, struct gpt2_error *err) {
    struct encoding encoding = {.tokenizer = tokenizer,
                                .ids = ids,
                                .extents = extents,
                                .sink = sink,
                                .flags = flags,
                                .err = err};
    const size_t before = ids->len, room = n_bytes / 4 + 1;
    encoding.pieces =
        pieces_for(tokenizer, n_bytes); // where there is no memory, all goes on without
    if (n_bytes >= CACHE_FROM)
        encoding.cache = os_alloc(1, sizeof *encoding.cache, "", NULL);
    bool ok = ids_reserve(ids, sink && room > PART_IDS ? PART_IDS : room, err) &&
              encode_text(&encoding, (const unsigned char *)text, n_bytes) &&
              (!sink || hand_on(&encoding));
    os_free(encoding.cache);
    if (!ok)
        ids->len = before;
    return ok;
}

bool gpt2_tokenizer_encode(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                           unsigned flags, struct gpt2_ids *ids, struct gpt2_error *err) {
    return encode(tokenizer, text, n_bytes, flags, ids, NULL, NULL, err);
}

bool gpt2_tokenizer_encode_extents(const struct gpt2_tokenizer *tokenizer, const char *text,
                                   size_t n_bytes, unsigned flags, struct gpt2_ids *ids,
                                   struct gpt2_extent **extents, struct gpt2_error *err) {
    struct extents list = {0};
    bool ok = encode(tokenizer, text, n_bytes, flags, ids, &list, NULL, err);
    if (!ok)
        free(list.items);
    *extents = ok ? list.items : NULL;
    return ok;
}

static bool encode_to(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                      unsigned flags, const struct gpt2_encode_sink *sink, struct gpt2_error *err) {
    struct gpt2_ids ids = {0};
    struct extents extents = {0};
    bool ok = encode(tokenizer, text, n_bytes, flags, &ids, sink->wants_extents ? &extents : NULL,
                     sink, err);
    free(extents.items);
    gpt2_ids_free(&ids);
    return ok;
}

static bool take_nothing(void *user, const int32_t *ids, const struct gpt2_extent *extents,
                         size_t n, struct gpt2_error *err) {
    return true;
}

bool gpt2_tokenizer_encode_parts(const struct gpt2_tokenizer *tokenizer, const char *text,
                                 size_t n_bytes, unsigned flags,
                                 const struct gpt2_encode_sink *sink, struct gpt2_error *err) {
    // a byte without a token is to be found before anything is taken; rules may make many of one
    const bool in_parts = n_bytes >= PART_IDS / 2 || tokenizer->vocab->rules;
    if (tokenizer->lacks_some && !(flags & GPT2_ENCODE_DROP_UNKNOWN) && in_parts &&
        !encode_to(tokenizer, text, n_bytes, flags,
                   &(struct gpt2_encode_sink){.take = take_nothing}, err))
        return false;
    return encode_to(tokenizer, text, n_bytes, flags, sink, err);
}

size_t gpt2_tokenizer_cut(const struct gpt2_tokenizer *tokenizer, const char *text, size_t n_bytes,
                          unsigned flags) {
    const struct vocab *vocab = tokenizer->vocab;
    const unsigned char *bytes = (const unsigned char *)text;
    const bool special = flags & GPT2_ENCODE_SPECIAL;
    const struct added_search *first = &tokenizer->added[0], *second = &tokenizer->added[1];
    if (!vocab->split || vocab->add_prefix_space || vocab->rules || first->strips || second->strips)
        return 0;
    size_t cut = pretokenize_cut(bytes, n_bytes);
    while (cut > 0 && (added_search_covers(first, bytes, n_bytes, cut, special) ||
                       added_search_covers(second, bytes, n_bytes, cut, special)))
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

bool gpt2_tokenizer_lacks(const struct gpt2_tokenizer *tokenizer, int n_vocab, struct gpt2_ids *ids,
                          struct gpt2_error *err) {
    for (int32_t id = 0; tokenizer && id < n_vocab; id++)
        if (!vocab_has(tokenizer->vocab, id) && !gpt2_ids_push(ids, id, err))
            return false;
    return true;
}

int32_t gpt2_tokenizer_size(const struct gpt2_tokenizer *tokenizer) {
    return tokenizer->vocab->size;
}

int gpt2_tokenizer_rows(const struct gpt2_tokenizer *tokenizer, int n_vocab) {
    return tokenizer && tokenizer->vocab->size < n_vocab ? tokenizer->vocab->size : n_vocab;
}

int32_t gpt2_tokenizer_find(const struct gpt2_tokenizer *tokenizer, const char *text,
                            size_t n_bytes) {
    int32_t id = vocab_find_added(tokenizer->vocab, text, n_bytes);
    return id >= 0 ? id : vocab_find(tokenizer->vocab, text, n_bytes);
}

bool gpt2_tokenizer_is_special(const struct gpt2_tokenizer *tokenizer, int32_t id) {
    return vocab_has(tokenizer->vocab, id) && tokenizer->vocab->tokens[id].special;
}
