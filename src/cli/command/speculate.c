/* speculate.c - where guesses come from, by the options, and what became of them. */
#include "cli/command/speculate.h"
#include "base/buffer.h"
#include "cli/io/find_model.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"

#include <gpt2/quantize.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const char *mode, const char *name) {
    return strcmp(mode, name) == 0;
}

/* The tokens of --lookup. */
static bool read_corpus(struct gpt2_ids *corpus, const char *path,
                        const struct gpt2_tokenizer *tokenizer, struct gpt2_error *err) {
    if (!tokenizer)
        return usage_error(err, "--lookup: there is no tokenizer to read %s with", path);
    struct text text = {0};
    bool ok = text_read(&text, &(struct text_source){.file = path}, err) &&
              gpt2_tokenizer_encode(tokenizer, text.data, text.len, GPT2_ENCODE_PART, corpus, err);
    text_free(&text);
    return ok;
}

static const char *type_of(const struct gpt2_model *model, uint64_t *n_bytes) {
    struct gpt2_cost blocks, head;
    gpt2_model_cost(model, &blocks, &head);
    *n_bytes = blocks.bytes + head.bytes;
    return blocks.type;
}

/* The model's own weights. F32 is four times as large as Q8, which says the same most of the time;
 * of 16 bits only Q4 is small enough. */
static bool make_self(struct speculate *s, const struct gpt2_model *model,
                      struct gpt2_runtime *runtime, struct gpt2_error *err) {
    uint64_t n_bytes;
    const char *type = type_of(model, &n_bytes);
    if (*type == 'Q')
        return command_error(err, GPT2_ERR_USAGE,
                             "--speculate lookup, or the file of a smaller model",
                             "--speculate self: expected weights of F32, F16 or BF16, the model's "
                             "are %s already",
                             type);
    const struct gpt2_quantize_options options = {.type = is(type, "F32") ? GPT2_Q8 : GPT2_Q4};
    s->model = gpt2_model_quantize(model, runtime, &options, err);
    return s->model != NULL;
}

/* Whether an id is the same token in both. */
static bool is_same(const struct gpt2_tokenizer *a, const struct gpt2_tokenizer *b, int32_t id) {
    size_t n_a, n_b;
    const char *in_a = gpt2_tokenizer_token(a, id, &n_a), *in_b = gpt2_tokenizer_token(b, id, &n_b);
    return n_a == n_b && (!n_a || memcmp(in_a, in_b, n_a) == 0) &&
           gpt2_tokenizer_is_special(a, id) == gpt2_tokenizer_is_special(b, id);
}

/* Ids must mean the same in both models: guesses are ids. */
static bool check_vocabulary(const char *path, const struct gpt2_model *small,
                             const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                             struct gpt2_error *err) {
    static const char hint[] = "a smaller model of the same family, with the same vocab.json";
    struct gpt2_tokenizer *own;
    if (!gpt2_tokenizer_open_if_any(&own, path, err))
        return false;
    const int n_vocab = gpt2_model_config(model)->n_vocab;
    bool ok = true;
    if (!own || !tokenizer) {
        if (gpt2_model_config(small)->n_vocab != n_vocab)
            ok = command_error(err, GPT2_ERR_MODEL, hint,
                               "--speculate %s: expected a vocabulary of %d, found %d", path,
                               n_vocab, gpt2_model_config(small)->n_vocab);
    } else if (gpt2_tokenizer_size(own) != gpt2_tokenizer_size(tokenizer)) {
        ok =
            command_error(err, GPT2_ERR_MODEL, hint,
                          "--speculate %s: expected the model's vocabulary of %d tokens, found %d",
                          path, (int)gpt2_tokenizer_size(tokenizer), (int)gpt2_tokenizer_size(own));
    } else {
        int32_t id = 0;
        while (id < gpt2_tokenizer_size(own) && is_same(own, tokenizer, id))
            id++;
        if (id < gpt2_tokenizer_size(own))
            ok = command_error(err, GPT2_ERR_MODEL, hint,
                               "--speculate %s: expected the model's vocabulary, found another "
                               "token %d",
                               path, (int)id);
    }
    gpt2_tokenizer_close(own);
    return ok;
}

static bool open_small(struct speculate *s, const struct gpt2_model *model,
                       const struct gpt2_tokenizer *tokenizer, struct gpt2_error *err) {
    char *path = find_model(s->mode, err);
    bool ok = path && (s->model = gpt2_model_open(path, err)) &&
              check_vocabulary(path, s->model, model, tokenizer, err);
    free(path);
    if (ok)
        gpt2_model_move(s->model, NULL, NULL); // a failure only costs speed
    return ok;
}

bool speculate_create(struct speculate *s, const struct speculate_arguments *args,
                      const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                      struct gpt2_runtime *runtime, int n_texts, bool beams,
                      struct gpt2_error *err) {
    *s = (struct speculate){.mode = args->speculate ? args->speculate : "auto"};
    const bool is_auto = is(s->mode, "auto"), by_lookup = is_auto || is(s->mode, "lookup");
    if (args->lookup && !by_lookup)
        return command_error(err, GPT2_ERR_USAGE, "leave one of the two out",
                             "--lookup has no effect with --speculate %s", s->mode);
    if (is(s->mode, "off"))
        s->why_off = "--speculate off";
    else if (beams)
        s->why_off = "beams are searched";
    else if (n_texts > 1 && is_auto && !args->lookup)
        s->why_off = "several texts share each pass; --speculate lookup tries";
    if (s->why_off)
        return true;
    struct gpt2_ids corpus = {0};
    bool ok = by_lookup ? !args->lookup || read_corpus(&corpus, args->lookup, tokenizer, err)
              : is(s->mode, "self") ? make_self(s, model, runtime, err)
                                    : open_small(s, model, tokenizer, err);
    if (ok)
        s->speculation =
            gpt2_speculation_create(&(struct gpt2_speculation_options){.lookup = by_lookup,
                                                                       .corpus = corpus.data,
                                                                       .n_corpus = corpus.len,
                                                                       .model = s->model,
                                                                       .runtime = runtime},
                                    err);
    gpt2_ids_free(&corpus);
    return s->speculation != NULL;
}

void speculate_free(struct speculate *s) {
    gpt2_speculation_free(s->speculation);
    gpt2_model_close(s->model);
    *s = (struct speculate){0};
}

void speculate_print(struct buffer *out, const struct speculate *s) {
    if (!s->speculation) {
        buffer_format(out, "guesses none: %s\n", s->why_off);
        return;
    }
    const struct gpt2_speculation_counts n = gpt2_speculation_counts(s->speculation);
    const double rate = n.n_passes ? (double)n.n_tokens / (double)n.n_passes : 1;
    buffer_format(out, "guesses %" PRIu64 " of %" PRIu64 " right, %.2f tokens a pass (%s)\n",
                  n.n_accepted, n.n_drafted, rate, s->mode);
    const struct gpt2_error *failure = gpt2_speculation_error(s->speculation);
    if (failure)
        buffer_format(out, "guesses ended: %s\n", failure->message);
    if (s->model) {
        uint64_t n_bytes;
        const char *type = type_of(s->model, &n_bytes);
        buffer_format(out, "guesses from %s, %.1f MiB\n", type, (double)n_bytes / (1 << 20));
    }
}
