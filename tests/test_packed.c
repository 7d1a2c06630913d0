/* test_packed.c - packed files: what goes in comes out, and every way in which a file can be wrong
 * is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/outfile.h"
#include "export/quantize_panel.h"
#include "model/packed_loader.h"
#include "testmodel.h"
#include "weights/block_check.h"
#include "weights/containers.h"
#include "weights/packed.h"
#include "weights/packed_writer.h"
#include <gpt2/quantize.h>
#include <gpt2/session.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char dir[TESTMODEL_PATH]; // a fresh one for every test
static char file[TESTMODEL_PATH];
static struct gpt2_runtime *runtime;

static int setup(void **state) {
    testmodel_tempdir(dir);
    testmodel_path(file, dir, "packed.safetensors");
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    return runtime ? 0 : -1;
}

static int teardown(void **state) {
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
    return 0;
}

/* How many entries the directory has: nothing may be left behind. */
static int count_files(void) {
    int n = 0;
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static struct gpt2_model *open_model(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s [%s]", err.message, err.hint);
    return model;
}

/* The random model of these options, read from its directory. */
static struct gpt2_model *make_model(const struct testmodel_options *options) {
    testmodel_write(dir, options);
    return open_model(dir);
}

static void pack(const struct gpt2_model *model, enum gpt2_weight_type type) {
    struct gpt2_error err = {0};
    if (!gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = type}, file, &err))
        fail_msg("%s [%s]", err.message, err.hint);
}

static void expect_words(const struct gpt2_error *err, const char *a, const char *b) {
    if (!strstr(err->message, a) || !strstr(err->message, b))
        fail_msg("expected \"%s\" and \"%s\" in: %s", a, b, err->message);
}

/* `path` is refused as a model, in these words. */
static void expect_refusal(const char *path, const char *a, const char *b) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (model)
        fail_msg("accepted, expected \"%s\"", a);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_true(err.hint[0]);
    expect_words(&err, a, b);
}

/* ---- checksums ---- */

static void checksums_are_those_that_files_hold(void **state) {
    unsigned char bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i + 7 * i + 1);
    static const struct {
        size_t n;
        uint64_t sum;
    } known[] = {{0, 0xC07C4EA43E7D1AFA},  {1, 0xAF756CAA229762F1},  {63, 0xE3539B28526201E5},
                 {64, 0xDEEEA7D655D27AED}, {65, 0xD8D9056EA6AD2AC2}, {128, 0x1ACA6D1ECFD8EB0A},
                 {200, 0x8CFD6BE44E127268}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (checksum(bytes, known[i].n) != known[i].sum)
            fail_msg("%zu bytes: expected 0x%016llX, found 0x%016llX", known[i].n,
                     (unsigned long long)known[i].sum,
                     (unsigned long long)checksum(bytes, known[i].n));
    // at any address
    unsigned char moved[sizeof bytes + 8];
    for (size_t at = 0; at < 8; at++) {
        memcpy(moved + at, bytes, sizeof bytes);
        assert_true(checksum(moved + at, sizeof bytes) == checksum(bytes, sizeof bytes));
    }
}

static void every_bit_and_the_length_count(void **state) {
    unsigned char bytes[321] = {0};
    for (size_t n = 0; n < sizeof bytes; n += n < 130 ? 1 : 19) {
        uint64_t sum = checksum(bytes, n);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_true(checksum(bytes, n) != sum);
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        for (size_t other = n + 1; other < sizeof bytes; other++)
            assert_true(checksum(bytes, other) != sum);
    }
}

/* ---- whole or not at all ---- */

static void a_file_appears_whole_or_not_at_all(void **state) {
    struct outfile out;
    char text[8] = {0};
    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_write(&out, "abcd", 4, NULL));
    assert_true(access(file, F_OK) != 0);
    outfile_discard(&out);
    assert_int_equal(count_files(), 0);

    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_write(&out, "abcd", 4, NULL));
    assert_true(outfile_write_at(&out, 1, "X", 1, NULL));
    assert_true(outfile_commit(&out, NULL));
    outfile_discard(&out);
    assert_int_equal(count_files(), 1);

    char link[TESTMODEL_PATH]; // a link stays one; what it points to is replaced
    testmodel_path(link, dir, "link");
    assert_int_equal(symlink(file, link), 0);
    assert_true(outfile_create(&out, link, NULL));
    assert_true(outfile_write(&out, "efgh", 4, NULL));
    assert_true(outfile_commit(&out, NULL));
    FILE *in = fopen(file, "rb");
    assert_non_null(in);
    assert_int_equal(fread(text, 1, sizeof text, in), 4);
    fclose(in);
    assert_string_equal(text, "efgh");
    assert_int_equal(count_files(), 2);
}

