/* quantize.c - a packed file from a model: panel after panel, in the order of the file. The pool
 * makes a batch of panels, the caller writes them; memory is a few panels, whatever the model, and
 * with calibration what calibrate.h says. */
#include <gpt2/quantize.h>

#include "base/error_internal.h"
#include "base/os.h"
#include "export/calibrate.h"
#include "export/quantize_panel.h"
#include "machine/runtime_internal.h"
#include "model/config.h"
#include "model/packed_form.h"
#include "model/packed_loader.h"
#include "weights/packed.h"
#include "weights/packed_writer.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_PER_UNIT 8     /* of calibration: about as much work as a unit */
#define UNIT_ROWS       PANEL /* of a matrix that stays in rows: what is made at a time */
#define BATCH_UNITS     4     /* for each thread, so that none waits long for the others */

static const enum dtype dtype_of[] = {[GPT2_F16] = DTYPE_F16,
                                      [GPT2_BF16] = DTYPE_BF16,
                                      [GPT2_Q8] = DTYPE_Q8,
                                      [GPT2_Q4] = DTYPE_Q4,
                                      [GPT2_F32] = DTYPE_F32};
static const char *const type_names[] = {[GPT2_F16] = "f16",
                                         [GPT2_BF16] = "bf16",
                                         [GPT2_Q8] = "q8",
                                         [GPT2_Q4] = "q4",
                                         [GPT2_F32] = "f32"};

#define N_TYPES (GPT2_AS_IS + 1)

/* A tensor of the file that is made from the model. A unit is a panel, UNIT_ROWS rows, or a vector.
 */
struct quantized_tensor {
    struct tensor_spec spec;
    enum dtype dtype;
    enum layout layout;
    size_t n_units;
    size_t unit_bytes; /* of all units but the last, which may be shorter where layout is rows */
    size_t n_bytes;
    char form[PACKED_FORM]; /* of a quantized one, in the header */
};

/* The work on one file. */
struct quantization {
    const struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    const struct gpt2_quantize_options *options;
    struct gpt2_error *err;
    struct quantized_tensor *items; /* [n_items] in the order of the file */
    size_t n_items;
    size_t done, total; /* units */

    size_t inputs, outputs; /* the most of any matrix  */
    size_t unit;            /* bytes of the largest    */
    float **scratch;        /* [threads][(PANEL + 1) * inputs] a unit's weights, and a column */
    size_t batch;           /* units */
    char *made;             /* [batch * unit] */
    bool *bad;              /* [batch] units with a weight that does not fit */
    size_t first;           /* the first unit of the batch */
    const struct quantized_tensor *item;

    struct calibration *calibration; /* NULL: without */
    struct error_metric *metrics;    /* [groups of `inputs`] of the item's inputs */
    const float *mean;               /* of the item's inputs; NULL: no bias takes up errors */
    float *shift;                    /* [outputs] what the item's bias takes up */

    const char *path; /* of the file; NULL: it is made in memory, */
    void *memory;     /* [n_memory] and is here then              */
    size_t n_memory;
};

/* ---- what becomes what ---- */

/* Where wte is the head too it is read for every token, as a linear layer is. Where it is not, only
 * single rows of it are looked up, which costs nothing, so they are kept precise.
 * The head and embeddings of a Q4 model are Q8: every error in them goes straight into the logits,
 * where those of the blocks are diluted by the residual stream. */
static void choose_type(struct quantized_tensor *item, const struct quantization *w) {
    item->layout = LAYOUT_ROWS;
    if (item->spec.kind == SPEC_VECTOR) {
        item->dtype = DTYPE_F32;
        return;
    }
    const struct matrix *source = item->spec.field;
    const bool as_is = w->options->type == GPT2_AS_IS;
    const enum dtype type = as_is ? source->dtype : dtype_of[w->options->type];
    if (as_is && dtype_is_quantized(type)) {
        item->dtype = type;
        item->layout = LAYOUT_PANELS;
        return;
    }
    if (item->spec.kind == SPEC_POSITIONS) {
        item->dtype = source->dtype;
    } else if (item->spec.kind == SPEC_LINEAR) {
        item->dtype = type;
        item->layout = LAYOUT_PANELS;
    } else if (!dtype_is_quantized(type)) {
        item->dtype = type;
    } else if (item->spec.kind == SPEC_EMBEDDING && !gpt2_model_head_is_tied(w->model)) {
        item->dtype = source->dtype == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F16;
    } else {
        item->dtype = DTYPE_Q8;
        item->layout = LAYOUT_PANELS;
    }
}

