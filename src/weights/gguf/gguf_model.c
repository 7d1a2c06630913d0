/* gguf_model.c - from the tensors of a GGUF file to those of a GPT-2. */
#include "weights/gguf/gguf_model.h"
#include "base/buffer.h"
#include "base/error_internal.h"
#include "weights/gguf/ggml_type.h"
#include "weights/gguf/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 160 /* bytes: the file's name has at most 64, ours is longer by a few */

const struct gguf_name gguf_names[] = {
    {"token_embd", "wte", false, false},
    {"position_embd", "wpe", false, false},
    {"attn_norm", "ln_1", false, true},
    {"attn_qkv", "attn.c_attn", true, true},
    {"attn_output", "attn.c_proj", true, true},
    {"ffn_norm", "ln_2", false, true},
    {"ffn_up", "mlp.c_fc", true, true},
    {"ffn_down", "mlp.c_proj", true, true},
    {"output_norm", "ln_f", false, false},
    {"output", "lm_head", false, false},
    {0},
};

/* ---- names ---- */

static bool is_end(const char *text) {
    return strcmp(text, ".weight") == 0 || strcmp(text, ".bias") == 0;
}

/* Writes GPT-2's name for a tensor, or the file's own where it is none of GPT-2's; then NULL. */
static const struct gguf_name *translate(char out[NAME_SIZE], struct gguf_string name) {
    char text[NAME_SIZE], block[24] = "";
    snprintf(text, sizeof text, "%.*s", (int)name.len, name.text);
    snprintf(out, NAME_SIZE, "%s", text);
    const char *rest = text;
    if (strncmp(text, "blk.", 4) == 0) {
        size_t digits = strspn(text + 4, "0123456789");
        if (digits == 0 || digits > 9 || text[4 + digits] != '.')
            return NULL;
        rest = text + 4 + digits + 1;
        snprintf(block, sizeof block, "h.%.*s.", (int)digits, text + 4);
    }
    for (const struct gguf_name *n = gguf_names; n->gguf; n++) {
        size_t len = strlen(n->gguf);
        if (n->in_block == (*block != 0) && strncmp(rest, n->gguf, len) == 0 &&
            is_end(rest + len)) {
            snprintf(out, NAME_SIZE, "%s%s%s", block, n->gpt2, rest + len);
            return n;
        }
    }
    return NULL;
}

/* ---- tensors ---- */

/* The tensor as the file has it. */
static void take(struct tensor *t, const struct gguf_tensor *from, const struct gguf_name *name) {
    const struct ggml_type *type = from->type;
    t->rank = from->rank;
    for (int i = 0; i < from->rank; i++)
        t->shape[i] = from->ne[from->rank - 1 - i];
    t->dtype = type->dtype ? type->dtype : type->name;
    t->blocks = type->dtype ? NULL : type;
    t->data = from->data;
    t->n_bytes = from->n_bytes;
    if (name && name->is_linear && from->rank == 2)
        tensors_turn(t);
}

static bool fill(struct tensors *out, const struct gguf *gguf, struct gpt2_error *err) {
    out->items = os_alloc(gguf->n_tensors, sizeof *out->items, "the table of tensors", err);
    char *names = out->storage = os_alloc(gguf->n_tensors, NAME_SIZE, "tensor names", err);
    if (!out->items || !names)
        return false;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const struct gguf_tensor *from = &gguf->tensors[i];
        struct tensor *t = &out->items[out->count++];
        const struct gguf_name *name = translate(names, from->name);
        t->name = names;
        names += NAME_SIZE;
        if (!name && strncmp(t->name, "blk.", 4) == 0)
            return error_set(err, GPT2_ERR_MODEL,
                             "%s: tensor \"%s\": GPT-2 has no such weight, and what it would "
                             "change is unknown",
                             gguf->path, t->name);
        take(t, from, name);
    }
    return true;
}

/* ---- configuration ---- */

static const struct gguf_tensor *find_tensor(const struct gguf *gguf, const char *name) {
    for (size_t i = 0; i < gguf->n_tensors; i++)
        if (gguf_equal(gguf->tensors[i].name, name))
            return &gguf->tensors[i];
    return NULL;
}

