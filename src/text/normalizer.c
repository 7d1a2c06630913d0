/* normalizer.c - the components of a "normalizer", applied one after the other; the forms of
 * Unicode come from utf8proc, a few characters at a time, so that each byte keeps its origin. */
#include "text/normalizer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "text/chars.h"
#include "text/component.h"
#include "text/unicode.h"
#include "text/unicode_form.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum normalizer_kind {
    NFC,
    NFD,
    NFKC,
    NFKD,
    LOWERCASE,
    STRIP_ACCENTS,
    REPLACE,
    PREPEND,
    STRIP,
    SEQUENCE
};

static const char *const names[] = {
    [NFC] = "NFC",
    [NFD] = "NFD",
    [NFKC] = "NFKC",
    [NFKD] = "NFKD",
    [LOWERCASE] = "Lowercase",
    [STRIP_ACCENTS] = "StripAccents",
    [REPLACE] = "Replace",
    [PREPEND] = "Prepend",
    [STRIP] = "Strip",
    [SEQUENCE] = "Sequence",
    NULL,
};

struct normalizer_step {
    enum normalizer_kind kind;
    struct pattern pattern; /* of REPLACE */
    char *text;             /* [len], owned: what REPLACE and PREPEND put in */
    size_t len;
    bool left, right; /* of STRIP */
};

/* What a text may become. No form of Unicode makes more than 11 bytes of one. */
#define MOST_TIMES 64u
#define MOST_MORE  4096u

struct normalizer {
    struct normalizer_step *steps; /* [n] */
    size_t n;
};

/* ---- reading ---- */

static bool read_text(struct normalizer_step *step, const struct json *node, const char *key,
                      const char *name, struct gpt2_error *err) {
    const char *text;
    if (!json_string(json_get(node, key), &text))
        return error_set(err, GPT2_ERR_MODEL, "%s: normalizer %s: expected a string \"%s\"", name,
                         names[step->kind], key);
    step->len = strlen(text);
    step->text = strdup(text);
    return step->text || error_memory(err, "the normalizer", step->len + 1);
}

static bool add(struct normalizer *out, const struct json *node, int depth, const char *name,
                struct gpt2_error *err) {
    const char *type;
    if (!component_type(&type, node, "normalizer", name, err))
        return false;
    int kind = component_find(type, names, "normalizer", name, err);
    if (kind < 0)
        return false;
    if (kind == SEQUENCE) {
        const struct json *list = json_get(node, "normalizers");
        if (!list || json_kind(list) != JSON_ARRAY || depth == COMPONENT_DEPTH)
            return error_set(
                err, GPT2_ERR_MODEL,
                "%s: normalizer Sequence: expected an array \"normalizers\", at most %d "
                "one inside the other",
                name, COMPONENT_DEPTH);
        for (node = json_first(list); node; node = json_next(node))
            if (!add(out, node, depth + 1, name, err))
                return false;
        return true;
    }
    struct normalizer_step *grown = realloc(out->steps, (out->n + 1) * sizeof *grown);
    if (!grown)
        return error_memory(err, "the normalizer", (out->n + 1) * sizeof *grown);
    out->steps = grown;
    struct normalizer_step *step = &out->steps[out->n++];
    *step = (struct normalizer_step){.kind = (enum normalizer_kind)kind};
    switch (step->kind) {
    case REPLACE:
        if (!component_pattern_parse(&step->pattern, json_get(node, "pattern"),
                                     "normalizer Replace", name, err) ||
            !read_text(step, node, "content", name, err))
            return false;
        if (step->pattern.kind != PATTERN_GPT2 && step->pattern.kind != PATTERN_WORDS)
            return true;
        return error_set(
            err, GPT2_ERR_MODEL,
            "%s: normalizer Replace: expected a string or a class of characters, found "
            "a pattern that cuts words",
            name);
    case PREPEND:
        return read_text(step, node, "prepend", name, err);
    case STRIP:
        return component_bool(&step->left, true, node, "strip_left", "normalizer", name, err) &&
               component_bool(&step->right, true, node, "strip_right", "normalizer", name, err);
    default:
        return true;
    }
}

struct normalizer *normalizer_parse(const struct json *node, const char *name,
                                    struct gpt2_error *err) {
    struct normalizer *out = os_alloc(1, sizeof *out, "the normalizer", err);
    if (out && add(out, node, 0, name, err))
        return out;
    normalizer_free(out);
    return NULL;
}

