/* config.c - config.json's keys that change the arithmetic, in one table, and the rules between
 * them.
 *
 * The same idea may be spelled in two ways: GPT-2's own name (n_embd) and the one that all Hugging
 * Face models share (hidden_size). A key that is absent has Hugging Face's default, since the
 * oldest files have eight keys. A key that is present must be of the right type and in range: a
 * guess here would be another model. Keys that change nothing at inference (dropout,
 * initialisation, summaries of other heads, file versions) are not looked at. */
#include "model/config.h"
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/look.h"
#include "base/os.h"
#include "kernels/kernels.h"
#include "model/generation_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE 1000000 /* bytes; real files have 200 to 2000 */
#define MAX_KEYS 1000    /* so that looking for doubles by comparing all pairs is cheap */

#define DEFAULT_END 50256 /* <|endoftext|> in GPT-2's vocabulary of 50257 */

static const struct integer_key {
    const char *name, *alias;
    size_t offset; /* of an int in struct gpt2_config */
    int fallback;  /* where neither name is present   */
    int max;       /* from 1; generous, and no product of two overflows */
} integer_keys[] = {
    {"vocab_size", NULL, offsetof(struct gpt2_config, n_vocab), 50257, CONFIG_MAX_VOCAB},
    {"n_positions", "max_position_embeddings", offsetof(struct gpt2_config, n_ctx), 1024, 1 << 20},
    {"n_embd", "hidden_size", offsetof(struct gpt2_config, n_embd), 768, 1 << 16},
    {"n_layer", "num_hidden_layers", offsetof(struct gpt2_config, n_layer), 12, 1 << 12},
    {"n_head", "num_attention_heads", offsetof(struct gpt2_config, n_head), 12, 1 << 16},
    {"n_inner", NULL, offsetof(struct gpt2_config, n_inner), 0, 1 << 20}, // 0: 4 * n_embd
};

/* A file while it is read. */
struct config_source {
    const char *path;
    const struct json *root;
    struct gpt2_error *err;
};

/* The text of a value for "found ...". */
static const char *describe(char text[64], const struct json *node) {
    const char *string;
    double number;
    bool truth;
    if (json_string(node, &string))
        snprintf(text, 64, "\"%.40s\"", string);
    else if (json_number(node, &number))
        snprintf(text, 64, "%.15g", number);
    else if (json_bool(node, &truth))
        snprintf(text, 64, "%s", truth ? "true" : "false");
    else if (json_kind(node) == JSON_NUMBER)
        snprintf(text, 64, "NaN, or a number beyond a double's range");
    else
        snprintf(text, 64, "%s", json_kind_name(node));
    return text;
}

/* PATH: "KEY": expected ..., found ... */
__attribute__((format(printf, 4, 5))) static bool refuse(const struct config_source *s,
                                                         const char *key, const struct json *found,
                                                         const char *format, ...) {
    char expected[300], text[64];
    va_list args;
    va_start(args, format);
    vsnprintf(expected, sizeof expected, format, args);
    va_end(args);
    return error_set(s->err, GPT2_ERR_MODEL, "%s: \"%s\": expected %s, found %s", s->path, key,
                     expected, describe(text, found));
}

static bool is_null(const struct json *node) {
    return json_kind(node) == JSON_NULL;
}

static bool parse_object(struct config_source *s, struct json **root, const char *text,
                         size_t len) {
    if (len > MAX_FILE)
        return error_set(s->err, GPT2_ERR_MODEL, "%s: expected at most %d bytes, found %zu",
                         s->path, MAX_FILE, len);
    if (len == 0)
        return error_set(s->err, GPT2_ERR_MODEL, "%s: expected a JSON object, found it empty",
                         s->path);
    *root = json_parse_settings(text, len, s->path, GPT2_ERR_MODEL, s->err);
    if (!*root)
        return false;
    s->root = *root;
    if (json_kind(*root) != JSON_OBJECT)
        return error_set(s->err, GPT2_ERR_MODEL, "%s: expected a JSON object, found %s", s->path,
                         json_kind_name(*root));
    int n = 0;
    for (const struct json *a = json_first(*root); a; a = json_next(a)) {
        if (++n > MAX_KEYS)
            return error_set(s->err, GPT2_ERR_MODEL, "%s: expected at most %d keys", s->path,
                             MAX_KEYS);
        for (const struct json *b = json_first(*root); b != a; b = json_next(b))
            if (strcmp(json_name(a), json_name(b)) == 0)
                return error_set(s->err, GPT2_ERR_MODEL, "%s: the key \"%.60s\" is there twice",
                                 s->path, json_name(a));
    }
    return true;
}

