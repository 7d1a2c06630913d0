/* vocab_map.c - the usual form of the bulk of a tokenizer's files, and any other by way of a tree.
 */
#include "text/vocab_map.h"
#include "base/os.h"
#include "base/utf8.h"
#include "text/alphabet.h"
#include "text/vocab.h"
#include "text/word.h"

#include <string.h>

/* What is left of the file, and where the next text goes. */
struct vocab_cursor {
    const unsigned char *at, *end;
    char *out;
};

static void skip_spaces(struct vocab_cursor *c) {
    if (*c->at == '\n') // indentation
        for (c->at++; c->end - c->at >= 8 && word_load(c->at) == 0x2020202020202020u;)
            c->at += 8;
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
}

static inline void skip_space(struct vocab_cursor *c) {
    const unsigned char *at = c->at;
    if (at < c->end && *at <= ' ')
        skip_spaces(c);
}

/* Takes one character, with the space around it. */
static inline bool take(struct vocab_cursor *c, char wanted) {
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    skip_space(c);
    return true;
}

/* The four digits of \uXXXX as UTF-8: not NUL, no half of a pair. */
static bool read_unicode(struct vocab_cursor *c) {
    uint32_t cp = 0;
    if (c->end - c->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned char digit = *c->at++, lower = digit | 0x20;
        if (digit >= '0' && digit <= '9')
            cp = cp << 4 | (uint32_t)(digit - '0');
        else if (lower >= 'a' && lower <= 'f')
            cp = cp << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return false;
    }
    if (cp == 0 || (cp >= 0xD800 && cp <= 0xDFFF))
        return false;
    c->out += utf8_encode(c->out, cp);
    return true;
}

/* What follows a backslash. */
static bool read_escape(struct vocab_cursor *c) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (c->at == c->end)
        return false;
    unsigned char name = *c->at++;
    if (name == 'u')
        return read_unicode(c);
    const char *found = name ? strchr(names, name) : NULL;
    if (found)
        *c->out++ = values[found - names];
    return found != NULL;
}

/* A string and its quotes. It never becomes longer: an escape has more bytes than its character,
 * and the quotes leave room for the NUL. */
static bool read_string(struct vocab_cursor *c, struct vocab_map_entry *entry) {
    if (c->at == c->end || *c->at++ != '"')
        return false;
    entry->text = c->out;
    while (c->at < c->end) {
        unsigned char byte = *c->at;
        while (byte > '"' && byte < 0x80 && byte != '\\') { // nearly all there is
            *c->out++ = (char)byte;
            if (++c->at == c->end)
                return false;
            byte = *c->at;
        }
        if (byte == '"') {
            entry->len = (uint32_t)(c->out - entry->text);
            *c->out++ = 0;
            c->at++;
            return true;
        }
        if (byte == '\\') {
            c->at++;
            if (!read_escape(c))
                return false;
        } else if (byte < 0x80) {
            if (byte < 0x20)
                return false;
            *c->out++ = (char)byte;
            c->at++;
        } else {
            uint32_t cp;
            int n = utf8_decode(&cp, c->at, (size_t)(c->end - c->at));
            if (n == 0)
                return false;
            memcpy(c->out, c->at, (size_t)n);
            c->out += n;
            c->at += n;
        }
    }
    return false;
}

/* Digits without a zero in front, up to VOCAB_MAX_ID. What may follow them is for the caller. */
static bool read_id(struct vocab_cursor *c, int32_t *id) {
    const unsigned char *first = c->at;
    *id = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && *id <= VOCAB_MAX_ID)
        *id = *id * 10 + (*c->at++ - '0');
    return c->at > first && (*first != '0' || c->at == first + 1) && *id <= VOCAB_MAX_ID;
}

static bool read_map(struct vocab_map *map, struct vocab_cursor *c) {
    if (!take(c, '{'))
        return false;
    do {
        struct vocab_map_entry *entry = &map->entries[map->n++];
        if (!read_string(c, entry) || !take(c, ':') || !read_id(c, &entry->id))
            return false;
    } while (take(c, ','));
    return take(c, '}');
}

bool vocab_map_read(struct vocab_map *map, const char *text, size_t len) {
    size_t used;
    if (!vocab_map_read_first(map, text, len, &used))
        return false;
    if (used == len)
        return true;
    vocab_map_free(map);
    return false;
}

