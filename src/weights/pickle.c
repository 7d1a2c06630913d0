/* pickle.c - the stack machine of protocol 2, with calls that are written down and not made.
 *
 * The stack holds places in values[]; MARK pushes the place of no value, and what builds a
 * container takes all that lies above the last mark. The memo, where a pickle keeps what it needs
 * again, is an array of the same kind. Nothing here recurses, so nesting costs a pickle's author
 * one byte and us four; every opcode makes at most one value, so memory is bounded by the bytes
 * that are there. */
#include "weights/pickle.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES  ((size_t)64 << 20)
#define MAX_VALUES (1u << 21) /* of them, of cells, of the memo and of the stack */
#define NO_VALUE   UINT32_MAX /* a mark on the stack, a free place in the memo   */

#define ORDERED_DICT (-1) /* as a global's place: known here */

/* A growing array of places. */
struct places {
    uint32_t *data;
    uint32_t len, cap;
};

struct machine {
    struct pickle *out;
    const struct pickle_global *allowed;
    const unsigned char *bytes;
    size_t n_bytes, at, op_at; /* what is read next; where the opcode is */
    struct places stack, memo;
    const char *name;
    struct gpt2_error *err;
};

/* NAME: byte N of the pickle: ... */
__attribute__((format(printf, 2, 3))) static bool refuse(const struct machine *m,
                                                         const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(m->err, GPT2_ERR_MODEL, "%s: byte %zu of the pickle: %s", m->name, m->op_at,
                     text);
}

/* ---- memory ---- */

/* Room for one more of an array that may have MAX_VALUES. */
static bool grow(const struct machine *m, void *array, uint32_t len, uint32_t *cap, size_t size) {
    void **memory = array;
    if (len < *cap)
        return true;
    if (len >= MAX_VALUES)
        return refuse(m, "expected at most %u values", MAX_VALUES);
    uint32_t new_cap = *cap ? *cap * 2 : 256;
    void *moved = realloc(*memory, new_cap * size);
    if (!moved)
        return error_memory(m->err, "a pickle", new_cap * size);
    *memory = moved;
    *cap = new_cap;
    return true;
}

static bool push_place(const struct machine *m, struct places *places, uint32_t place) {
    if (!grow(m, &places->data, places->len, &places->cap, sizeof *places->data))
        return false;
    places->data[places->len++] = place;
    return true;
}

static bool push(struct machine *m, struct pickle_value value) {
    struct pickle *p = m->out;
    if (!grow(m, &p->values, p->n_values, &p->cap_values, sizeof *p->values))
        return false;
    p->values[p->n_values] = value;
    return push_place(m, &m->stack, p->n_values++);
}