/* *out = the integer under `name`. An absent key leaves *out and makes *found NULL, and so does
 * null where the default is computed (n_inner). */
static bool read_integer(int *out, const struct json **found, const struct config_source *s,
                         const char *name, int max, bool null_is_absent) {
    int64_t value;
    *found = name ? json_get(s->root, name) : NULL;
    if (*found && is_null(*found) && null_is_absent)
        *found = NULL;
    if (!*found)
        return true;
    if (!json_integer(*found, 1, max, &value))
        return refuse(s, name, *found, "an integer from 1 to %d", max);
    *out = (int)value;
    return true;
}

static bool read_integers(struct gpt2_config *config, const struct config_source *s) {
    for (size_t i = 0; i < sizeof integer_keys / sizeof *integer_keys; i++) {
        const struct integer_key *key = &integer_keys[i];
        const struct json *own, *shared;
        int value = key->fallback, alias = 0;
        if (!read_integer(&value, &own, s, key->name, key->max, key->fallback == 0) ||
            !read_integer(&alias, &shared, s, key->alias, key->max, false))
            return false;
        if (own && shared && value != alias)
            return error_set(s->err, GPT2_ERR_MODEL,
                             "%s: \"%s\" and \"%s\" mean the same, found %d and %d", s->path,
                             key->name, key->alias, value, alias);
        if (shared)
            value = alias;
        memcpy((char *)config + key->offset, &value, sizeof value);
    }
    if (config->n_inner == 0)
        config->n_inner = 4 * config->n_embd;
    if (config->n_embd % config->n_head)
        return error_set(s->err, GPT2_ERR_MODEL,
                         "%s: expected \"n_head\" to divide \"n_embd\", found %d and %d", s->path,
                         config->n_head, config->n_embd);
    return true;
}

/* Old files say n_ctx as well as n_positions; it was never used for anything but the mask. */
static bool read_n_ctx(struct gpt2_config *config, struct warnings *notes,
                       const struct config_source *s) {
    int n_ctx = 0;
    const struct json *found;
    if (!read_integer(&n_ctx, &found, s, "n_ctx", 1 << 20, false))
        return false;
    if (!found || n_ctx == config->n_ctx)
        return true;
    if (!json_get(s->root, "n_positions") && !json_get(s->root, "max_position_embeddings")) {
        config->n_ctx = n_ctx;
        return true;
    }
    return warnings_add(
        notes, s->err,
        "%s: \"n_ctx\" is %d but \"n_positions\" is %d: the context has %d tokens, as "
        "many as wpe has rows",
        s->path, n_ctx, config->n_ctx, config->n_ctx);
}

static bool read_bool(bool *out, const struct config_source *s, const char *name, bool fallback) {
    const struct json *node = json_get(s->root, name);
    *out = fallback;
    if (node && !json_bool(node, out))
        return refuse(s, name, node, "true or false");
    return true;
}

static bool read_activation(struct gpt2_config *config, const struct config_source *s) {
    static const char key[] = "activation_function";
    const struct json *node = json_get(s->root, key);
    const char *name = "gelu_new";
    if (node && !json_string(node, &name))
        return refuse(s, key, node, "a string");
    char known[256] = "";
    size_t n = 0;
    for (const struct activation *a = kernels_variant(0)->activations; a->name; a++) {
        if (strcmp(a->name, name) == 0) {
            config->activation = a->name;
            return true;
        }
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", a->name);
    }
    if (!node) // the default itself: a table without it is not ours
        return error_set(s->err, GPT2_ERR_MODEL, "%s: no kernel for \"%s\"", s->path, name);
    return refuse(s, key, node, "one of %s", known);
}

/* Not 0: a token whose features are all equal, as in an embedding of zeros, would have no
 * normalized vector (0 / 0). */
static bool read_epsilon(struct gpt2_config *config, const struct config_source *s) {
    static const char key[] = "layer_norm_epsilon";
    const struct json *node = json_get(s->root, key);
    double value = 1e-5;
    if (node && (!json_number(node, &value) || !((float)value > 0) || isinf((float)value)))
        return refuse(s, key, node, "a number above 0 that fits a float");
    config->layer_norm_epsilon = (float)value;
    return true;
}

