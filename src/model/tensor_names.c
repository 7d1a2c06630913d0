/* tensor_names.c - tells GPT-2's tensors from those of others by their names. */
#include "model/tensor_names.h"
#include "base/error_internal.h"
#include "weights/adapter.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

const char *tensor_names_strip(const char *name) {
    static const char *const prefixes[] = {"_orig_mod.", "module.", "model.", "transformer."};
    for (size_t i = 0; i < COUNT(prefixes);) {
        if (starts_with(name, prefixes[i])) {
            name += strlen(prefixes[i]);
            i = 0; // wrappers nest in any order
        } else {
            i++;
        }
    }
    return name;
}

/* A name that is GPT-2's, as the whole of `name` or at the head of it. */
static bool is_ours(const char *name) {
    static const char *const parts[] = {"wte.weight", "wpe.weight", "h.0.", "ln_f.",
                                        "lm_head.weight"};
    for (size_t i = 0; i < COUNT(parts); i++)
        if (starts_with(name, parts[i]))
            return true;
    return false;
}

/* The part of `name` that is GPT-2's, after any prefix; NULL: none is. */
static const char *find_ours(const char *name) {
    for (const char *at = name;; at++) { // after each dot
        if (is_ours(at))
            return at;
        at = strchr(at, '.');
        if (!at)
            return NULL;
    }
}

/* Names by which other models are known: one of the tensors begins so. */
static const struct family {
    const char *start, *what;
} families[] = {
    {"model.embed_tokens.", "of the Llama family"},
    {"model.layers.", "of the Llama family"},
    {"model.decoder.", "OPT's or BART's"},
    {"decoder.embed_tokens.", "OPT's"},
    {"gpt_neox.", "GPT-NeoX's (Pythia's)"},
    {"transformer.word_embeddings.", "BLOOM's or Falcon's"},
    {"word_embeddings.", "BLOOM's"},
    {"bert.", "BERT's"},
    {"distilbert.", "DistilBERT's"},
    {"roberta.", "RoBERTa's"},
    {"embeddings.word_embeddings.", "BERT's"},
    {"encoder.block.", "T5's"},
    {"backbone.layers.", "Mamba's"},
    {"token_embd.", "those of a GGUF file"},
    {"model.diffusion_model.", "of a picture generator"},
    {"text_model.", "CLIP's"},
};

static const char *family_of(const struct tensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++)
        for (size_t k = 0; k < COUNT(families); k++)
            if (starts_with(tensors->items[i].name, families[k].start))
                return families[k].what;
    return NULL;
}

static bool refuse_prefix(const struct tensors *tensors, const char *name, const char *ours,
                          struct gpt2_error *err) {
    const size_t n_prefix = (size_t)(ours - name);
    size_t n = 0;
    for (size_t i = 0; i < tensors->count; i++)
        n += strncmp(tensors->items[i].name, name, n_prefix) == 0;
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected GPT-2's tensor names, found them after a prefix: %zu of %zu tensors "
              "begin with \"%.*s\"",
              tensors->path, n, tensors->count, (int)n_prefix, name);
    return error_hint(err,
                      "save the state dict without it: {k.removeprefix(\"%.*s\"): v for k, v "
                      "in state.items()}",
                      (int)n_prefix, name);
}

static bool refuse(const struct tensors *tensors, struct gpt2_error *err) {
    static const char adapted[] = "base_model.model.";
    for (size_t i = 0; i < tensors->count; i++)
        if (starts_with(tensors->items[i].name, adapted))
            return adapter_refuse(tensors->path, err);
    for (size_t i = 0; i < tensors->count; i++) {
        const char *name = tensors->items[i].name, *ours = find_ours(name);
        if (ours)
            return refuse_prefix(tensors, name, ours, err);
    }
    const char *family = family_of(tensors);
    error_set(err, GPT2_ERR_MODEL,
              "%s: these are not GPT-2's tensor names%s%s%s: expected \"wte.weight\", \"h.0."
              "ln_1.weight\" and others, found \"%.100s\"",
              tensors->path, family ? " (they are " : "", family ? family : "", family ? ")" : "",
              tensors->items[0].name);
    return error_hint(err, "this program runs GPT-2 models; others have other arithmetic");
}

bool tensor_names_check(const struct tensors *tensors, struct gpt2_error *err) {
    if (tensors->in_panels || !tensors->count)
        return true; // packed files are the program's own; of none all are missing
    for (size_t i = 0; i < tensors->count; i++)
        if (is_ours(tensor_names_strip(tensors->items[i].name)))
            return true;
    return refuse(tensors, err);
}
