/* specials.c - the forms in which special tokens are written. A switch that would make one match
 * otherwise than as plain text (lstrip, rstrip, single_word) is refused. */
#include "text/specials.h"
#include "base/error_internal.h"
#include "text/vocab.h"
#include "text/vocab_entry.h"

#include <stdlib.h>
#include <string.h>

static bool is_ascii(const char *text) {
    while (*text && !(*text & 0x80))
        text++;
    return !*text;
}

static bool add_special(struct specials *s, const char *text, int64_t id, const char *file) {
    if (!*text)
        return true; // how some files say "none"
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct special *grown = realloc(s->items, cap * sizeof *grown);
        if (!grown)
            return error_memory(s->err, "special tokens", cap * sizeof *grown);
        s->items = grown;
        s->cap = cap;
    }
    s->wide |= !is_ascii(text);
    s->items[s->n++] = (struct special){text, id, file};
    return true;
}

/* A special token written as its text, or as an object with "content" and switches. */
static bool read_special(struct specials *s, const struct json *node, int64_t id,
                         const char *file) {
    static const char *const switches[] = {"lstrip", "rstrip", "single_word"};
    const char *text;
    if (json_string(node, &text))
        return add_special(s, text, id, file);
    if (!json_string(json_get(node, "content"), &text))
        return error_set(s->err, GPT2_ERR_MODEL,
                         "%s: expected a special token (a string, or an object with \"content\"), "
                         "found %s",
                         file, json_kind_name(node));
    for (size_t i = 0; i < 3; i++) {
        bool on = false;
        if (json_bool(json_get(node, switches[i]), &on) && on)
            return error_set(s->err, GPT2_ERR_MODEL,
                             "%s: special token \"%.*s\": expected \"%s\" to be false, found true",
                             file, vocab_shown(text, strlen(text)), text, switches[i]);
    }
    return add_special(s, text, id, file);
}

bool specials_read_list(struct specials *s, const struct json *list, const char *file) {
    size_t entry = 0;
    int64_t id;
    for (const struct json *node = list ? json_first(list) : NULL; node; node = json_next(node)) {
        if (!vocab_read_id(&id, json_get(node, "id"), file, ++entry, "added_tokens", s->err) ||
            !read_special(s, node, id, file))
            return false;
    }
    return true;
}

bool specials_read_map(struct specials *s, const struct json *map, const char *file) {
    size_t entry = 0;
    int64_t id;
    for (const struct json *node = json_first(map); node; node = json_next(node)) {
        const char *text = json_name(node);
        if (!vocab_read_id(&id, node, file, ++entry, text, s->err) ||
            !add_special(s, text, id, file))
            return false;
    }
    return true;
}

bool specials_read_decoder(struct specials *s, const struct json *map, const char *file) {
    for (const struct json *node = map ? json_first(map) : NULL; node; node = json_next(node)) {
        const char *name = json_name(node);
        int64_t id = 0;
        size_t len = 0;
        for (; name && name[len] >= '0' && name[len] <= '9' && len < 9; len++)
            id = id * 10 + (name[len] - '0');
        if (!len || name[len] || id > VOCAB_MAX_ID)
            return error_set(s->err, GPT2_ERR_MODEL,
                             "%s: added_tokens_decoder: expected an id from 0 to %d, found "
                             "\"%.60s\"",
                             file, VOCAB_MAX_ID, name ? name : "");
        if (!read_special(s, node, id, file))
            return false;
    }
    return true;
}

bool specials_read_names(struct specials *s, const struct json *map, const char *file) {
    for (const struct json *node = json_first(map); node; node = json_next(node)) {
        const char *name = json_name(node);
        size_t len = name ? strlen(name) : 0;
        enum json_kind kind = json_kind(node);
        if (kind == JSON_ARRAY && len && !strcmp(name, "additional_special_tokens")) {
            for (const struct json *item = json_first(node); item; item = json_next(item))
                if (!read_special(s, item, -1, file))
                    return false;
        } else if (len > 6 && !strcmp(name + len - 6, "_token") &&
                   (kind == JSON_STRING || kind == JSON_OBJECT)) {
            if (!read_special(s, node, -1, file))
                return false;
        }
    }
    return true;
}

struct special *specials_find_wide(const struct specials *s, const char *text) {
    if (!s->wide || is_ascii(text))
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->items[i].text, text))
            return &s->items[i];
    return NULL;
}
