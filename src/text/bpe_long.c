/* bpe_long.c - merging of long pieces, which are rare and often hostile (a million times "a").
 *
 * As for short ones the ranks of all adjacent pairs lie in an array, but with a tree of minima
 * above it, so that a merge costs log n. Very long pieces are cut into windows first, where that
 * can be proved to change nothing: a tree over a million bytes does not fit the nearer caches. */
#include "text/bpe_long.h"
#include "base/os.h"

#include <string.h>

/* ---- a tree of minima ---- */

/* A token lives at the position of its first byte. Level 0 of the tree holds, for each position,
 * the rank of the pair of the token there and the next one (NO_RANK where no token starts, or no
 * merge applies); each node of a level above is the least of FAN nodes below. */
#define FAN        16
#define MAX_LEVELS 17 /* 16^16 is more bytes than there can be */

struct bpe_piece {
    const struct bpe *bpe;
    size_t n;
    int32_t *ids;   /* [n] by position */
    uint32_t *span; /* [n] a token's bytes, at its first and at its last position */
    int n_levels;
    int32_t *levels[MAX_LEVELS]; /* each padded with NO_RANK to a multiple of FAN; last: 1 node */
};

/* Four ranks at once: generic vectors, which gcc and clang have for every processor. */
typedef int32_t lanes __attribute__((vector_size(16)));

static lanes load(const int32_t *nodes) {
    lanes v;
    memcpy(&v, nodes, sizeof v);
    return v;
}

static lanes lower(lanes a, lanes b) {
    lanes less = a < b;
    return (a & less) | (b & ~less);
}

/* The least of FAN nodes. */
static int32_t least(const int32_t *nodes) {
    lanes v = lower(lower(load(nodes), load(nodes + 4)), lower(load(nodes + 8), load(nodes + 12)));
    int32_t a = v[0] < v[1] ? v[0] : v[1], b = v[2] < v[3] ? v[2] : v[3];
    return a < b ? a : b;
}

/* The first of FAN nodes that is equal to value; one is. */
static size_t first_equal(const int32_t *nodes, int32_t value) {
    const lanes all = {value, value, value, value}, bits = {1, 2, 4, 8};
    lanes set = ((load(nodes) == all) & bits) | ((load(nodes + 4) == all) & bits << 4) |
                ((load(nodes + 8) == all) & bits << 8) | ((load(nodes + 12) == all) & bits << 12);
    return (size_t)__builtin_ctz((unsigned)(set[0] | set[1] | set[2] | set[3]));
}

/* Mends the minima above the leaves first..last (next to each other: rarely in two blocks). */
static void mend(struct bpe_piece *p, size_t first, size_t last) {
    for (int level = 1; level < p->n_levels; level++) {
        bool changed = false;
        first /= FAN;
        last /= FAN;
        for (size_t at = first; at <= last; at++) {
            int32_t min = least(p->levels[level - 1] + at * FAN);
            changed |= p->levels[level][at] != min;
            p->levels[level][at] = min;
        }
        if (!changed)
            return;
    }
}

/* The leftmost position of the least rank. */
static size_t find_least(const struct bpe_piece *p, int32_t rank) {
    size_t at = 0;
    for (int level = p->n_levels - 2; level >= 0; level--)
        at = at * FAN + first_equal(p->levels[level] + at * FAN, rank);
    return at;
}

/* The token at `at` and the next become one. */
static void merge_at(struct bpe_piece *p, size_t at, int32_t rank) {
    int32_t *ranks = p->levels[0];
    size_t before = at, next = at + p->span[at], end = next + p->span[next];
    int32_t id = p->bpe->results[rank];
    p->ids[at] = id;
    p->span[at] = p->span[end - 1] = (uint32_t)(end - at);
    ranks[next] = NO_RANK;
    ranks[at] = end < p->n ? bpe_rank(p->bpe, id, p->ids[end]) : NO_RANK;
    if (at > 0) {
        before -= p->span[at - 1];
        ranks[before] = bpe_rank(p->bpe, p->ids[before], id);
    }
    mend(p, before, next);
}