static void flags_of_a_file_are_obeyed(void **state) {
    struct outfile out;
    struct stat info;
    mode_t mask = umask(0022);
    assert_true(outfile_open(&out, file, OUTFILE_PRIVATE, NULL));
    assert_true(outfile_commit(&out, NULL));
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_commit(&out, NULL));
    umask(mask);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);

    int ends[2], before = count_files(); // a pipe has a name, but realpath finds no path
    char name[64], text[8] = {0};
    assert_int_equal(pipe(ends), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    assert_false(outfile_create(&out, name, NULL));
    assert_true(outfile_open(&out, name, OUTFILE_IN_PLACE, NULL));
    assert_true(outfile_write(&out, "abcd", 4, NULL));
    assert_true(outfile_commit(&out, NULL));
    assert_int_equal(read(ends[0], text, sizeof text), 4);
    assert_string_equal(text, "abcd");
    assert_true(outfile_open(&out, name, OUTFILE_IN_PLACE, NULL));
    outfile_discard(&out);
    assert_int_equal(stat(name, &info), 0);
    assert_int_equal(count_files(), before);
    close(ends[0]);
    close(ends[1]);
}

static void what_cannot_be_written_is_said(void **state) {
    struct gpt2_error err = {0};
    struct outfile out;
    assert_false(outfile_create(&out, dir, &err));
    expect_words(&err, dir, "found a directory");
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_false(outfile_create(&out, "/dev/null", &err));
    expect_words(&err, "/dev/null", "found a device");
    assert_false(outfile_open(&out, dir, OUTFILE_IN_PLACE, &err));
    expect_words(&err, dir, "Is a directory");
    assert_false(outfile_create(&out, "/no/such/folder/file", &err));
    expect_words(&err, "/no/such/folder/file", "No such file");
    outfile_discard(&out);
}

/* A full disk, as a limit on the size of files. */
static void a_full_disk_leaves_nothing_behind(void **state) {
    struct gpt2_model *model = make_model(&(struct testmodel_options){.n_embd = 64});
    int before = count_files();
    struct rlimit limit, small;
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    struct gpt2_error err = {0};
    bool ok = gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = GPT2_F16}, file,
                            &err);
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(ok);
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    expect_words(&err, "packed.safetensors: cannot write", "File too large");
    assert_int_equal(count_files(), before);
    gpt2_model_close(model);
}

struct counter {
    size_t calls, last, total, stop_at;
};

static bool count_progress(void *user, size_t done, size_t total) {
    struct counter *c = user;
    assert_true(done > c->last && done <= total);
    c->last = done;
    c->total = total;
    return ++c->calls != c->stop_at;
}

static void progress_is_told_and_can_end_it(void **state) {
    struct gpt2_model *model = make_model(&(struct testmodel_options){.n_embd = 64});
    struct gpt2_error err = {0};
    struct counter counter = {0};
    struct gpt2_quantize_options options = {
        .type = GPT2_Q8, .progress = count_progress, .user = &counter};
    pack(model, GPT2_F16); // an older file, which must stay if the new one fails
    struct gpt2_model *older = open_model(file);
    int before = count_files();
    assert_true(gpt2_quantize(model, runtime, &options, file, &err));
    assert_int_equal(counter.last, counter.total);
    counter = (struct counter){.stop_at = 3};
    options.type = GPT2_Q4;
    assert_false(gpt2_quantize(model, runtime, &options, file, &err));
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_int_equal(counter.calls, 3);
    assert_int_equal(count_files(), before);
    struct gpt2_model *packed = open_model(file);
    assert_int_equal(packed->h[0].mlp.c_fc.weight.dtype, DTYPE_Q8);
    assert_int_equal(older->h[0].mlp.c_fc.weight.dtype, DTYPE_F16); // it keeps its own file
    assert_true(block_check_all(&older->tensors, NULL));
    gpt2_model_close(packed);
    gpt2_model_close(older);
    gpt2_model_close(model);
}

/* ---- round trips ---- */

static float element(const struct matrix *m, size_t row, size_t col) {
    float value;
    size_t i = row * (size_t)m->cols + col;
    dtype_to_f32(&value, (const char *)m->data + i * dtype_size(m->dtype), m->dtype, 1);
    return value;
}

static float rounded(float value, enum dtype dtype) {
    unsigned char bytes[8];
    testmodel_encode(bytes, dtype_name(dtype), (double)value);
    dtype_to_f32(&value, bytes, dtype, 1);
    return value;
}