/* An id that the model cannot produce ends nothing: files of small models often keep 50256. */
static bool add_eos(struct gpt2_config *config, struct warnings *notes,
                    const struct config_source *s, const struct json *node) {
    int64_t id;
    if (!json_integer(node, INT32_MIN, INT32_MAX, &id))
        return refuse(s, "eos_token_id", node, "an integer, a list of integers or null");
    if (id < 0 || id >= config->n_vocab)
        return warnings_add(notes, s->err,
                            "%s: \"eos_token_id\" %" PRId64
                            " is outside the vocabulary of %d: not used",
                            s->path, id, config->n_vocab);
    for (int i = 0; i < config->n_eos; i++)
        if (config->eos_ids[i] == id)
            return true;
    if (config->n_eos == GPT2_MAX_EOS)
        return error_set(s->err, GPT2_ERR_MODEL, "%s: \"eos_token_id\": expected at most %d ids",
                         s->path, GPT2_MAX_EOS);
    config->eos_ids[config->n_eos++] = (int32_t)id;
    return true;
}

/* Keys that are absent leave what `config` holds; null means none. */
static bool read_special_ids(struct gpt2_config *config, struct warnings *notes,
                             const struct config_source *s) {
    const struct json *eos = json_get(s->root, "eos_token_id");
    const struct json *bos = json_get(s->root, "bos_token_id");
    if (eos) {
        config->n_eos = 0;
        if (json_kind(eos) == JSON_ARRAY) {
            for (const struct json *item = json_first(eos); item; item = json_next(item))
                if (!add_eos(config, notes, s, item))
                    return false;
        } else if (!is_null(eos) && !add_eos(config, notes, s, eos)) {
            return false;
        }
    }
    if (bos) {
        int64_t id = -1;
        if (!is_null(bos) && !json_integer(bos, INT32_MIN, INT32_MAX, &id))
            return refuse(s, "bos_token_id", bos, "an integer or null");
        config->bos_id = id >= 0 && id < config->n_vocab ? (int32_t)id : -1;
        if (config->bos_id != id)
            return warnings_add(notes, s->err,
                                "%s: \"bos_token_id\" %" PRId64
                                " is outside the vocabulary of %d: not used",
                                s->path, id, config->n_vocab);
    }
    return true;
}

/* What would need other arithmetic, or other tensors, than GPT-2's. */
static bool refuse_other_models(const struct config_source *s) {
    const struct json *type = json_get(s->root, "model_type");
    const char *name = "gpt2"; // absent in the oldest files
    if (type && (!json_string(type, &name) || strcmp(name, "gpt2") != 0)) {
        refuse(s, "model_type", type, "\"gpt2\"");
        return error_hint(s->err, "this program runs GPT-2 models; others have other arithmetic");
    }
    bool cross_attention;
    if (!read_bool(&cross_attention, s, "add_cross_attention", false))
        return false;
    if (cross_attention) {
        error_set(
            s->err, GPT2_ERR_MODEL,
            "%s: \"add_cross_attention\": expected false, found true: this is the decoder half "
            "of an encoder-decoder pair",
            s->path);
        return error_hint(s->err, "use a GPT-2 that was trained to continue text by itself");
    }
    const struct json *quantization = json_get(s->root, "quantization_config");
    if (quantization && !is_null(quantization)) {
        const char *method = "unnamed";
        json_string(json_get(quantization, "quant_method"), &method);
        error_set(s->err, GPT2_ERR_MODEL,
                  "%s: \"quantization_config\": expected plain weights, found weights quantised by "
                  "another program (%.40s)",
                  s->path, method);
        return error_hint(s->err, "use the model that it was made from: F32, F16 or BF16");
    }
    return true;
}

