/* generate_output.c - see generate_output.h. */
#include "cli/generate/generate_output.h"
#include "base/fnv.h"
#include "cli/io/terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a over the bits of the logits: two runs that print the same hash computed the same numbers.
 */
static uint64_t hash_logits(uint64_t hash, const float *logits, int n) {
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        hash = fnv_mix(hash, bits);
    }
    return hash;
}

void see_logits(void *user, const float *logits) {
    struct run *run = user;
    if (!run->seen) {
        run->seen = true;
        run->prompt_ns = os_now_ns() - run->start_ns;
    }
    if (run->args.stats)
        run->hash = hash_logits(run->hash, logits, gpt2_model_config(run->model)->n_vocab);
}

static bool show_object(struct run *run, const struct shown_token *token, struct gpt2_error *err) {
    bool ok = output_format(&run->out, err, "{\"sample\":%d,\"index\":%d,\"id\":", token->sample,
                            token->index);
    ok = ok && (token->id < 0 ? output_string(&run->out, "null", err)
                              : output_format(&run->out, err, "%" PRId32, token->id));
    ok = ok && output_string(&run->out, ",\"text\":", err) &&
         output_json_string(&run->out, token->bytes, token->n_bytes, err);
    if (ok && token->id >= 0 && run->completion.wants_logprobs)
        ok = output_format(&run->out, err, ",\"logprob\":%.9g", token->logprob);
    return ok && output_string(&run->out, "}\n", err) && output_flush(&run->out, err);
}

static bool show_tinted(struct run *run, const struct shown_token *token, struct gpt2_error *err) {
    char style[32];
    bool tinted = color_of_surprisal(-token->logprob / 0.69314718055994531, style);
    return color_bytes(&run->color_text, &run->out, tinted ? style : NULL, token->bytes,
                       token->n_bytes, err) &&
           output_flush(&run->out, err);
}

bool show_token(void *user, const struct shown_token *token, struct gpt2_error *err) {
    struct run *run = user;
    if (run->args.format == FORMAT_JSONL)
        return show_object(run, token, err);
    if (run->args.format == FORMAT_IDS) {
        bool first = token->index == 0 && !run->args.settings.echo;
        return token->id < 0 ||
               (output_format(&run->out, err, "%s%" PRId32, first ? "" : " ", token->id) &&
                output_flush(&run->out, err));
    }
    if (run->colors)
        return show_tinted(run, token, err);
    return output_bytes(&run->out, token->bytes, token->n_bytes, err) &&
           output_flush_text(&run->out, err);
}

bool show_prompt(struct run *run, struct gpt2_error *err) {
    const struct gpt2_ids *ids = &run->completion.prompt;
    for (size_t i = 0; i < ids->len; i++) {
        size_t n;
        if (run->args.format == FORMAT_IDS) {
            if (!output_format(&run->out, err, "%s%" PRId32, i ? " " : "", ids->data[i]))
                return false;
            continue;
        }
        const char *bytes = gpt2_tokenizer_token(run->tokenizer, ids->data[i], &n);
        if (!output_bytes(&run->out, bytes, n, err))
            return false;
    }
    return run->args.format == FORMAT_IDS ? output_flush(&run->out, err)
                                          : output_flush_text(&run->out, err);
}

bool show_end(struct run *run, struct gpt2_error *err) {
    return color_end(&run->color_text, &run->out, err);
}

bool wants_colors(const struct arguments *args) {
    bool elsewhere = output_is_file(args->output) && args->color == COLOR_AUTO;
    return args->tint && !elsewhere && terminal_wants_color(args->color);
}
