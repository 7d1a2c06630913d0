/* choices.h - an answer from a list: which tokens may come next.
 *
 * The choices' token ids make a trie. A cursor walks from its root; the ids that lead on are the
 * draw's `allowed` ids (sampler.h), and where none leads on the choice is made:
 *
 *     int at = 0;
 *     for (int n; (draw.allowed = gpt2_choices_allowed(choices, at, &n)) != NULL;) {
 *         draw.n_allowed = n;
 *         id = gpt2_sampler_next(sampler, logits, draw);
 *         at = gpt2_choices_step(choices, at, id);
 *         ...
 *     }
 *     made = gpt2_choices_made(choices, at);
 *
 * A choice that another one continues ("yes", "yes please") is told from it by the end id: where
 * the shorter one is complete, the end id is allowed beside what leads on. With one id left there
 * is nothing to compute, so callers may skip the model there. */
#ifndef GPT2_CHOICES_H
#define GPT2_CHOICES_H

#include <gpt2/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_choice {
    const int32_t *ids; /* [n_ids] */
    int n_ids;          /* at least 1 */
};

/* Copies `list` [n], n >= 1. `end_id` is the model's end of text, or -1 where it has none.
 * Fails with GPT2_ERR_USAGE where a choice is empty or holds end_id or a negative id, where two
 * choices are the same, or where one continues another and there is no end id; GPT2_ERR_MEMORY.
 * Read-only afterwards: to be shared by sequences and threads. */
struct gpt2_choices;
struct gpt2_choices *gpt2_choices_create(const struct gpt2_choice *list, int n, int32_t end_id,
                                         struct gpt2_error *err);
void gpt2_choices_free(struct gpt2_choices *choices); /* NULL is allowed */

/* The ids that lead on from a place in the trie (0: its root), ascending; *n of them, borrowed from
 * `choices`. NULL with *n = 0 where a choice is made. */
const int32_t *gpt2_choices_allowed(const struct gpt2_choices *choices, int at, int *n);

/* The place that `id` leads to, or -1 where it is not allowed. */
int gpt2_choices_step(const struct gpt2_choices *choices, int at, int32_t id);

/* The index in `list` of the choice that is complete at this place, or -1. It is made for good
 * where nothing is allowed any more. */
int gpt2_choices_made(const struct gpt2_choices *choices, int at);

#ifdef __cplusplus
}
#endif
#endif