/* Matrix `b` is what is made of `a`, which has K inputs for each output; `linear`: [in, out]. */
static void expect_panels(const struct matrix *b, const struct matrix *a, bool linear) {
    const int K = linear ? a->rows : a->cols, n = linear ? a->cols : a->rows;
    const size_t size = panel_bytes(b->dtype, K);
    float *w = calloc((size_t)K * PANEL, sizeof *w), *column = malloc((size_t)K * sizeof *column);
    unsigned char *panel = malloc(size);
    assert_true(w && column && panel);
    assert_int_equal((uintptr_t)b->data % PACKED_ALIGN, 0);
    for (int p = 0; p < panels_count(n); p++) {
        const char *found = (const char *)b->data + (size_t)p * size;
        int width = n - p * PANEL < PANEL ? n - p * PANEL : PANEL;
        for (int k = 0; k < K; k++)
            for (int c = 0; c < PANEL; c++) {
                size_t in = (size_t)k, out = (size_t)(p * PANEL + c);
                w[k * PANEL + c] = c >= width ? 0
                                   : linear   ? element(a, in, out)
                                              : element(a, out, in);
            }
        if (dtype_is_quantized(b->dtype)) {
            assert_true(quantize_panel(panel, b->dtype, w, PANEL, K, width, NULL));
            assert_memory_equal(panel, found, size);
        } else {
            for (int c = 0; c < PANEL; c++) {
                panels_column(column, found, b->dtype, c, K);
                for (int k = 0; k < K; k++)
                    assert_true(column[k] == rounded(w[k * PANEL + c], b->dtype));
            }
        }
    }
    free(w);
    free(column);
    free(panel);
}

static void expect_rows(const struct matrix *b, const struct matrix *a, enum dtype dtype) {
    assert_int_equal(b->layout, LAYOUT_ROWS);
    assert_int_equal(b->dtype, dtype);
    for (int r = 0; r < a->rows; r++)
        for (int c = 0; c < a->cols; c++)
            assert_true(element(b, (size_t)r, (size_t)c) ==
                        rounded(element(a, (size_t)r, (size_t)c), dtype));
}

static const enum dtype dtypes[] = {DTYPE_F16, DTYPE_BF16, DTYPE_Q8, DTYPE_Q4};

/* Everything in `b`, packed as `type`, is what `a` has. */
static void expect_packed(const struct gpt2_model *b, const struct gpt2_model *a,
                          enum gpt2_weight_type type) {
    const enum dtype dtype = dtypes[type];
    assert_int_equal(a->n_infos, b->n_infos);
    assert_int_equal(gpt2_model_parameters(a), gpt2_model_parameters(b));
    assert_int_equal(a->head_is_tied, b->head_is_tied);
    expect_rows(&b->wpe, &a->wpe, a->wpe.dtype);
    for (size_t i = 0; i < tensor_schema_count(a); i++) {
        struct tensor_spec x = tensor_schema_at(a, i), y = tensor_schema_at(b, i);
        assert_string_equal(x.name, y.name);
        if (x.kind == SPEC_VECTOR) {
            const float *u = *(const float **)x.field, *v = *(const float **)y.field;
            assert_memory_equal(u, v, (size_t)x.shape[0] * sizeof *u);
        } else if (x.kind == SPEC_LINEAR) {
            const struct matrix *m = y.field;
            assert_int_equal(m->dtype, dtype);
            assert_int_equal(m->layout, LAYOUT_PANELS);
            assert_int_equal(m->rows, x.shape[0]);
            assert_int_equal(m->cols, x.shape[1]);
            expect_panels(m, x.field, true);
        }
    }
    if (!dtype_is_quantized(dtype)) {
        expect_rows(&b->wte, &a->wte, dtype);
        expect_rows(&b->head, &a->head, dtype);
        return;
    }
    if (a->head_is_tied)
        assert_ptr_equal(b->wte.data, b->head.data);
    else
        expect_rows(&b->wte, &a->wte, a->wte.dtype == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F16);
    assert_int_equal(b->head.layout, LAYOUT_PANELS);
    assert_true(dtype_is_quantized(b->head.dtype));
    assert_int_equal(b->head.rows, a->config.n_vocab);
    assert_int_equal(b->head.cols, a->config.n_embd);
    expect_panels(&b->head, &a->head, false);
}

static const struct testmodel_options shapes[] = {
    {0},
    {.n_embd = 64, .n_vocab = 128},
    {.n_vocab = 67, .n_ctx = 13, .n_embd = 85, .n_head = 5, .n_inner = 131, .dtype = DTYPE_F16},
    {.n_vocab = 130, .n_embd = 96, .head = TESTMODEL_HEAD_OWN, .dtype = DTYPE_BF16},
    {.n_vocab = 65, .n_embd = 66, .head = TESTMODEL_HEAD_OWN, .misalign = 1},
    {.n_vocab = 1, .n_ctx = 1, .n_embd = 1, .n_head = 1, .n_layer = 1, .n_inner = 1},
    {.n_embd = 10, .dtype = DTYPE_F64, .f32_vectors = true, .head = TESTMODEL_HEAD_COPY},
};

