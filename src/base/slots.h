/* slots.h - a list of slots that a signal handler may read: it grows, and no slot moves or is
 * freed.
 *
 *     struct thing { struct slot_head head; _Atomic(char *) name; };   // begins with a slot_head
 *     static struct thing first[16];
 *     static struct slots things = SLOTS(first);
 *
 * A thread takes a slot, fills in its members, and stores last the one by which a handler sees that
 * the slot is in use; before it gives the slot back it clears that member. */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The first member of each slot. */
struct slot_head {
    atomic_bool taken;
};

/* A block of slots, which leads to the next one. */
struct slots {
    void *first;    /* [n], zeroed */
    size_t n, size; /* size: bytes of a slot, which needs no alignment above a pointer's */
    _Atomic(struct slots *) next;
};

/* Of a zeroed array of slots. */
#define SLOTS(array) \
    { (array), sizeof(array) / sizeof *(array), sizeof *(array), NULL }

/* A slot that no thread has, as slots_give left it or zeroed. NULL: memory is out. */
void *slots_take(struct slots *slots);
void slots_give(void *slot);

/* Slot i from 0, taken or not; NULL: there are no more. Async-signal-safe. */
void *slots_at(const struct slots *slots, size_t i);

#endif
