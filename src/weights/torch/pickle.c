/* pickle.c - the opcodes of protocol 2, with calls that are written down and not made. */
#include "weights/torch/pickle.h"
#include "base/error_internal.h"
#include "weights/torch/pickle_stack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)64 << 20)

#define ORDERED_DICT (-1) /* as a global's place: known here */

/* ---- bytes ---- */

static bool need(const struct pickle_machine *m, size_t n) {
    return n <= m->n_bytes - m->at ||
           pickle_refuse(m, "expected %zu bytes more, found %zu: the pickle is truncated", n,
                         m->n_bytes - m->at);
}

/* An unsigned little-endian integer of n bytes. */
static bool read_integer(struct pickle_machine *m, size_t n, uint64_t *out) {
    if (!need(m, n))
        return false;
    *out = 0;
    for (size_t i = n; i > 0; i--)
        *out = *out << 8 | m->bytes[m->at + i - 1];
    m->at += n;
    return true;
}

/* BININT is signed, the shorter ones are not. */
static bool push_integer(struct pickle_machine *m, uint32_t n) {
    uint64_t bits;
    if (!read_integer(m, n, &bits))
        return false;
    const int64_t value = n == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits;
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_INT, .integer = value});
}

/* LONG1: a length, and that many bytes of two's complement. */
static bool push_long(struct pickle_machine *m, uint32_t unused) {
    uint64_t n, bits = 0;
    if (!read_integer(m, 1, &n))
        return false;
    if (n > 8)
        return pickle_refuse(m, "expected an integer of at most 8 bytes, found %" PRIu64, n);
    if (!read_integer(m, (size_t)n, &bits))
        return false;
    if (n > 0 && n < 8 && bits >> (8 * n - 1))
        bits |= ~UINT64_C(0) << 8 * n;
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_INT, .integer = (int64_t)bits});
}

/* BINFLOAT: big-endian, alone of all. */
static bool push_float(struct pickle_machine *m, uint32_t unused) {
    if (!need(m, 8))
        return false;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | m->bytes[m->at++];
    struct pickle_value value = {.kind = PICKLE_FLOAT};
    memcpy(&value.number, &bits, sizeof bits);
    return pickle_push(m, value);
}

static bool push_string(struct pickle_machine *m, uint32_t n_len) {
    uint64_t len;
    if (!read_integer(m, n_len, &len) || !need(m, (size_t)len))
        return false;
    struct pickle_value value = {.kind = PICKLE_STRING, .len = (uint32_t)len};
    value.text = (const char *)m->bytes + m->at;
    m->at += (size_t)len;
    return pickle_push(m, value);
}

/* ---- globals and calls ---- */

/* The text up to the end of the line, without it. */
static bool read_line(struct pickle_machine *m, const char **text, size_t *len) {
    const unsigned char *from = m->bytes + m->at;
    const unsigned char *end = memchr(from, '\n', m->n_bytes - m->at);
    if (!end)
        return pickle_refuse(m, "expected a name and the end of its line: the pickle is truncated");
    *text = (const char *)from;
    *len = (size_t)(end - from);
    m->at += *len + 1;
    return true;
}