/* What is in the file is a whole GPT-2. */
static bool check_kind(const struct gguf *gguf, struct gpt2_error *err) {
    struct gguf_string architecture = {"", 0}, kind = {"", 0};
    int64_t n_files = 1;
    if (!gguf_text(gguf, "general.architecture", &architecture, err) ||
        !gguf_text(gguf, "general.type", &kind, err) ||
        !gguf_integer(gguf, "split.count", &n_files, err))
        return false;
    if (gguf_equal(kind, "adapter")) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a model, found an adapter (\"general.type\")",
                  gguf->path);
        return error_hint(err, "use the PEFT folder that it was made from: -m BASE --lora DIR");
    }
    if (!gguf_equal(architecture, "gpt2")) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: \"general.architecture\": expected \"gpt2\", found \"%.*s\"", gguf->path,
                  (int)(architecture.len < 60 ? architecture.len : 60), architecture.text);
        return error_hint(err, "this program runs GPT-2 models; others have other arithmetic");
    }
    if (n_files > 1) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: expected one GGUF file, found one of %" PRId64 " that belong together",
                  gguf->path, n_files);
        return error_hint(err, "`llama-gguf-split --merge FIRST OUT` makes one file of them");
    }
    if (gguf->n_tensors == 0) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected weights, found a vocabulary alone",
                  gguf->path);
        return error_hint(err, "it serves as a tokenizer: gpt2 tokenize -m FILE");
    }
    return true;
}

struct metadata {
    int64_t n_vocab, n_ctx, n_embd, n_layer, n_head, n_inner, bos, eos;
    double epsilon;
};

static bool read_metadata(struct metadata *m, const struct gguf *gguf, struct gpt2_error *err) {
    const struct {
        const char *key;
        int64_t *value;
        bool required;
    } keys[] = {
        {"gpt2.embedding_length", &m->n_embd, true},
        {"gpt2.block_count", &m->n_layer, true},
        {"gpt2.attention.head_count", &m->n_head, true},
        {"gpt2.context_length", &m->n_ctx, false},
        {"gpt2.feed_forward_length", &m->n_inner, false},
        {"tokenizer.ggml.bos_token_id", &m->bos, false},
        {"tokenizer.ggml.eos_token_id", &m->eos, false},
    };
    *m = (struct metadata){.bos = -1, .eos = -1, .epsilon = 1e-5};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!gguf_integer(gguf, keys[i].key, keys[i].value, err))
            return false;
        if (keys[i].required && !gguf_find(gguf, keys[i].key))
            return error_set(err, GPT2_ERR_MODEL, "%s: the key \"%s\" is missing", gguf->path,
                             keys[i].key);
    }
    int64_t n_head_kv = m->n_head;
    if (!gguf_number(gguf, "gpt2.attention.layer_norm_epsilon", &m->epsilon, err) ||
        !gguf_integer(gguf, "gpt2.attention.head_count_kv", &n_head_kv, err))
        return false;
    if (n_head_kv != m->n_head)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: \"gpt2.attention.head_count_kv\": expected as many as there are "
                         "heads, %" PRId64 ", found %" PRId64,
                         gguf->path, m->n_head, n_head_kv);
    return true;
}

/* Shapes count more than what the metadata says of them. */
static void trust_tensors(struct metadata *m, const struct gguf *gguf) {
    const struct gguf_tensor *wte = find_tensor(gguf, "token_embd.weight");
    const struct gguf_tensor *wpe = find_tensor(gguf, "position_embd.weight");
    const struct gguf_tensor *c_fc = find_tensor(gguf, "blk.0.ffn_up.weight");
    m->n_vocab = wte && wte->rank == 2 ? wte->ne[1] : 0;
    if (!wte) { // the head alone
        const struct gguf_tensor *head = find_tensor(gguf, "output.weight");
        m->n_vocab = head && head->rank == 2 ? head->ne[1] : 0;
    }
    if (wpe && wpe->rank == 2)
        m->n_ctx = wpe->ne[1];
    if (c_fc && c_fc->rank == 2)
        m->n_inner = c_fc->ne[1];
}

const struct gguf_sampling_key gguf_sampling_keys[] = {
    {"general.sampling.temp", "temperature", true},
    {"general.sampling.top_k", "top_k", false},
    {"general.sampling.top_p", "top_p", true},
    {"general.sampling.min_p", "min_p", true},
    {"general.sampling.penalty_repeat", "repetition_penalty", true},
    {"general.sampling.penalty_last_n", "repeat_last_n", false},
    {NULL, NULL, false},
};

