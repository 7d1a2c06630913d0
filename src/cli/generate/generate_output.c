/* generate_output.c - prints tokens as text, ids or JSON. */
#include "cli/generate/generate_output.h"
#include "base/fnv.h"
#include "cli/io/signals.h"
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

/* Of one text in the order of its tokens. Several texts come in an order that depends on how their
 * tokens are cut into passes, which is not computed: then a sum. */
static void note_logits(struct generate_run *run, const float *logits) {
    const int n_vocab = gpt2_model_config(run->model)->n_vocab;
    if (gpt2_completion_count(run->completion) == 1)
        run->hash = hash_logits(run->hash, logits, n_vocab);
    else
        run->hash += hash_logits(FNV_START, logits, n_vocab);
}

static bool note_pass(void *user, const float *logits) {
    struct generate_run *run = user;
    if (signals_caught())
        return false;
    if (!run->seen) {
        run->seen = true;
        run->prompt_ns = os_now_ns() - run->start_ns;
    }
    if (run->args.stats)
        note_logits(run, logits);
    return logits_file_row(&run->logits, logits);
}

static bool show_object(struct generate_run *run, const struct gpt2_piece *piece,
                        struct gpt2_error *err) {
    bool ok = output_format(&run->out, err, "{\"sample\":%d,\"index\":%d,\"id\":", piece->sample,
                            piece->index);
    ok = ok && (piece->id < 0 ? output_string(&run->out, "null", err)
                              : output_format(&run->out, err, "%" PRId32, piece->id));
    ok = ok && output_string(&run->out, ",\"text\":", err) &&
         output_json_string(&run->out, piece->bytes, piece->n_bytes, err);
    if (ok && piece->id >= 0 && run->logprobs)
        ok = output_format(&run->out, err, ",\"logprob\":%.17g", piece->logprob);
    return ok && output_string(&run->out, "}\n", err) && output_flush(&run->out, err);
}

static bool show_tinted(struct generate_run *run, const struct gpt2_piece *piece,
                        struct gpt2_error *err) {
    char style[32];
    bool tinted = color_of_surprisal(-piece->logprob / 0.69314718055994531, style);
    return color_bytes(&run->color_text, &run->out, tinted ? style : NULL, piece->bytes,
                       piece->n_bytes, err) &&
           output_flush(&run->out, err);
}

bool show_text(struct generate_run *run, const char *bytes, size_t n, struct gpt2_error *err) {
    return color_part(&run->color_text, &run->out, bytes, n, err);
}

static bool show_piece(void *user, const struct gpt2_piece *piece, struct gpt2_error *err) {
    struct generate_run *run = user;
    if (run->args.format == FORMAT_JSONL)
        return show_object(run, piece, err);
    if (run->args.format == FORMAT_IDS) {
        bool first = piece->index == 0 && !run->args.settings.echo;
        return piece->id < 0 ||
               (output_format(&run->out, err, "%s%" PRId32, first ? "" : " ", piece->id) &&
                output_flush(&run->out, err));
    }
    if (run->colors)
        return show_tinted(run, piece, err);
    return show_text(run, piece->bytes, piece->n_bytes, err) && output_flush_text(&run->out, err);
}

bool create_completion(struct generate_run *run, const struct gpt2_ids *ids,
                       struct gpt2_session *session, bool shows, struct gpt2_error *err) {
    struct gpt2_completion_options options;
    if (!decoding_options(&run->decoding, ids, run->tokenizer, &options, err))
        return false;
    options.logprobs |= run->colors;
    options.session = options.n_beams > 1 ? NULL : session; // beams have their own
    options.kv = (enum gpt2_kv)run->args.kv;
    options.speculation = options.n_beams > 1 ? NULL : run->speculate.speculation;
    options.n_generated = run->n_generated;
    options.show = shows ? show_piece : NULL;
    options.go_on = note_pass;
    options.user = run;
    run->logprobs = options.logprobs;
    const struct gpt2_prompt prompt = {.ids = ids->data, .n_ids = (int)ids->len};
    run->completion = gpt2_completion_create(run->model, run->tokenizer, &prompt, &options, err);
    return run->completion != NULL;
}

void free_completion(struct generate_run *run) {
    gpt2_completion_free(run->completion);
    run->completion = NULL;
}

bool show_prompt(struct generate_run *run, struct gpt2_error *err) {
    int n_ids, n_read;
    const int32_t *ids = gpt2_completion_prompt(run->completion, &n_ids, &n_read);
    for (int i = 0; i < n_ids; i++) {
        size_t n;
        if (run->args.format == FORMAT_IDS) {
            if (!output_format(&run->out, err, "%s%" PRId32, i ? " " : "", ids[i]))
                return false;
            continue;
        }
        const char *bytes = gpt2_tokenizer_token(run->tokenizer, ids[i], &n);
        if (!show_text(run, bytes, n, err))
            return false;
    }
    return run->args.format == FORMAT_IDS ? output_flush(&run->out, err)
                                          : output_flush_text(&run->out, err);
}

bool show_end(struct generate_run *run, struct gpt2_error *err) {
    return color_end(&run->color_text, &run->out, err);
}

bool wants_colors(const struct generate_arguments *args) {
    bool elsewhere = output_is_file(args->output) && args->color == COLOR_AUTO;
    return args->tint && !elsewhere && terminal_wants_color(args->color);
}
