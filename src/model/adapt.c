/* adapt.c - finds what an adapter changes, checks all of it, and merges it into the model.
 *
 * PEFT names a pair "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight" and ".lora_B",
 * that of an embedding "wte.lora_embedding_A", what is replaced as a whole by the parameter's own
 * name. Nothing is changed before everything is there: new weights are made beside the old ones. */
#include "model/adapt.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/path.h"
#include "kernels/panels.h"
#include "machine/runtime_internal.h"
#include "model/adapter_config.h"
#include "model/merge.h"
#include "model/tensor_index.h"
#include "model/tensor_schema.h"
#include "model/tie.h"
#include "weights/block_check.h"
#include "weights/containers.h"
#include "weights/gguf/ggml_type.h"
#include "weights/safetensors.h"
#include "weights/torch/torch.h"
#include <gpt2/lora.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct adaptation {
    char *path;
    double scale;
    int max_rank;
    size_t n_pairs, n_whole;
    char *made; /* [n_made] what took the place of weights; of os_alloc_huge */
    size_t n_made;
};

/* What changes of one tensor of the model. Pointers are NULL where the adapter has no such tensor.
 */
struct change {
    struct tensor_spec spec;
    const struct tensor *a, *b; /* of a pair            */
    const struct tensor *whole; /* the tensor itself    */
    const struct tensor *add;   /* the bias of a lora_B */
    double scale;               /* c of gpt2/lora.h  */
    float *now;                 /* what it becomes; of the adapter's `made` */
    double *u, *v;              /* the pair as merge.h takes it; of its `factors` */
};

struct adapter {
    struct gpt2_model *model;
    char *config_path, *weights_path;
    struct adapter_config config;
    struct tensors tensors;
    struct tensor_index names;
    struct change *changes; /* [n_changes] */
    size_t n_changes;
    char *made; /* [n_made], of os_alloc_huge */
    size_t n_made;
    double *factors; /* [n_factors], of os_alloc_huge */
    size_t n_factors;
    double scale;
    struct gpt2_error *err;
};

static const char wrapper[] = "base_model.model."; /* before the names of the base's tensors */

static const char other_base[] = "is the adapter for this model?";

/* ---- names ---- */

/* Removes a part of a name, ".default": PEFT's wrappers put such between GPT-2's. */
static void remove_part(char *name, const char *part) {
    const size_t n = strlen(part);
    for (char *p = strstr(name, part); p; p = strstr(p, part)) {
        if (p[n] == '.' || p[n] == 0)
            memmove(p, p + n, strlen(p + n) + 1);
        else
            p++;
    }
}

/* Gives the tensors their names without PEFT's wrappers. */
static bool index_names(struct adapter *ad) {
    for (size_t i = 0; i < ad->tensors.count; i++) {
        struct tensor *t = &ad->tensors.items[i];
        const size_t n = strlen(t->name) + 1;
        char *name = tensors_alloc(&ad->tensors, n, 1, "a name", ad->err);
        if (!name)
            return false;
        memcpy(name, t->name, n);
        if (strncmp(name, wrapper, sizeof wrapper - 1) == 0)
            memmove(name, name + sizeof wrapper - 1, n - (sizeof wrapper - 1));
        remove_part(name, ".base_layer");
        remove_part(name, ".modules_to_save");
        remove_part(name, ".default");
        t->name = name;
    }
    return tensor_index_build(&ad->names, &ad->tensors, ad->err);
}

/* The module that a tensor belongs to: its name without ".weight", ".bias". */
static void module_of(char module[SPEC_NAME], const struct tensor_spec *spec) {
    snprintf(module, SPEC_NAME, "%s", spec->name);
    *strrchr(module, '.') = 0;
}

/* Finds MODULE.END among the adapter's tensors. */
static const struct tensor *find(const struct adapter *ad, const char *module, const char *end) {
    char name[2 * SPEC_NAME];
    snprintf(name, sizeof name, "%s.%s", module, end);
    struct tensor_entry *entry = tensor_index_find(&ad->names, name);
    if (entry)
        entry->bound = true;
    return entry ? entry->tensor : NULL;
}

