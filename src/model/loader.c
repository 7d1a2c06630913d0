/* loader.c - one table binds, shape-checks and documents every tensor of a GPT-2.
 *
 * What the table does not know is of three kinds: buffers that hold no weights (the causal mask:
 * not used), other heads and strangers (not used, with a note), and whatever stands where GPT-2's
 * own weights are and would change the result (refused).
 *
 * Matrices stay in the mapping, and their pages are not touched here: opening a model takes the
 * same time whatever its size. Vectors, a thousandth of the weights, become F32, so that layer norm
 * and biases have one type. */
#include "model/loader.h"
#include "base/error.h"
#include "model/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weights are used as the files have them");

enum dim { ONE, N_VOCAB, N_CTX, N_EMBD, N_EMBD_3, N_INNER };

/* A tensor is a matrix if it has columns. */
struct row {
    const char *name;
    size_t offset; /* in struct gpt2_model or struct block: a struct matrix or a const float * */
    enum dim rows, cols;
    const char *what;
};

#define MODEL(member) offsetof(struct gpt2_model, member)
#define BLOCK(member) offsetof(struct block, member)

static const struct row front_rows[] = {
    {"wte.weight", MODEL(wte), N_VOCAB, N_EMBD, "token embeddings"},
    {"wpe.weight", MODEL(wpe), N_CTX, N_EMBD, "position embeddings"},
};

/* Of each block, behind "h.N.". Matrices are [in, out]. Those of nn.Linear would be [out, in]; in
 * such a file c_attn and the MLP's matrices have the wrong shape, which is how it is recognised:
 * attn.c_proj is square and would fit either way. */
static const struct row block_rows[] = {
    {"ln_1.weight", BLOCK(ln_1.gain), N_EMBD, ONE, "layer norm before attention: gain"},
    {"ln_1.bias", BLOCK(ln_1.bias), N_EMBD, ONE, "layer norm before attention: bias"},
    {"attn.c_attn.weight", BLOCK(attn.c_attn.weight), N_EMBD, N_EMBD_3, "query, key and value"},
    {"attn.c_attn.bias", BLOCK(attn.c_attn.bias), N_EMBD_3, ONE, "bias of query, key and value"},
    {"attn.c_proj.weight", BLOCK(attn.c_proj.weight), N_EMBD, N_EMBD, "what the heads read, mixed"},
    {"attn.c_proj.bias", BLOCK(attn.c_proj.bias), N_EMBD, ONE, "bias of attention's output"},
    {"ln_2.weight", BLOCK(ln_2.gain), N_EMBD, ONE, "layer norm before the MLP: gain"},
    {"ln_2.bias", BLOCK(ln_2.bias), N_EMBD, ONE, "layer norm before the MLP: bias"},
    {"mlp.c_fc.weight", BLOCK(mlp.c_fc.weight), N_EMBD, N_INNER, "into the MLP's hidden layer"},
    {"mlp.c_fc.bias", BLOCK(mlp.c_fc.bias), N_INNER, ONE, "bias of the hidden layer"},
    {"mlp.c_proj.weight", BLOCK(mlp.c_proj.weight), N_INNER, N_EMBD, "out of the hidden layer"},
    {"mlp.c_proj.bias", BLOCK(mlp.c_proj.bias), N_EMBD, ONE, "bias of the MLP's output"},
};

static const struct row back_rows[] = {
    {"ln_f.weight", MODEL(ln_f.gain), N_EMBD, ONE, "layer norm before the head: gain"},
    {"ln_f.bias", MODEL(ln_f.bias), N_EMBD, ONE, "layer norm before the head: bias"},
};

static const struct row head_row = {"lm_head.weight", MODEL(head), N_VOCAB, N_EMBD, "the head"};

static const char mismatch[] = "do config.json and the weights belong to the same model?";

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MAX_NAME     64 /* of a bound tensor, "h.4095.attn.c_attn.weight" */

struct loader {
    struct gpt2_model *model;
    struct names names;
    size_t n_missing;
    char missing[3][MAX_NAME]; /* the first of them */
    struct gpt2_error *err;
};

