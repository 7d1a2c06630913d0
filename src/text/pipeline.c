/* pipeline.c - the checks of tokenizer.json. Each key that can change the ids is either understood
 * or refused; `truncation` and `padding` are left out, as they are options of a call that Hugging
 * Face's library happens to save. */
#include "text/pipeline.h"
#include "base/error_internal.h"
#include "text/component.h"

#include <string.h>

/* The decoder is ByteLevel or not there: ids become the bytes of their tokens. */
static bool check_decoder(const struct json *root, const char *name, struct gpt2_error *err) {
    const struct json *node = json_get(root, "decoder");
    const char *type;
    if (component_absent(node))
        return true;
    if (!component_type(&type, node, "decoder", name, err))
        return false;
    if (!strcmp(type, "ByteLevel"))
        return true;
    return error_set(err, GPT2_ERR_MODEL,
                     "%s: decoder: expected \"ByteLevel\" or null, found \"%.80s\", which this "
                     "program does not have",
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
    if (!component_absent(json_get(model, "type")) &&
        !component_type(&type, model, "model", name, err))
        return false;
    if (strcmp(type, "BPE") != 0)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: model.type: expected \"BPE\", found \"%.80s\", which this program "
                         "does not have",
                         name, type);
    if (!component_absent(dropout) && !(json_number(dropout, &p) && p == 0))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: model.dropout: expected null, found a value that makes tokens random",
                         name);
    for (size_t i = 0; i < 2; i++) {
        const struct json *affix = json_get(model, affixes[i]);
        const char *text;
        if (!component_absent(affix) && !(json_string(affix, &text) && !*text))
            return error_set(err, GPT2_ERR_MODEL,
                             "%s: model.%s: expected \"\" or null, found another value", name,
                             affixes[i]);
    }
    if (!component_bool(&byte_fallback, false, model, "byte_fallback", "model", name, err) ||
        !component_bool(&pipeline->ignore_merges, false, model, "ignore_merges", "model", name,
                        err))
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
    struct byte_level last;
    const char *type = "";
    *pipeline = (struct pipeline){0};
    if (!text_rules_parse(&pipeline->rules, &last, root, name, err))
        return false;
    pipeline->split = last.use_regex;
    pipeline->add_prefix_space = last.add_prefix_space;
    pipeline->is_byte_level =
        json_string(json_get(json_get(root, "pre_tokenizer"), "type"), &type) &&
        !strcmp(type, "ByteLevel");
    if (check_decoder(root, name, err) && read_model(pipeline, root, name, err))
        return true;
    text_rules_free(pipeline->rules);
    pipeline->rules = NULL;
    return false;
}