/* ---- checks ---- */

static bool check_shape(const struct adapter *ad, const struct tensor *t, int rank, int64_t rows,
                        int64_t cols) {
    char expected[80], found[80] = "[";
    enum dtype dtype;
    if (!dtype_find(&dtype, t->dtype))
        return error_set(ad->err, GPT2_ERR_MODEL,
                         "%s: tensor \"%s\": expected dtype F32, F16, BF16 or F64, found %s",
                         ad->weights_path, t->name, t->dtype);
    if (t->rank == rank && t->shape[0] == rows && (rank == 1 || t->shape[1] == cols))
        return true;
    if (rank == 1)
        snprintf(expected, sizeof expected, "[%" PRId64 "]", rows);
    else
        snprintf(expected, sizeof expected, "[%" PRId64 ", %" PRId64 "]", rows, cols);
    size_t n = 1;
    for (int i = 0; i < t->rank && n < sizeof found; i++)
        n +=
            (size_t)snprintf(found + n, sizeof found - n, "%s%" PRId64, i ? ", " : "", t->shape[i]);
    error_set(ad->err, GPT2_ERR_MODEL, "%s: tensor \"%s\": expected shape %s, found %s]",
              ad->weights_path, t->name, expected, found);
    return error_hint(ad->err, "%s", other_base);
}

/* Which side of W [rows, cols] A's columns are, and B's rows. */
static int64_t side_of_a(const struct tensor_spec *spec) {
    return spec->shape[spec->kind == SPEC_HEAD ? 1 : 0]; // lm_head is torch's [out, in]
}

static int64_t side_of_b(const struct tensor_spec *spec) {
    return spec->shape[spec->kind == SPEC_HEAD ? 0 : 1];
}

/* c of the pair whose lora_A this is, by the module's full name in PEFT's model. */
static bool read_scale(double *scale, const struct adapter *ad, const struct tensor *a) {
    char module[2 * SPEC_NAME];
    snprintf(module, sizeof module, "%.*s", (int)(strstr(a->name, ".lora_") - a->name), a->name);
    if (!adapter_config_scale(scale, &ad->config, module, (int)a->shape[0], ad->err))
        return false;
    *scale *= ad->scale;
    return true;
}

static bool refuse_half(const struct adapter *ad, const char *module, const struct tensor *found) {
    return error_set(ad->err, GPT2_ERR_MODEL,
                     "%s: expected a pair lora_A, lora_B for \"%s\", found only \"%s\"",
                     ad->weights_path, module, found->name);
}

/* [rank, in], [out, rank]. */
static bool check_pair(struct adapter *ad, struct change *change, const char *module) {
    const struct tensor *a = change->a, *b = change->b;
    if (!a || !b)
        return refuse_half(ad, module, a ? a : b);
    const bool has_rank = a->rank == 2 && a->shape[0] > 0 && a->shape[0] <= ADAPTER_MAX_RANK;
    const int64_t rank = has_rank ? a->shape[0] : 1;
    return check_shape(ad, a, 2, rank, side_of_a(&change->spec)) &&
           check_shape(ad, b, 2, side_of_b(&change->spec), rank) &&
           read_scale(&change->scale, ad, a);
}

/* The bias of a lora_B is scaled as its pair. */
static bool check_bias(struct adapter *ad, struct change *change, const char *module) {
    const struct tensor *a = find(ad, module, "lora_A.weight");
    if (!a || a->rank != 2 || a->shape[0] < 1 || a->shape[0] > ADAPTER_MAX_RANK)
        return refuse_half(ad, module, change->add);
    return check_shape(ad, change->add, 1, change->spec.shape[0], 1) &&
           read_scale(&change->scale, ad, a);
}

/* ---- what changes ---- */

static bool is_embedding(const struct tensor_spec *spec) {
    return spec->kind == SPEC_EMBEDDING || spec->kind == SPEC_POSITIONS;
}

