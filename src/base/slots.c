/* slots.c - slots that a signal handler may read, in blocks of which each leads to the next. */
#include "base/slots.h"

#include <stdlib.h>

/* The block after this one, which is made where there is none; NULL: memory is out. */
static struct slots *block_after(struct slots *block) {
    struct slots *next = atomic_load(&block->next);
    if (next)
        return next;
    struct slots *made = calloc(1, sizeof *made + block->n * block->size);
    if (made) {
        made->first = made + 1;
        made->n = block->n;
        made->size = block->size;
        if (atomic_compare_exchange_strong(&block->next, &next, made))
            return made;
    }
    free(made); // another thread was quicker, or memory is out
    return next;
}

static void *slot_of(const struct slots *block, size_t i) {
    return (char *)block->first + i * block->size;
}

void *slots_take(struct slots *slots) {
    for (struct slots *block = slots; block; block = block_after(block))
        for (size_t i = 0; i < block->n; i++) {
            struct slot_head *slot = slot_of(block, i);
            if (!atomic_exchange(&slot->taken, true))
                return slot;
        }
    return NULL;
}

void slots_give(void *slot) {
    atomic_store(&((struct slot_head *)slot)->taken, false);
}

void *slots_at(const struct slots *slots, size_t i) {
    const struct slots *block = slots;
    for (; block && i >= block->n; block = atomic_load(&block->next))
        i -= block->n;
    return block ? slot_of(block, i) : NULL;
}
