/* mutate.h - changes to a file of weights that keep it whole, so that what is changed is reached:
 * lengths, counts and offsets are made right again. For replay_mutate.
 *
 * Each takes data[size] with room for `cap` bytes and returns the new size; a file that is not of
 * the format, or has no room, is given one edit of any kind. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include "base/crc32.h"

#include <stdbool.h>

/* ---- parts ---- */

static inline uint64_t mutate_load(const uint8_t *at, int n_bytes) {
    uint64_t value = 0;
    for (int i = n_bytes; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static inline void mutate_store(uint8_t *at, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++, value >>= 8)
        at[i] = (uint8_t)value;
}

/* data[at .. at+n_old) becomes with[0..n_new); false: there is no room. */
static inline bool mutate_splice(uint8_t *data, size_t *size, size_t cap, size_t at, size_t n_old,
                                 const uint8_t *with, size_t n_new) {
    if (*size - n_old + n_new > cap)
        return false;
    memmove(data + at + n_new, data + at + n_old, *size - at - n_old);
    if (n_new)
        memcpy(data + at, with, n_new);
    *size = *size - n_old + n_new;
    return true;
}

/* Telling numbers, of the wrong sign, size or kind. */
static inline const char *mutate_number(uint64_t *state) {
    static const char *const numbers[] = {
        "0",   "1",    "-1",   "2",    "3",     "16",         "61",         "64",
        "255", "1e9",  "1.5",  "1e",   "-0",    "2147483648", "4294967296", "9223372036854775808",
        "[]",  "null", "true", "\"\"", "1e999", "0.0000001",  "65536",      "18446744073709551615"};
    return numbers[replay_below(state, sizeof numbers / sizeof *numbers)];
}

/* One part of a JSON text becomes another: a number, a string's letters, a member is written twice;
 * or one edit of any kind. */
static inline size_t mutate_json(uint8_t *text, size_t size, size_t cap, uint64_t *state) {
    const size_t from = replay_below(state, size + 1), kind = replay_below(state, 4);
    if (kind == 0) { // the next number
        size_t at = from;
        while (at < size && (text[at] < '0' || text[at] > '9'))
            at++;
        size_t end = at;
        while (end < size && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.'))
            end++;
        const char *number = mutate_number(state);
        if (end > at)
            mutate_splice(text, &size, cap, at, end - at, (const uint8_t *)number, strlen(number));
        return size;
    }
    if (kind == 1) { // the next string takes the place of another
        size_t ends[4], n = 0;
        for (size_t at = from; at < size && n < 4; at++)
            if (text[at] == '"')
                ends[n++] = at;
        if (n == 4) {
            uint8_t copy[256];
            const size_t len = ends[1] - ends[0] < sizeof copy ? ends[1] - ends[0] : sizeof copy;
            memcpy(copy, text + ends[0], len);
            mutate_splice(text, &size, cap, ends[2], ends[3] - ends[2], copy, len);
        }
        return size;
    }
    return replay_change(text, size, cap, state);
}

/* ---- safetensors ---- */

/* Length of 8 bytes, header in JSON, data. */
static inline size_t mutate_safetensors(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    const uint64_t n = size >= 8 ? mutate_load(data, 8) : 0;
    if (size < 8 || n > size - 8 || replay_below(state, 4) == 0)
        return replay_change(data, size, cap, state);
    const size_t room = (size_t)n + 512;
    uint8_t *header = malloc(room);
    if (!header)
        abort();
    memcpy(header, data + 8, (size_t)n);
    size_t len = mutate_json(header, (size_t)n, room, state);
    while (len % 8 && len < room) // the data begin at a multiple of 8
        header[len++] = ' ';
    if (mutate_splice(data, &size, cap, 8, (size_t)n, header, len))
        mutate_store(data, len, 8);
    free(header);
    return size;
}

/* ---- GGUF ---- */

/* Where the parts of a file are. */
struct mutate_gguf {
    const uint8_t *data;
    size_t size;
    size_t pairs[64], values[64]; /* [n_pairs] of each pair, and of its type and value */
    size_t tensors[64];           /* [n_tensors] */
    size_t n_pairs, n_tensors;
    size_t end; /* of all of them; the data follow, after padding */
};

/* Past n bytes at `at`; SIZE_MAX: the file ends before. */
static inline size_t mutate_past(const struct mutate_gguf *g, size_t at, uint64_t n) {
    return at > g->size || n > g->size - at ? SIZE_MAX : at + (size_t)n;
}

static inline size_t mutate_past_string(const struct mutate_gguf *g, size_t at) {
    return mutate_past(g, at, 8) == SIZE_MAX ? SIZE_MAX
                                             : mutate_past(g, at + 8, mutate_load(g->data + at, 8));
}

static inline size_t mutate_past_value(const struct mutate_gguf *g, size_t at, uint64_t type) {
    static const uint8_t sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8)
        return mutate_past_string(g, at);
    if (type != 9)
        return type < 13 ? mutate_past(g, at, sizes[type]) : SIZE_MAX;
    if (mutate_past(g, at, 12) == SIZE_MAX)
        return SIZE_MAX;
    const uint64_t of = mutate_load(g->data + at, 4), n = mutate_load(g->data + at + 4, 8);
    at += 12;
    if (of >= 13 || of == 9)
        return SIZE_MAX;
    if (of != 8)
        return n > g->size ? SIZE_MAX : mutate_past(g, at, n * sizes[of]);
    for (uint64_t i = 0; i < n && at != SIZE_MAX; i++)
        at = mutate_past_string(g, at);
    return at;
}

static inline bool mutate_read_gguf(struct mutate_gguf *g, const uint8_t *data, size_t size) {
    *g = (struct mutate_gguf){.data = data, .size = size};
    if (size < 24 || memcmp(data, "GGUF", 4) != 0)
        return false;
    const uint64_t n_tensors = mutate_load(data + 8, 8), n_pairs = mutate_load(data + 16, 8);
    size_t at = 24;
    for (uint64_t i = 0; i < n_pairs && at != SIZE_MAX; i++) {
        if (g->n_pairs == 64)
            return false;
        g->pairs[g->n_pairs] = at;
        at = mutate_past_string(g, at);
        if (at == SIZE_MAX || mutate_past(g, at, 4) == SIZE_MAX)
            return false;
        g->values[g->n_pairs++] = at;
        at = mutate_past_value(g, at + 4, mutate_load(data + at, 4));
    }
    for (uint64_t i = 0; i < n_tensors && at != SIZE_MAX; i++) {
        if (g->n_tensors == 64)
            return false;
        g->tensors[g->n_tensors++] = at;
        at = mutate_past_string(g, at);
        if (at == SIZE_MAX || mutate_past(g, at, 4) == SIZE_MAX)
            return false;
        at = mutate_past(g, at + 4, mutate_load(data + at, 4) * 8 + 12);
    }
    g->end = at;
    return at != SIZE_MAX;
}

/* Puts with[0..n_new) in the place of n_old bytes in front of the data, which stay at a multiple of
 * 32. */
static inline size_t mutate_put_gguf(const struct mutate_gguf *g, uint8_t *data, size_t size,
                                     size_t cap, size_t at, size_t n_old, const uint8_t *with,
                                     size_t n_new) {
    static const uint8_t zeros[32];
    const size_t body = (g->end + 31) / 32 * 32, end = g->end - n_old + n_new;
    const size_t padded = (end + 31) / 32 * 32;
    if (body > size || size - body + padded > cap)
        return size;
    if (!mutate_splice(data, &size, cap, g->end, body - g->end, zeros, 0) ||
        !mutate_splice(data, &size, cap, at, n_old, with, n_new))
        return size;
    mutate_splice(data, &size, cap, end, 0, zeros, padded - end);
    return size;
}

/* The string at `at`, its length made right. */
static inline size_t mutate_gguf_string(const struct mutate_gguf *g, uint8_t *data, size_t size,
                                        size_t cap, size_t at, uint64_t *state) {
    const size_t n = (size_t)mutate_load(data + at, 8), room = n + 128;
    uint8_t *text = malloc(8 + room);
    if (!text)
        abort();
    memcpy(text + 8, data + at + 8, n);
    const size_t len = replay_change(text + 8, n, room, state);
    mutate_store(text, len, 8);
    size = mutate_put_gguf(g, data, size, cap, at, 8 + n, text, 8 + len);
    free(text);
    return size;
}

/* One of a pair: its key, its value; it is left out, or there twice; or an item of a list. */
static inline size_t mutate_pair(const struct mutate_gguf *g, uint8_t *data, size_t size,
                                 size_t cap, uint64_t *state) {
    const size_t i = replay_below(state, g->n_pairs), at = g->pairs[i], value = g->values[i];
    const size_t end = i + 1 < g->n_pairs ? g->pairs[i + 1] : g->n_tensors ? g->tensors[0] : g->end;
    const uint64_t type = mutate_load(data + value, 4), n_pairs = mutate_load(data + 16, 8);
    switch (replay_below(state, 6)) {
    case 0:
        return mutate_gguf_string(g, data, size, cap, at, state);
    case 1: // not there
        mutate_store(data + 16, n_pairs - 1, 8);
        return mutate_put_gguf(g, data, size, cap, at, end - at, NULL, 0);
    case 2: { // twice, or under the key of another
        uint8_t *copy = malloc(end - at);
        if (!copy)
            abort();
        memcpy(copy, data + at, end - at);
        const size_t before = size;
        size = mutate_put_gguf(g, data, size, cap, at, 0, copy, end - at);
        if (size != before)
            mutate_store(data + 16, n_pairs + 1, 8);
        free(copy);
        return size;
    }
    default:
        break;
    }
    if (type == 8)
        return mutate_gguf_string(g, data, size, cap, value + 4, state);
    if (type == 9 && mutate_load(data + value + 4, 4) == 8) { // one of some strings
        size_t item = value + 16;
        for (size_t k = replay_below(state, (size_t)mutate_load(data + value + 8, 8)); k > 0; k--)
            item = mutate_past_string(g, item);
        if (item < end)
            return mutate_gguf_string(g, data, size, cap, item, state);
    }
    if (replay_below(state, 3) == 0) { // a number of another type
        uint8_t other[12] = {0};
        const uint64_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12};
        static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 8, 8};
        const size_t k = replay_below(state, 11);
        mutate_store(other, types[k], 4);
        mutate_store(other + 4, replay_random(state) >> replay_below(state, 64), 8);
        return mutate_put_gguf(g, data, size, cap, value, end - value, other, 4 + sizes[k]);
    }
    replay_change(data + value + 4, end - value - 4, end - value - 4, state);
    return size;
}