static bool refuse_missing(const struct adapter *ad, const char *what, const char *name) {
    error_set(ad->err, GPT2_ERR_MODEL, "%s: expected tensors of \"%s\", which %s lists, found none",
              ad->weights_path, name, what);
    return error_hint(ad->err, "the two files of an adapter belong together");
}

/* Adds a tensor of the model to the list if the adapter changes it. */
static bool add_change(struct adapter *ad, const struct tensor_spec *spec) {
    struct change change = {.spec = *spec};
    char module[SPEC_NAME];
    module_of(module, spec);
    const bool vector = spec->kind == SPEC_VECTOR;
    change.whole = find(ad, module, strrchr(spec->name, '.') + 1);
    if (vector && strcmp(strrchr(spec->name, '.'), ".bias") == 0)
        change.add = find(ad, module, "lora_B.bias");
    if (!vector) {
        change.a = find(ad, module, is_embedding(spec) ? "lora_embedding_A" : "lora_A.weight");
        change.b = find(ad, module, is_embedding(spec) ? "lora_embedding_B" : "lora_B.weight");
        if (!change.a && !change.b && adapter_config_expects(&ad->config, module))
            return refuse_missing(ad, "target_modules", module);
    }
    if (!change.a && !change.b && !change.add && !change.whole)
        return true;
    if ((change.a || change.b) && !check_pair(ad, &change, module))
        return false;
    if (change.add && !check_bias(ad, &change, module))
        return false;
    if (change.whole &&
        !check_shape(ad, change.whole, vector ? 1 : 2, spec->shape[0], spec->shape[1]))
        return false;
    ad->changes[ad->n_changes++] = change;
    return true;
}

static bool find_changes(struct adapter *ad) {
    const size_t n = tensor_schema_count(ad->model);
    ad->changes = os_alloc(n + 1, sizeof *ad->changes, "the changes of an adapter", ad->err);
    bool ok = ad->changes != NULL;
    for (size_t i = 0; ok && i <= n; i++) {
        const struct tensor_spec spec =
            i < n ? tensor_schema_at(ad->model, i) : tensor_schema_head(ad->model);
        ok = add_change(ad, &spec);
    }
    if (ok && !ad->n_changes)
        return error_set(ad->err, GPT2_ERR_MODEL,
                         "%s: expected pairs lora_A, lora_B of GPT-2's layers, found none",
                         ad->weights_path);
    return ok;
}

/* Whether a name has the parts of another somewhere: "transformer.ln_f.weight" has "ln_f". */
static bool has_parts(const char *name, const char *parts) {
    const size_t n = strlen(parts);
    for (const char *p = strstr(name, parts); n && p; p = strstr(p + 1, parts))
        if ((p == name || p[-1] == '.') && (p[n] == '.' || p[n] == 0))
            return true;
    return false;
}

static bool check_saved(const struct adapter *ad) {
    const struct json *saved = json_get(ad->config.root, "modules_to_save");
    for (const struct json *node = json_first(saved); node; node = json_next(node)) {
        const char *name = "";
        bool found = false;
        json_string(node, &name);
        for (size_t i = 0; !found && i < ad->tensors.count; i++)
            found = has_parts(ad->tensors.items[i].name, name) &&
                    !strstr(ad->tensors.items[i].name, ".lora_");
        if (!found)
            return refuse_missing(ad, "modules_to_save", name);
    }
    return true;
}

/* Tensors without a place in the model: those of another head have no effect, the causal mask is no
 * weight, and the rest is refused. */
