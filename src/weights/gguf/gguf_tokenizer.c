/* gguf_tokenizer.c - the tokenizer in a GGUF file's metadata, as the texts of vocab.json,
 * merges.txt and tokenizer_config.json, which text/ reads and checks. */
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "weights/gguf/gguf.h"
#include "weights/gguf/gguf_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 9999999             /* an id fits 24 bits      */
#define MAX_BYTES  ((size_t)256 << 20) /* of one text             */

static const char tokens_key[] = "tokenizer.ggml.tokens";
static const char types_key[] = "tokenizer.ggml.token_type";
static const char merges_key[] = "tokenizer.ggml.merges";

static const char without[] = "without a tokenizer, give and take token ids: --ids, --format ids";

/* llama.cpp's kinds of token. */
enum gguf_token_kind { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

/* Byte-level BPE with GPT-2's regular expression. */
static bool check_model(const struct gguf *gguf, struct gpt2_error *err) {
    struct gguf_string model = {"", 0}, pre = {"gpt-2", 5}; // older converters did not say
    if (!gguf_text(gguf, "tokenizer.ggml.model", &model, err) ||
        !gguf_text(gguf, "tokenizer.ggml.pre", &pre, err))
        return false;
    if (!gguf_equal(model, "gpt2")) {
        const bool pieces = gguf_equal(model, "llama") || gguf_equal(model, "t5");
        error_set(err, GPT2_ERR_MODEL,
                  "%s: \"tokenizer.ggml.model\": expected \"gpt2\" (byte-level BPE), found "
                  "\"%.*s\"%s",
                  gguf->path, (int)(model.len < 40 ? model.len : 40), model.text,
                  pieces ? " (SentencePiece)" : "");
        return error_hint(err, "%s", without);
    }
    if (gguf_equal(pre, "gpt-2") || gguf_equal(pre, "gpt2"))
        return true;
    error_set(err, GPT2_ERR_MODEL,
              "%s: \"tokenizer.ggml.pre\": expected \"gpt-2\", found \"%.*s\", which cuts text in "
              "another way",
              gguf->path, (int)(pre.len < 40 ? pre.len : 40), pre.text);
    return error_hint(err, "%s", without);
}

static bool check_array(const struct gguf *gguf, const struct gguf_pair *pair, const char *key,
                        bool strings, struct gpt2_error *err) {
    if (pair && pair->is_array &&
        (strings ? pair->type == GGUF_STRING : pair->type == GGUF_I32 || pair->type == GGUF_U32))
        return true;
    return error_set(err, GPT2_ERR_MODEL, "%s: \"%s\": expected an array of %s, found %s",
                     gguf->path, key, strings ? "strings" : "i32", pair ? "another type" : "none");
}

/* ---- writing texts ---- */

/* Takes over what was written. */
static bool end(struct buffer *file, const struct gguf *gguf, struct tokenizer_texts *texts,
                enum tokenizer_text which, const char *what, struct gpt2_error *err) {
    texts->items[which].what = what;
    texts->items[which].text = buffer_take(file, &texts->items[which].len);
    if (!texts->items[which].text)
        return error_memory(err, "the tokenizer's text", 0);
    if (texts->items[which].len > MAX_BYTES)
        return error_set(err, GPT2_ERR_MODEL, "%s: %s: expected at most %zu bytes, found %zu",
                         gguf->path, what, MAX_BYTES, texts->items[which].len);
    return true;
}

static int32_t kind_of(const struct gguf_pair *types, uint64_t id) {
    int32_t kind = NORMAL;
    if (types)
        memcpy(&kind, types->data + id * sizeof kind, sizeof kind);
    return kind;
}

/* {token: id} of the tokens that merging makes. Unused ones pad the table to the size of a matrix:
 * they are no tokens. */
static bool put_tokens(struct tokenizer_texts *out, const struct gguf *gguf,
                       struct gpt2_error *err) {
    const struct gguf_pair *tokens = gguf_find(gguf, tokens_key);
    const struct gguf_pair *types = gguf_find(gguf, types_key);
    const unsigned char *at = tokens->data;
    struct buffer file = {0};
    const char *separator = "{";
    for (uint64_t id = 0; id < tokens->count; id++) {
        const struct gguf_string text = gguf_next(&at);
        if (kind_of(types, id) != NORMAL)
            continue;
        buffer_text(&file, separator);
        separator = ",\n";
        buffer_json(&file, text.text, text.len);
        buffer_format(&file, ": %" PRIu64, id);
    }
    buffer_text(&file, *separator == '{' ? "{}" : "}");
    return end(&file, gguf, out, TOKENIZER_VOCAB, tokens_key, err);
}

/* {"50256": {"content": "<|endoftext|>", "special": true}, ...} of the rest. User-defined ones are
 * cut out of any text, the others where that is asked for. */
static void put_added(struct buffer *file, const struct gguf *gguf) {
    const struct gguf_pair *tokens = gguf_find(gguf, tokens_key);
    const struct gguf_pair *types = gguf_find(gguf, types_key);
    const unsigned char *at = tokens->data;
    const char *separator = "{";
    for (uint64_t id = 0; id < tokens->count; id++) {
        const struct gguf_string text = gguf_next(&at);
        const int32_t kind = kind_of(types, id);
        if (kind == UNUSED || kind == NORMAL)
            continue;
        buffer_format(file, "%s\"%" PRIu64 "\": {\"content\": ", separator, id);
        separator = ",\n";
        buffer_json(file, text.text, text.len);
        buffer_format(file, ", \"special\": %s}", kind == USER_DEFINED ? "false" : "true");
    }
    buffer_text(file, *separator == '{' ? "{}" : "}");
}

static bool put_merges(struct tokenizer_texts *out, const struct gguf *gguf,
                       struct gpt2_error *err) {
    const struct gguf_pair *merges = gguf_find(gguf, merges_key);
    const unsigned char *at = merges->data;
    struct buffer file = {0};
    buffer_text(&file, "#version: 0.2\n"); // so that a merge of '#' in front is not taken for one
    for (uint64_t i = 0; i < merges->count; i++) {
        const struct gguf_string text = gguf_next(&at);
        if (memchr(text.text, '\n', text.len) || !text.len) {
            error_set(err, GPT2_ERR_MODEL, "%s: %s: entry %" PRIu64 ": expected two tokens",
                      gguf->path, merges_key, i);
            buffer_free(&file);
            return false;
        }
        buffer_bytes(&file, text.text, text.len);
        buffer_byte(&file, '\n');
    }
    return end(&file, gguf, out, TOKENIZER_MERGES, merges_key, err);
}

/* A token at one end of each text: the setting that puts it there, and the id. */
static const struct text_end {
    const char *name, *add_key, *id_key;
} text_ends[] = {
    {"bos_token", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id"},
    {"eos_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id"},
};

/* Appends `, "add_bos_token": true, "bos_token": "..."` where the file says so. */
static bool put_end(struct buffer *out, const struct gguf *gguf, const struct text_end *end,
                    struct gpt2_error *err) {
    const struct gguf_pair *tokens = gguf_find(gguf, tokens_key);
    bool adds = false;
    int64_t id = -1;
    if (!gguf_bool(gguf, end->add_key, &adds, err) || !gguf_integer(gguf, end->id_key, &id, err))
        return false;
    if (!adds)
        return true;
    if (id < 0 || (uint64_t)id >= tokens->count) {
        char found[24] = "none";
        if (gguf_find(gguf, end->id_key))
            snprintf(found, sizeof found, "%" PRId64, id);
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: \"%s\": expected a token id below %" PRIu64
                         ", as add_%s is true, found %s",
                         gguf->path, end->id_key, tokens->count, end->name, found);
    }
    const unsigned char *at = tokens->data;
    struct gguf_string text = gguf_next(&at);
    for (int64_t i = 0; i < id; i++)
        text = gguf_next(&at);
    buffer_format(out, ", \"add_%s\": true, \"%s\": ", end->name, end->name);
    buffer_json(out, text.text, text.len);
    return true;
}

/* Settings that change ids; text/ knows which of them it can follow. */
static bool put_settings(struct tokenizer_texts *out, const struct gguf *gguf,
                         struct gpt2_error *err) {
    bool prefix = false;
    if (!gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix, err))
        return false;
    struct buffer file = {0};
    buffer_format(
        &file, "{\"add_prefix_space\": %s, \"added_tokens_decoder\": ", prefix ? "true" : "false");
    put_added(&file, gguf);
    for (size_t i = 0; i < sizeof text_ends / sizeof *text_ends; i++)
        if (!put_end(&file, gguf, &text_ends[i], err)) {
            buffer_free(&file);
            return false;
        }
    buffer_byte(&file, '}');
    return end(&file, gguf, out, TOKENIZER_CONFIG, "tokenizer settings", err);
}

