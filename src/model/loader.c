/* loader.c - binds the tensors of a file to the parts of a GPT-2 (tensor_schema.h).
 *
 * What that table does not know is of three kinds: buffers that hold no weights (the causal mask:
 * not used), other heads and unknown tensors (not used, with a note), and what is named like
 * GPT-2's own weights and would change the result (refused).
 *
 * Matrices stay in the mapping, and their pages are not touched here: opening a model takes the
 * same time whatever its size. Vectors, a thousandth of the weights, become F32, so that layer norm
 * and biases have one type. */
#include "model/loader.h"
#include "base/error_internal.h"
#include "model/blocks.h"
#include "model/packed_loader.h"
#include "model/tensor_index.h"
#include "model/tensor_schema.h"
#include "model/tie.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weights are used as the files have them");

static const char mismatch[] = "do config.json and the weights belong to the same model?";

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char wte_name[] = "wte.weight", head_name[] = "lm_head.weight";

struct loader {
    struct gpt2_model *model;
    struct tensor_index names;
    bool expand;
    struct blocks_matrix *blocks; /* [n_blocks] matrices to be made of blocks */
    size_t n_blocks;
    size_t n_missing;
    char missing[3][SPEC_NAME]; /* the first of them */
    struct gpt2_error *err;
};

static const char *path_of(const struct loader *l) {
    return l->model->tensors.path;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* ---- one tensor ---- */

/* "[768, 2304]" */
static const char *show_shape(char text[160], const int64_t *shape, int rank) {
    size_t n = (size_t)snprintf(text, 160, "[");
    for (int i = 0; i < rank && n < 160; i++)
        n += (size_t)snprintf(text + n, 160 - n, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (n < 160)
        snprintf(text + n, 160 - n, "]");
    return text;
}

static bool check_shape(const struct loader *l, const struct tensor_spec *spec,
                        const struct tensor *t) {
    const int64_t *shape = spec->shape;
    const int rank = spec->kind == SPEC_VECTOR ? 1 : 2;
    if (t->rank == rank && memcmp(t->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return true;
    char expected[160], found[160];
    error_set(l->err, GPT2_ERR_MODEL,
              "%s: tensor \"%s\" (%s): expected shape %s, which is [%s%s%s], found %s", path_of(l),
              t->name, spec->what, show_shape(expected, shape, rank), spec->dim[0],
              rank == 2 ? ", " : "", spec->dim[1], show_shape(found, t->shape, t->rank));
    if (rank == 2 && t->rank == 2 && t->shape[0] == shape[1] && t->shape[1] == shape[0])
        error_hint(l->err, "the file has its matrices [out, in]; GPT-2's are [in, out]: transpose "
                           "them, the square attn.c_proj too");
    else
        error_hint(l->err, mismatch);
    return false;
}

static bool read_dtype(enum dtype *out, const struct loader *l, const struct tensor *t) {
    return t->blocks || dtype_find(out, t->dtype) ||
           error_set(l->err, GPT2_ERR_MODEL,
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

static bool bind_blocks(struct loader *l, const struct tensor_spec *spec, const struct tensor *t) {
    struct matrix *matrix = spec->field;
    blocks_plan(matrix, spec, t, l->expand);
    l->blocks[l->n_blocks++] = (struct blocks_matrix){matrix, t, DTYPE_F32};
    return true;
}

/* Where the elements lie, aligned or not (the hub's own gpt2 is not); F64 is narrowed to F32. */
static bool bind_matrix(const struct loader *l, struct matrix *out, const struct tensor *t,
                        enum dtype dtype) {
    const enum layout layout = t->by_columns ? LAYOUT_COLUMNS : LAYOUT_ROWS;
    *out = (struct matrix){.data = t->data,
                           .dtype = dtype,
                           .layout = layout,
                           .rows = (int)t->shape[0],
                           .cols = (int)t->shape[1]};
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
    if (t->blocks)
        blocks_values(copy, t, (size_t)t->shape[0]);
    else
        dtype_to_f32(copy, t->data, dtype, (size_t)t->shape[0]);
    *out = copy;
    return true;
}

/* Binds one entry to its place in the model. */
static bool bind_entry(struct loader *l, const struct tensor_spec *spec,
                       struct tensor_entry *entry) {
    const struct tensor *t = entry->tensor;
    enum dtype dtype = DTYPE_F32;
    assert(!t->by_columns || spec->kind == SPEC_LINEAR);
    entry->bound = true;
    if (!check_shape(l, spec, t) || !read_dtype(&dtype, l, t) ||
        !(spec->kind == SPEC_VECTOR ? bind_vector(l, spec->field, t, dtype)
          : t->blocks               ? bind_blocks(l, spec, t)
                                    : bind_matrix(l, spec->field, t, dtype)))
        return false;
    struct gpt2_tensor_info *info = &l->model->infos[l->model->n_infos++];
    *info = tensor_schema_info(spec, entry->name, t->dtype, t->n_bytes);
    if (t->blocks && spec->kind != SPEC_VECTOR && spec->kind != SPEC_POSITIONS)
        tensor_schema_say_form(info, spec->field);
    return true;
}

/* Binds the tensors of all parts. One that is not in the file is remembered. */
static bool bind_tensors(struct loader *l) {
    const size_t n_tensors = tensor_schema_count(l->model);
    for (size_t i = 0; i < n_tensors; i++) {
        struct tensor_spec spec = tensor_schema_at(l->model, i);
        struct tensor_entry *entry = tensor_index_find(&l->names, spec.name);
        if (entry) {
            if (!bind_entry(l, &spec, entry))
                return false;
        } else if (l->n_missing++ < COUNT(l->missing)) {
            strcpy(l->missing[l->n_missing - 1], spec.name);
        }
    }
    return true;
}

static bool check_missing(const struct loader *l) {
    if (l->n_missing == 0)
        return true;
    char names[3 * (SPEC_NAME + 4)] = "", more[40] = "";
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
    struct tensor_entry *head = tensor_index_find(&l->names, head_name);
    if (!head || tensor_index_find(&l->names, wte_name) || tie == CONFIG_TIE_FALSE)
        return true;
    tensor_index_rename(&l->names, head, wte_name);
    return warnings_add(
        &l->model->notes, l->err,
        "the file has no \"wte.weight\": the tied \"lm_head.weight\" is used for both");
}

/* A vocabulary that was enlarged (tokens added) or padded (to a multiple of 64 or 128) after its
 * config.json was written: the file has rows for more tokens, and they are there. Ids without a
 * token in the tokenizer are never sampled. */
static bool enlarge_vocabulary(struct loader *l) {
    struct gpt2_config *config = &l->model->config;
    const struct tensor_entry *wte = tensor_index_find(&l->names, wte_name);
    const int64_t *shape = wte ? wte->tensor->shape : NULL;
    if (!wte || wte->tensor->rank != 2 || shape[1] != config->n_embd ||
        shape[0] <= config->n_vocab || shape[0] > CONFIG_MAX_VOCAB)
        return true;
    const int said = config->n_vocab;
    config->n_vocab = (int)shape[0];
    return warnings_add(
        &l->model->notes, l->err,
        "config.json says \"vocab_size\": %d, but \"wte.weight\" has %d rows: ids below "
        "%d are known",
        said, config->n_vocab, config->n_vocab);
}

/* As Hugging Face does since transformers 5: the head is wte unless the file has another one.
 */
static bool bind_head(struct loader *l, enum config_tie tie) {
    struct gpt2_model *model = l->model;
    struct tensor_entry *head = tensor_index_find(&l->names, head_name);
    model->head = model->wte;
    model->tie = HEAD_IS_WTE;
    if (!head)
        return tie != CONFIG_TIE_FALSE ||
               warnings_add(&model->notes, l->err,
                            "config.json says \"tie_word_embeddings\": false, but the file has no "
                            "\"lm_head.weight\": wte is the head");
    const struct tensor *a = tensor_index_find(&l->names, wte_name)->tensor, *b = head->tensor;
    const struct tensor_spec spec = tensor_schema_head(model);
    if (!check_shape(l, &spec, b))
        return false;
    const bool same_type = strcmp(a->dtype, b->dtype) == 0;
    // who is told nothing either way can wait for the answer; what is converted is there twice
    const bool later = tie == CONFIG_TIE_FALSE && same_type && model->wte.data == a->data;
    if (!later && same_type && memcmp(a->data, b->data, a->n_bytes) == 0)
        return true; // a copy
    model->tie = later ? HEAD_NOT_COMPARED : HEAD_IS_OWN;
    return bind_entry(l, &spec, head) &&
           (tie == CONFIG_TIE_FALSE ||
            warnings_add(
                &model->notes, l->err,
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
static enum leftover classify(const struct loader *l, const struct tensor_entry *entry) {
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
        const struct tensor_entry *entry = &l->names.entries[i];
        if (entry->bound || strcmp(entry->name, head_name) == 0)
            continue;
        enum leftover kind = classify(l, entry);
        if (kind == REFUSED)
            return false;
        if (counts[kind]++ == 0)
            first[kind] = entry->tensor->name;
    }
    struct warnings *notes = &l->model->notes;
    return (!counts[OTHER_HEAD] ||
            warnings_add(
                notes, l->err,
                "tensors of a head for another task are not used: %zu, the first is \"%s\"",
                counts[OTHER_HEAD], first[OTHER_HEAD])) &&
           (!counts[STRANGER] ||
            warnings_add(notes, l->err,
                         "tensors that are no part of GPT-2 are not used: %zu, the first is \"%s\"",
                         counts[STRANGER], first[STRANGER]));
}

/* ---- all of it ---- */

/* Makes what is in blocks; a tied head is what wte has become. */
static bool make_blocks(const struct loader *l) {
    struct gpt2_model *model = l->model;
    if (!blocks_make(model, l->blocks, l->n_blocks, l->err))
        return false;
    if (model->tie == HEAD_IS_WTE)
        model->head = model->wte;
    return true;
}

bool loader_bind(struct gpt2_model *model, enum config_tie tie, bool expand,
                 struct gpt2_error *err) {
    if (model->tensors.in_panels)
        return packed_loader_bind(model, expand,
                                  err); // whether there is a lm_head says what `tie` would
    struct loader l = {.model = model, .expand = expand, .err = err};
    const size_t n_layer = (size_t)model->config.n_layer;
    const size_t n_tensors = tensor_schema_count(model) + 1 /* head */;
    bool ok = (model->h = os_alloc(n_layer, sizeof *model->h, "blocks", err)) &&
              (model->infos = os_alloc(n_tensors, sizeof *model->infos, "tensors", err)) &&
              (model->converted = os_alloc(n_tensors, sizeof *model->converted, "tensors", err)) &&
              (l.blocks = os_alloc(n_tensors, sizeof *l.blocks, "tensors", err)) &&
              tensor_index_build(&l.names, &model->tensors, err) && find_wte(&l, tie) &&
              enlarge_vocabulary(&l) && bind_tensors(&l) && check_leftovers(&l) &&
              check_missing(&l) && bind_head(&l, tie) && make_blocks(&l);
    os_free(l.blocks);
    tensor_index_free(&l.names);
    return ok;
}