static bool read_config(struct gpt2_config *config, enum config_tie *tie, struct warnings *notes,
                        const struct config_source *s) {
    bool tied;
    *config = (struct gpt2_config){0};
    if (!refuse_other_models(s) || !read_integers(config, s) || !read_n_ctx(config, notes, s) ||
        !read_activation(config, s) || !read_epsilon(config, s) ||
        !read_bool(&config->scale_attn_weights, s, "scale_attn_weights", true) ||
        !read_bool(&config->scale_attn_by_inverse_layer_idx, s, "scale_attn_by_inverse_layer_idx",
                   false) ||
        !read_bool(&tied, s, "tie_word_embeddings", true))
        return false;
    *tie = !json_get(s->root, "tie_word_embeddings") ? CONFIG_TIE_UNSAID
           : tied                                    ? CONFIG_TIE_TRUE
                                                     : CONFIG_TIE_FALSE;
    config->bos_id = -1;
    if (config->n_vocab > DEFAULT_END) {
        config->bos_id = config->eos_ids[0] = DEFAULT_END;
        config->n_eos = 1;
    }
    // What config_print writes: a Hugging Face directory has it in a file of its own.
    return generation_config_read(&config->generation, json_get(s->root, "generation_config"),
                                  s->path, notes, s->err) &&
           read_special_ids(config, notes, s);
}

bool config_parse(struct gpt2_config *config, enum config_tie *tie, struct warnings *notes,
                  const char *text, size_t len, const char *path, struct gpt2_error *err) {
    struct config_source s = {path, NULL, err};
    struct json *root = NULL;
    bool ok = parse_object(&s, &root, text, len) && read_config(config, tie, notes, &s);
    json_free(root);
    return ok;
}

bool config_parse_generation(struct gpt2_config *config, struct warnings *notes, const char *text,
                             size_t len, const char *path, struct gpt2_error *err) {
    struct config_source s = {path, NULL, err};
    struct json *root = NULL;
    bool ok = parse_object(&s, &root, text, len) && read_special_ids(config, notes, &s) &&
              generation_config_read(&config->generation, root, path, notes, err);
    json_free(root);
    return ok;
}

bool config_open(struct gpt2_config *config, enum config_tie *tie, struct warnings *notes,
                 const char *path, const char *generation_path, struct gpt2_error *err) {
    struct os_file file;
    if (!os_map(&file, path, GPT2_ERR_MODEL, err))
        return false;
    bool ok = config_parse(config, tie, notes, (const char *)file.data, file.size, path, err);
    os_unmap(&file);
    bool exists;
    if (!ok || !look_exists(&exists, generation_path, GPT2_ERR_MODEL, err))
        return false;
    if (!exists)
        return true;
    if (!os_map(&file, generation_path, GPT2_ERR_MODEL, err))
        return false;
    ok = config_parse_generation(config, notes, (const char *)file.data, file.size, generation_path,
                                 err);
    os_unmap(&file);
    return ok;
}

char *config_print(const struct gpt2_config *config, bool tied, struct gpt2_error *err) {
    struct buffer buffer = {0}, *out = &buffer;
    buffer_format(out, "{\n  \"model_type\": \"gpt2\"");
    for (size_t i = 0; i < sizeof integer_keys / sizeof *integer_keys; i++) {
        int value;
        memcpy(&value, (const char *)config + integer_keys[i].offset, sizeof value);
        buffer_format(out, ",\n  \"%s\": %d", integer_keys[i].name, value);
    }
    buffer_format(out, ",\n  \"activation_function\": \"%s\",\n  \"layer_norm_epsilon\": ",
                  config->activation);
    buffer_real(out, 9, (double)config->layer_norm_epsilon);
    buffer_format(out,
                  ",\n  \"scale_attn_weights\": %s,\n  \"scale_attn_by_inverse_layer_idx\": %s,\n"
                  "  \"tie_word_embeddings\": %s,\n  \"eos_token_id\": [",
                  config->scale_attn_weights ? "true" : "false",
                  config->scale_attn_by_inverse_layer_idx ? "true" : "false",
                  tied ? "true" : "false");
    for (int i = 0; i < config->n_eos; i++)
        buffer_format(out, "%s%" PRId32, i ? ", " : "", config->eos_ids[i]);
    buffer_format(out, "],\n  \"bos_token_id\": ");
    if (config->bos_id >= 0)
        buffer_format(out, "%" PRId32, config->bos_id);
    else
        buffer_text(out, "null");
    struct buffer generation = {0};
    if (generation_config_print(&generation, &config->generation))
        buffer_text(out, ",\n  \"generation_config\": ");
    buffer_append(out, &generation);
    buffer_free(&generation);
    buffer_text(out, "\n}\n");
    size_t size;
    char *text = buffer_take(out, &size);
    if (!text)
        error_memory(err, "the configuration", 0);
    return text;
}