static bool check_leftovers(const struct adapter *ad) {
    static const char *const other_heads[] = {"score.", "classifier.", "multiple_choice_head.",
                                              "qa_outputs.", "v_head."};
    const char *other_head = NULL;
    for (size_t i = 0; i < ad->names.count; i++) {
        const struct tensor_entry *entry = &ad->names.entries[i];
        bool skip = entry->bound || (entry->tensor->rank == 4 && strstr(entry->name, ".attn.bias"));
        for (size_t k = 0; !skip && k < sizeof other_heads / sizeof *other_heads; k++)
            if (strncmp(entry->name, other_heads[k], strlen(other_heads[k])) == 0) {
                other_head = entry->tensor->name;
                skip = true;
            }
        if (!skip)
            return error_set(ad->err, GPT2_ERR_MODEL,
                             "%s: tensor \"%s\": expected lora_A, lora_B or a weight of this "
                             "model, found %s",
                             ad->weights_path, entry->tensor->name,
                             strstr(entry->name, "magnitude") ? "a magnitude: this is DoRA"
                                                              : "another");
    }
    return !other_head ||
           warnings_add(&ad->model->notes, ad->err,
                        "%s: tensors of a head for another task are not used: \"%s\"",
                        ad->weights_path, other_head);
}

static bool check_plain(const struct gpt2_model *model, struct gpt2_error *err) {
    for (size_t i = 0; i <= tensor_schema_count(model); i++) {
        const struct tensor_spec spec =
            i < tensor_schema_count(model) ? tensor_schema_at(model, i) : tensor_schema_head(model);
        const struct matrix *m = spec.field;
        if (spec.kind == SPEC_VECTOR || !dtype_is_quantized(m->dtype))
            continue;
        error_set(err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected F32, F16 or BF16 weights, to which an adapter can "
                  "be added, found %s",
                  model->tensors.path, spec.name,
                  m->blocks ? m->blocks->name : dtype_name(m->dtype));
        if (m->blocks)
            return error_hint(err, "--expand makes F32 of them, to which it can");
        return error_hint(err, "first `gpt2 convert -m BASE --lora DIR -o MERGED` with the model "
                               "that it was made from, then `gpt2 quantize MERGED`");
    }
    return true;
}

/* ---- merging ---- */

/* The matrices of the blocks become panels, in the memory that relocate.h would move them to. */
static enum layout layout_of(const struct change *change) {
    return change->spec.kind == SPEC_LINEAR ? LAYOUT_PANELS : LAYOUT_ROWS;
}

/* Of the tensor itself. */
static size_t bytes_of(const struct change *change) {
    return (size_t)change->spec.shape[0] * (size_t)change->spec.shape[1] * sizeof(float);
}

/* Of its `now`, with what fills up a cache line or the last panel. */
static size_t bytes_now(const struct change *change) {
    const size_t rows = (size_t)change->spec.shape[0];
    if (layout_of(change) == LAYOUT_PANELS)
        return (size_t)panels_count((int)change->spec.shape[1]) * PANEL * rows * sizeof(float);
    return (bytes_of(change) + 63) / 64 * 64;
}

static size_t u_count(const struct change *change) {
    return ((size_t)change->spec.shape[0] * (size_t)change->a->shape[0] + 7) / 8 * 8;
}

static size_t v_count(const struct change *change) {
    return merge_v_count((int)change->a->shape[0], (int)change->spec.shape[1]);
}

/* Memory for everything that changes, and for the factors of the pairs. */
static bool alloc_all(struct adapter *ad) {
    for (size_t i = 0; i < ad->n_changes; i++) {
        const struct change *change = &ad->changes[i];
        ad->n_made += bytes_now(change);
        ad->n_factors += change->a ? u_count(change) + v_count(change) : 0;
    }
    ad->made = os_alloc_huge(ad->n_made, "an adapter's weights", ad->err);
    if (ad->made && ad->n_factors)
        ad->factors =
            os_alloc_huge(ad->n_factors * sizeof *ad->factors, "an adapter's matrices", ad->err);
    if (!ad->made || (ad->n_factors && !ad->factors))
        return false;
    char *made = ad->made;
    double *factors = ad->factors;
    for (size_t i = 0; i < ad->n_changes; i++) {
        struct change *change = &ad->changes[i];
        change->now = (float *)(void *)made;
        made += bytes_now(change);
        if (!change->a)
            continue;
        change->v = factors;
        change->u = factors + v_count(change);
        factors = change->u + u_count(change);
    }
    return true;
}