static bool equals(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool push_global(struct pickle_machine *m, uint32_t unused) {
    const char *module = NULL, *name = NULL;
    size_t n_module = 0, n_name = 0;
    if (!read_line(m, &module, &n_module) || !read_line(m, &name, &n_name))
        return false;
    struct pickle_value value = {.kind = PICKLE_GLOBAL, .global = ORDERED_DICT};
    if (equals(module, n_module, "collections") && equals(name, n_name, "OrderedDict"))
        return pickle_push(m, value);
    const struct pickle_global *known = m->allowed;
    while (known->module &&
           !(equals(module, n_module, known->module) && equals(name, n_name, known->name)))
        known++;
    value.global = (int)(known - m->allowed);
    if (known->module && !known->hint)
        return pickle_push(m, value);
    pickle_refuse(m, "it names %.*s.%.*s, which a file of plain weights does not need",
                  (int)(n_module < 80 ? n_module : 80), module, (int)(n_name < 80 ? n_name : 80),
                  name);
    return error_hint(m->err, "%s",
                      known->hint ? known->hint
                                  : "in Python, where the file is trusted: load it, and torch.save "
                                    "its state_dict() alone");
}

/* OrderedDict(), or as Python 2 has it: OrderedDict([[key, value], ...]). */
static bool call_ordered_dict(struct pickle_machine *m, uint32_t args) {
    if (!pickle_push(m, (struct pickle_value){.kind = PICKLE_DICT}))
        return false;
    const uint32_t dict = m->stack.data[m->stack.len - 1];
    const struct pickle_value *list = pickle_item(m->out, pickle_value_at(m, args), 0);
    if (!list)
        return true;
    if (list->kind != PICKLE_LIST || pickle_value_at(m, args)->len != 1)
        return pickle_refuse(m, "expected OrderedDict to be made of nothing or of a list");
    for (const struct pickle_cell *c = pickle_first(m->out, list); c;) {
        const struct pickle_cell cell = *c; // cells move when one is added
        const struct pickle_value *pair = pickle_value_at(m, cell.value);
        const struct pickle_cell *key = pickle_first(m->out, pair);
        if (pair->len != 2 || !key)
            return pickle_refuse(m, "expected OrderedDict to be made of pairs");
        const uint32_t places[2] = {key->value, pickle_next(m->out, key)->value};
        if (!pickle_append(m, dict, places[0]) || !pickle_append(m, dict, places[1]))
            return false;
        c = pickle_next(m->out, &cell);
    }
    return true;
}

/* REDUCE, NEWOBJ: what was to be called, with a tuple of arguments. */
static bool call(struct pickle_machine *m, uint32_t unused) {
    uint32_t args = 0, callee = 0;
    if (!pickle_pop(m, &args) || !pickle_pop(m, &callee))
        return false;
    const struct pickle_value *c = pickle_value_at(m, callee), *a = pickle_value_at(m, args);
    if (c->kind != PICKLE_GLOBAL || a->kind != PICKLE_TUPLE)
        return pickle_refuse(m, "expected a call of something named with a tuple, found %s and %s",
                             pickle_kind_name(c), pickle_kind_name(a));
    if (c->global == ORDERED_DICT)
        return call_ordered_dict(m, args);
    if (!pickle_push(m, (struct pickle_value){.kind = PICKLE_CALL, .global = c->global}))
        return false;
    return pickle_append(m, m->stack.data[m->stack.len - 1], args);
}

/* BUILD: attributes for the object below, as a state_dict's _metadata. They are not kept. */
static bool drop_attributes(struct pickle_machine *m, uint32_t unused) {
    uint32_t state = 0, object = 0;
    if (!pickle_pop(m, &state) || !pickle_top(m, &object, PICKLE_DICT))
        return false;
    return pickle_value_at(m, state)->kind == PICKLE_DICT ||
           pickle_refuse(m, "expected attributes in a dict, found %s",
                         pickle_kind_name(pickle_value_at(m, state)));
}

static bool persistent(struct pickle_machine *m, uint32_t unused) {
    uint32_t id = 0;
    return pickle_pop(m, &id) && pickle_push(m, (struct pickle_value){.kind = PICKLE_PERSISTENT}) &&
           pickle_append(m, m->stack.data[m->stack.len - 1], id);
}

/* ---- the memo ---- */

static bool put(struct pickle_machine *m, uint32_t n) {
    uint64_t i;
    uint32_t place = 0;
    if (!read_integer(m, n, &i) || !pickle_pop(m, &place) ||
        !pickle_push_place(m, &m->stack, place))
        return false;
    if (i >= PICKLE_MAX_VALUES)
        return pickle_refuse(m, "expected at most %u values in the memo, found number %" PRIu64,
                             PICKLE_MAX_VALUES, i);
    while (m->memo.len <= i)
        if (!pickle_push_place(m, &m->memo, PICKLE_NO_VALUE))
            return false;
    m->memo.data[i] = place;
    return true;
}

static bool get(struct pickle_machine *m, uint32_t n) {
    uint64_t i;
    if (!read_integer(m, n, &i))
        return false;
    if (i >= m->memo.len || m->memo.data[i] == PICKLE_NO_VALUE)
        return pickle_refuse(m, "expected a value in the memo, found none at %" PRIu64, i);
    return pickle_push_place(m, &m->stack, m->memo.data[i]);
}

/* ---- opcodes ---- */

static bool protocol(struct pickle_machine *m, uint32_t unused) {
    uint64_t version;
    if (!read_integer(m, 1, &version))
        return false;
    if (version == 2)
        return true;
    pickle_refuse(m, "expected protocol 2, which torch.save writes, found %" PRIu64, version);
    return error_hint(m->err, "save it again without pickle_protocol");
}

/* One function for each opcode, with what tells apart those that share one. */
struct opcode {
    bool (*run)(struct pickle_machine *m, uint32_t arg);
    uint32_t arg;
};

/* clang-format off */
static const struct opcode opcodes[256] = {
    [0x80] = {protocol, 0},               /* PROTO                        */
    ['('] = {pickle_mark, 0},                    /* MARK                         */
    ['N'] = {pickle_constant, PICKLE_NONE},      /* NONE                         */
    ['}'] = {pickle_constant, PICKLE_DICT},      /* EMPTY_DICT                   */
    [']'] = {pickle_constant, PICKLE_LIST},      /* EMPTY_LIST                   */
    [')'] = {pickle_constant, PICKLE_TUPLE},     /* EMPTY_TUPLE                  */
    [0x85] = {pickle_build_tuple, 1},            /* TUPLE1                       */
    [0x86] = {pickle_build_tuple, 2},            /* TUPLE2                       */
    [0x87] = {pickle_build_tuple, 3},            /* TUPLE3                       */
    ['t'] = {pickle_build_marked, PICKLE_TUPLE}, /* TUPLE                        */
    [0x88] = {pickle_push_bool, 1},              /* NEWTRUE                      */
    [0x89] = {pickle_push_bool, 0},              /* NEWFALSE                     */
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
    ['s'] = {pickle_add_pair, 0},                /* SETITEM                      */
    ['u'] = {pickle_add_marked, PICKLE_DICT},    /* SETITEMS                     */
    ['a'] = {pickle_add_one, 0},                 /* APPEND                       */
    ['e'] = {pickle_add_marked, PICKLE_LIST},    /* APPENDS                      */
    ['c'] = {push_global, 0},             /* GLOBAL                       */
    ['R'] = {call, 0},                    /* REDUCE                       */
    [0x81] = {call, 0},                   /* NEWOBJ                       */
    ['b'] = {drop_attributes, 0},         /* BUILD                        */
    ['Q'] = {persistent, 0},              /* BINPERSID                    */
};
/* clang-format on */

static bool run(struct pickle_machine *m) {
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
            return pickle_refuse(m, "expected an opcode that torch.save writes, found 0x%02X", op);
        if (!opcodes[op].run(m, opcodes[op].arg))
            return false;
        if (m->at > MAX_BYTES)
            return pickle_refuse(m, "expected at most %zu bytes", MAX_BYTES);
    }
    uint32_t root = 0;
    if (!pickle_pop(m, &root))
        return false;
    if (m->stack.len > 0)
        return pickle_refuse(m, "expected one value at the end, found %u more", m->stack.len);
    p->root = pickle_value_at(m, root);
    p->n_bytes = m->at;
    return true;
}

bool pickle_parse(struct pickle *out, const unsigned char *bytes, size_t n_bytes,
                  const struct pickle_global *allowed, const char *name, struct gpt2_error *err) {
    *out = (struct pickle){0};
    struct pickle_machine m = {.out = out,
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