static inline size_t mutate_gguf(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    struct mutate_gguf g;
    if (!mutate_read_gguf(&g, data, size) || replay_below(state, 5) == 0)
        return replay_change(data, size, cap, state);
    if (g.n_pairs && (!g.n_tensors || replay_below(state, 3)))
        return mutate_pair(&g, data, size, cap, state);
    if (!g.n_tensors)
        return replay_change(data, size, cap, state);
    // a tensor: its name, or one of rank, shape, type and place
    const size_t at = g.tensors[replay_below(state, g.n_tensors)];
    const size_t numbers = mutate_past_string(&g, at);
    if (replay_below(state, 3) == 0)
        return mutate_gguf_string(&g, data, size, cap, at, state);
    const size_t n = (size_t)mutate_load(data + numbers, 4) * 8 + 16;
    const size_t which = replay_below(state, 3);
    if (which == 0) // the type
        mutate_store(data + numbers + n - 12, replay_below(state, 40), 4);
    else
        replay_change(data + numbers + (which == 1 ? 4 : 0), n - (which == 1 ? 4 : 0),
                      n - (which == 1 ? 4 : 0), state);
    return size;
}

/* ---- pickle ---- */

/* Bytes of arguments; -1: a string with its length in 4 bytes; -2: in 1 byte; -3: two lines. */
static inline int mutate_arguments(uint8_t code) {
    switch (code) {
    case 0x80:
    case 'K':
    case 'h':
    case 'q':
        return 1;
    case 'M':
        return 2;
    case 'J':
    case 'j':
    case 'r':
        return 4;
    case 'G':
    case 0x95:
        return 8;
    case 'X':
    case 'T':
    case 'B':
        return -1;
    case 0x8c:
    case 0x8a:
    case 'U':
    case 'C':
        return -2;
    case 'c':
        return -3;
    default:
        return 0;
    }
}

