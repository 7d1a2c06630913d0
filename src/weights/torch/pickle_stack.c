/* pickle_stack.c - the stack and the memo on which a pickle builds its values. */
#include "weights/torch/pickle_stack.h"
#include "base/error_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool pickle_refuse(const struct pickle_machine *m, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(m->err, GPT2_ERR_MODEL, "%s: byte %zu of the pickle: %s", m->name, m->op_at,
                     text);
}

/* ---- memory ---- */

/* Room for one more of an array that may have PICKLE_MAX_VALUES. */
static bool grow(const struct pickle_machine *m, void *array, uint32_t len, uint32_t *cap,
                 size_t size) {
    void **memory = array;
    if (len < *cap)
        return true;
    if (len >= PICKLE_MAX_VALUES)
        return pickle_refuse(m, "expected at most %u values", PICKLE_MAX_VALUES);
    uint32_t new_cap = *cap ? *cap * 2 : 256;
    void *moved = realloc(*memory, new_cap * size);
    if (!moved)
        return error_memory(m->err, "a pickle", new_cap * size);
    *memory = moved;
    *cap = new_cap;
    return true;
}

bool pickle_push_place(const struct pickle_machine *m, struct pickle_places *places,
                       uint32_t place) {
    if (!grow(m, &places->data, places->len, &places->cap, sizeof *places->data))
        return false;
    places->data[places->len++] = place;
    return true;
}

bool pickle_push(struct pickle_machine *m, struct pickle_value value) {
    struct pickle *p = m->out;
    if (!grow(m, &p->values, p->n_values, &p->cap_values, sizeof *p->values))
        return false;
    p->values[p->n_values] = value;
    return pickle_push_place(m, &m->stack, p->n_values++);
}

bool pickle_append(struct pickle_machine *m, uint32_t container, uint32_t item) {
    struct pickle *p = m->out;
    if (!grow(m, &p->cells, p->n_cells, &p->cap_cells, sizeof *p->cells))
        return false;
    const uint32_t cell = p->n_cells++;
    p->cells[cell] = (struct pickle_cell){item, 0};
    struct pickle_value *v = &p->values[container];
    if (v->first)
        p->cells[v->last].next = cell;
    else
        v->first = cell;
    v->last = cell;
    v->len++;
    return true;
}

/* ---- the stack ---- */

bool pickle_pop(struct pickle_machine *m, uint32_t *place) {
    if (m->stack.len == 0 || m->stack.data[m->stack.len - 1] == PICKLE_NO_VALUE)
        return pickle_refuse(m, "expected a value on the stack, found none");
    *place = m->stack.data[--m->stack.len];
    return true;
}

bool pickle_top(const struct pickle_machine *m, uint32_t *place, uint32_t kind) {
    if (m->stack.len == 0 || m->stack.data[m->stack.len - 1] == PICKLE_NO_VALUE)
        return pickle_refuse(m, "expected a value on the stack, found none");
    *place = m->stack.data[m->stack.len - 1];
    const struct pickle_value *found = pickle_value_at(m, *place),
                              wanted = {.kind = (enum pickle_kind)kind};
    return found->kind == kind || pickle_refuse(m, "expected %s to put items into, found %s",
                                                pickle_kind_name(&wanted), pickle_kind_name(found));
}

/* Where on the stack the items above the last mark begin. */
static bool find_mark(const struct pickle_machine *m, uint32_t *begin) {
    for (uint32_t i = m->stack.len; i > 0; i--) {
        if (m->stack.data[i - 1] == PICKLE_NO_VALUE) {
            *begin = i;
            return true;
        }
    }
    return pickle_refuse(m, "expected a mark on the stack, found none");
}

/* Puts the items stack[begin..] into a container and takes them off. */
static bool take_items(struct pickle_machine *m, uint32_t container, uint32_t begin) {
    if (pickle_value_at(m, container)->kind == PICKLE_DICT && (m->stack.len - begin) % 2)
        return pickle_refuse(m, "expected pairs of key and value, found %u values",
                             m->stack.len - begin);
    for (uint32_t i = begin; i < m->stack.len; i++)
        if (!pickle_append(m, container, m->stack.data[i]))
            return false;
    m->stack.len = begin;
    return true;
}

/* A container of the `count` topmost values. */
static bool build(struct pickle_machine *m, uint32_t kind, uint32_t begin) {
    if (!pickle_push(m, (struct pickle_value){.kind = (enum pickle_kind)kind}))
        return false;
    const uint32_t place = m->stack.data[--m->stack.len];
    return take_items(m, place, begin) && pickle_push_place(m, &m->stack, place);
}

bool pickle_build_tuple(struct pickle_machine *m, uint32_t count) {
    if (m->stack.len < count)
        return pickle_refuse(m, "expected %u values on the stack, found %u", count, m->stack.len);
    for (uint32_t i = 0; i < count; i++)
        if (m->stack.data[m->stack.len - 1 - i] == PICKLE_NO_VALUE)
            return pickle_refuse(m, "expected %u values on the stack, found a mark", count);
    return build(m, PICKLE_TUPLE, m->stack.len - count);
}

bool pickle_build_marked(struct pickle_machine *m, uint32_t kind) {
    uint32_t begin = 0;
    if (!find_mark(m, &begin) || !build(m, kind, begin))
        return false;
    m->stack.data[m->stack.len - 2] = m->stack.data[m->stack.len - 1]; // over the mark
    m->stack.len--;
    return true;
}

bool pickle_add_marked(struct pickle_machine *m, uint32_t kind) {
    uint32_t begin = 0, container = 0;
    if (!find_mark(m, &begin))
        return false;
    const uint32_t len = m->stack.len;
    m->stack.len = begin - 1;
    if (!pickle_top(m, &container, kind))
        return false;
    m->stack.len = len;
    if (!take_items(m, container, begin))
        return false;
    m->stack.len--; // the mark
    return true;
}

/* APPEND, SETITEM: the same with `count` items and no mark. */
static bool add(struct pickle_machine *m, enum pickle_kind kind, uint32_t count) {
    uint32_t items[2] = {0}, container = 0;
    for (uint32_t i = count; i > 0; i--)
        if (!pickle_pop(m, &items[i - 1]))
            return false;
    if (!pickle_top(m, &container, kind))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!pickle_append(m, container, items[i]))
            return false;
    return true;
}

bool pickle_add_one(struct pickle_machine *m, uint32_t unused) {
    return add(m, PICKLE_LIST, 1);
}

bool pickle_add_pair(struct pickle_machine *m, uint32_t unused) {
    return add(m, PICKLE_DICT, 2);
}

bool pickle_mark(struct pickle_machine *m, uint32_t unused) {
    return pickle_push_place(m, &m->stack, PICKLE_NO_VALUE);
}

bool pickle_constant(struct pickle_machine *m, uint32_t kind) {
    return pickle_push(m, (struct pickle_value){.kind = (enum pickle_kind)kind});
}

bool pickle_push_bool(struct pickle_machine *m, uint32_t value) {
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_BOOL, .integer = value});
}
