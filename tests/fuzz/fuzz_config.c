/* fuzz_config.c - any bytes as a config.json: refused with a message, or a configuration that is
 * in range, whatever a generation_config.json (the part after a NUL byte) then says. */
#define REPLAY_NAME "config"
#include "replay.h"

#include "model/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct gpt2_config *c) {
    if (c->n_vocab < 1 || c->n_ctx < 1 || c->n_embd < 1 || c->n_layer < 1 || c->n_head < 1 ||
        c->n_inner < 1 || c->n_embd % c->n_head || !c->activation ||
        !isfinite(c->layer_norm_epsilon) || c->layer_norm_epsilon <= 0 || c->n_eos < 0 ||
        c->n_eos > GPT2_MAX_EOS || c->bos_id < -1 || c->bos_id >= c->n_vocab)
        abort();
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] < 0 || c->eos_ids[i] >= c->n_vocab)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size;
    struct gpt2_error err = {0};
    struct gpt2_config config;
    struct warnings notes = {0};
    enum config_tie tie;
    if (config_parse(&config, &tie, &notes, text, len, "input", &err)) {
        check(&config);
        if (nul &&
            config_parse_generation(&config, &notes, text + len + 1, size - len - 1, "input", &err))
            check(&config);
    } else if (err.status == GPT2_OK || !err.message[0]) {
        abort();
    }
    warnings_free(&notes);
    return 0;
}