static bool add_item(struct quantization *w, struct tensor_spec spec) {
    struct quantized_tensor *item = &w->items[w->n_items++];
    struct tensor t = {0};
    item->spec = spec;
    if (spec.kind != SPEC_VECTOR) {
        const struct matrix *source = spec.field;
        if (dtype_is_quantized(source->dtype) && w->options->type != GPT2_AS_IS) {
            error_set(w->err, GPT2_ERR_MODEL,
                      "%s: tensor \"%s\": expected F32, F16 or BF16 weights, found %s: they are "
                      "quantized already",
                      w->model->tensors.path, spec.name,
                      source->blocks ? source->blocks->name : dtype_name(source->dtype));
            return error_hint(w->err, source->blocks ? "leave --type out to keep them as they are; "
                                                       "--expand makes F32 of them first"
                                                     : "use the model that it was made from");
        }
    }
    choose_type(item, w);
    if (dtype_is_quantized(item->dtype))
        packed_form_print(item->form, item->dtype, ((const struct matrix *)spec.field)->blocks);
    packed_loader_shape(&t, &spec, item->dtype, item->layout);
    item->n_bytes = t.n_bytes;
    if (spec.kind == SPEC_VECTOR) {
        item->n_units = 1;
        item->unit_bytes = t.n_bytes;
    } else if (item->layout == LAYOUT_ROWS) {
        item->n_units = (size_t)panels_count((int)spec.shape[0]);
        item->unit_bytes = UNIT_ROWS * (size_t)spec.shape[1] * dtype_size(item->dtype);
    } else {
        item->n_units = (size_t)panels_count(tensor_schema_outputs(&spec));
        item->unit_bytes = panel_bytes(item->dtype, tensor_schema_inputs(&spec));
    }
    w->total += item->n_units;
    return true;
}

/* All tensors, in the order in which a pass reads them: wte comes last where it is the head. */
static bool list_items(struct quantization *w) {
    const size_t n_specs = tensor_schema_count(w->model);
    w->items = os_alloc(n_specs + 1, sizeof *w->items, "tensors", w->err);
    if (!w->items)
        return false;
    struct tensor_spec last = tensor_schema_head(w->model);
    for (size_t i = 0; i < n_specs; i++) {
        struct tensor_spec spec = tensor_schema_at(w->model, i);
        if (spec.kind == SPEC_EMBEDDING && gpt2_model_head_is_tied(w->model))
            last = spec;
        else if (!add_item(w, spec))
            return false;
    }
    return add_item(w, last);
}

/* ---- one unit ---- */

/* How many outputs or rows unit i has. */
static int unit_width(const struct quantized_tensor *item, size_t i) {
    int64_t n =
        item->layout == LAYOUT_ROWS ? item->spec.shape[0] : tensor_schema_outputs(&item->spec);
    int64_t left = n - (int64_t)i * PANEL;
    return left < PANEL ? (int)left : PANEL;
}

/* weights [K, PANEL] = the outputs of panel i, zeros after the last. */
static void load_panel(float *weights, float *row, const struct quantization *w, size_t i) {
    const struct quantized_tensor *item = w->item;
    const struct matrix *source = item->spec.field;
    const size_t K = (size_t)tensor_schema_inputs(&item->spec), size = dtype_size(source->dtype);
    const size_t n = (size_t)unit_width(item, i), cols = (size_t)source->cols;
    const char *data = source->data;
    assert(K <= w->inputs && n <= PANEL);
    void (*to_f32)(float *, const void *, size_t) = w->runtime->kernels->to_f32[source->dtype];
    if (source->layout == LAYOUT_PANELS) {
        to_f32(weights, data + i * panel_bytes(source->dtype, (int)K), K * PANEL);
        return;
    }
    memset(weights, 0, K * PANEL * sizeof *weights);
    if (item->spec.kind == SPEC_LINEAR && source->layout == LAYOUT_ROWS) {
        for (size_t k = 0; k < K; k++)
            to_f32(weights + k * PANEL, data + (k * cols + i * PANEL) * size, n);
        return;
    }
    for (size_t c = 0; c < n; c++) { // the inputs of an output lie side by side
        to_f32(row, data + (i * PANEL + c) * K * size, K);
        for (size_t k = 0; k < K; k++)
            weights[k * PANEL + c] = row[k];
    }
}

/* weights = the rows of unit i, one after the other; returns how many elements. */
static size_t load_rows(float *weights, const struct quantization *w, size_t i) {
    const struct matrix *source = w->item->spec.field;
    const size_t cols = (size_t)source->cols, n = (size_t)unit_width(w->item, i) * cols;
    const char *data = source->data;
    assert(n <= PANEL * w->inputs);
    w->runtime->kernels->to_f32[source->dtype](
        weights, data + i * UNIT_ROWS * cols * dtype_size(source->dtype), n);
    return n;
}

