/* tokenizer_json.c - cuts the bulk out of a tokenizer.json. The scan decides nothing: what is left
 * goes through the JSON parser, and where anything is unusual the whole file does. */
#include "text/tokenizer_json.h"
#include "base/os.h"

#include <string.h>

struct scan {
    const char *text; /* [len] */
    size_t len, at;
    int depth;     /* of objects and arrays around `at` */
    bool in_model; /* the last member of the root that began is "model" */
    bool had_model;
    char *out;          /* [n_out] what has been kept so far */
    size_t n_out, kept; /* text[0..kept) is in there, or has been cut out */
};

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct scan *s) {
    while (s->at < s->len && is_space(s->text[s->at]))
        s->at++;
}

/* Moves past the string that begins here; *inside and *n are what is between its quotes. */
static bool skip_string(struct scan *s, const char **inside, size_t *n) {
    const char *first = *inside = s->text + ++s->at;
    for (; s->at < s->len && s->text[s->at] != '"'; s->at++)
        s->at += s->text[s->at] == '\\';
    if (s->at >= s->len)
        return false;
    *n = (size_t)(s->text + s->at++ - first);
    return true;
}

static void keep(struct scan *s, size_t up_to) {
    memcpy(s->out + s->n_out, s->text + s->kept, up_to - s->kept);
    s->n_out += up_to - s->kept;
    s->kept = up_to;
}

/* Takes the `used` bytes that come next out, and leaves an empty object or array. */
static void cut(struct scan *s, size_t used, const char *empty) {
    keep(s, s->at);
    memcpy(s->out + s->n_out, empty, 2);
    s->n_out += 2;
    s->kept = s->at += used;
}

static bool is(const char *text, size_t n, const char *name) {
    return n == strlen(name) && !memcmp(text, name, n);
}

/* What follows a member's name. False: not the usual form. */
static bool read_member(struct tokenizer_json *out, struct scan *s, const char *name, size_t n) {
    size_t used;
    skip_space(s);
    if (s->depth == 1) {
        s->in_model = is(name, n, "model");
        if (s->in_model && s->had_model)
            return false;
        s->had_model |= s->in_model;
    } else if (s->depth == 2 && s->in_model && is(name, n, "vocab")) {
        if (out->vocab.entries ||
            !vocab_map_read_first(&out->vocab, s->text + s->at, s->len - s->at, &used))
            return false;
        cut(s, used, "{}");
    } else if (s->depth == 2 && s->in_model && is(name, n, "merges")) {
        if (out->merges.bytes ||
            !vocab_pairs_read_first(&out->merges, s->text + s->at, s->len - s->at, &used))
            return false;
        cut(s, used, "[]");
    }
    return true;
}

static bool scan_all(struct tokenizer_json *out, struct scan *s) {
    while (s->at < s->len) {
        const char c = s->text[s->at], *name;
        size_t n;
        if (c == '"') {
            if (!skip_string(s, &name, &n))
                return false;
            skip_space(s);
            if (s->at < s->len && s->text[s->at] == ':') {
                s->at++;
                if (!read_member(out, s, name, n))
                    return false;
            }
            continue;
        }
        s->depth += (c == '{') + (c == '[') - (c == '}') - (c == ']');
        s->at++;
    }
    if (!out->vocab.entries || !out->merges.bytes)
        return false;
    keep(s, s->len);
    return true;
}

bool tokenizer_json_read(struct tokenizer_json *out, const char *text, size_t len, const char *name,
                         struct gpt2_error *err) {
    struct scan scan = {.text = text, .len = len};
    scan.out = os_alloc(len + 1, 1, "", NULL); // what is cut out is at least as long as what stays
    out->quick = scan.out && scan_all(out, &scan) &&
                 (out->root = json_parse(scan.out, scan.n_out, name, GPT2_ERR_MODEL, NULL));
    os_free(scan.out);
    if (out->quick)
        return true;
    tokenizer_json_free(out);
    out->root = json_parse_large(text, len, TOKENIZER_JSON_VALUES, name, GPT2_ERR_MODEL, err);
    return out->root != NULL;
}

void tokenizer_json_free(struct tokenizer_json *file) {
    json_free(file->root);
    vocab_map_free(&file->vocab);
    vocab_pairs_free(&file->merges);
    *file = (struct tokenizer_json){0};
}