#define N_SHAPES (sizeof shapes / sizeof *shapes)

static void what_goes_in_comes_out(void **state) {
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct gpt2_model *model = make_model(&shapes[i]);
        for (enum gpt2_weight_type type = GPT2_F16; type <= GPT2_Q4; type++) {
            pack(model, type);
            struct gpt2_model *packed = open_model(file);
            expect_packed(packed, model, type);
            assert_null(gpt2_model_warning(packed, 0));
            gpt2_model_close(packed);
        }
        gpt2_model_close(model);
    }
}

/* From panels of 16 bits the same is made as from the directory, where nothing was rounded. */
static void a_packed_model_can_be_packed_again(void **state) {
    struct gpt2_model *model =
        make_model(&(struct testmodel_options){.n_embd = 70, .n_inner = 90, .dtype = DTYPE_F16});
    pack(model, GPT2_F16);
    struct gpt2_model *packed = open_model(file);
    pack(packed, GPT2_Q8); // replaces the file that it is read from
    struct gpt2_model *again = open_model(file);
    expect_packed(again, model, GPT2_Q8);
    struct gpt2_error err = {0};
    assert_false(gpt2_quantize(again, runtime, &(struct gpt2_quantize_options){.type = GPT2_Q8},
                               file, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    expect_words(&err, "\"h.0.attn.c_attn.weight\"", "quantized already");
    gpt2_model_close(again);
    gpt2_model_close(packed);
    gpt2_model_close(model);
}

static void the_configuration_survives(void **state) {
    static const struct testmodel_options configs[] = {
        {.config = "\"eos_token_id\": [3, 1, 60], \"bos_token_id\": 7"},
        {.config = "\"eos_token_id\": null, \"bos_token_id\": null", .no_attn_scale = true},
        {.activation = "gelu", .layer_norm_epsilon = 1.23456789e-6, .inverse_layer_scale = true},
        {.n_vocab = 50300, .n_embd = 2, .n_inner = 3, .layer_norm_epsilon = 0.1},
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        struct gpt2_model *model = make_model(&configs[i]);
        pack(model, GPT2_F16);
        struct gpt2_model *packed = open_model(file);
        const struct gpt2_config *a = gpt2_model_config(model), *b = gpt2_model_config(packed);
        assert_int_equal(a->n_vocab, b->n_vocab);
        assert_int_equal(a->n_ctx, b->n_ctx);
        assert_int_equal(a->n_embd, b->n_embd);
        assert_int_equal(a->n_layer, b->n_layer);
        assert_int_equal(a->n_head, b->n_head);
        assert_int_equal(a->n_inner, b->n_inner);
        assert_string_equal(a->activation, b->activation);
        assert_true(a->layer_norm_epsilon == b->layer_norm_epsilon);
        assert_int_equal(a->scale_attn_weights, b->scale_attn_weights);
        assert_int_equal(a->scale_attn_by_inverse_layer_idx, b->scale_attn_by_inverse_layer_idx);
        assert_int_equal(a->n_eos, b->n_eos);
        assert_memory_equal(a->eos_ids, b->eos_ids, sizeof a->eos_ids);
        assert_int_equal(a->bos_id, b->bos_id);
        gpt2_model_close(packed);
        gpt2_model_close(model);
    }
}

static void the_tokenizer_is_carried_along(void **state) {
    static const char blob[] = "any bytes, \0 too";
    struct gpt2_model *model = make_model(NULL);
    struct gpt2_error err = {0};
    assert_true(gpt2_quantize(model, runtime,
                              &(struct gpt2_quantize_options){
                                  .type = GPT2_Q8, .tokenizer = blob, .n_tokenizer = sizeof blob},
                              file, &err));
    struct tensors tensors;
    assert_true(tensors_open(&tensors, file, packed_parse, &err));
    const struct tensor *t = packed_find(&tensors, PACKED_TOKENIZER);
    assert_non_null(t);
    assert_int_equal(t->n_bytes, sizeof blob);
    assert_memory_equal(t->data, blob, sizeof blob);
    assert_true(block_check_tensor(&tensors, t, &err));
    assert_null(packed_find(&tensors, "no such tensor"));
    tensors_close(&tensors);
    gpt2_model_close(open_model(file));
    gpt2_model_close(model);
}

/* The logits of all tokens. */
static void run(float *logits, const struct gpt2_model *model, const char *cpu, const int32_t *ids,
                int n) {
    struct gpt2_error err = {0};
    struct gpt2_runtime *r =
        gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2, .cpu = cpu}, &err);
    struct gpt2_batch *batch =
        gpt2_batch_create(model, r, &(struct gpt2_batch_options){.max_logits = n}, &err);
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    if (!r || !batch || !session ||
        !gpt2_batch_run(batch, &(struct gpt2_span){session, ids, n, n}, 1, &err))
        fail_msg("%s", err.message);
    size_t n_vocab = (size_t)gpt2_model_config(model)->n_vocab;
    for (int i = 0; i < n; i++)
        memcpy(logits + (size_t)i * n_vocab, gpt2_batch_logits(batch, 0, i),
               n_vocab * sizeof *logits);
    gpt2_session_free(session);
    gpt2_batch_free(batch);
    gpt2_runtime_free(r);
}