/* To the nearest, ties to even. False where a value is not finite or becomes infinite. */
static bool encode(void *out, enum dtype dtype, const float *values, size_t n) {
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        uint16_t bits = 0;
        switch (dtype) {
        case DTYPE_F16:
            bits = dtype_f32_to_f16(values[i]);
            ok &= (bits & 0x7C00) != 0x7C00;
            memcpy((char *)out + 2 * i, &bits, 2);
            break;
        case DTYPE_BF16:
            bits = dtype_f32_to_bf16(values[i]);
            ok &= (bits & 0x7F80) != 0x7F80;
            memcpy((char *)out + 2 * i, &bits, 2);
            break;
        default:
            ok &= isfinite(values[i]) != 0;
            memcpy((char *)out + 4 * i, &values[i], 4);
        }
    }
    return ok;
}

static bool fits(enum dtype dtype, float value) {
    char bytes[4];
    return dtype_is_quantized(dtype) ? fabsf(value) <= QUANTIZE_PANEL_MAX
                                     : encode(bytes, dtype, &value, 1);
}

/* shift[c] = mean . (weights - panel) of output c: what its error is on average. The column after
 * the weights in scratch is free. */
static void find_shift(float *shift, const float *mean, float *weights, const void *panel,
                       enum dtype dtype, int K, int n) {
    float *column = weights + (size_t)K * PANEL;
    for (int c = 0; c < n; c++) {
        double sum = 0;
        panels_column(column, panel, dtype, c, K);
        for (int k = 0; k < K; k++)
            sum += (double)mean[k] * (weights[(size_t)k * PANEL + (size_t)c] - column[k]);
        shift[c] = (float)sum;
    }
}

/* Quantized before: its panels are those of the file. */
static bool is_kept(const struct quantized_tensor *item) {
    return item->spec.kind != SPEC_VECTOR &&
           dtype_is_quantized(((const struct matrix *)item->spec.field)->dtype);
}

static void make_unit(void *arg, int index, int worker) {
    struct quantization *w = arg;
    const struct quantized_tensor *item = w->item;
    const size_t i = w->first + (size_t)index;
    char *out = w->made + (size_t)index * item->unit_bytes;
    float *weights = w->scratch[worker];
    const int K = tensor_schema_inputs(&item->spec);
    assert((size_t)index < w->batch && item->unit_bytes <= w->unit);
    bool ok = true;
    if (is_kept(item)) {
        memcpy(out,
               (const char *)((const struct matrix *)item->spec.field)->data + i * item->unit_bytes,
               item->unit_bytes);
    } else if (item->layout == LAYOUT_ROWS) {
        size_t n = load_rows(weights, w, i);
        ok = encode(out, item->dtype, weights, n);
    } else {
        load_panel(weights, weights + (size_t)K * PANEL, w, i);
        const int n = unit_width(item, i);
        ok = dtype_is_quantized(item->dtype) ? quantize_panel(out, item->dtype, weights, PANEL, K,
                                                              n, w->calibration ? w->metrics : NULL)
                                             : encode(out, item->dtype, weights, (size_t)K * PANEL);
        assert(!w->mean || i * PANEL + (size_t)n <= w->outputs);
        if (ok && w->mean)
            find_shift(w->shift + i * PANEL, w->mean, weights, out, item->dtype, K, n);
    }
    w->bad[index] = !ok;
}

/* Says which weight of unit i does not fit, and where it is in the model's tensor. */
static bool refuse_unit(const struct quantization *w, size_t i) {
    const struct quantized_tensor *item = w->item;
    const struct tensor_spec *spec = &item->spec;
    float *weights = w->scratch[0];
    size_t n = (size_t)tensor_schema_inputs(spec) * PANEL, width = PANEL;
    if (item->layout == LAYOUT_ROWS) {
        n = load_rows(weights, w, i);
        width = (size_t)spec->shape[1];
    } else {
        load_panel(weights, weights + n, w, i);
    }
    size_t at = 0;
    while (at + 1 < n && fits(item->dtype, weights[at]))
        at++;
    size_t row = at / width, col = at % width; // of what was loaded
    if (item->layout == LAYOUT_ROWS) {
        row += i * UNIT_ROWS;
    } else if (spec->kind == SPEC_LINEAR) {
        col += i * PANEL;
    } else { // an output is a row
        size_t output = col + i * PANEL;
        col = row;
        row = output;
    }
    error_set(w->err, GPT2_ERR_MODEL,
              "%s: tensor \"%s\": expected weights that fit %s, found %g at [%zu, %zu]",
              w->model->tensors.path, spec->name, dtype_name(item->dtype), (double)weights[at], row,
              col);
    return error_hint(w->err, isfinite(weights[at]) && !dtype_is_quantized(item->dtype)
                                  ? "--type bf16 has the range of F32"
                                  : "the model is damaged, or its training went wrong");
}