void normalizer_free(struct normalizer *normalizer) {
    if (!normalizer)
        return;
    for (size_t i = 0; i < normalizer->n; i++) {
        component_pattern_free(&normalizer->steps[i].pattern);
        free(normalizer->steps[i].text);
    }
    free(normalizer->steps);
    os_free(normalizer);
}

/* ---- texts ---- */

void normalizer_free_text(struct normalized *text) {
    free(text->text);
    free(text->from);
    free(text->to);
    *text = (struct normalized){0};
}

static bool reserve(struct normalized *t, size_t more) {
    t->too_long |= more > t->most - t->n;
    if (t->too_long)
        return false;
    if (more <= t->cap - t->n)
        return true;
    size_t cap = t->cap + t->cap / 2 + more + 32;
    if (cap < t->cap || cap > SIZE_MAX / sizeof *t->from)
        return false;
    unsigned char *text = realloc(t->text, cap);
    if (text)
        t->text = text;
    size_t *from = t->has_places ? realloc(t->from, cap * sizeof *from) : NULL;
    if (from)
        t->from = from;
    size_t *to = t->has_places ? realloc(t->to, cap * sizeof *to) : NULL;
    if (to)
        t->to = to;
    if (!text || (t->has_places && (!from || !to)))
        return false;
    t->cap = cap;
    return true;
}

/* Appends bytes that all came from in->text[begin..end); where it is empty they are put in at
 * `begin`, a byte of the text. */
static bool put(struct normalized *t, const void *bytes, size_t n, const struct normalized *in,
                size_t begin, size_t end) {
    if (!reserve(t, n))
        return false;
    if (n)
        memcpy(t->text + t->n, bytes, n);
    for (size_t i = 0; t->has_places && i < n; i++) {
        t->from[t->n + i] = in->from[begin];
        t->to[t->n + i] = end > begin ? in->to[end - 1] : in->from[begin];
    }
    t->n += n;
    return true;
}

/* Appends bytes of another text as they are. */
static bool copy(struct normalized *out, const struct normalized *in, size_t begin, size_t end) {
    const size_t n = end - begin;
    if (!reserve(out, n))
        return false;
    if (n) {
        memcpy(out->text + out->n, in->text + begin, n);
        if (out->has_places) {
            memcpy(out->from + out->n, in->from + begin, n * sizeof *in->from);
            memcpy(out->to + out->n, in->to + begin, n * sizeof *in->to);
        }
    }
    out->n += n;
    return true;
}

/* ---- the forms of Unicode ---- */

static bool is_same(const struct form_room *room, const unsigned char *text, size_t n) {
    char bytes[4];
    size_t at = 0, len;
    for (size_t i = 0; i < room->n; i++, at += len) {
        len = (size_t)utf8_encode(bytes, (uint32_t)room->characters[i]);
        if (len > n - at || memcmp(text + at, bytes, len) != 0)
            return false;
    }
    return at == n;
}

/* The form of in->text[begin..end), a unit. One that stays as it is keeps its bytes' places. */
static bool put_form(struct normalized *out, const struct normalized *in, size_t begin, size_t end,
                     struct unicode_form form, struct form_room *room) {
    uint32_t cp;
    char bytes[4];
    bool ok = true;
    room->n = 0;
    for (size_t i = begin; ok && i < end;) {
        i += char_after(&cp, in->text, end, i);
        ok = unicode_form_add(room, form, cp);
    }
    if (!ok)
        return false;
    unicode_form_finish(room, form);
    if (is_same(room, in->text + begin, end - begin))
        return copy(out, in, begin, end);
    for (size_t i = 0; ok && i < room->n; i++) {
        const int n = utf8_encode(bytes, (uint32_t)room->characters[i]);
        ok = put(out, bytes, (size_t)n, in, begin, end);
    }
    return ok;
}

static bool to_form(struct normalized *out, const struct normalized *in, struct unicode_form form) {
    struct form_room room = {0};
    uint32_t cp;
    bool ok = true;
    for (size_t begin = 0, end; ok && begin < in->n; begin = end) {
        end = begin + char_after(&cp, in->text, in->n, begin);
        bool as_it_is = cp < 0x80 || cp == CHAR_INVALID;
        while (cp != CHAR_INVALID && end < in->n) {
            size_t len = char_after(&cp, in->text, in->n, end);
            if (cp == CHAR_INVALID || unicode_begins_unit(cp))
                break;
            as_it_is = false;
            end += len;
        }
        ok = as_it_is ? copy(out, in, begin, end) : put_form(out, in, begin, end, form, &room);
    }
    unicode_form_free(&room);
    return ok;
}