/* Appends the generation_config of a config.json. Where a file says a penalty and no window, the
 * window is llama.cpp's. */
static bool print_sampling(struct buffer *out, const struct gguf *gguf, struct gpt2_error *err) {
    const bool has_penalty = gguf_find(gguf, "general.sampling.penalty_repeat") != NULL;
    const char *between = "";
    buffer_text(out, ", \"generation_config\": {");
    for (const struct gguf_sampling_key *k = gguf_sampling_keys; k->key; k++) {
        const bool is_window = strcmp(k->name, "repeat_last_n") == 0;
        double value = 0;
        int64_t integer = is_window ? 64 : 0;
        if (!(k->is_float ? gguf_number(gguf, k->key, &value, err)
                          : gguf_integer(gguf, k->key, &integer, err)))
            return false;
        if (!gguf_find(gguf, k->key) && !(is_window && has_penalty))
            continue;
        buffer_format(out, "%s\"%s\": ", between, k->name);
        buffer_real(out, 9, k->is_float ? value : (double)integer);
        between = ", ";
    }
    buffer_byte(out, '}');
    return true;
}

/* The text of a config.json. What is not positive is left out where there is a default. */
static bool print_config(struct tensors *out, const struct gguf *gguf, struct gpt2_error *err) {
    struct metadata m;
    if (!read_metadata(&m, gguf, err))
        return false;
    trust_tensors(&m, gguf);
    if (!m.n_vocab)
        return error_set(err, GPT2_ERR_MODEL, "%s: missing tensor \"token_embd.weight\"",
                         gguf->path);
    if (!(m.epsilon > 0) || m.epsilon > 1e30)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: \"gpt2.attention.layer_norm_epsilon\": expected a number above 0, "
                         "found %.17g",
                         gguf->path, m.epsilon);
    struct buffer text = {0};
    buffer_format(&text,
                  "{\"model_type\": \"gpt2\", \"vocab_size\": %" PRId64
                  ", \"n_positions\": %" PRId64 ", \"n_embd\": %" PRId64 ", \"n_layer\": %" PRId64
                  ", \"n_head\": %" PRId64 ", \"layer_norm_epsilon\": ",
                  m.n_vocab, m.n_ctx, m.n_embd, m.n_layer, m.n_head);
    buffer_real(&text, 17, m.epsilon);
    if (m.n_inner > 0)
        buffer_format(&text, ", \"n_inner\": %" PRId64, m.n_inner);
    buffer_format(&text, ", \"tie_word_embeddings\": %s",
                  find_tensor(gguf, "output.weight") && find_tensor(gguf, "token_embd.weight")
                      ? "false"
                      : "true");
    const int64_t ids[] = {m.bos, m.eos};
    for (int i = 0; i < 2; i++) {
        buffer_format(&text, ", \"%s_token_id\": ", i ? "eos" : "bos");
        if (ids[i] >= 0 && ids[i] < m.n_vocab)
            buffer_format(&text, "%" PRId64, ids[i]);
        else
            buffer_text(&text, "null");
    }
    const bool ok = print_sampling(&text, gguf, err);
    buffer_byte(&text, '}');
    out->config = buffer_take(&text, &out->config_len);
    out->config_name = "configuration";
    return ok && (out->config || error_memory(err, "the configuration", 0));
}

/* ---- the whole ---- */

static bool recognise(const unsigned char *head, size_t n) {
    return n >= 4 && memcmp(head, "GGUF", 4) == 0;
}

bool gguf_model_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                      const char *path, struct gpt2_error *err) {
    struct gguf gguf;
    *out = (struct tensors){.path = strdup(path)};
    if (!out->path)
        return error_memory(err, "a path", strlen(path) + 1);
    bool ok = gguf_parse(&gguf, bytes, n_bytes, out->path, err);
    if (ok) {
        ok = check_kind(&gguf, err) && print_config(out, &gguf, err) && fill(out, &gguf, err);
        gguf_free(&gguf);
    }
    if (!ok)
        tensors_close(out);
    return ok;
}

const struct container container_gguf = {
    .what = "a GGUF file",
    .name = "GGUF",
    .names = CONTAINER_NAMES("*.gguf"),
    .config = CONFIG_INSIDE,
    .recognise = recognise,
    .parse = gguf_model_parse,
    .tokenizer = gguf_model_tokenizer,
};
