/* added_tokens.c - the forms in which added tokens are written. */
#include "text/added_tokens.h"
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

static bool add(struct added_tokens *s, struct added_token token) {
    if (!*token.text)
        return true; // how some files say "none"
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct added_token *grown = realloc(s->items, cap * sizeof *grown);
        if (!grown)
            return error_memory(s->err, "added tokens", cap * sizeof *grown);
        s->items = grown;
        s->cap = cap;
    }
    s->wide |= !is_ascii(token.text);
    s->items[s->n++] = token;
    return true;
}

/* An optional switch: false where it is there and not true or false. */
static bool read_switch(struct added_tokens *s, bool *on, const struct json *node, const char *key,
                        const struct added_token *token) {
    const struct json *value = json_get(node, key);
    if (!value || json_kind(value) == JSON_NULL || json_bool(value, on))
        return true;
    return error_set(s->err, GPT2_ERR_MODEL,
                     "%s: added token \"%.*s\": %s: expected true or false, found %s", token->file,
                     vocab_shown(token->text, strlen(token->text)), token->text, key,
                     json_kind_name(value));
}

/* A token written as its text, or as an object with "content" and switches. */
static bool read_token(struct added_tokens *s, const struct json *node, struct added_token token) {
    if (json_string(node, &token.text))
        return add(s, token);
    if (!json_string(json_get(node, "content"), &token.text))
        return error_set(s->err, GPT2_ERR_MODEL,
                         "%s: expected a special token (a string, or an object with \"content\"), "
                         "found %s",
                         token.file, json_kind_name(node));
    bool special = token.special;
    if (!read_switch(s, &special, node, "special", &token))
        return false;
    token.special |= special;
    token.has_switches = true;
    token.normalized = !token.special; // as AddedToken's constructor has it
    return read_switch(s, &token.normalized, node, "normalized", &token) &&
           read_switch(s, &token.lstrip, node, "lstrip", &token) &&
           read_switch(s, &token.rstrip, node, "rstrip", &token) &&
           read_switch(s, &token.single_word, node, "single_word", &token) && add(s, token);
}

bool added_tokens_read_list(struct added_tokens *s, const struct json *list, const char *file) {
    size_t entry = 0;
    int64_t id;
    for (const struct json *node = list ? json_first(list) : NULL; node; node = json_next(node)) {
        if (!vocab_read_id(&id, json_get(node, "id"), file, ++entry, "added_tokens", s->err) ||
            !read_token(s, node, (struct added_token){.id = id, .file = file}))
            return false;
    }
    return true;
}

bool added_tokens_read_map(struct added_tokens *s, const struct json *map, const char *file) {
    size_t entry = 0;
    int64_t id;
    for (const struct json *node = json_first(map); node; node = json_next(node)) {
        const char *text = json_name(node);
        if (!vocab_read_id(&id, node, file, ++entry, text, s->err) ||
            !add(s, (struct added_token){.text = text, .id = id, .file = file}))
            return false;
    }
    return true;
}

bool added_tokens_read_decoder(struct added_tokens *s, const struct json *map, const char *file) {
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
        if (!read_token(s, node, (struct added_token){.id = id, .file = file}))
            return false;
    }
    return true;
}

bool added_tokens_read_names(struct added_tokens *s, const struct json *map, const char *file) {
    const struct added_token named = {.id = -1, .file = file, .special = true};
    for (const struct json *node = json_first(map); node; node = json_next(node)) {
        const char *name = json_name(node);
        size_t len = name ? strlen(name) : 0;
        enum json_kind kind = json_kind(node);
        if (kind == JSON_ARRAY && len && !strcmp(name, "additional_special_tokens")) {
            for (const struct json *item = json_first(node); item; item = json_next(item))
                if (!read_token(s, item, named))
                    return false;
        } else if (len > 6 && !strcmp(name + len - 6, "_token") &&
                   (kind == JSON_STRING || kind == JSON_OBJECT)) {
            if (!read_token(s, node, named))
                return false;
        }
    }
    return true;
}

const char *added_tokens_name(const struct json *map, const char *name) {
    const struct json *node = json_get(map, name);
    const char *text = NULL;
    if (!json_string(node, &text))
        json_string(json_get(node, "content"), &text);
    return text && *text ? text : NULL;
}

struct added_token *added_tokens_find_wide(const struct added_tokens *s, const char *text) {
    if (!s->wide || is_ascii(text))
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->items[i].text, text))
            return &s->items[i];
    return NULL;
}
