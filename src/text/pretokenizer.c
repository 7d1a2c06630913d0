/* pretokenizer.c - each component is a pattern, and what happens to its matches. */
#include "text/pretokenizer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "text/component.h"

#include <stdlib.h>
#include <string.h>

enum pretokenizer_kind {
    BYTE_LEVEL,
    SPLIT,
    DIGITS,
    WHITESPACE,
    WHITESPACE_SPLIT,
    PUNCTUATION,
    SEQUENCE
};

static const char *const names[] = {
    [BYTE_LEVEL] = "ByteLevel",
    [SPLIT] = "Split",
    [DIGITS] = "Digits",
    [WHITESPACE] = "Whitespace",
    [WHITESPACE_SPLIT] = "WhitespaceSplit",
    [PUNCTUATION] = "Punctuation",
    [SEQUENCE] = "Sequence",
    NULL,
};

/* What becomes of the matches, in Hugging Face's words. */
enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

static const char *const behaviors[] = {
    [REMOVED] = "Removed",
    [ISOLATED] = "Isolated",
    [MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
    [MERGED_WITH_NEXT] = "MergedWithNext",
    [CONTIGUOUS] = "Contiguous",
    NULL,
};

struct pretokenizer_step {
    struct pattern pattern;
    enum behavior behavior;
    bool invert; /* what is between matches is the match */
};

struct pretokenizer {
    struct pretokenizer_step *steps; /* [n] */
    size_t n;
};

/* ---- reading ---- */

static bool read_behavior(enum behavior *out, enum behavior otherwise, const struct json *node,
                          const char *what, const char *name, struct gpt2_error *err) {
    const struct json *member = json_get(node, "behavior");
    const char *text;
    *out = otherwise;
    if (component_absent(member))
        return true;
    if (!json_string(member, &text))
        return error_set(err, GPT2_ERR_MODEL, "%s: %s: expected a string \"behavior\"", name, what);
    int found = component_find(text, behaviors, what, name, err);
    if (found >= 0)
        *out = (enum behavior)found;
    return found >= 0;
}

static bool read_step(struct pretokenizer_step *step, enum pretokenizer_kind kind,
                      const struct json *node, const char *name, struct gpt2_error *err) {
    bool individual;
    *step = (struct pretokenizer_step){.pattern = {.kind = PATTERN_CLASS}, .behavior = ISOLATED};
    switch (kind) {
    case SPLIT:
        return component_pattern_parse(&step->pattern, json_get(node, "pattern"),
                                       "pre_tokenizer Split", name, err) &&
               read_behavior(&step->behavior, ISOLATED, node, "pre_tokenizer Split", name, err) &&
               component_bool(&step->invert, false, node, "invert", "pre_tokenizer Split", name,
                              err);
    case DIGITS:
        if (!component_bool(&individual, false, node, "individual_digits", "pre_tokenizer Digits",
                            name, err))
            return false;
        step->pattern.is_in = component_is_number;
        step->behavior = individual ? ISOLATED : CONTIGUOUS;
        return true;
    case WHITESPACE:
        step->pattern.kind = PATTERN_RUST_WORDS;
        step->behavior = REMOVED;
        step->invert = true;
        return true;
    case WHITESPACE_SPLIT:
        step->pattern.is_in = component_is_space;
        step->behavior = REMOVED;
        return true;
    case PUNCTUATION:
        step->pattern.is_in = component_is_punctuation;
        return read_behavior(&step->behavior, ISOLATED, node, "pre_tokenizer Punctuation", name,
                             err);
    case BYTE_LEVEL:
    case SEQUENCE:
        break;
    }
    return false;
}

struct reading {
    struct pretokenizer *out;
    struct byte_level *last;
    bool ended; /* by ByteLevel */
    const char *name;
    struct gpt2_error *err;
};

static bool add(struct reading *r, const struct json *node, int depth) {
    const char *type;
    if (!component_type(&type, node, "pre_tokenizer", r->name, r->err))
        return false;
    int kind = component_find(type, names, "pre_tokenizer", r->name, r->err);
    if (kind < 0)
        return false;
    if (kind == SEQUENCE) {
        const struct json *list = json_get(node, "pretokenizers");
        if (!list || json_kind(list) != JSON_ARRAY || depth == COMPONENT_DEPTH)
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: pre_tokenizer Sequence: expected an array \"pretokenizers\", at "
                             "most %d one inside the other",
                             r->name, COMPONENT_DEPTH);
        for (node = json_first(list); node; node = json_next(node))
            if (!add(r, node, depth + 1))
                return false;
        return true;
    }
    if (r->ended)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: pre_tokenizer: expected nothing after ByteLevel, found \"%s\"",
                         r->name, names[kind]);
    if (kind == BYTE_LEVEL) {
        r->ended = true;
        return component_bool(&r->last->add_prefix_space, true, node, "add_prefix_space",
                              "pre_tokenizer", r->name, r->err) &&
               component_bool(&r->last->use_regex, true, node, "use_regex", "pre_tokenizer",
                              r->name, r->err);
    }
    struct pretokenizer_step *grown = realloc(r->out->steps, (r->out->n + 1) * sizeof *grown);
    if (!grown)
        return error_memory(r->err, "the pre-tokenizer", (r->out->n + 1) * sizeof *grown);
    r->out->steps = grown;
    return read_step(&r->out->steps[r->out->n++], (enum pretokenizer_kind)kind, node, r->name,
                     r->err);
}