/* Appends an item to a container. */
static bool append(struct machine *m, uint32_t container, uint32_t item) {
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

static struct pickle_value *value_at(const struct machine *m, uint32_t place) {
    return &m->out->values[place];
}

/* Takes the value on top, which is no mark. */
static bool pop(struct machine *m, uint32_t *place) {
    if (m->stack.len == 0 || m->stack.data[m->stack.len - 1] == NO_VALUE)
        return refuse(m, "expected a value on the stack, found none");
    *place = m->stack.data[--m->stack.len];
    return true;
}

/* The value on top, which stays there and is of this kind. */
static bool top(const struct machine *m, uint32_t *place, uint32_t kind) {
    if (m->stack.len == 0 || m->stack.data[m->stack.len - 1] == NO_VALUE)
        return refuse(m, "expected a value on the stack, found none");
    *place = m->stack.data[m->stack.len - 1];
    const struct pickle_value *found = value_at(m, *place),
                              wanted = {.kind = (enum pickle_kind)kind};
    return found->kind == kind || refuse(m, "expected %s to put items into, found %s",
                                         pickle_kind_name(&wanted), pickle_kind_name(found));
}

/* Where on the stack the items above the last mark begin. */
static bool find_mark(const struct machine *m, uint32_t *begin) {
    for (uint32_t i = m->stack.len; i > 0; i--) {
        if (m->stack.data[i - 1] == NO_VALUE) {
            *begin = i;
            return true;
        }
    }
    return refuse(m, "expected a mark on the stack, found none");
}

/* Puts the items stack[begin..] into a container and takes them off. */
static bool take_items(struct machine *m, uint32_t container, uint32_t begin) {
    if (value_at(m, container)->kind == PICKLE_DICT && (m->stack.len - begin) % 2)
        return refuse(m, "expected pairs of key and value, found %u values", m->stack.len - begin);
    for (uint32_t i = begin; i < m->stack.len; i++)
        if (!append(m, container, m->stack.data[i]))
            return false;
    m->stack.len = begin;
    return true;
}

/* A container of the `count` topmost values. */
static bool build(struct machine *m, uint32_t kind, uint32_t begin) {
    if (!push(m, (struct pickle_value){.kind = (enum pickle_kind)kind}))
        return false;
    const uint32_t place = m->stack.data[--m->stack.len];
    return take_items(m, place, begin) && push_place(m, &m->stack, place);
}

static bool build_tuple(struct machine *m, uint32_t count) {
    if (m->stack.len < count)
        return refuse(m, "expected %u values on the stack, found %u", count, m->stack.len);
    for (uint32_t i = 0; i < count; i++)
        if (m->stack.data[m->stack.len - 1 - i] == NO_VALUE)
            return refuse(m, "expected %u values on the stack, found a mark", count);
    return build(m, PICKLE_TUPLE, m->stack.len - count);
}

static bool build_marked(struct machine *m, uint32_t kind) {
    uint32_t begin = 0;
    if (!find_mark(m, &begin) || !build(m, kind, begin))
        return false;
    m->stack.data[m->stack.len - 2] = m->stack.data[m->stack.len - 1]; // over the mark
    m->stack.len--;
    return true;
}

/* APPENDS, SETITEMS: the items above the mark go into the container below it. */
static bool add_marked(struct machine *m, uint32_t kind) {
    uint32_t begin = 0, container = 0;
    if (!find_mark(m, &begin))
        return false;
    const uint32_t len = m->stack.len;
    m->stack.len = begin - 1;
    if (!top(m, &container, kind))
        return false;
    m->stack.len = len;
    if (!take_items(m, container, begin))
        return false;
    m->stack.len--; // the mark
    return true;
}

/* APPEND, SETITEM: the same with `count` items and no mark. */
static bool add(struct machine *m, enum pickle_kind kind, uint32_t count) {
    uint32_t items[2] = {0}, container = 0;
    for (uint32_t i = count; i > 0; i--)
        if (!pop(m, &items[i - 1]))
            return false;
    if (!top(m, &container, kind))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!append(m, container, items[i]))
            return false;
    return true;
}

static bool add_one(struct machine *m, uint32_t unused) {
    return add(m, PICKLE_LIST, 1);
}

static bool add_pair(struct machine *m, uint32_t unused) {
    return add(m, PICKLE_DICT, 2);
}

static bool mark(struct machine *m, uint32_t unused) {
    return push_place(m, &m->stack, NO_VALUE);
}

static bool constant(struct machine *m, uint32_t kind) {
    return push(m, (struct pickle_value){.kind = (enum pickle_kind)kind});
}

static bool push_bool(struct machine *m, uint32_t value) {
    return push(m, (struct pickle_value){.kind = PICKLE_BOOL, .integer = value});
}

/* ---- bytes ---- */

static bool need(const struct machine *m, size_t n) {
    return n <= m->n_bytes - m->at ||
           refuse(m, "expected %zu bytes more, found %zu: the pickle is truncated", n,
                  m->n_bytes - m->at);
}

/* An unsigned little-endian integer of n bytes. */
static bool read_integer(struct machine *m, size_t n, uint64_t *out) {
    if (!need(m, n))
        return false;
    *out = 0;
    for (size_t i = n; i > 0; i--)
        *out = *out << 8 | m->bytes[m->at + i - 1];
    m->at += n;
    return true;
}

/* BININT is signed, the shorter ones are not. */
static bool push_integer(struct machine *m, uint32_t n) {
    uint64_t bits;
    if (!read_integer(m, n, &bits))
        return false;
    const int64_t value = n == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits;
    return push(m, (struct pickle_value){.kind = PICKLE_INT, .integer = value});
}

/* LONG1: a length, and that many bytes of two's complement. */
static bool push_long(struct machine *m, uint32_t unused) {
    uint64_t n, bits = 0;
    if (!read_integer(m, 1, &n))
        return false;
    if (n > 8)
        return refuse(m, "expected an integer of at most 8 bytes, found %" PRIu64, n);
    if (!read_integer(m, (size_t)n, &bits))
        return false;
    if (n > 0 && n < 8 && bits >> (8 * n - 1))
        bits |= ~UINT64_C(0) << 8 * n;
    return push(m, (struct pickle_value){.kind = PICKLE_INT, .integer = (int64_t)bits});
}

