/* text_rules.c - reading the rules of a tokenizer, and keeping them as text. */
#include "text/text_rules.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "text/component.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The tokens around a text as a template. */
static void put_around(struct buffer *out, const struct postprocessor *p) {
    buffer_text(out, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[");
    buffer_text(out, p->n_prefix ? "{\"SpecialToken\":{\"id\":\"before\"}}," : "");
    buffer_text(out, "{\"Sequence\":{\"id\":\"A\"}}");
    buffer_text(out, p->n_suffix ? ",{\"SpecialToken\":{\"id\":\"after\"}}" : "");
    buffer_text(out, "],\"special_tokens\":{\"before\":{\"ids\":[");
    for (int i = 0; i < p->n_prefix; i++)
        buffer_format(out, "%s%" PRId32, i ? "," : "", p->prefix[i]);
    buffer_text(out, "]},\"after\":{\"ids\":[");
    for (int i = 0; i < p->n_suffix; i++)
        buffer_format(out, "%s%" PRId32, i ? "," : "", p->suffix[i]);
    buffer_text(out, "]}}}");
}

/* `root` has the components; NULL: there are none. */
static bool keep_text(struct text_rules *rules, const struct json *root, struct gpt2_error *err) {
    struct buffer *out = &rules->text;
    out->len = 0;
    buffer_byte(out, '{');
    if (rules->normalizer) {
        buffer_text(out, "\"normalizer\":");
        json_print(out, json_get(root, "normalizer"));
        buffer_byte(out, ',');
    }
    if (rules->pretokenizer) {
        buffer_text(out, "\"pre_tokenizer\":");
        json_print(out, json_get(root, "pre_tokenizer"));
        buffer_byte(out, ',');
    }
    put_around(out, &rules->around);
    buffer_byte(out, '}');
    return !out->failed || error_memory(err, "the tokenizer's rules", out->len);
}

static bool parse(struct text_rules *rules, struct byte_level *last, const struct json *root,
                  const char *name, struct gpt2_error *err) {
    const struct json *normalizer = json_get(root, "normalizer");
    const struct json *post_processor = json_get(root, "post_processor");
    if (!component_absent(normalizer) &&
        !(rules->normalizer = normalizer_parse(normalizer, name, err)))
        return false;
    return pretokenizer_parse(&rules->pretokenizer, last, json_get(root, "pre_tokenizer"), name,
                              err) &&
           (component_absent(post_processor) ||
            postprocessor_parse(&rules->around, post_processor, name, err));
}

static bool is_nothing(const struct text_rules *rules) {
    return !rules->normalizer && !rules->pretokenizer && !rules->around.n_prefix &&
           !rules->around.n_suffix;
}

bool text_rules_parse(struct text_rules **out, struct byte_level *last, const struct json *root,
                      const char *name, struct gpt2_error *err) {
    struct text_rules *rules = *out = os_alloc(1, sizeof *rules, "the tokenizer's rules", err);
    bool ok = rules && parse(rules, last, root, name, err) &&
              (is_nothing(rules) || keep_text(rules, root, err));
    if (ok && !is_nothing(rules))
        return true;
    text_rules_free(rules);
    *out = NULL;
    return ok;
}

bool text_rules_unpack(struct text_rules **out, const char *text, size_t n, const char *name,
                       struct gpt2_error *err) {
    struct byte_level ignored;
    struct json *root = json_parse(text, n, name, GPT2_ERR_MODEL, err);
    struct text_rules *rules = *out =
        root ? os_alloc(1, sizeof *rules, "the tokenizer's rules", err) : NULL;
    const struct json *node = json_get(root, "normalizer");
    bool ok = rules && (!node || (rules->normalizer = normalizer_parse(node, name, err)));
    node = json_get(root, "pre_tokenizer");
    ok = ok && (!node || pretokenizer_parse(&rules->pretokenizer, &ignored, node, name, err));
    node = json_get(root, "post_processor");
    ok = ok && (!node || postprocessor_parse(&rules->around, node, name, err)) &&
         keep_text(rules, root, err);
    json_free(root);
    if (ok)
        return true;
    text_rules_free(rules);
    *out = NULL;
    return false;
}

/* Whether the token is the first before a text, or the last after it. */
static bool stands_there(const struct postprocessor *around, bool after, int32_t id) {
    return after ? around->n_suffix > 0 && around->suffix[around->n_suffix - 1] == id
                 : around->n_prefix > 0 && around->prefix[0] == id;
}

bool text_rules_add(struct text_rules **out, const struct json *root, bool after, int32_t id,
                    const char *name, struct gpt2_error *err) {
    struct text_rules *rules =
        *out ? *out : os_alloc(1, sizeof *rules, "the tokenizer's rules", err);
    *out = rules;
    if (rules && stands_there(&rules->around, after, id))
        return true;
    return rules && postprocessor_wrap(&rules->around, after, id, name, err) &&
           keep_text(rules, root, err);
}

bool text_rules_check(const struct text_rules *rules, int32_t size, const char *name,
                      struct gpt2_error *err) {
    const struct postprocessor *p = &rules->around;
    for (int i = 0; i < p->n_prefix + p->n_suffix; i++) {
        int32_t id = i < p->n_prefix ? p->prefix[i] : p->suffix[i - p->n_prefix];
        if (id < 0 || id >= size)
            return error_set(err, GPT2_ERR_MODEL,
                             "%s: post_processor: expected a token id from 0 to %" PRId32
                             ", found %" PRId32,
                             name, size - 1, id);
    }
    return true;
}

const char *text_rules_what(const struct text_rules *rules) {
    return rules->normalizer     ? "normalizes text"
           : rules->pretokenizer ? "cuts text in a way of its own"
                                 : NULL;
}

void text_rules_free(struct text_rules *rules) {
    if (!rules)
        return;
    normalizer_free(rules->normalizer);
    pretokenizer_free(rules->pretokenizer);
    buffer_free(&rules->text);
    os_free(rules);
}