/* Past the opcode at `at`; SIZE_MAX: there is none. */
static inline size_t mutate_past_opcode(const uint8_t *data, size_t size, size_t at) {
    const int n = mutate_arguments(data[at]);
    size_t past = at + 1 + (n > 0 ? (size_t)n : 0);
    if (n == -1)
        past = size - at < 5 ? SIZE_MAX : at + 5 + (size_t)mutate_load(data + at + 1, 4);
    if (n == -2)
        past = size - at < 2 ? SIZE_MAX : at + 2 + data[at + 1];
    for (int line = 0; n == -3 && line < 2 && past != SIZE_MAX; line++) {
        const uint8_t *end = past < size ? memchr(data + past, '\n', size - past) : NULL;
        past = end ? (size_t)(end - data) + 1 : SIZE_MAX;
    }
    return past > size ? SIZE_MAX : past;
}

/* An opcode is left out, there twice, or has another argument. */
static inline size_t mutate_pickle(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    size_t starts[4096], n = 0, at = 0;
    while (at < size && n < 4096 && at != SIZE_MAX) {
        starts[n++] = at;
        at = mutate_past_opcode(data, size, at);
    }
    if (n < 2 || replay_below(state, 5) == 0)
        return replay_change(data, size, cap, state);
    at = starts[replay_below(state, n - 1)];
    const size_t end = mutate_past_opcode(data, size, at);
    const size_t kind = replay_below(state, 4);
    uint8_t piece[512];
    const size_t len = end - at;
    if (kind == 0)
        mutate_splice(data, &size, cap, at, len, data, 0);
    if (kind == 1 && len <= sizeof piece) {
        memcpy(piece, data + at, len);
        mutate_splice(data, &size, cap, starts[replay_below(state, n)], 0, piece, len);
    }
    if (kind < 2 || len < 2)
        return size;
    const int arguments = mutate_arguments(data[at]);
    const size_t head = arguments == -1 ? 5 : arguments == -2 ? 2 : 1;
    if (arguments > 0 || arguments == -3) {
        replay_change(data + at + 1, len - 1, len - 1, state);
        return size;
    }
    if (len > 256)
        return size;
    memcpy(piece, data + at, len);
    const size_t text = replay_change(piece + head, len - head, 250 - head, state);
    mutate_store(piece + 1, text, head == 5 ? 4 : 1);
    mutate_splice(data, &size, cap, at, len, piece, head + text);
    return size;
}