static void merge_all(struct bpe_piece *p) {
    int32_t *top = p->levels[p->n_levels - 1];
    while (*top != NO_RANK) {
        int32_t rank = *top;
        size_t at = find_least(p, rank);
        merge_at(p, at, rank);
        // The pair merged just now is often the least further on too (think of "aaaa..."). A new
        // token is longer than its parts, so a merge never makes its own pair: what is left of it
        // lies to the right, and first in this block of leaves.
        while (*top == rank && p->levels[1][at / FAN] == rank) {
            at = at / FAN * FAN + first_equal(p->levels[0] + at / FAN * FAN, rank);
            merge_at(p, at, rank);
        }
    }
}

/* Starts the leaves: single bytes and the ranks of their pairs. False: a byte has no token. */
static bool lay_out(struct bpe_piece *p, const unsigned char *text) {
    int32_t *ranks = p->levels[0];
    for (size_t i = 0; i < p->n; i++) {
        p->ids[i] = p->bpe->byte_ids[text[i]];
        p->span[i] = 1;
        if (p->ids[i] < 0)
            return false;
    }
    size_t i = 0;
    for (; i + 1 < p->n; i++)
        ranks[i] = bpe_rank(p->bpe, p->ids[i], p->ids[i + 1]);
    for (; i < p->n || i % FAN; i++)
        ranks[i] = NO_RANK;
    return true;
}

/* Lays out the piece and builds the tree in nodes, which has room for all levels. */
static bool start(struct bpe_piece *p, const unsigned char *text, int32_t *nodes) {
    size_t n_nodes = p->n;
    p->levels[0] = nodes;
    if (!lay_out(p, text))
        return false;
    for (p->n_levels = 1; n_nodes > 1; p->n_levels++) {
        const int32_t *below = p->levels[p->n_levels - 1];
        int32_t *level = p->levels[p->n_levels] = nodes += (n_nodes + FAN - 1) / FAN * FAN;
        n_nodes = (n_nodes + FAN - 1) / FAN;
        for (size_t i = 0; i < n_nodes; i++)
            level[i] = least(below + i * FAN);
        for (size_t i = n_nodes; i % FAN; i++)
            level[i] = NO_RANK;
    }
    return true;
}

/* Moves the tokens together; returns how many there are. */
static size_t collect(struct bpe_piece *p) {
    size_t count = 0;
    for (size_t i = 0; i < p->n; i += p->span[i])
        p->ids[count++] = p->ids[i];
    return count;
}

/* The tokens of a whole piece, through one tree over all of it. *known: false if a byte has no
 * token. */
static bool merge_tree(const struct bpe *bpe, const unsigned char *text, size_t n,
                       struct gpt2_ids *ids, bool *known, struct gpt2_error *err) {
    struct bpe_piece p = {.bpe = bpe, .n = n};
    size_t n_nodes = n + n / (FAN - 1) + (size_t)FAN * MAX_LEVELS; // the levels' sum, padded
    p.ids = os_alloc(n, sizeof *p.ids, "the tokens of a long word", err);
    p.span = os_alloc(n, sizeof *p.span, "the tokens of a long word", err);
    int32_t *nodes = os_alloc(n_nodes, sizeof *nodes, "the ranks of a long word", err);
    bool ok = p.ids && p.span && nodes;
    if (ok)
        ok = *known = start(&p, text, nodes);
    if (ok) {
        merge_all(&p);
        ok = ids_append(ids, p.ids, collect(&p), err);
    }
    os_free(p.ids);
    os_free(p.span);
    os_free(nodes);
    return ok;
}

/* ---- windows ---- */

/* A long piece need not be merged as one. Where ranks rise (`rising` in bpe_table.h), merging goes
 * through the ranks in order and what happens on one side of a boundary between tokens depends on
 * the other side only through merges across it. Hence: if t u v ... is what some text becomes, then
 * t u is what the bytes of t u become; and if that holds for each two neighbours of a sequence, the
 * sequence is what all of it becomes. (Else consider the first merge across a boundary: the two
 * tokens at that boundary would have made it on their own.) So overlapping windows that fit the
 * fastest memory are merged alone, and joined at a token which both have at the same place. */
