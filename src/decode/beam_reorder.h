/* beam_reorder.h - after a step of a search: which sample keeps whose session and history.
 *
 * These are costly to copy. The first child of a sample takes over its slot; each further child
 * gets the slot of a sample without children, as a copy. So a sample with one child is never
 * copied, and there are never more slots than samples. */
#ifndef DECODE_BEAM_REORDER_H
#define DECODE_BEAM_REORDER_H

#include <gpt2/generator.h>

/* Fills slots [n]: sample i takes over slot slots[i], each slot once. Where i < n_next and that is
 * not next[i].parent, the caller first copies the parent's slot to it; parents are still unchanged
 * then. Samples from n_next on get the slots that are left. */
void beam_reorder(const struct gpt2_branch *next, int n_next, int n, int *slots);

#endif