/* Reads u (an even task) or v of a change: rows of W are A's inputs, or of lm_head B's outputs. */
static void read_factor(void *arg, int task, int worker) {
    const struct change *change = &((struct adapter *)arg)->changes[task / 2];
    const bool head = change->spec.kind == SPEC_HEAD;
    if (!change->a)
        return;
    if (task % 2 == 0)
        merge_read_factor(change->u, head ? change->b : change->a, !head, false);
    else
        merge_read_factor(change->v, head ? change->a : change->b, !head, true);
}

static struct merge merge_of(const struct change *change) {
    struct merge merge = {
        .out = change->now, .layout = layout_of(change), .u = change->u, .v = change->v};
    if (change->a) {
        merge.rank = (int)change->a->shape[0];
        merge.scale = change->scale;
    }
    if (change->whole) {
        merge.from = (struct matrix){.data = change->whole->data,
                                     .rows = (int)change->spec.shape[0],
                                     .cols = (int)change->spec.shape[1]};
        dtype_find(&merge.from.dtype, change->whole->dtype);
    } else {
        merge.from = *(const struct matrix *)change->spec.field;
    }
    return merge;
}

static bool make_matrices(struct adapter *ad, struct gpt2_runtime *runtime) {
    struct merge *merges =
        os_alloc(ad->n_changes, sizeof *merges, "the matrices to merge", ad->err);
    struct pool *pool = runtime ? runtime->pool : NULL;
    size_t n = 0;
    for (size_t i = 0; merges && i < ad->n_changes; i++)
        if (ad->changes[i].spec.kind != SPEC_VECTOR)
            merges[n++] = merge_of(&ad->changes[i]);
    if (merges) {
        pool_run(pool, 2 * (int)ad->n_changes, read_factor, ad);
        merge_all(merges, n, runtime ? runtime->kernels : kernels_select(NULL), pool);
    }
    os_free(merges);
    return merges != NULL;
}

static void read_whole(float *out, const struct tensor *t) {
    enum dtype dtype = DTYPE_F32;
    dtype_find(&dtype, t->dtype);
    dtype_to_f32(out, t->data, dtype, t->n_bytes / dtype_size(dtype));
}

static bool make_vector(struct adapter *ad, struct change *change) {
    const size_t n = (size_t)change->spec.shape[0];
    if (change->whole)
        read_whole(change->now, change->whole);
    else
        memcpy(change->now, *(const float *const *)change->spec.field, n * sizeof *change->now);
    if (!change->add)
        return true;
    float *add = os_alloc(n, sizeof *add, "an adapter's bias", ad->err);
    if (add) {
        read_whole(add, change->add);
        merge_vector(change->now, add, change->scale, n);
    }
    os_free(add);
    return add != NULL;
}

static bool make_all(struct adapter *ad, struct gpt2_runtime *runtime) {
    bool ok = alloc_all(ad) && make_matrices(ad, runtime);
    for (size_t i = 0; ok && i < ad->n_changes; i++)
        ok = ad->changes[i].spec.kind != SPEC_VECTOR || make_vector(ad, &ad->changes[i]);
    return ok;
}

/* ---- putting it in place ---- */

static const struct change *change_of(const struct adapter *ad, const char *name) {
    for (size_t i = 0; i < ad->n_changes; i++)
        if (strcmp(ad->changes[i].spec.name, name) == 0)
            return &ad->changes[i];
    return NULL;
}

/* Whether an adapter of a tied model keeps it so: both were saved whole, as one matrix. */
static bool stays_tied(const struct change *wte, const struct change *head) {
    if (!wte || !head)
        return !wte && !head;
    return wte->whole && head->whole && !wte->a && !head->a &&
           memcmp(wte->now, head->now, bytes_of(wte)) == 0;
}