/* ---- the other components ---- */

static bool to_lowercase(struct normalized *out, const struct normalized *in) {
    for (size_t i = 0, len; i < in->n; i += len) {
        uint32_t cp;
        char lower[4];
        len = char_after(&cp, in->text, in->n, i);
        bool ok;
        if (cp == CHAR_INVALID) {
            ok = copy(out, in, i, i + len);
        } else if (cp == 0x130) { // the one whose lower case is two characters
            ok = put(out, "i\xCC\x87", 3, in, i, i + len);
        } else {
            size_t n = (size_t)utf8_encode(lower, (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp));
            ok = put(out, lower, n, in, i, i + len);
        }
        if (!ok)
            return false;
    }
    return true;
}

static bool without_marks(struct normalized *out, const struct normalized *in) {
    for (size_t i = 0, len; i < in->n; i += len) {
        uint32_t cp;
        len = char_after(&cp, in->text, in->n, i);
        if (!unicode_is_mark(cp) && !copy(out, in, i, i + len))
            return false;
    }
    return true;
}

static bool replace(struct normalized *out, const struct normalized *in,
                    const struct normalizer_step *step) {
    size_t at = 0, begin, end;
    while (component_pattern_next(&step->pattern, in->text, in->n, at, &begin, &end)) {
        if (!copy(out, in, at, begin) || !put(out, step->text, step->len, in, begin, end))
            return false;
        at = end;
    }
    return copy(out, in, at, in->n);
}

static bool strip(struct normalized *out, const struct normalized *in,
                  const struct normalizer_step *step) {
    size_t begin = 0, end = in->n, len;
    uint32_t cp;
    while (step->left && begin < end &&
           (len = char_after(&cp, in->text, end, begin), component_is_space(cp)))
        begin += len;
    while (step->right && end > begin &&
           (len = char_before(&cp, in->text, end), component_is_space(cp)))
        end -= len;
    return copy(out, in, begin, end);
}

static bool run_step(struct normalized *out, const struct normalized *in,
                     const struct normalizer_step *step) {
    static const struct unicode_form forms[] = {
        [NFC] = {.compose = true},
        [NFD] = {0},
        [NFKC] = {.compose = true, .compatibility = true},
        [NFKD] = {.compatibility = true},
    };
    switch (step->kind) {
    case NFC:
    case NFD:
    case NFKC:
    case NFKD:
        return to_form(out, in, forms[step->kind]);
    case LOWERCASE:
        return to_lowercase(out, in);
    case STRIP_ACCENTS:
        return without_marks(out, in);
    case REPLACE:
        return replace(out, in, step);
    case PREPEND:
        return (!in->n || put(out, step->text, step->len, in, 0, 0)) && copy(out, in, 0, in->n);
    case STRIP:
        return strip(out, in, step);
    case SEQUENCE:
        break; // is no step
    }
    return false;
}

bool normalizer_run(const struct normalizer *normalizer, const unsigned char *text, size_t n,
                    bool places, struct normalized *out, struct gpt2_error *err) {
    struct normalized now = {.has_places = places,
                             .most = n < SIZE_MAX / 128 ? MOST_TIMES * (n + MOST_MORE) : n};
    bool ok = reserve(&now, n);
    if (ok && n)
        memcpy(now.text, text, n);
    for (size_t i = 0; ok && places && i < n; i++) {
        now.from[i] = i;
        now.to[i] = i + 1;
    }
    now.n = ok ? n : 0;
    for (size_t i = 0; ok && i < normalizer->n; i++) {
        struct normalized next = {.has_places = places, .most = now.most};
        ok = run_step(&next, &now, &normalizer->steps[i]);
        normalizer_free_text(&now);
        now = next;
    }
    if (!ok) {
        if (now.too_long)
            error_set(err, GPT2_ERR_MODEL,
                      "the tokenizer's normalizer: expected at most %zu bytes of a text of %zu, "
                      "found more",
                      now.most, n);
        else
            error_memory(err, "the normalized text", n);
        normalizer_free_text(&now);
    }
    *out = now;
    return ok;
}
