/* beam_reorder.h - who takes over what, where some of a search's samples go on, some twice, some
 * not.
 *
 * Each has things that are costly to copy: a session, a history. The first that grows out of a
 * sample takes that sample's things, and each further one those of a sample that nobody grows out
 * of, which then become a copy. So nothing is copied for a sample that goes on alone, and there are
 * never more things than samples. */
#ifndef DECODE_BEAM_REORDER_H
#define DECODE_BEAM_REORDER_H

#include <gpt2/generator.h>

/* slots[i], i < n: whose things sample i takes over. Where that is not its parent, i < n_next, they
 * are to be made a copy of the parent's, which are still as they were. The samples from n_next on
 * keep what is left. Each slot is given once. */
void beam_reorder(const struct gpt2_branch *next, int n_next, int n, int *slots);

#endif