static bool report(struct quantization *w, size_t n_done) {
    const struct gpt2_quantize_options *options = w->options;
    w->done += n_done;
    return !options->progress || options->progress(options->user, w->done, w->total) ||
           error_set(w->err, GPT2_ERR_RUNTIME, "quantizing was interrupted");
}

/* ---- calibration ---- */

static bool report_tokens(void *user, size_t n_tokens) {
    struct quantization *w = user;
    w->done = n_tokens / TOKENS_PER_UNIT;
    return report(w, 0);
}

static bool calibrate_work(struct quantization *w) {
    const struct gpt2_quantize_options *options = w->options;
    if (options->n_calibration == 0 || (options->type != GPT2_Q8 && options->type != GPT2_Q4))
        return true;
    w->total += options->n_calibration / TOKENS_PER_UNIT;
    w->calibration = calibrate(w->model, w->runtime, options->calibration, options->n_calibration,
                               report_tokens, w, w->err);
    return w->calibration != NULL;
}

/* ---- the file ---- */

/* A bias comes after its matrix in the file, and takes up the average error of quantizing it. */
static bool write_vector(struct quantization *w, struct packed_writer *file,
                         const struct quantized_tensor *item) {
    const float *values = *(const float *const *)item->spec.field;
    const size_t n = item->n_bytes / sizeof *values;
    assert(!w->mean || n <= w->outputs);
    for (size_t i = 0; w->mean && i < n; i++)
        w->shift[i] += values[i];
    bool ok = packed_write(file, w->mean ? w->shift : values, item->n_bytes, w->err);
    w->mean = NULL;
    return ok && report(w, 1);
}

/* Gets ready to weigh the errors of a matrix. */
static void weigh_item(struct quantization *w, const struct quantized_tensor *item) {
    const struct moments *moments = calibrate_moments(w->calibration, item->spec.field);
    assert((size_t)moments->K <= w->inputs);
    w->mean = item->spec.kind == SPEC_LINEAR ? moments->mean : NULL;
    for (int g = 0; g < panels_groups(item->dtype, moments->K); g++) {
        const int first = g * GROUP, left = moments->K - first;
        error_metric_of(&w->metrics[g], moments->second + (size_t)g * GROUP * GROUP,
                        w->mean ? w->mean + first : NULL, left < GROUP ? left : GROUP);
    }
}

static bool write_item(struct quantization *w, struct packed_writer *file,
                       const struct quantized_tensor *item) {
    w->item = item;
    if (item->spec.kind == SPEC_VECTOR)
        return write_vector(w, file, item);
    if (w->calibration && dtype_is_quantized(item->dtype))
        weigh_item(w, item);
    for (w->first = 0; w->first < item->n_units; w->first += w->batch) {
        size_t n = item->n_units - w->first, begin = w->first * item->unit_bytes;
        if (n > w->batch)
            n = w->batch;
        pool_run(w->runtime->pool, (int)n, make_unit, w);
        for (size_t i = 0; i < n; i++)
            if (w->bad[i])
                return refuse_unit(w, w->first + i);
        size_t n_bytes = item->n_bytes - begin;
        if (n_bytes > n * item->unit_bytes)
            n_bytes = n * item->unit_bytes;
        if (!packed_write(file, w->made, n_bytes, w->err) || !report(w, n))
            return false;
    }
    return true;
}