static bool part_head(struct adapter *ad) {
    struct gpt2_model *model = ad->model;
    const struct change *wte = change_of(ad, "wte.weight"), *head = change_of(ad, "lm_head.weight");
    if (model->tie != HEAD_IS_WTE || stays_tied(wte, head))
        return true;
    if (!warnings_add(&model->notes, ad->err, "%s changes %s; %s: from here on the head is not wte",
                      ad->weights_path,
                      !head  ? "wte"
                      : !wte ? "lm_head"
                             : "wte and lm_head",
                      wte && head ? "each has its own" : "the other stays as it was"))
        return false;
    const struct tensor_spec spec = tensor_schema_head(model);
    const struct matrix *m = &model->wte; // as yet the head's numbers
    model->infos[model->n_infos++] =
        tensor_schema_info(&spec, "lm_head.weight", dtype_name(m->dtype),
                           (size_t)m->rows * (size_t)m->cols * dtype_size(m->dtype));
    model->tie = HEAD_IS_OWN;
    return true;
}

static void put(struct gpt2_model *model, const struct change *change) {
    if (change->spec.kind == SPEC_VECTOR)
        *(const float **)change->spec.field = change->now;
    else
        *(struct matrix *)change->spec.field = (struct matrix){.data = change->now,
                                                               .dtype = DTYPE_F32,
                                                               .layout = layout_of(change),
                                                               .rows = (int)change->spec.shape[0],
                                                               .cols = (int)change->spec.shape[1]};
    for (size_t i = 0; i < model->n_infos; i++)
        if (strcmp(model->infos[i].name, change->spec.name) == 0)
            model->infos[i] =
                tensor_schema_info(&change->spec, model->infos[i].name, "F32", bytes_of(change));
}

/* The adapter joins the model's list. Nothing can fail after this. */
static bool put_all(struct adapter *ad, const char *path) {
    struct gpt2_model *model = ad->model;
    struct adaptation entry = {.scale = ad->scale};
    const size_t n_bytes = (model->n_adaptations + 1) * sizeof entry;
    struct adaptation *list = realloc(model->adaptations, n_bytes);
    if (!list)
        return error_memory(ad->err, "the list of adapters", n_bytes);
    model->adaptations = list;
    entry.path = strdup(path);
    if (!entry.path)
        return error_memory(ad->err, "an adapter's name", strlen(path) + 1);
    if (!part_head(ad)) {
        free(entry.path);
        return false;
    }
    for (size_t i = 0; i < ad->n_changes; i++) {
        struct change *change = &ad->changes[i];
        const int rank = change->a ? (int)change->a->shape[0] : 0;
        entry.max_rank = rank > entry.max_rank ? rank : entry.max_rank;
        entry.n_pairs += change->a != NULL;
        entry.n_whole += change->whole != NULL;
        put(model, change);
    }
    entry.made = ad->made;
    entry.n_made = ad->n_made;
    ad->made = NULL;
    if (model->tie == HEAD_IS_WTE)
        model->head = model->wte;
    model->adaptations[model->n_adaptations++] = entry;
    return true;
}

/* ---- files ---- */

static bool refuse_path(const char *path, struct gpt2_error *err) {
    struct given given;
    if (!containers_identify(&given, path, err))
        return false;
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected the folder of a LoRA adapter, with adapter_config.json, found %s", path,
              given.format ? given.format->what : "a folder without it");
    if (given.format && strcmp(given.format->what, "a GGUF file") == 0)
        error_hint(err, "llama.cpp's adapters are made from such a folder: give that");
    containers_close(&given);
    return false;
}

/* The folder of an adapter, to be freed: `path`, or where it is one of an adapter's files, theirs.
 */
static char *find_folder(const char *path, struct gpt2_error *err) {
    bool is_directory;
    if (!look_is_directory(&is_directory, path, GPT2_ERR_MODEL, err))
        return NULL;
    return !is_directory && strncmp(path_name(path), "adapter_", 8) == 0
               ? path_directory(path, err)
               : path_without_slash(path, err);
}