static void sixteen_bits_packed_give_the_same_logits(void **state) {
    for (size_t i = 0; i < N_SHAPES; i++) {
        for (enum gpt2_weight_type type = GPT2_F16; type <= GPT2_BF16; type++) {
            struct testmodel_options options = shapes[i];
            options.dtype = dtypes[type];
            struct gpt2_model *model = make_model(&options);
            pack(model, type);
            struct gpt2_model *packed = open_model(file);
            int32_t ids[13];
            const int n = model->config.n_ctx < 13 ? model->config.n_ctx : 13;
            for (int k = 0; k < n; k++)
                ids[k] = (k * 7 + 3) % model->config.n_vocab;
            const size_t size = (size_t)n * (size_t)model->config.n_vocab * sizeof(float);
            float *a = malloc(size), *b = malloc(size);
            assert_true(a && b);
            for (int v = 0; gpt2_cpu_variant(v); v++) {
                run(a, model, gpt2_cpu_variant(v), ids, n);
                run(b, packed, gpt2_cpu_variant(v), ids, n);
                assert_memory_equal(a, b, size);
            }
            free(a);
            free(b);
            gpt2_model_close(packed);
            gpt2_model_close(model);
        }
    }
}

/* ---- weights that do not fit ---- */

static void weights_that_do_not_fit_are_named(void **state) {
    static const struct {
        const char *tensor; /* gets a mean that leaves room for nothing else */
        double mean;
        enum gpt2_weight_type type;
        const char *fits;
    } cases[] = {
        {"h.1.mlp.c_fc.weight", 1e5, GPT2_F16, "that fit F16"},
        {"wte.weight", -65520, GPT2_F16, "that fit F16"},
        {"h.0.attn.c_proj.weight", (double)INFINITY, GPT2_BF16, "that fit BF16"},
        {"h.1.mlp.c_proj.weight", (double)NAN, GPT2_Q8, "that fit Q8"},
        {"h.0.attn.c_attn.weight", 1e30, GPT2_Q4, "that fit Q4"},
        {"wte.weight", (double)NAN, GPT2_Q4, "that fit Q"},
        {"wpe.weight", (double)NAN, GPT2_Q8, "that fit F32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[TESTMODEL_PATH];
        struct testmodel_list list = testmodel_list(NULL);
        struct testmodel_tensor *t = testmodel_find(&list, cases[i].tensor);
        t->mean = cases[i].mean;
        t->deviation = 0;
        testmodel_write_config(dir, NULL);
        testmodel_path(path, dir, "model.safetensors");
        testmodel_write_list(path, &list, NULL);
        free(list.items);
        struct gpt2_model *model = open_model(dir);
        int before = count_files();
        struct gpt2_error err = {0};
        assert_false(gpt2_quantize(
            model, runtime, &(struct gpt2_quantize_options){.type = cases[i].type}, file, &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        expect_words(&err, cases[i].tensor, cases[i].fits);
        expect_words(&err, "at [0, 0]", "found ");
        assert_int_equal(count_files(), before);
        gpt2_model_close(model);
    }
}

static void an_unknown_type_is_refused(void **state) {
    struct gpt2_model *model = make_model(NULL);
    struct gpt2_error err = {0};
    assert_false(gpt2_quantize(model, runtime,
                               &(struct gpt2_quantize_options){.type = (enum gpt2_weight_type)9},
                               file, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_model_close(model);
}

/* ---- files that are wrong ---- */

struct bytes {
    unsigned char *data; /* at a multiple of PACKED_ALIGN */
    size_t size;
};

static struct bytes read_file(const char *path) {
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    struct bytes b = {.size = (size_t)ftell(in)};
    rewind(in);
    b.data = aligned_alloc(PACKED_ALIGN, (b.size + PACKED_ALIGN) / PACKED_ALIGN * PACKED_ALIGN);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.size, in), b.size);
    fclose(in);
    return b;
}

static void write_file(const char *path, const unsigned char *data, size_t size) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, size, out), size);
    fclose(out);
}

/* As gpt2_model_open does, but from memory. */
static bool accepts(const unsigned char *data, size_t size, struct gpt2_error *err) {
    struct tensors tensors;
    *err = (struct gpt2_error){0};
    bool ok = packed_parse(&tensors, data, size, "m.packed", err) && block_check_all(&tensors, err);
    tensors_close(&tensors);
    return ok;
}