/* BINFLOAT: big-endian, alone of all. */
static bool push_float(struct machine *m, uint32_t unused) {
    if (!need(m, 8))
        return false;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | m->bytes[m->at++];
    struct pickle_value value = {.kind = PICKLE_FLOAT};
    memcpy(&value.number, &bits, sizeof bits);
    return push(m, value);
}

static bool push_string(struct machine *m, uint32_t n_len) {
    uint64_t len;
    if (!read_integer(m, n_len, &len) || !need(m, (size_t)len))
        return false;
    struct pickle_value value = {.kind = PICKLE_STRING, .len = (uint32_t)len};
    value.text = (const char *)m->bytes + m->at;
    m->at += (size_t)len;
    return push(m, value);
}

/* ---- globals and calls ---- */

/* The text up to the end of the line, without it. */
static bool read_line(struct machine *m, const char **text, size_t *len) {
    const unsigned char *from = m->bytes + m->at;
    const unsigned char *end = memchr(from, '\n', m->n_bytes - m->at);
    if (!end)
        return refuse(m, "expected a name and the end of its line: the pickle is truncated");
    *text = (const char *)from;
    *len = (size_t)(end - from);
    m->at += *len + 1;
    return true;
}

static bool equals(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool push_global(struct machine *m, uint32_t unused) {
    const char *module, *name;
    size_t n_module, n_name;
    if (!read_line(m, &module, &n_module) || !read_line(m, &name, &n_name))
        return false;
    struct pickle_value value = {.kind = PICKLE_GLOBAL, .global = ORDERED_DICT};
    if (equals(module, n_module, "collections") && equals(name, n_name, "OrderedDict"))
        return push(m, value);
    const struct pickle_global *known = m->allowed;
    while (known->module &&
           !(equals(module, n_module, known->module) && equals(name, n_name, known->name)))
        known++;
    value.global = (int)(known - m->allowed);
    if (known->module && !known->hint)
        return push(m, value);
    refuse(m, "it names %.*s.%.*s, which a file of plain weights does not need",
           (int)(n_module < 80 ? n_module : 80), module, (int)(n_name < 80 ? n_name : 80), name);
    return error_hint(m->err, "%s",
                      known->hint ? known->hint
                                  : "in Python, where the file is trusted: load it, and torch.save "
                                    "its state_dict() alone");
}

/* OrderedDict(), or as Python 2 has it: OrderedDict([[key, value], ...]). */
static bool call_ordered_dict(struct machine *m, uint32_t args) {
    if (!push(m, (struct pickle_value){.kind = PICKLE_DICT}))
        return false;
    const uint32_t dict = m->stack.data[m->stack.len - 1];
    const struct pickle_value *list = pickle_item(m->out, value_at(m, args), 0);
    if (!list)
        return true;
    if (list->kind != PICKLE_LIST || value_at(m, args)->len != 1)
        return refuse(m, "expected OrderedDict to be made of nothing or of a list");
    for (const struct pickle_cell *c = pickle_first(m->out, list); c;) {
        const struct pickle_cell cell = *c; // cells move when one is added
        const struct pickle_value *pair = value_at(m, cell.value);
        const struct pickle_cell *key = pickle_first(m->out, pair);
        if (pair->len != 2 || !key)
            return refuse(m, "expected OrderedDict to be made of pairs");
        const uint32_t places[2] = {key->value, pickle_next(m->out, key)->value};
        if (!append(m, dict, places[0]) || !append(m, dict, places[1]))
            return false;
        c = pickle_next(m->out, &cell);
    }
    return true;
}

/* REDUCE, NEWOBJ: what was to be called, with a tuple of arguments. */
static bool call(struct machine *m, uint32_t unused) {
    uint32_t args = 0, callee = 0;
    if (!pop(m, &args) || !pop(m, &callee))
        return false;
    const struct pickle_value *c = value_at(m, callee), *a = value_at(m, args);
    if (c->kind != PICKLE_GLOBAL || a->kind != PICKLE_TUPLE)
        return refuse(m, "expected a call of something named with a tuple, found %s and %s",
                      pickle_kind_name(c), pickle_kind_name(a));
    if (c->global == ORDERED_DICT)
        return call_ordered_dict(m, args);
    if (!push(m, (struct pickle_value){.kind = PICKLE_CALL, .global = c->global}))
        return false;
    return append(m, m->stack.data[m->stack.len - 1], args);
}

/* BUILD: attributes for the object below, as a state_dict's _metadata. They are not kept. */
static bool drop_attributes(struct machine *m, uint32_t unused) {
    uint32_t state = 0, object = 0;
    if (!pop(m, &state) || !top(m, &object, PICKLE_DICT))
        return false;
    return value_at(m, state)->kind == PICKLE_DICT ||
           refuse(m, "expected attributes in a dict, found %s",
                  pickle_kind_name(value_at(m, state)));
}

static bool persistent(struct machine *m, uint32_t unused) {
    uint32_t id = 0;
    return pop(m, &id) && push(m, (struct pickle_value){.kind = PICKLE_PERSISTENT}) &&
           append(m, m->stack.data[m->stack.len - 1], id);
}

/* ---- the memo ---- */

static bool put(struct machine *m, uint32_t n) {
    uint64_t i;
    uint32_t place = 0;
    if (!read_integer(m, n, &i) || !pop(m, &place) || !push_place(m, &m->stack, place))
        return false;
    if (i >= MAX_VALUES)
        return refuse(m, "expected at most %u values in the memo, found number %" PRIu64,
                      MAX_VALUES, i);
    while (m->memo.len <= i)
        if (!push_place(m, &m->memo, NO_VALUE))
            return false;
    m->memo.data[i] = place;
    return true;
}

static bool get(struct machine *m, uint32_t n) {
    uint64_t i;
    if (!read_integer(m, n, &i))
        return false;
    if (i >= m->memo.len || m->memo.data[i] == NO_VALUE)
        return refuse(m, "expected a value in the memo, found none at %" PRIu64, i);
    return push_place(m, &m->stack, m->memo.data[i]);
}

/* ---- opcodes ---- */

static bool protocol(struct machine *m, uint32_t unused) {
    uint64_t version;
    if (!read_integer(m, 1, &version))
        return false;
    if (version == 2)
        return true;
    refuse(m, "expected protocol 2, which torch.save writes, found %" PRIu64, version);
    return error_hint(m->err, "save it again without pickle_protocol");
}

/* One function for each opcode, with what tells apart those that share one. */
struct opcode {
    bool (*run)(struct machine *m, uint32_t arg);
    uint32_t arg;
};

/* clang-format off */
static const struct opcode opcodes[256] = {
    [0x80] = {protocol, 0},               /* PROTO                        */
    ['('] = {mark, 0},                    /* MARK                         */
    ['N'] = {constant, PICKLE_NONE},      /* NONE                         */
    ['}'] = {constant, PICKLE_DICT},      /* EMPTY_DICT                   */
    [']'] = {constant, PICKLE_LIST},      /* EMPTY_LIST                   */
    [')'] = {constant, PICKLE_TUPLE},     /* EMPTY_TUPLE                  */
    [0x85] = {build_tuple, 1},            /* TUPLE1                       */
    [0x86] = {build_tuple, 2},            /* TUPLE2                       */
    [0x87] = {build_tuple, 3},            /* TUPLE3                       */
    ['t'] = {build_marked, PICKLE_TUPLE}, /* TUPLE                        */
    [0x88] = {push_bool, 1},              /* NEWTRUE                      */
    [0x89] = {push_bool, 0},              /* NEWFALSE                     */
    ['J'] = {push_integer, 4},            /* BININT                       */
    ['K'] = {push_integer, 1},            /* BININT1                      */
    ['M'] = {push_integer, 2},            /* BININT2                      */
    [0x8A] = {push_long, 0},              /* LONG1                        */
    ['G'] = {push_float, 0},              /* BINFLOAT                     */
    ['X'] = {push_string, 4},             /* BINUNICODE                   */
    ['T'] = {push_string, 4},             /* BINSTRING, of Python 2       */
    ['U'] = {push_string, 1},             /* SHORT_BINSTRING, of Python 2 */
    ['q'] = {put, 1},                     /* BINPUT                       */
    ['r'] = {put, 4},                     /* LONG_BINPUT                  */
    ['h'] = {get, 1},                     /* BINGET                       */
    ['j'] = {get, 4},                     /* LONG_BINGET                  */
    ['s'] = {add_pair, 0},                /* SETITEM                      */
    ['u'] = {add_marked, PICKLE_DICT},    /* SETITEMS                     */
    ['a'] = {add_one, 0},                 /* APPEND                       */
    ['e'] = {add_marked, PICKLE_LIST},    /* APPENDS                      */
    ['c'] = {push_global, 0},             /* GLOBAL                       */
    ['R'] = {call, 0},                    /* REDUCE                       */
    [0x81] = {call, 0},                   /* NEWOBJ                       */
    ['b'] = {drop_attributes, 0},         /* BUILD                        */
    ['Q'] = {persistent, 0},              /* BINPERSID                    */
};
/* clang-format on */

static bool run(struct machine *m) {
    struct pickle *p = m->out;
    p->cells = calloc(p->cap_cells = 256, sizeof *p->cells);
    if (!p->cells)
        return error_memory(m->err, "a pickle", 256 * sizeof *p->cells);
    p->n_cells = 1;
    if (m->n_bytes == 0 || m->bytes[0] != 0x80)
        return error_set(m->err, GPT2_ERR_MODEL, "%s: expected a pickle, found none", m->name);
    for (;;) {
        m->op_at = m->at;
        if (!need(m, 1))
            return false;
        const unsigned char op = m->bytes[m->at++];
        if (op == '.') // STOP
            break;
        if (!opcodes[op].run)
            return refuse(m, "expected an opcode that torch.save writes, found 0x%02X", op);
        if (!opcodes[op].run(m, opcodes[op].arg))
            return false;
        if (m->at > MAX_BYTES)
            return refuse(m, "expected at most %zu bytes", MAX_BYTES);
    }
    uint32_t root = 0;
    if (!pop(m, &root))
        return false;
    if (m->stack.len > 0)
        return refuse(m, "expected one value at the end, found %u more", m->stack.len);
    p->root = value_at(m, root);
    p->n_bytes = m->at;
    return true;
}

bool pickle_parse(struct pickle *out, const unsigned char *bytes, size_t n_bytes,
                  const struct pickle_global *allowed, const char *name, struct gpt2_error *err) {
    *out = (struct pickle){0};
    struct machine m = {.out = out,
                        .allowed = allowed,
                        .bytes = bytes,
                        .n_bytes = n_bytes,
                        .name = name,
                        .err = err};
    const bool ok = run(&m);
    free(m.stack.data);
    free(m.memo.data);
    if (!ok)
        pickle_free(out);
    return ok;
}

void pickle_free(struct pickle *pickle) {
    free(pickle->values);
    free(pickle->cells);
    *pickle = (struct pickle){0};
}

/* ---- looking at it ---- */

const struct pickle_cell *pickle_first(const struct pickle *pickle,
                                       const struct pickle_value *value) {
    const bool scalar = value->kind < PICKLE_TUPLE || value->kind == PICKLE_GLOBAL;
    return scalar || !value->first ? NULL : &pickle->cells[value->first];
}

const struct pickle_cell *pickle_next(const struct pickle *pickle, const struct pickle_cell *cell) {
    return cell->next ? &pickle->cells[cell->next] : NULL;
}

const struct pickle_value *pickle_item(const struct pickle *pickle,
                                       const struct pickle_value *value, uint32_t i) {
    const struct pickle_cell *cell = pickle_first(pickle, value);
    while (cell && i-- > 0)
        cell = pickle_next(pickle, cell);
    return cell ? &pickle->values[cell->value] : NULL;
}

const struct pickle_value *pickle_get(const struct pickle *pickle, const struct pickle_value *value,
                                      const char *key) {
    const struct pickle_value *found = NULL;
    if (!value || value->kind != PICKLE_DICT)
        return NULL;
    for (const struct pickle_cell *c = pickle_first(pickle, value); c;) {
        const struct pickle_value *k = &pickle->values[c->value];
        c = pickle_next(pickle, c); // its value: they come in pairs
        if (k->kind == PICKLE_STRING && equals(k->text, k->len, key))
            found = &pickle->values[c->value];
        c = pickle_next(pickle, c);
    }
    return found;
}

const char *pickle_kind_name(const struct pickle_value *value) {
    static const char *const names[] = {
        [PICKLE_NONE] = "None",      [PICKLE_BOOL] = "a bool",         [PICKLE_INT] = "an integer",
        [PICKLE_FLOAT] = "a float",  [PICKLE_STRING] = "a string",     [PICKLE_TUPLE] = "a tuple",
        [PICKLE_LIST] = "a list",    [PICKLE_DICT] = "a dict",         [PICKLE_GLOBAL] = "a class",
        [PICKLE_CALL] = "an object", [PICKLE_PERSISTENT] = "a storage"};
    return names[value->kind];
}
