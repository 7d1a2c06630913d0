/* beam_reorder.c - assigns what the samples of a search own to the next ones. */
#include "decode/beam_reorder.h"

static bool is_given(const int *slots, int n, int slot) {
    for (int i = 0; i < n; i++)
        if (slots[i] == slot)
            return true;
    return false;
}

void beam_reorder(const struct gpt2_branch *next, int n_next, int n, int *slots) {
    for (int i = 0; i < n; i++)
        slots[i] = -1;
    for (int i = 0; i < n_next; i++)
        if (!is_given(slots, i, next[i].parent))
            slots[i] = next[i].parent;
    for (int i = 0, vacant = 0; i < n; i++) {
        if (slots[i] >= 0)
            continue;
        while (is_given(slots, n, vacant))
            vacant++;
        slots[i] = vacant;
    }
}