/* ---- the whole ---- */

static bool read_texts(struct tokenizer_texts *out, const struct gguf *gguf,
                       struct gpt2_error *err) {
    const struct gguf_pair *tokens = gguf_find(gguf, tokens_key);
    const struct gguf_pair *types = gguf_find(gguf, types_key);
    if (!gguf_find(gguf, "tokenizer.ggml.model") && !tokens)
        return true; // weights alone
    if (!check_model(gguf, err) || !check_array(gguf, tokens, tokens_key, true, err) ||
        !check_array(gguf, gguf_find(gguf, merges_key), merges_key, true, err) ||
        (types && !check_array(gguf, types, types_key, false, err)))
        return false;
    if (tokens->count > MAX_TOKENS)
        return error_set(err, GPT2_ERR_MODEL, "%s: %s: expected at most %d, found %" PRIu64,
                         gguf->path, tokens_key, MAX_TOKENS, tokens->count);
    if (types && types->count != tokens->count)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: %s: expected one for each of the %" PRIu64 " tokens, found %" PRIu64,
                         gguf->path, types_key, tokens->count, types->count);
    return put_tokens(out, gguf, err) && put_merges(out, gguf, err) && put_settings(out, gguf, err);
}

bool gguf_model_tokenizer(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                          const char *path, struct gpt2_error *err) {
    struct gguf gguf;
    if (!gguf_parse(&gguf, bytes, n_bytes, path, err))
        return false;
    bool ok = read_texts(out, &gguf, err);
    gguf_free(&gguf);
    if (!ok)
        tokenizer_texts_free(out);
    return ok;
}
