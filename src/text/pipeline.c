/* pipeline.c - the checks of tokenizer.json. Each key that can change the ids is either understood
 * or refused; `truncation` and `padding` are left out, as they are options of a call that Hugging
 * Face's library happens to save. */
#include "text/pipeline.h"
#include "base/error_internal.h"

#include <string.h>

/* The regular expressions that cut text as pretokenize.h does, as files in use spell them. */
static const char *const known_patterns[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s",
};

static bool absent(const struct json *node) {
    return !node || json_kind(node) == JSON_NULL;
}

/* The "type" of a pipeline stage. False: it has none. */
static bool type_of(const char **type, const struct json *node, const char *what, const char *name,
                    struct gpt2_error *err) {
    if (json_string(json_get(node, "type"), type))
        return true;
    return error_set(err, GPT2_ERR_MODEL, "%s: %s: expected an object with a \"type\", found %s",
                     name, what, json_kind_name(node));
}

/* An optional switch. False: it is there and not true or false. */
static bool read_bool(bool *value, bool fallback, const struct json *object, const char *key,
                      const char *what, const char *name, struct gpt2_error *err) {
    const struct json *node = json_get(object, key);
    *value = fallback;
    if (absent(node) || json_bool(node, value))
        return true;
    return error_set(err, GPT2_ERR_MODEL, "%s: %s.%s: expected true or false, found %s", name, what,
                     key, json_kind_name(node));
}

/* A stage that is absent or of type ByteLevel, which then does nothing to the ids. */
static bool check_stage(const struct json *root, const char *key, const char *name,
                        struct gpt2_error *err) {
    const struct json *node = json_get(root, key);
    const char *type;
    if (absent(node))
        return true;
    if (!type_of(&type, node, key, name, err))
        return false;
    if (!strcmp(type, "ByteLevel"))
        return true;
    return error_set(err, GPT2_ERR_MODEL,
                     "%s: %s: expected \"ByteLevel\" or null, found \"%.80s\", which this program "
                     "does not have",
                     name, key, type);
}

static bool check_split(const struct json *node, const char *name, struct gpt2_error *err) {
    const char *regex, *behavior;
    bool invert, known = false;
    if (!read_bool(&invert, false, node, "invert", "pre_tokenizer Split", name, err))
        return false;
    if (!json_string(json_get(json_get(node, "pattern"), "Regex"), &regex))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: pre_tokenizer Split: expected a pattern of kind \"Regex\"", name);
    for (size_t i = 0; i < sizeof known_patterns / sizeof *known_patterns; i++)
        known |= !strcmp(regex, known_patterns[i]);
    if (!known)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: pre_tokenizer Split: expected GPT-2's regular expression, found "
                         "\"%.200s\"",
                         name, regex);
    // The expression matches every character, so nothing is ever between two matches.
    if (json_string(json_get(node, "behavior"), &behavior) &&
        !strcmp(behavior, invert ? "Removed" : "Isolated"))
        return true;
    return error_set(err, GPT2_ERR_MODEL,
                     "%s: pre_tokenizer Split: expected the behavior \"Isolated\"", name);
}

