/* attention.h - causal attention over the KV cache (spec 1.1): the only place where tokens meet. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/forward.h"

/* For every row t of every piece and every head h:
 *
 *   s[j] = (q_h[t] . k_h[j]) * sigma            for j = 0..t
 *   w    = softmax(s)
 *   o_h[t] = sum over j of w[j] v_h[j]
 *
 * Reads f->qkv and the caches, writes f->o. The keys and values of the pieces' own rows are stored
 * into the caches first. One definition for prompt and decoding: scores for all keys, their
 * maximum, exp, sum, weighted sum of values, each in the order of the keys. */
void attention(struct forward *f, int layer);

#endif
