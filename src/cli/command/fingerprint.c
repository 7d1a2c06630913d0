/* fingerprint.c - hashes what a model computes, its tokens and the options of a run. */
#include "cli/command/fingerprint.h"
#include "base/fnv.h"
#include "cli/io/report.h"

#include <gpt2/lora.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void mix(uint64_t *hash, const void *bytes, size_t n) {
    *hash = fnv_bytes(*hash, bytes, n);
}

/* What the model computes for some tokens stands for its weights: every machine gets the same bits,
 * from any file format. */
static bool mix_model(uint64_t *hash, const struct gpt2_model *model,
                      const struct gpt2_tokenizer *tokenizer, struct gpt2_runtime *runtime,
                      enum gpt2_kv kv, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(model);
    int32_t ids[16];
    int n = config->n_ctx < 16 ? config->n_ctx : 16;
    for (int i = 0; i < n; i++)
        ids[i] = (int32_t)((int64_t)i * 7919 % config->n_vocab);
    struct gpt2_session *session =
        gpt2_session_create(model, &(struct gpt2_session_options){.n_ctx = n, .kv = kv}, err);
    struct gpt2_batch *batch = session ? gpt2_batch_create(model, runtime, NULL, err) : NULL;
    struct gpt2_span span = {.session = session, .ids = ids, .n_ids = n, .n_logits = 1};
    bool ok = batch && gpt2_batch_run(batch, &span, 1, err);
    if (ok)
        mix(hash, gpt2_batch_logits(batch, 0, 0), (size_t)config->n_vocab * sizeof(float));
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    for (int32_t id = 0; ok && id < gpt2_tokenizer_size(tokenizer); id++) {
        size_t n_bytes;
        const char *bytes = gpt2_tokenizer_token(tokenizer, id, &n_bytes);
        mix(hash, bytes, n_bytes);
        mix(hash, &id, sizeof id);
    }
    return ok;
}

bool fingerprint_make(char fingerprint[FINGERPRINT_BYTES], const struct gpt2_model *model,
                      const struct gpt2_tokenizer *tokenizer, struct gpt2_runtime *runtime,
                      enum gpt2_kv kv, const char *model_name, struct buffer *options,
                      struct gpt2_error *err) {
    uint64_t hash = FNV_START;
    if (!mix_model(&hash, model, tokenizer, runtime, kv, err))
        return false;
    buffer_text(options, "model=");
    buffer_json(options, model_name, strlen(model_name));
    struct gpt2_adapter_info adapter;
    for (size_t i = 0; gpt2_model_adapter(model, i, &adapter); i++) {
        buffer_format(options, "\nadapter=%.17g*", adapter.scale);
        buffer_json(options, adapter.path, strlen(adapter.path));
    }
    if (options->failed)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the fingerprint");
    mix(&hash, options->data, options->len);
    snprintf(fingerprint, FINGERPRINT_BYTES, "gpt2_%016" PRIx64, hash);
    return true;
}