/* What most of the file is: of a model that is kept, the type of its first layer, as "q4_k". */
static const char *type_name(char name[20], const struct quantization *w) {
    const struct matrix *first = &w->model->h[0].attn.c_attn.weight;
    if (w->options->type != GPT2_AS_IS)
        return type_names[w->options->type];
    snprintf(name, 20, "%s", first->blocks ? first->blocks->name : dtype_name(first->dtype));
    for (char *at = name; *at; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    return name;
}

static bool write_file(struct quantization *w, const char *config) {
    const struct gpt2_quantize_options *options = w->options;
    char name[20];
    struct tensor *tensors = os_alloc(w->n_items + 2, sizeof *tensors, "tensors", w->err);
    if (!tensors)
        return false;
    size_t n = 0;
    const size_t n_config = strlen(config), n_tokenizer = options->n_tokenizer;
    tensors[n++] = packed_bytes(PACKED_CONFIG, config, n_config);
    if (options->tokenizer)
        tensors[n++] = packed_bytes(PACKED_TOKENIZER, options->tokenizer, n_tokenizer);
    const size_t n_front = n;
    for (size_t i = 0; i < w->n_items; i++) {
        const struct quantized_tensor *item = &w->items[i];
        tensors[n].name = item->spec.name;
        tensors[n].note = item->form[0] ? item->form : NULL;
        packed_loader_shape(&tensors[n++], &item->spec, item->dtype, item->layout);
    }
    struct packed_writer file;
    bool ok = packed_writer_create(&file, w->path, type_name(name, w), tensors, n, w->err);
    for (size_t i = 0; ok && i < n_front; i++)
        ok = packed_write(&file, tensors[i].data, tensors[i].n_bytes, w->err);
    for (size_t i = 0; ok && i < w->n_items; i++)
        ok = write_item(w, &file, &w->items[i]);
    if (ok && w->path)
        ok = packed_writer_commit(&file, w->err);
    else if (ok)
        ok = (w->memory = packed_writer_take(&file, &w->n_memory, w->err)) != NULL;
    packed_writer_discard(&file);
    os_free(tensors);
    return ok;
}

static bool alloc_scratch(struct quantization *w) {
    const size_t threads = (size_t)pool_size(w->runtime->pool);
    for (size_t i = 0; i < w->n_items; i++) {
        const struct quantized_tensor *item = &w->items[i];
        const size_t K = (size_t)tensor_schema_inputs(&item->spec);
        const size_t n = item->spec.kind == SPEC_LINEAR ? (size_t)item->spec.shape[1] : 0;
        w->inputs = K > w->inputs ? K : w->inputs;
        w->outputs = n > w->outputs ? n : w->outputs;
        w->unit = item->unit_bytes > w->unit ? item->unit_bytes : w->unit;
    }
    w->batch = BATCH_UNITS * threads;
    bool ok = (w->bad = os_alloc(w->batch, sizeof *w->bad, "flags", w->err)) &&
              (w->made = os_alloc(w->batch, w->unit, "panels", w->err)) &&
              (w->metrics = os_alloc((size_t)panels_groups(DTYPE_Q8, (int)w->inputs),
                                     sizeof *w->metrics, "metrics", w->err)) &&
              (w->shift = os_alloc(w->outputs, sizeof *w->shift, "biases", w->err)) &&
              (w->scratch = os_alloc(threads, sizeof *w->scratch, "scratch", w->err));
    for (size_t i = 0; ok && i < threads; i++)
        ok = (w->scratch[i] = os_alloc((PANEL + 1) * w->inputs, sizeof(float), "scratch", w->err));
    return ok;
}

static void free_work(struct quantization *w) {
    for (int i = 0; w->scratch && i < pool_size(w->runtime->pool); i++)
        os_free(w->scratch[i]);
    os_free(w->scratch);
    os_free(w->shift);
    os_free(w->metrics);
    calibrate_free(w->calibration);
    os_free(w->made);
    os_free(w->bad);
    os_free(w->items);
}

static bool quantize(struct quantization *w) {
    const struct gpt2_quantize_options *options = w->options;
    if (!error_reserved(options->reserved, "gpt2_quantize_options", w->err))
        return false;
    if ((int)options->type < 0 || (int)options->type >= N_TYPES)
        return error_set(w->err, GPT2_ERR_USAGE, "quantize: expected a type from 0 to %d, got %d",
                         N_TYPES - 1, (int)options->type);
    char *config = config_print(&w->model->config, gpt2_model_head_is_tied(w->model), w->err);
    bool ok =
        config && list_items(w) && alloc_scratch(w) && calibrate_work(w) && write_file(w, config);
    free(config);
    free_work(w);
    return ok;
}

bool gpt2_quantize(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                   const struct gpt2_quantize_options *options, const char *path,
                   struct gpt2_error *err) {
    return quantize(&(struct quantization){
        .model = model, .runtime = runtime, .options = options, .path = path, .err = err});
}

struct gpt2_model *gpt2_model_quantize(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                       const struct gpt2_quantize_options *options,
                                       struct gpt2_error *err) {
    struct quantization w = {.model = model, .runtime = runtime, .options = options, .err = err};
    return quantize(&w) ? model_open_packed(w.memory, w.n_memory, model->tensors.path, err) : NULL;
}