static struct bytes small_file(void) {
    struct gpt2_model *model = make_model(&(struct testmodel_options){.n_layer = 1});
    pack(model, GPT2_Q8);
    gpt2_model_close(model);
    struct bytes b = read_file(file);
    struct gpt2_error err;
    assert_true(accepts(b.data, b.size, &err));
    return b;
}

static void a_flipped_byte_anywhere_is_noticed(void **state) {
    struct bytes b = small_file();
    struct gpt2_error err;
    uint64_t n_header;
    memcpy(&n_header, b.data, 8);
    unsigned char flip = 1;
    for (size_t i = 0; i < b.size; i += i < n_header + 200 ? 1 : 7) {
        b.data[i] ^= flip;
        if (accepts(b.data, b.size, &err))
            fail_msg("byte %zu of %zu", i, b.size);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        assert_true(err.message[0]);
        b.data[i] ^= flip;
        flip = flip & 0x80 ? 1 : (unsigned char)(flip << 1);
    }
    assert_true(accepts(b.data, b.size, &err));

    // and by the whole way, with the tensor named
    b.data[b.size - 100] ^= 4;
    write_file(file, b.data, b.size);
    expect_refusal(file, "packed.safetensors: expected the data from tensor", "damaged");
    b.data[100] ^= 4;
    write_file(file, b.data, b.size);
    expect_refusal(file, "expected the header to have checksum", "damaged");
    free(b.data);
}

/* Of a file that several threads check, the damage nearest to its beginning is named. */
static void the_first_damage_of_a_large_file_is_named(void **state) {
    const size_t big = 40 * PACKED_BLOCK, small = 1000;
    const struct tensor list[] = {{"first", "U8", 1, {(int64_t)big}, NULL, big},
                                  {"none", "F32", 2, {0, 7}, NULL, 0},
                                  {"second", "U8", 1, {(int64_t)small}, NULL, small},
                                  {"third", "U8", 1, {(int64_t)big}, NULL, big}};
    unsigned char *zeros = calloc(big, 1);
    struct packed_writer writer;
    struct gpt2_error err = {0};
    assert_non_null(zeros);
    assert_true(packed_writer_create(&writer, file, "q8", list, 4, &err));
    for (size_t i = 0; i < 4; i++) {
        size_t half = list[i].n_bytes / 2; // in two pieces
        assert_true(packed_write(&writer, zeros, half, &err));
        assert_true(packed_write(&writer, zeros, list[i].n_bytes - half, &err));
    }
    assert_true(packed_writer_commit(&writer, &err));
    free(zeros);
    struct bytes b = read_file(file);
    assert_true(accepts(b.data, b.size, &err));
    struct tensors t;
    assert_true(tensors_open(&t, file, packed_parse, &err));
    const size_t third =
        (size_t)((const unsigned char *)packed_find(&t, "third")->data - t.file.data);
    b.data[b.size - 1] = b.data[third + 30 * PACKED_BLOCK] = 1;
    assert_false(accepts(b.data, b.size, &err));
    expect_words(&err, "from tensor \"third\" on", "damaged");
    b.data[third - 30 * PACKED_BLOCK] = 1;
    assert_false(accepts(b.data, b.size, &err));
    expect_words(&err, "from tensor \"first\" on", "damaged");
    // single tensors are checked by themselves
    write_file(file, b.data, b.size);
    tensors_close(&t);
    assert_true(tensors_open(&t, file, packed_parse, &err));
    assert_false(block_check_tensor(&t, packed_find(&t, "first"), &err));
    assert_true(block_check_tensor(&t, packed_find(&t, "second"), &err));
    assert_true(block_check_tensor(&t, packed_find(&t, "none"), &err));
    assert_false(block_check_tensor(&t, packed_find(&t, "third"), &err));
    tensors_close(&t);
    free(b.data);
}

static void count_logits(void *user, int first, int n, const float *logits) {
    *(int *)user += n;
}

/* The first run of a lazily opened file: the error it ends with, or none. `reader`: logits are to
 * be shown as they are made; nobody must see any that are made of damaged weights. */
static struct gpt2_error first_run(int n_logits, bool reader, int *n_seen) {
    static const int32_t ids[] = {3, 1, 2};
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open_lazy(file, &err);
    struct gpt2_batch *batch = model ? gpt2_batch_create(model, runtime, NULL, &err) : NULL;
    struct gpt2_session *session = model ? gpt2_session_create(model, NULL, &err) : NULL;
    if (!batch || !session)
        fail_msg("%s", err.message);
    if (reader)
        gpt2_batch_set_reader(batch, count_logits, n_seen);
    struct gpt2_span span = {session, ids, 3, n_logits};
    bool ok = gpt2_batch_run(batch, &span, 1, &err);
    assert_int_equal(ok, err.status == 0);
    if (!ok) { // it stays damaged
        assert_true(gpt2_session_rewind(session, 0, NULL));
        assert_false(gpt2_batch_run(batch, &span, 1, NULL));
    }
    gpt2_session_free(session);
    gpt2_batch_free(batch);
    gpt2_model_close(model);
    return err;
}