/* ---- zip ---- */

/* A file of torch.save. Rewrites the archive around another text of its data.pkl, without zip64
 * records, or with the sizes of one entry in 64 bits. */
static inline size_t mutate_torch(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    if (size < 22 || memcmp(data, "PK\3\4", 4) != 0 || replay_below(state, 5) == 0)
        return memcmp(data, "PK", size < 2 ? size : 2) ? mutate_pickle(data, size, cap, state)
                                                       : replay_change(data, size, cap, state);
    size_t end = size - 22;
    while (end > 0 && memcmp(data + end, "PK\5\6", 4) != 0)
        end--;
    size_t at = (size_t)mutate_load(data + end + 16, 4),
           n = (size_t)mutate_load(data + end + 10, 2);
    uint8_t *made = malloc(cap), *directory = malloc(cap);
    size_t len = 0, n_directory = 0;
    const size_t wide = replay_below(state, 3) ? n : replay_below(state, n);
    bool ok = made && directory && end > 0 && n < 1000;
    for (size_t i = 0; ok && i < n; i++) {
        ok = at <= size && size - at >= 46 && memcmp(data + at, "PK\1\2", 4) == 0;
        if (!ok)
            break;
        const size_t n_name = (size_t)mutate_load(data + at + 28, 2),
                     skip =
                         (size_t)(mutate_load(data + at + 30, 2) + mutate_load(data + at + 32, 2));
        const size_t local = (size_t)mutate_load(data + at + 42, 4);
        size_t n_bytes = (size_t)mutate_load(data + at + 20, 4);
        ok = local <= size && size - local >= 30 && 46 + n_name <= size - at;
        if (!ok)
            break;
        const size_t from = local + 30 + (size_t)mutate_load(data + local + 26, 2) +
                            (size_t)mutate_load(data + local + 28, 2);
        ok = from <= size && n_bytes <= size - from &&
             len + 30 + n_name + n_bytes + 600 + n_directory + 46 + n_name + 22 <= cap;
        if (!ok)
            break;
        const uint8_t *name = data + at + 46;
        const bool is_pickle = n_name >= 8 && !memcmp(name + n_name - 8, "data.pkl", 8);
        uint8_t *out = made + len + 30 + n_name;
        memcpy(out, data + from, n_bytes);
        if (is_pickle)
            n_bytes = mutate_pickle(out, n_bytes, n_bytes + 512, state);
        memset(made + len, 0, 30);
        memcpy(made + len, "PK\3\4", 4);
        mutate_store(made + len + 26, n_name, 2);
        memcpy(made + len + 30, name, n_name);
        memcpy(directory + n_directory, data + at, 46 + n_name);
        if (is_pickle)
            mutate_store(directory + n_directory + 16, crc32_zip(out, n_bytes), 4);
        mutate_store(directory + n_directory + 20, n_bytes, 4);
        mutate_store(directory + n_directory + 24, n_bytes, 4);
        mutate_store(directory + n_directory + 30, 0, 4);
        mutate_store(directory + n_directory + 42, len, 4);
        n_directory += 46 + n_name;
        if (i == wide) { // one in 64 bits, after an extra field of another kind
            uint8_t *entry = directory + n_directory - 46 - n_name,
                    *extra = directory + n_directory;
            memset(entry + 20, 0xFF, 8);
            memset(entry + 42, 0xFF, 4);
            mutate_store(entry + 30, 34, 2);
            mutate_store(extra, 0x5455, 2);
            mutate_store(extra + 2, 2, 2);
            mutate_store(extra + 4, 0, 2);
            mutate_store(extra + 6, 1, 2);
            mutate_store(extra + 8, 24, 2);
            mutate_store(extra + 10, n_bytes, 8);
            mutate_store(extra + 18, n_bytes, 8);
            mutate_store(extra + 26, len, 8);
            n_directory += 34;
        }
        len += 30 + n_name + n_bytes;
        at += 46 + n_name + skip;
    }
    if (ok && len + n_directory + 22 <= cap) {
        memcpy(made + len, directory, n_directory);
        uint8_t *last = made + len + n_directory;
        memset(last, 0, 22);
        memcpy(last, "PK\5\6", 4);
        mutate_store(last + 8, n, 2);
        mutate_store(last + 10, n, 2);
        mutate_store(last + 12, n_directory, 4);
        mutate_store(last + 16, len, 4);
        size = len + n_directory + 22;
        memcpy(data, made, size);
    } else {
        size = replay_change(data, size, cap, state);
    }
    free(made);
    free(directory);
    return size;
}

/* ---- any of them ---- */

static inline size_t mutate_file(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    if (size > 4 && !memcmp(data, "GGUF", 4))
        return mutate_gguf(data, size, cap, state);
    if (size > 4 && (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "\x80\2", 2)))
        return mutate_torch(data, size, cap, state);
    if (size > 9 && data[8] == '{')
        return mutate_safetensors(data, size, cap, state);
    if (size > 1 && (*data == '{' || *data == '['))
        return mutate_json(data, size, cap, state);
    return replay_change(data, size, cap, state);
}

#endif