bool vocab_map_read_first(struct vocab_map *map, const char *text, size_t len, size_t *used) {
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t most = len / 5 + 1; // "":0, is the shortest, and one more may be unfinished
    *map = (struct vocab_map){0};
    map->entries = os_alloc(most, sizeof *map->entries, "", NULL); // what is not used costs nothing
    map->storage = os_alloc(len, 1, "", NULL);
    struct vocab_cursor c = {bytes, bytes + len, map->storage};
    if (map->entries && map->storage && read_map(map, &c)) {
        *used = (size_t)(c.at - bytes);
        return true;
    }
    vocab_map_free(map);
    return false;
}

/* The byte that the escape after a backslash stands for, or -1. */
static int read_escaped_byte(struct vocab_cursor *c) {
    char *first = c->out;
    size_t n_used;
    if (!read_escape(c))
        return -1;
    const size_t n = (size_t)(c->out - first);
    c->out = first;
    return alphabet_next((const unsigned char *)first, n, &n_used);
}

/* One string of merges: "left right", or one half where `right` is NULL. Halves are not empty, and
 * of the alphabet alone; anything else is for the parser. */
static bool read_merge(struct vocab_cursor *c, uint16_t *left, uint16_t *right) {
    const char *first = c->out;
    uint16_t *half = left;
    if (c->at == c->end || *c->at++ != '"')
        return false;
    while (c->at < c->end && *c->at != '"') {
        size_t n_used;
        int byte;
        if (*c->at == '\\') {
            c->at++;
            byte = read_escaped_byte(c);
        } else if (*c->at == ' ' && half == left && right && c->out > first) {
            *left = (uint16_t)(c->out - first);
            first = c->out;
            half = right;
            c->at++;
            continue;
        } else {
            byte = alphabet_next(c->at, (size_t)(c->end - c->at), &n_used);
            c->at += n_used;
        }
        if (byte < 0 || c->out - first == UINT16_MAX)
            return false;
        *c->out++ = (char)byte;
    }
    if (c->at == c->end || (right && half == left) || c->out == first)
        return false;
    *half = (uint16_t)(c->out - first);
    c->at++;
    return true;
}

static bool read_pairs(struct vocab_pairs *out, struct vocab_cursor *c) {
    if (!take(c, '['))
        return false;
    if (take(c, ']'))
        return true;
    do {
        struct vocab_pair *pair = &out->pairs[out->n++];
        if (c->at < c->end && *c->at == '"') {
            if (!read_merge(c, &pair->n_left, &pair->n_right))
                return false;
        } else if (!take(c, '[') || !read_merge(c, &pair->n_left, NULL) || !take(c, ',') ||
                   !read_merge(c, &pair->n_right, NULL) || !take(c, ']')) {
            return false;
        }
    } while (take(c, ','));
    return take(c, ']');
}

bool vocab_pairs_read_first(struct vocab_pairs *out, const char *text, size_t len, size_t *used) {
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t most = len / 6 + 1; // "a b", is the shortest, and one more may be unfinished
    *out = (struct vocab_pairs){0};
    out->pairs = os_alloc(most, sizeof *out->pairs, "", NULL); // what is not used costs nothing
    out->bytes = os_alloc(len, 1, "", NULL);
    struct vocab_cursor c = {bytes, bytes + len, out->bytes};
    if (out->pairs && out->bytes && read_pairs(out, &c)) {
        *used = (size_t)(c.at - bytes);
        return true;
    }
    vocab_pairs_free(out);
    return false;
}

void vocab_pairs_free(struct vocab_pairs *pairs) {
    os_free(pairs->pairs);
    os_free(pairs->bytes);
    *pairs = (struct vocab_pairs){0};
}

bool vocab_map_from_json(struct vocab_map *map, const struct json *object, struct gpt2_error *err) {
    size_t n = 0;
    *map = (struct vocab_map){0};
    for (const struct json *node = json_first(object); node; node = json_next(node))
        n++;
    map->entries = os_alloc(n, sizeof *map->entries, "the vocabulary's entries", err);
    if (!map->entries)
        return false;
    for (const struct json *node = json_first(object); node; node = json_next(node)) {
        int64_t id;
        const char *text = json_name(node);
        bool known = json_integer(node, 0, VOCAB_MAX_ID, &id);
        map->entries[map->n++] =
            (struct vocab_map_entry){text, (uint32_t)strlen(text), known ? (int32_t)id : -1};
    }
    return true;
}

void vocab_map_free(struct vocab_map *map) {
    os_free(map->entries);
    os_free(map->storage);
    *map = (struct vocab_map){0};
}