static void damage_in_a_lazily_opened_file_is_noticed_by_the_first_run(void **state) {
    // several blocks, so that some are compared by products and some at the end
    struct gpt2_model *model = make_model(
        &(struct testmodel_options){.n_vocab = 9000, .n_embd = 64, .n_head = 2, .n_layer = 3});
    pack(model, GPT2_Q8);
    gpt2_model_close(model);
    struct bytes b = read_file(file);
    assert_true(b.size > 2 * PACKED_BLOCK);
    static float lazy[9000], eager[9000];
    static const int32_t id = 7;
    struct gpt2_model *models[2] = {gpt2_model_open_lazy(file, NULL), open_model(file)};
    assert_non_null(models[0]);
    run(lazy, models[0], NULL, &id, 1);
    run(eager, models[1], NULL, &id, 1);
    assert_memory_equal(lazy, eager, sizeof eager);
    gpt2_model_close(models[0]);
    gpt2_model_close(models[1]);

    // beyond the block of the configuration, which is compared when it is opened
    const size_t at[] = {b.size / 2, b.size * 3 / 4, b.size - 100};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        for (int n_logits = 0; n_logits < 2; n_logits++) {
            int n_seen = 0;
            b.data[at[i]] ^= 1;
            write_file(file, b.data, b.size);
            struct gpt2_error err = first_run(n_logits, n_logits == 1, &n_seen);
            assert_int_equal(err.status, GPT2_ERR_MODEL);
            expect_words(&err, "packed.safetensors: expected the data from tensor", "damaged");
            assert_int_equal(n_seen, 0);
            b.data[at[i]] ^= 1;
            write_file(file, b.data, b.size);
            assert_int_equal(first_run(n_logits, n_logits == 1, &n_seen).status, GPT2_OK);
            assert_int_equal(n_seen, n_logits);
        }
    }
    free(b.data);
}