static bool find_files(struct adapter *ad, const char *path) {
    char *folder = find_folder(path, ad->err);
    bool ok = folder && (ad->config_path = path_join(folder, "adapter_config.json", ad->err)) &&
              (ad->weights_path = path_join(folder, "adapter_model.safetensors", ad->err));
    bool exists;
    ok = ok && look_exists(&exists, ad->config_path, GPT2_ERR_MODEL, ad->err) &&
         (exists || refuse_path(path, ad->err)) &&
         look_exists(&exists, ad->weights_path, GPT2_ERR_MODEL, ad->err);
    if (ok && !exists) { // PEFT before 0.7
        free(ad->weights_path);
        ad->weights_path = path_join(folder, "adapter_model.bin", ad->err);
        ok = ad->weights_path && look_exists(&exists, ad->weights_path, GPT2_ERR_MODEL, ad->err) &&
             (exists || error_set(ad->err, GPT2_ERR_MODEL,
                                  "%s: expected adapter_model.safetensors or adapter_model.bin "
                                  "beside adapter_config.json, found neither",
                                  folder));
    }
    free(folder);
    return ok;
}

static bool read_config(struct adapter *ad) {
    struct os_file file;
    if (!os_map(&file, ad->config_path, GPT2_ERR_MODEL, ad->err))
        return false;
    const bool ok = adapter_config_parse(&ad->config, &ad->model->notes, (const char *)file.data,
                                         file.size, ad->config_path, ad->err);
    os_unmap(&file);
    return ok;
}

static bool read_weights(struct adapter *ad) {
    const bool torch = path_matches(ad->weights_path, "*.bin");
    return tensors_open(&ad->tensors, ad->weights_path, torch ? torch_parse : safetensors_parse,
                        ad->err);
}

static void adapter_close(struct adapter *ad) {
    os_free_huge(ad->made, ad->n_made);
    os_free_huge(ad->factors, ad->n_factors * sizeof *ad->factors);
    os_free(ad->changes);
    tensor_index_free(&ad->names);
    tensors_close(&ad->tensors);
    adapter_config_free(&ad->config);
    free(ad->config_path);
    free(ad->weights_path);
}

/* The weights that are read here are compared with their checksums first. */
static bool check_data(const struct gpt2_model *model, const struct gpt2_runtime *runtime,
                       struct gpt2_error *err) {
    if (!model->check)
        return true;
    return runtime ? block_check_finish(model->check, runtime->pool, err)
                   : block_check_all(&model->tensors, err);
}

/* ---- the interface ---- */

bool gpt2_model_adapt(struct gpt2_model *model, const char *path, double scale,
                      struct gpt2_runtime *runtime, struct gpt2_error *err) {
    struct adapter ad = {.model = model, .scale = scale, .err = err};
    if (!isfinite(scale))
        return error_set(err, GPT2_ERR_USAGE, "%s: expected a finite scale, got %g", path, scale);
    if (model->move)
        return error_set(err, GPT2_ERR_USAGE,
                         "%s: expected a model whose weights are not moved yet", path);
    tie_settle(model);
    const bool ok = find_files(&ad, path) && read_config(&ad) && read_weights(&ad) &&
                    index_names(&ad) && check_plain(model, err) && find_changes(&ad) &&
                    check_saved(&ad) && check_leftovers(&ad) && check_data(model, runtime, err) &&
                    make_all(&ad, runtime) && put_all(&ad, path);
    adapter_close(&ad);
    return ok;
}

bool adapt_made(const struct gpt2_model *model, const void *data) {
    for (size_t i = 0; i < model->n_adaptations; i++) {
        const struct adaptation *entry = &model->adaptations[i];
        if ((const char *)data >= entry->made && (const char *)data < entry->made + entry->n_made)
            return true;
    }
    return false;
}

bool gpt2_model_adapter(const struct gpt2_model *model, size_t i, struct gpt2_adapter_info *info) {
    if (i >= model->n_adaptations)
        return false;
    const struct adaptation *entry = &model->adaptations[i];
    *info = (struct gpt2_adapter_info){entry->path, entry->scale, entry->max_rank, entry->n_pairs,
                                       entry->n_whole};
    return true;
}

void adapt_free(struct gpt2_model *model) {
    for (size_t i = 0; i < model->n_adaptations; i++) {
        struct adaptation *entry = &model->adaptations[i];
        os_free_huge(entry->made, entry->n_made);
        free(entry->path);
    }
    free(model->adaptations);
}
