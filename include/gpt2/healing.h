/* healing.h - a prompt that ends inside a token: back up, and let the model say it again.
 *
 * "Once upon a " ends with a token of one space, which in training text hardly ever stands alone:
 * the space belongs to the next word's token. Healing takes such tokens off the prompt's end and
 * lets the first new tokens be only those that say the same bytes again and may go on after them:
 * tokens that begin with what is left to say, or that are the beginning of it.
 *
 *     struct gpt2_heal *heal = gpt2_heal_begin(healer, ids, n_ids, 1, &err);
 *     read ids[0 .. gpt2_heal_kept(heal)) instead of the whole prompt
 *     while ((draw.allowed = gpt2_heal_allowed(heal, &draw.n_allowed)) != NULL) {
 *         id = gpt2_sampler_next(sampler, logits, draw);
 *         gpt2_heal_step(heal, id, &n_new, &err);    // the last n_new bytes of the token are new
 *         ...
 *     }
 *     go on without it
 *
 * How far back: to the earliest of the last tokens from which on the prompt's bytes are the proper
 * beginning of some token of the vocabulary. A token past that boundary might have been cut short
 * by the prompt's end; one before it cannot. Special tokens are never taken off nor said again. */
#ifndef GPT2_HEALING_H
#define GPT2_HEALING_H

#include <gpt2/error.h>
#include <gpt2/tokenizer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The vocabulary in the order of its tokens' bytes. Borrows the tokenizer; read-only, to be shared
 * by threads. NULL: GPT2_ERR_MEMORY. */
struct gpt2_healer;
struct gpt2_healer *gpt2_healer_create(const struct gpt2_tokenizer *tokenizer,
                                       struct gpt2_error *err);
void gpt2_healer_free(struct gpt2_healer *healer); /* NULL is allowed */

/* One prompt being healed. The first `min_kept` ids are never taken off: 1, unless the caller has
 * something else to start from. Borrows the healer. NULL: GPT2_ERR_MEMORY. */
struct gpt2_heal;
struct gpt2_heal *gpt2_heal_begin(const struct gpt2_healer *healer, const int32_t *ids, int n_ids,
                                  int min_kept, struct gpt2_error *err);
void gpt2_heal_free(struct gpt2_heal *heal); /* NULL is allowed */

/* Makes `heal` as far on as `source`, which was begun with the same healer and prompt. False:
 * GPT2_ERR_MEMORY; `heal` is then only good for another copy and gpt2_heal_free. */
bool gpt2_heal_copy(struct gpt2_heal *heal, const struct gpt2_heal *source, struct gpt2_error *err);

/* How many of the prompt's ids stay; all of them where there is nothing to heal. */
int gpt2_heal_kept(const struct gpt2_heal *heal);

/* The bytes still to be said again: *n_bytes of them, borrowed; 0 when healed. */
const char *gpt2_heal_rest(const struct gpt2_heal *heal, size_t *n_bytes);

/* The ids that may come next, ascending, *n of them; valid until the next step. NULL with *n = 0
 * when healed: any id may come. */
const int32_t *gpt2_heal_allowed(const struct gpt2_heal *heal, int *n);

/* Goes on with `id`. *n_new is how many of its last bytes are new text, the others being the
 * prompt's. False: GPT2_ERR_USAGE for an id that is not allowed, GPT2_ERR_MEMORY. */
bool gpt2_heal_step(struct gpt2_heal *heal, int32_t id, size_t *n_new, struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