static void a_truncated_file_is_noticed(void **state) {
    struct bytes b = small_file();
    struct gpt2_error err;
    for (size_t n = 0; n < b.size; n += n < 200 || n > b.size - 200 ? 1 : 61) {
        assert_false(accepts(b.data, n, &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        assert_true(err.message[0] && err.hint[0]);
    }
    write_file(file, b.data, b.size - 1);
    expect_refusal(file, "packed.safetensors", "truncated");
    write_file(file, b.data, 1000);
    expect_refusal(file, "packed.safetensors", "truncated");
    // one byte more
    unsigned char *more = aligned_alloc(PACKED_ALIGN, (b.size / PACKED_ALIGN + 1) * PACKED_ALIGN);
    assert_non_null(more);
    memcpy(more, b.data, b.size);
    more[b.size] = 0;
    assert_false(accepts(more, b.size + 1, &err));
    free(more);
    free(b.data);
}

static void another_version_is_named(void **state) {
    struct bytes b = small_file();
    char *version = strstr((char *)b.data + 8, "\"version\":\"");
    assert_non_null(version);
    version[11] = '1';
    write_file(file, b.data, b.size);
    expect_refusal(file, "made by another version of gpt2", "found \"1\"");
    version[12] = '7'; // "17," and so on: no quote where it should be
    write_file(file, b.data, b.size);
    expect_refusal(file, "made by another version of gpt2", "found \"17");
    free(b.data);
}

static void other_files_are_not_packed(void **state) {
    char path[TESTMODEL_PATH];
    testmodel_write(dir, NULL);
    testmodel_path(path, dir, "model.safetensors");
    struct tensors tensors;
    struct gpt2_error err = {0};
    struct given given;
    assert_true(containers_identify(&given, path, &err));
    assert_ptr_equal(given.format, &container_safetensors);
    containers_close(&given);
    assert_false(tensors_open(&tensors, path, packed_parse, &err));
    expect_words(&err, path, "expected a packed model");
    // one of Hugging Face's without its config.json
    testmodel_path(path, dir, "config.json");
    remove(path);
    testmodel_path(path, dir, "model.safetensors");
    expect_refusal(path, "config.json", "no such file");
}

/* Writes the file of `model` again with one tensor changed; `change` returns false to leave it out.
 */
static void rewrite(const struct gpt2_model *model, bool (*change)(struct tensor *)) {
    struct gpt2_error err = {0};
    struct tensor list[200] = {0};
    size_t n = 0;
    for (size_t i = 0; i < model->tensors.count; i++) {
        struct tensor t = model->tensors.items[i];
        if (strcmp(t.name, PACKED_CHECKSUMS) != 0 && strncmp(t.name, PACKED_PADDING, 8) != 0 &&
            change(&t))
            list[n++] = t;
    }
    struct packed_writer writer;
    assert_true(packed_writer_create(&writer, file, "q8", list, n, &err));
    for (size_t i = 0; i < n; i++)
        assert_true(packed_write(&writer, list[i].data, list[i].n_bytes, &err));
    assert_true(packed_writer_commit(&writer, &err));
}

static bool is(const struct tensor *t, const char *name) {
    return strcmp(t->name, name) == 0;
}
static bool keep_all(struct tensor *t) {
    return true;
}
static bool drop_bias(struct tensor *t) {
    return !is(t, "h.1.mlp.c_fc.bias");
}
static bool drop_config(struct tensor *t) {
    return !is(t, PACKED_CONFIG);
}
static bool rename_bias(struct tensor *t) {
    if (is(t, "ln_f.bias"))
        t->name = "ln_f.bias2";
    return true;
}
static bool other_dtype(struct tensor *t) {
    if (is(t, "h.0.ln_1.bias"))
        t->dtype = "I32";
    return true;
}
static bool other_shape(struct tensor *t) {
    if (is(t, "h.0.attn.c_attn.weight")) { // as many bytes, otherwise cut
        t->shape[0] *= 2;
        t->shape[2] /= 2;
    }
    return true;
}
static bool other_rank(struct tensor *t) {
    if (is(t, "wte.weight")) {
        t->rank = 1;
        t->shape[0] = (int64_t)t->n_bytes;
    }
    return true;
}
static bool shorter(struct tensor *t) {
    if (is(t, "wpe.weight")) {
        t->shape[0]--;
        t->n_bytes -= (size_t)t->shape[1] * 4;
    }
    return true;
}
static bool empty(struct tensor *t) {
    if (is(t, "h.0.mlp.c_proj.weight")) {
        t->shape[0] = 0;
        t->n_bytes = 0;
    }
    return true;
}
static const char not_json[] = "{\"model_type\": \"gpt2\", ";
static bool broken_config(struct tensor *t) {
    if (is(t, PACKED_CONFIG)) {
        t->data = not_json;
        t->n_bytes = sizeof not_json - 1;
        t->shape[0] = (int64_t)t->n_bytes;
    }
    return true;
}

/* Their checksums are right, so it is the loader that must look. */
static void tensors_that_are_wrong_are_named(void **state) {
    static const struct {
        bool (*change)(struct tensor *);
        const char *a, *b;
    } cases[] = {
        {drop_bias, "missing tensor", "h.1.mlp.c_fc.bias"},
        {drop_config, "missing tensor", "config.json"},
        {rename_bias, "missing tensor", "ln_f.bias"},
        {other_dtype, "h.0.ln_1.bias", "I32"},
        {other_shape, "h.0.attn.c_attn.weight", "found U8"},
        {other_rank, "wte.weight", "found U8"},
        {shorter, "wpe.weight", "found F32 [39, 16]"},
        {empty, "h.0.mlp.c_proj.weight", "[0, "},
        {broken_config, "config.json", "not valid JSON"},
    };
    struct gpt2_model *model = make_model(NULL);
    pack(model, GPT2_Q8);
    struct gpt2_model *packed = open_model(file);
    rewrite(packed, keep_all);
    gpt2_model_close(open_model(file));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        rewrite(packed, cases[i].change);
        struct gpt2_model *m = gpt2_model_open(file, &err);
        assert_null(m);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        expect_words(&err, cases[i].a, cases[i].b);
    }
    gpt2_model_close(packed);
    gpt2_model_close(model);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(checksums_are_those_that_files_hold),
        TEST(every_bit_and_the_length_count),
        TEST(a_file_appears_whole_or_not_at_all),
        TEST(flags_of_a_file_are_obeyed),
        TEST(what_cannot_be_written_is_said),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(progress_is_told_and_can_end_it),
        TEST(what_goes_in_comes_out),
        TEST(a_packed_model_can_be_packed_again),
        TEST(the_configuration_survives),
        TEST(the_tokenizer_is_carried_along),
        TEST(sixteen_bits_packed_give_the_same_logits),
        TEST(weights_that_do_not_fit_are_named),
        TEST(an_unknown_type_is_refused),
        TEST(a_flipped_byte_anywhere_is_noticed),
        TEST(the_first_damage_of_a_large_file_is_named),
        TEST(damage_in_a_lazily_opened_file_is_noticed_by_the_first_run),
        TEST(a_truncated_file_is_noticed),
        TEST(another_version_is_named),
        TEST(other_files_are_not_packed),
        TEST(tensors_that_are_wrong_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
