/* pickle_stack.h - the stack of a pickle's machine, and the opcodes that move values on it.
 *
 * The stack holds places in values[]; MARK pushes the place of no value, and what builds a
 * container takes all that lies above the last mark. The memo, where a pickle keeps what it needs
 * again, is an array of the same kind. Nothing here recurses, so a level of nesting costs a file
 * one byte and us four; every opcode makes at most one value, so memory is bounded by the bytes
 * that are there. */
#ifndef WEIGHTS_TORCH_PICKLE_STACK_H
#define WEIGHTS_TORCH_PICKLE_STACK_H

#include "weights/torch/pickle_value.h"
#include <gpt2/error.h>

#define PICKLE_MAX_VALUES (1u << 21) /* of them, of cells, of the memo and of the stack */
#define PICKLE_NO_VALUE   UINT32_MAX /* a mark on the stack, a free place in the memo   */

/* A growing array of places. */
struct pickle_places {
    uint32_t *data;
    uint32_t len, cap;
};

struct pickle_global;

struct pickle_machine {
    struct pickle *out;
    const struct pickle_global *allowed;
    const unsigned char *bytes;
    size_t n_bytes, at, op_at; /* what is read next; where the opcode is */
    struct pickle_places stack, memo;
    const char *name;
    struct gpt2_error *err;
};

/* NAME: byte N of the pickle: ... */
__attribute__((format(printf, 2, 3))) bool pickle_refuse(const struct pickle_machine *m,
                                                         const char *format, ...);

static inline struct pickle_value *pickle_value_at(const struct pickle_machine *m, uint32_t place) {
    return &m->out->values[place];
}

bool pickle_push_place(const struct pickle_machine *m, struct pickle_places *places,
                       uint32_t place);

/* Makes a value and puts it on the stack. */
bool pickle_push(struct pickle_machine *m, struct pickle_value value);

/* Takes the value on top, which is no mark. */
bool pickle_pop(struct pickle_machine *m, uint32_t *place);

/* The value on top, which stays there and is of this kind. */
bool pickle_top(const struct pickle_machine *m, uint32_t *place, uint32_t kind);

/* Appends an item to a container. */
bool pickle_append(struct pickle_machine *m, uint32_t container, uint32_t item);

/* Opcodes (the table in pickle.c). A tuple of the `count` topmost values; a container of those
 * above the mark. */
bool pickle_build_tuple(struct pickle_machine *m, uint32_t count);
bool pickle_build_marked(struct pickle_machine *m, uint32_t kind);

/* APPENDS, SETITEMS: the items above the mark go into the container below it. APPEND, SETITEM: the
 * one or two on top. */
bool pickle_add_marked(struct pickle_machine *m, uint32_t kind);
bool pickle_add_one(struct pickle_machine *m, uint32_t unused);
bool pickle_add_pair(struct pickle_machine *m, uint32_t unused);

bool pickle_mark(struct pickle_machine *m, uint32_t unused);
bool pickle_constant(struct pickle_machine *m, uint32_t kind);
bool pickle_push_bool(struct pickle_machine *m, uint32_t value);

#endif