#define WINDOW  256
#define OVERLAP 64 /* at most this much is merged twice, unless tokens are longer */

struct window {
    size_t at, end;      /* the bytes of the piece that it covers */
    int n;               /* tokens */
    int32_t ids[WINDOW]; /* [n] */
    size_t from[WINDOW]; /* [n] where each starts in the piece */
};

/* False: a byte has no token. */
static bool merge_window(struct window *w, const struct bpe *bpe, const unsigned char *text,
                         size_t at, size_t n) {
    int32_t nodes[WINDOW + 2 * FAN];
    uint32_t span[WINDOW];
    w->at = at;
    w->end = n - at < WINDOW ? n : at + WINDOW;
    struct bpe_piece p = {.bpe = bpe, .n = w->end - at, .ids = w->ids, .span = span};
    if (!start(&p, text + at, nodes))
        return false;
    merge_all(&p);
    w->n = 0;
    for (size_t i = 0; i < p.n; i += span[i]) {
        w->from[w->n] = at + i;
        w->ids[w->n++] = w->ids[i];
    }
    return true;
}

/* Appends tokens [from, to) of a window, and hands on what is there. `ids` NULL: nothing. */
static bool put(const struct window *w, int from, int to, struct gpt2_ids *ids,
                const struct ids_drain *drain, struct gpt2_error *err) {
    return !ids || (ids_append(ids, w->ids + from, (size_t)(to - from), err) &&
                    (!drain || drain->run(drain->user, err)));
}

/* *joined: false where two windows have no token in common, and nothing is to be used. `ids` NULL:
 * only to find that out; `drain` NULL: nothing is handed on. */
static bool merge_windows(const struct bpe *bpe, const unsigned char *text, size_t n,
                          struct gpt2_ids *ids, const struct ids_drain *drain, bool *joined,
                          bool *known, struct gpt2_error *err) {
    struct window windows[2], *w = &windows[0], *next = &windows[1];
    int first = 0; // the first token of w that is not in ids
    *joined = true;
    *known = merge_window(w, bpe, text, 0, n);
    while (*known && w->end < n) {
        int i = w->n - 1, j = 0;
        while (i > 0 && w->from[i] > w->end - OVERLAP)
            i--;
        *joined = i > first || (i == first && i > 0);
        if (!*joined)
            return false;
        *known = merge_window(next, bpe, text, w->from[i], n);
        if (!*known)
            return false;
        while (i < w->n && j < next->n &&
               (w->from[i] != next->from[j] || w->ids[i] != next->ids[j])) {
            if (w->from[i] <= next->from[j])
                i++;
            else
                j++;
        }
        *joined = i < w->n && j < next->n;
        if (!*joined || !put(w, first, i, ids, drain, err))
            return false;
        struct window *done = w;
        w = next;
        next = done;
        first = j;
    }
    return *known && put(w, first, w->n, ids, drain, err);
}

bool bpe_merge_long(const struct bpe *bpe, const unsigned char *text, size_t n,
                    struct gpt2_ids *ids, bool *known, struct gpt2_error *err) {
    size_t before = ids->len;
    bool joined = true;
    if (bpe->rising || n <= WINDOW) {
        bool ok = merge_windows(bpe, text, n, ids, NULL, &joined, known, err);
        if (ok || joined)
            return ok;
        ids->len = before;
    }
    return merge_tree(bpe, text, n, ids, known, err);
}

bool bpe_merge_long_parts(const struct bpe *bpe, const unsigned char *text, size_t n,
                          struct gpt2_ids *ids, const struct ids_drain *drain, bool *known,
                          struct gpt2_error *err) {
    bool joined = true;
    if (!bpe->rising)
        return merge_tree(bpe, text, n, ids, known, err);
    // what is handed on cannot be taken back, so the windows are merged once before
    if (merge_windows(bpe, text, n, NULL, NULL, &joined, known, err))
        return merge_windows(bpe, text, n, ids, drain, &joined, known, err);
    return !joined && merge_tree(bpe, text, n, ids, known, err);
}
