/* postprocessor.c - templates for a single text; those for a pair do not apply. */
#include "text/postprocessor.h"
#include "base/error_internal.h"
#include "text/component.h"
#include "text/ids.h"

#include <string.h>

enum postprocessor_kind { BYTE_LEVEL, TEMPLATE, ROBERTA, BERT, SEQUENCE };

static const char *const names[] = {
    [BYTE_LEVEL] = "ByteLevel", [TEMPLATE] = "TemplateProcessing", [ROBERTA] = "RobertaProcessing",
    [BERT] = "BertProcessing",  [SEQUENCE] = "Sequence",           NULL,
};

bool postprocessor_wrap(struct postprocessor *out, bool after, int32_t id, const char *name,
                        struct gpt2_error *err) {
    int *n = after ? &out->n_suffix : &out->n_prefix;
    if (*n == POSTPROCESSOR_MAX)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: post_processor: expected at most %d tokens on one side of a text",
                         name, POSTPROCESSOR_MAX);
    if (after) {
        out->suffix[(*n)++] = id;
        return true;
    }
    memmove(out->prefix + 1, out->prefix, (size_t)*n * sizeof *out->prefix);
    out->prefix[0] = id;
    ++*n;
    return true;
}

static bool read_id(int32_t *id, const struct json *node, const char *what, const char *name,
                    struct gpt2_error *err) {
    int64_t value;
    if (!json_integer(node, 0, VOCAB_MAX_ID, &value))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: post_processor: %s: expected a token id from 0 to %d, found %s", name,
                         what, VOCAB_MAX_ID, node ? json_kind_name(node) : "none");
    *id = (int32_t)value;
    return true;
}

/* The ids of one special token of a template, in order: special_tokens.NAME.ids. */
static bool put_special(struct postprocessor *out, bool after, const struct json *special,
                        const struct json *all, const char *name, struct gpt2_error *err) {
    const char *key;
    int32_t ids[POSTPROCESSOR_MAX];
    int n = 0;
    const struct json *list =
        json_string(json_get(special, "id"), &key) ? json_get(json_get(all, key), "ids") : NULL;
    if (!list || json_kind(list) != JSON_ARRAY)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: post_processor: expected a special token of the template among "
                         "\"special_tokens\", with \"ids\", found none",
                         name);
    for (const struct json *node = json_first(list); node; node = json_next(node)) {
        if (n == POSTPROCESSOR_MAX)
            return postprocessor_wrap(&(struct postprocessor){.n_suffix = n}, true, 0, name, err);
        if (!read_id(&ids[n++], node, "ids", name, err))
            return false;
    }
    for (int i = 0; i < n; i++)
        if (!postprocessor_wrap(out, after, ids[after ? i : n - 1 - i], name, err))
            return false;
    return true;
}

static bool read_template(struct postprocessor *out, const struct json *node, const char *name,
                          struct gpt2_error *err) {
    const struct json *all = json_get(node, "special_tokens");
    const struct json *before[POSTPROCESSOR_MAX], *single = json_get(node, "single");
    int n_before = 0, n_texts = 0;
    for (const struct json *item = single ? json_first(single) : NULL; item;
         item = json_next(item)) {
        const struct json *special = json_get(item, "SpecialToken");
        if (json_get(item, "Sequence")) {
            n_texts++;
        } else if (special && n_texts) {
            if (!put_special(out, true, special, all, name, err))
                return false;
        } else if (special && n_before < POSTPROCESSOR_MAX) {
            before[n_before++] = special;
        } else {
            return error_set(
                err, GPT2_ERR_MODEL,
                "%s: post_processor TemplateProcessing: expected items \"Sequence\" and "
                "\"SpecialToken\", found another",
                name);
        }
    }
    if (n_texts != 1)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: post_processor TemplateProcessing: expected the text once in "
                         "\"single\", found it %d times",
                         name, n_texts);
    while (n_before > 0) // from the text outwards
        if (!put_special(out, false, before[--n_before], all, name, err))
            return false;
    return true;
}

/* RobertaProcessing and BertProcessing: "cls": ["<s>", 0], "sep": ["</s>", 2]. */
static bool read_pair(struct postprocessor *out, const struct json *node, const char *name,
                      struct gpt2_error *err) {
    static const char *const keys[] = {"cls", "sep"};
    for (int i = 0; i < 2; i++) {
        const struct json *list = json_get(node, keys[i]);
        const struct json *first = list ? json_first(list) : NULL;
        int32_t id = 0;
        if (!read_id(&id, first ? json_next(first) : NULL, keys[i], name, err) ||
            !postprocessor_wrap(out, i == 1, id, name, err))
            return false;
    }
    return true;
}

static bool read(struct postprocessor *out, const struct json *node, int depth, const char *name,
                 struct gpt2_error *err) {
    const char *type;
    if (!component_type(&type, node, "post_processor", name, err))
        return false;
    const struct json *list = json_get(node, "processors");
    switch (component_find(type, names, "post_processor", name, err)) {
    case BYTE_LEVEL: // trims offsets, and no more
        return true;
    case TEMPLATE:
        return read_template(out, node, name, err);
    case ROBERTA:
    case BERT:
        return read_pair(out, node, name, err);
    case SEQUENCE:
        if (!list || json_kind(list) != JSON_ARRAY || depth == COMPONENT_DEPTH)
            return error_set(
                err, GPT2_ERR_MODEL,
                "%s: post_processor Sequence: expected an array \"processors\", at most "
                "%d one inside the other",
                name, COMPONENT_DEPTH);
        for (node = json_first(list); node; node = json_next(node))
            if (!read(out, node, depth + 1, name, err))
                return false;
        return true;
    default:
        return false;
    }
}

bool postprocessor_parse(struct postprocessor *out, const struct json *node, const char *name,
                         struct gpt2_error *err) {
    return read(out, node, 0, name, err);
}