static const char *path_of(const struct loader *l) {
    return l->model->tensors.path;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* ---- one tensor ---- */

static int64_t dim_of(const struct gpt2_config *config, enum dim dim) {
    switch (dim) {
    case N_VOCAB:
        return config->n_vocab;
    case N_CTX:
        return config->n_ctx;
    case N_EMBD:
        return config->n_embd;
    case N_EMBD_3:
        return 3 * (int64_t)config->n_embd;
    case N_INNER:
        return config->n_inner;
    case ONE:
        break;
    }
    return 1;
}

/* "[768, 2304]" */
static const char *show_shape(char text[160], const int64_t *shape, int rank) {
    size_t n = (size_t)snprintf(text, 160, "[");
    for (int i = 0; i < rank && n < 160; i++)
        n += (size_t)snprintf(text + n, 160 - n, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (n < 160)
        snprintf(text + n, 160 - n, "]");
    return text;
}

static bool check_shape(const struct loader *l, const struct row *row, const struct tensor *t) {
    static const char *const names[] = {
        [ONE] = "",          [N_VOCAB] = "vocab_size", [N_CTX] = "n_positions",
        [N_EMBD] = "n_embd", [N_EMBD_3] = "3 n_embd",  [N_INNER] = "n_inner",
    };
    const int64_t shape[2] = {dim_of(&l->model->config, row->rows),
                              dim_of(&l->model->config, row->cols)};
    const int rank = row->cols == ONE ? 1 : 2;
    if (t->rank == rank && memcmp(t->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return true;
    char expected[160], found[160];
    error_set(l->err, GPT2_ERR_MODEL,
              "%s: tensor \"%s\" (%s): expected shape %s, which is [%s%s%s], found %s", path_of(l),
              t->name, row->what, show_shape(expected, shape, rank), names[row->rows],
              rank == 2 ? ", " : "", names[row->cols], show_shape(found, t->shape, t->rank));
    if (rank == 2 && t->rank == 2 && t->shape[0] == shape[1] && t->shape[1] == shape[0])
        error_hint(l->err, "the file has its matrices [out, in]; GPT-2's are [in, out]: transpose "
                           "them, the square attn.c_proj too");
    else
        error_hint(l->err, mismatch);
    return false;
}

static bool read_dtype(enum dtype *out, const struct loader *l, const struct tensor *t) {
    static const enum dtype known[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64};
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(dtype_name(known[i]), t->dtype) == 0) {
            *out = known[i];
            return true;
        }
    }
    return error_set(l->err, GPT2_ERR_MODEL,
                     "%s: tensor \"%s\": expected dtype F32, F16, BF16 or F64, found %s",
                     path_of(l), t->name, t->dtype);
}

/* Memory that the model owns. */
static void *own(const struct loader *l, size_t count, size_t size) {
    void *memory = os_alloc(count, size, "converted weights", l->err);
    if (memory)
        l->model->converted[l->model->n_converted++] = memory;
    return memory;
}

/* Where the elements lie, aligned or not (the hub's own gpt2 is not); F64 is narrowed to F32. */
static bool bind_matrix(const struct loader *l, struct matrix *out, const struct tensor *t,
                        enum dtype dtype) {
    *out = (struct matrix){t->data, dtype, LAYOUT_ROWS, (int)t->shape[0], (int)t->shape[1]};
    if (dtype != DTYPE_F64)
        return true;
    size_t count = t->n_bytes / dtype_size(dtype);
    float *copy = own(l, count, sizeof *copy);
    if (!copy)
        return false;
    dtype_to_f32(copy, t->data, dtype, count);
    out->data = copy;
    out->dtype = DTYPE_F32;
    return true;
}

static bool bind_vector(const struct loader *l, const float **out, const struct tensor *t,
                        enum dtype dtype) {
    float *copy = own(l, (size_t)t->shape[0], sizeof *copy);
    if (!copy)
        return false;
    dtype_to_f32(copy, t->data, dtype, (size_t)t->shape[0]);
    *out = copy;
    return true;
}

/* Binds one entry to the row's field of `base`, the model or a block. */
static bool bind_entry(struct loader *l, void *base, const struct row *row, struct entry *entry) {
    const struct tensor *t = entry->tensor;
    void *field = (char *)base + row->offset;
    enum dtype dtype = DTYPE_F32;
    entry->bound = true;
    if (!check_shape(l, row, t) || !read_dtype(&dtype, l, t) ||
        !(row->cols == ONE ? bind_vector(l, field, t, dtype) : bind_matrix(l, field, t, dtype)))
        return false;
    l->model->infos[l->model->n_infos++] = (struct gpt2_tensor_info){
        .name = entry->name,
        .dtype = t->dtype,
        .rank = t->rank,
        .shape = {t->shape[0], t->rank == 2 ? t->shape[1] : 1},
        .n_bytes = t->n_bytes,
    };
    return true;
}

/* Binds the tensors of some rows. One that is not in the file is remembered. */
static bool bind_rows(struct loader *l, void *base, const struct row *rows, size_t n_rows,
                      const char *prefix) {
    for (size_t i = 0; i < n_rows; i++) {
        char name[MAX_NAME];
        snprintf(name, sizeof name, "%s%s", prefix, rows[i].name);
        struct entry *entry = names_find(&l->names, name);
        if (entry) {
            if (!bind_entry(l, base, &rows[i], entry))
                return false;
        } else if (l->n_missing++ < COUNT(l->missing)) {
            strcpy(l->missing[l->n_missing - 1], name);
        }
    }
    return true;
}

static bool check_missing(const struct loader *l) {
    if (l->n_missing == 0)
        return true;
    char names[3 * (MAX_NAME + 4)] = "", more[40] = "";
    size_t n = 0, shown = l->n_missing < 3 ? l->n_missing : 3;
    for (size_t i = 0; i < shown; i++)
        n +=
            (size_t)snprintf(names + n, sizeof names - n, "%s\"%s\"", i ? ", " : "", l->missing[i]);
    if (l->n_missing > shown)
        snprintf(more, sizeof more, " and %zu more", l->n_missing - shown);
    error_set(l->err, GPT2_ERR_MODEL, "%s: missing %s %s%s", path_of(l),
              l->n_missing == 1 ? "tensor" : "tensors", names, more);
    return error_hint(l->err, mismatch);
}

/* ---- the head ---- */

/* A file may keep the one matrix under the head's name alone. Then that is wte. */
static bool find_wte(struct loader *l, enum config_tie tie) {
    struct entry *head = names_find(&l->names, head_row.name);
    if (!head || names_find(&l->names, front_rows[0].name) || tie == CONFIG_TIE_FALSE)
        return true;
    names_rename(&l->names, head, front_rows[0].name);
    return notes_add(
        &l->model->notes, l->err,
        "the file has no \"wte.weight\": the tied \"lm_head.weight\" is used for both");
}

/* Spec 2.4, as Hugging Face does since version 5: the head is wte unless the file has another one.
 */
static bool bind_head(struct loader *l, enum config_tie tie) {
    struct gpt2_model *model = l->model;
    struct entry *head = names_find(&l->names, head_row.name);
    model->head = model->wte;
    model->head_is_tied = true;
    if (!head)
        return tie != CONFIG_TIE_FALSE ||
               notes_add(&model->notes, l->err,
                         "config.json says \"tie_word_embeddings\": false, but the file has no "
                         "\"lm_head.weight\": wte is the head");
    const struct tensor *a = names_find(&l->names, front_rows[0].name)->tensor, *b = head->tensor;
    if (!check_shape(l, &head_row, b))
        return false;
    if (strcmp(a->dtype, b->dtype) == 0 && memcmp(a->data, b->data, a->n_bytes) == 0)
        return true; // a copy
    model->head_is_tied = false;
    return bind_entry(l, model, &head_row, head) &&
           (tie == CONFIG_TIE_FALSE ||
            notes_add(&model->notes, l->err,
                      "\"lm_head.weight\" differs from \"wte.weight\", though config.json does not "
                      "say \"tie_word_embeddings\": false: it is used as a head of its own"));
}

/* ---- what is left over ---- */

/* The N of "h.N.rest" and its rest; false if the name is not of that form. */
static bool split_block(const char *name, long *layer, const char **rest) {
    if (!starts_with(name, "h.") || name[2] < '0' || name[2] > '9')
        return false;
    char *end;
    *layer = strtol(name + 2, &end, 10);
    bool padded = name[2] == '0' && end != name + 3;
    *rest = end + 1;
    return *end == '.' && !padded;
}

enum leftover { BUFFER, OTHER_HEAD, STRANGER, REFUSED };

/* What an unbound tensor is; sets err where it is REFUSED. */
static enum leftover classify(const struct loader *l, const struct entry *entry) {
    static const char *const other_heads[] = {"score.", "classifier.", "multiple_choice_head.",
                                              "qa_outputs."};
    static const char *const own_parts[] = {"h.", "wte.", "wpe.", "ln_f.", "lm_head."};
    const char *name = entry->tensor->name, *rest = "";
    const int n_layer = l->model->config.n_layer;
    long layer = 0;
    if (split_block(entry->name, &layer, &rest)) {
        if (layer >= n_layer) {
            error_set(l->err, GPT2_ERR_MODEL,
                      "%s: tensor \"%s\": expected blocks h.0 to h.%d, as config.json says n_layer "
                      "%d",
                      path_of(l), name, n_layer - 1, n_layer);
            error_hint(l->err, mismatch);
            return REFUSED;
        }
        const int rank = entry->tensor->rank;
        if ((strcmp(rest, "attn.bias") == 0 && rank == 4) ||
            (strcmp(rest, "attn.masked_bias") == 0 && rank == 0))
            return BUFFER; // the causal mask [1, 1, n_ctx, n_ctx] and its constant
        if (starts_with(rest, "crossattention.") || starts_with(rest, "ln_cross_attn.")) {
            error_set(l->err, GPT2_ERR_MODEL,
                      "%s: tensor \"%s\": expected no cross attention: this is the decoder half of "
                      "an encoder-decoder pair",
                      path_of(l), name);
            error_hint(l->err, "use a GPT-2 that was trained to continue text by itself");
            return REFUSED;
        }
    }
    for (size_t i = 0; i < COUNT(other_heads); i++)
        if (starts_with(entry->name, other_heads[i]))
            return OTHER_HEAD;
    for (size_t i = 0; i < COUNT(own_parts); i++) {
        if (starts_with(entry->name, own_parts[i])) { // adapters, scales of quantised weights ...
            error_set(l->err, GPT2_ERR_MODEL,
                      "%s: tensor \"%s\": GPT-2 has no such weight, and what it would change is "
                      "unknown",
                      path_of(l), name);
            return REFUSED;
        }
    }
    return STRANGER;
}

static bool check_leftovers(const struct loader *l) {
    const char *first[REFUSED] = {0};
    size_t counts[REFUSED] = {0};
    for (size_t i = 0; i < l->names.count; i++) {
        const struct entry *entry = &l->names.entries[i];
        if (entry->bound || strcmp(entry->name, head_row.name) == 0)
            continue;
        enum leftover kind = classify(l, entry);
        if (kind == REFUSED)
            return false;
        if (counts[kind]++ == 0)
            first[kind] = entry->tensor->name;
    }
    struct notes *notes = &l->model->notes;
    return (!counts[OTHER_HEAD] ||
            notes_add(notes, l->err,
                      "tensors of a head for another task are not used: %zu, the first is \"%s\"",
                      counts[OTHER_HEAD], first[OTHER_HEAD])) &&
           (!counts[STRANGER] ||
            notes_add(notes, l->err,
                      "tensors that are no part of GPT-2 are not used: %zu, the first is \"%s\"",
                      counts[STRANGER], first[STRANGER]));
}

/* ---- all of it ---- */

static bool bind_weights(struct loader *l) {
    struct gpt2_model *model = l->model;
    if (!bind_rows(l, model, front_rows, COUNT(front_rows), ""))
        return false;
    for (int layer = 0; layer < model->config.n_layer; layer++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "h.%d.", layer);
        if (!bind_rows(l, &model->h[layer], block_rows, COUNT(block_rows), prefix))
            return false;
    }
    return bind_rows(l, model, back_rows, COUNT(back_rows), "");
}

bool loader_bind(struct gpt2_model *model, enum config_tie tie, struct gpt2_error *err) {
    struct loader l = {.model = model, .err = err};
    const size_t n_layer = (size_t)model->config.n_layer;
    const size_t n_rows =
        COUNT(front_rows) + n_layer * COUNT(block_rows) + COUNT(back_rows) + 1 /* head */;
    bool ok = (model->h = os_alloc(n_layer, sizeof *model->h, "blocks", err)) &&
              (model->infos = os_alloc(n_rows, sizeof *model->infos, "tensors", err)) &&
              (model->converted = os_alloc(n_rows, sizeof *model->converted, "tensors", err)) &&
              names_index(&l.names, &model->tensors, err) && find_wte(&l, tie) &&
              bind_weights(&l) && check_leftovers(&l) && check_missing(&l) && bind_head(&l, tie);
    names_free(&l.names);
    return ok;
}