/* True for a Split by GPT-2's regular expression into its pieces: it matches every character, so
 * nothing is ever between two matches. */
static bool is_gpt2(const struct pretokenizer_step *step) {
    return step->pattern.kind == PATTERN_GPT2 &&
           (step->invert ? step->behavior == REMOVED : step->behavior == ISOLATED);
}

bool pretokenizer_parse(struct pretokenizer **out, struct byte_level *last, const struct json *node,
                        const char *name, struct gpt2_error *err) {
    *last = (struct byte_level){false, false};
    *out = NULL;
    if (component_absent(node))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: pre_tokenizer: expected \"ByteLevel\", found null", name);
    struct pretokenizer *made = os_alloc(1, sizeof *made, "the pre-tokenizer", err);
    struct reading r = {made, last, false, name, err};
    bool ok = made && add(&r, node, 0);
    if (ok && !r.ended)
        ok = error_set(err, GPT2_ERR_MODEL,
                       "%s: pre_tokenizer: expected \"ByteLevel\", alone or at the end of a "
                       "Sequence, found none",
                       name);
    // The usual way to say what ByteLevel alone says.
    if (ok && made->n == 1 && is_gpt2(made->steps) && !last->use_regex && !last->add_prefix_space) {
        last->use_regex = true;
        made->n = 0;
    }
    if (ok && made->n) {
        *out = made;
        return true;
    }
    pretokenizer_free(made);
    return ok;
}

void pretokenizer_free(struct pretokenizer *pretokenizer) {
    if (!pretokenizer)
        return;
    for (size_t i = 0; i < pretokenizer->n; i++)
        component_pattern_free(&pretokenizer->steps[i].pattern);
    free(pretokenizer->steps);
    os_free(pretokenizer);
}

/* ---- cutting ---- */

struct ranges {
    struct range *items; /* [n of cap] */
    size_t n, cap;
};

static bool push(struct ranges *ranges, size_t begin, size_t end) {
    if (begin == end)
        return true;
    if (ranges->n == ranges->cap) {
        size_t cap = ranges->cap + ranges->cap / 2 + 16;
        struct range *grown =
            cap < SIZE_MAX / sizeof *grown ? realloc(ranges->items, cap * sizeof *grown) : NULL;
        if (!grown)
            return false;
        ranges->items = grown;
        ranges->cap = cap;
    }
    ranges->items[ranges->n++] = (struct range){begin, end};
    return true;
}

/* Puts one stretch of a range, a match or what is between two, where the behavior wants it. `open`
 * is the stretch before it that is not put yet. */
struct cutting {
    struct ranges *out;
    enum behavior behavior;
    size_t begin, end; /* open; empty: none */
    bool was_match;    /* the last stretch was one */
};

static bool flush(struct cutting *c) {
    bool ok = push(c->out, c->begin, c->end);
    c->begin = c->end;
    return ok;
}

static bool stretch(struct cutting *c, size_t begin, size_t end, bool is_match) {
    bool joins = false;
    if (begin == end)
        return true;
    switch (c->behavior) {
    case REMOVED:
        if (is_match) {
            bool ok = flush(c);
            c->begin = c->end = end;
            return ok;
        }
        break;
    case ISOLATED:
        break;
    case CONTIGUOUS:
        joins = is_match == c->was_match;
        break;
    case MERGED_WITH_PREVIOUS: // of two matches side by side the first only
        joins = is_match && !c->was_match;
        break;
    case MERGED_WITH_NEXT:
        joins = !is_match && c->was_match;
        break;
    }
    c->was_match = is_match;
    if (joins && c->begin < c->end) {
        c->end = end;
        return true;
    }
    if (!flush(c))
        return false;
    c->begin = begin;
    c->end = end;
    return true;
}

static bool cut(struct ranges *out, const struct pretokenizer_step *step, const unsigned char *text,
                struct range range) {
    struct cutting c = {out, step->behavior, range.begin, range.begin, false};
    const unsigned char *part = text + range.begin;
    const size_t n = range.end - range.begin;
    size_t at = 0, begin, end;
    while (component_pattern_next(&step->pattern, part, n, at, &begin, &end)) {
        if (!stretch(&c, range.begin + at, range.begin + begin, step->invert) ||
            !stretch(&c, range.begin + begin, range.begin + end, !step->invert))
            return false;
        at = end;
    }
    return stretch(&c, range.begin + at, range.end, step->invert) && flush(&c);
}

bool pretokenizer_run(const struct pretokenizer *pretokenizer, const unsigned char *text, size_t n,
                      struct range **ranges, size_t *n_ranges, struct gpt2_error *err) {
    struct ranges now = {0};
    bool ok = push(&now, 0, n);
    for (size_t i = 0; ok && i < pretokenizer->n; i++) {
        struct ranges next = {0};
        for (size_t k = 0; ok && k < now.n; k++)
            ok = cut(&next, &pretokenizer->steps[i], text, now.items[k]);
        free(now.items);
        now = next;
    }
    *ranges = ok ? now.items : NULL;
    *n_ranges = ok ? now.n : 0;
    if (ok)
        return true;
    free(now.items);
    return error_memory(err, "the pieces of the text", n);
}