/* ByteLevel, or a Sequence of Split and ByteLevel. */
static bool read_pre_tokenizer(struct pipeline *pipeline, const struct json *root, const char *name,
                               struct gpt2_error *err) {
    const struct json *node = json_get(root, "pre_tokenizer");
    const char *type = "";
    bool in_sequence = false, split = false, bytes = false;
    if (absent(node))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: pre_tokenizer: expected \"ByteLevel\", found null", name);
    if (!type_of(&type, node, "pre_tokenizer", name, err))
        return false;
    if (!strcmp(type, "Sequence")) {
        in_sequence = true;
        const struct json *stages = json_get(node, "pretokenizers");
        node = stages ? json_first(stages) : NULL;
    }
    for (; node; node = in_sequence ? json_next(node) : NULL) {
        bool use_regex;
        if (!type_of(&type, node, "pre_tokenizer", name, err))
            return false;
        if (!strcmp(type, "Split") && in_sequence && !split && !bytes) {
            split = true;
            if (!check_split(node, name, err))
                return false;
        } else if (!strcmp(type, "ByteLevel") && !bytes) {
            bytes = true;
            if (!read_bool(&pipeline->add_prefix_space, true, node, "add_prefix_space",
                           "pre_tokenizer", name, err) ||
                !read_bool(&use_regex, true, node, "use_regex", "pre_tokenizer", name, err))
                return false;
            if (split && (use_regex || pipeline->add_prefix_space))
                return error_set(err, GPT2_ERR_MODEL,
                                 "%s: pre_tokenizer ByteLevel after a Split: expected %s false, "
                                 "found true",
                                 name, use_regex ? "use_regex" : "add_prefix_space");
            pipeline->split = split || use_regex;
        } else {
            break;
        }
    }
    if (!node && bytes)
        return true;
    return error_set(err, GPT2_ERR_MODEL,
                     "%s: pre_tokenizer: expected \"ByteLevel\", alone or after one \"Split\", "
                     "found \"%.80s\"",
                     name, type);
}

static bool read_model(struct pipeline *pipeline, const struct json *root, const char *name,
                       struct gpt2_error *err) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const struct json *model = json_get(root, "model");
    const struct json *dropout = json_get(model, "dropout");
    const char *type = "BPE"; // GPT-2's own file does not say
    double p = 0;
    bool byte_fallback;
    if (!model || json_kind(model) != JSON_OBJECT)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected an object \"model\", found %s", name,
                         model ? json_kind_name(model) : "none");
    if (!absent(json_get(model, "type")) && !type_of(&type, model, "model", name, err))
        return false;
    if (strcmp(type, "BPE") != 0)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: model.type: expected \"BPE\", found \"%.80s\", which this program "
                         "does not have",
                         name, type);
    if (!absent(dropout) && !(json_number(dropout, &p) && p == 0))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: model.dropout: expected null, found a value that makes tokens random",
                         name);
    for (size_t i = 0; i < 2; i++) {
        const struct json *affix = json_get(model, affixes[i]);
        const char *text;
        if (!absent(affix) && !(json_string(affix, &text) && !*text))
            return error_set(err, GPT2_ERR_MODEL,
                             "%s: model.%s: expected \"\" or null, found another value", name,
                             affixes[i]);
    }
    if (!read_bool(&byte_fallback, false, model, "byte_fallback", "model", name, err) ||
        !read_bool(&pipeline->ignore_merges, false, model, "ignore_merges", "model", name, err))
        return false;
    if (byte_fallback)
        return error_set(err, GPT2_ERR_MODEL, "%s: model.byte_fallback: expected false, found true",
                         name);
    pipeline->vocab = json_get(model, "vocab");
    pipeline->merges = json_get(model, "merges");
    if (!pipeline->vocab || json_kind(pipeline->vocab) != JSON_OBJECT)
        return error_set(err, GPT2_ERR_MODEL, "%s: model.vocab: expected an object, found %s", name,
                         pipeline->vocab ? json_kind_name(pipeline->vocab) : "none");
    if (!pipeline->merges || json_kind(pipeline->merges) != JSON_ARRAY)
        return error_set(err, GPT2_ERR_MODEL, "%s: model.merges: expected an array, found %s", name,
                         pipeline->merges ? json_kind_name(pipeline->merges) : "none");
    return true;
}

bool pipeline_read(struct pipeline *pipeline, const struct json *root, const char *name,
                   struct gpt2_error *err) {
    const struct json *normalizer = json_get(root, "normalizer");
    const char *type;
    *pipeline = (struct pipeline){0};
    if (!absent(normalizer)) {
        if (!type_of(&type, normalizer, "normalizer", name, err))
            return false;
        return error_set(err, GPT2_ERR_MODEL, "%s: normalizer: expected null, found \"%.80s\"",
                         name, type);
    }
    return read_pre_tokenizer(pipeline, root, name, err) &&
           check_stage(root, "post_processor", name, err) &&
           check_stage(root, "decoder", name, err) && read_model(pipeline, root, name, err);
}
