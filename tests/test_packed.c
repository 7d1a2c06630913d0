/* test_packed.c - every way in which a packed file can be wrong is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "model/weights.h"
#include "testgguf.h"
#include "testpacked.h"
#include "weights/block_check.h"
#include "weights/packed.h"
#include "weights/packed_writer.h"

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

/* Makes `file` of a GGUF file of that type, whose integers it keeps, with n_embd features. */
static void pack_gguf(const char *type, int n_embd, int n_vocab) {
    char gguf[TESTMODEL_PATH];
    testmodel_path(gguf, dir, "m.gguf");
    testgguf_write(gguf,
                   &(struct testmodel_options){
                       .n_embd = n_embd, .n_layer = 1, .n_vocab = n_vocab, .n_head = 4},
                   type);
    struct gpt2_model *model = open_model(gguf);
    pack(model, GPT2_AS_IS);
    gpt2_model_close(model);
}

/* Of Q8, or of a GGUF file. */
static struct bytes small_file(bool foreign) {
    if (foreign) {
        pack_gguf("Q4_1", 32, 35);
    } else {
        struct gpt2_model *model = make_model(&(struct testmodel_options){.n_layer = 1});
        pack(model, GPT2_Q8);
        gpt2_model_close(model);
    }
    struct bytes b = read_file(file);
    struct gpt2_error err;
    assert_true(accepts(b.data, b.size, &err));
    return b;
}

static void expect_flipped_bytes_noticed(bool foreign) {
    struct bytes b = small_file(foreign);
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

static void a_flipped_byte_anywhere_is_noticed(void **state) {
    expect_flipped_bytes_noticed(false);
    expect_flipped_bytes_noticed(true);
}

/* Of a file that several threads check, the damage nearest to its beginning is named. */
static void the_first_damage_of_a_large_file_is_named(void **state) {
    const size_t big = 40 * PACKED_BLOCK, small = 1000;
#define ENTRY(name_, dtype_, rank_, n_, ...) \
    { .name = name_, .dtype = dtype_, .rank = rank_, .shape = {__VA_ARGS__}, .n_bytes = n_ }
    const struct tensor list[] = {ENTRY("first", "U8", 1, big, (int64_t)big),
                                  ENTRY("none", "F32", 2, 0, 0, 7),
                                  ENTRY("second", "U8", 1, small, (int64_t)small),
                                  ENTRY("third", "U8", 1, big, (int64_t)big)};
#undef ENTRY
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
 * be shown as they are made; none may be seen that are made of damaged weights. */
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

static void expect_damage_noticed(bool foreign) {
    // several blocks, so that some are compared by products and some at the end
    if (foreign) {
        pack_gguf("Q5_0", 64, 9000);
    } else {
        struct gpt2_model *model = make_model(
            &(struct testmodel_options){.n_vocab = 9000, .n_embd = 64, .n_head = 2, .n_layer = 3});
        pack(model, GPT2_Q8);
        gpt2_model_close(model);
    }
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

static void damage_in_a_lazily_opened_file_is_noticed_by_the_first_run(void **state) {
    expect_damage_noticed(false);
    expect_damage_noticed(true);
}

static void expect_truncation_noticed(bool foreign) {
    struct bytes b = small_file(foreign);
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

static void a_truncated_file_is_noticed(void **state) {
    expect_truncation_noticed(false);
    expect_truncation_noticed(true);
}

static void another_version_is_named(void **state) {
    struct bytes b = small_file(false);
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

static void a_later_version_is_named(void **state) {
    struct bytes b = small_file(true);
    struct gpt2_error err = {0};
    char *version = strstr((char *)b.data + 8, "\"version\":\"");
    assert_non_null(version);
    assert_int_equal(version[11], '0' + PACKED_VERSION);
    version[11]++; // its checksums, and all the rest, are that version's business
    write_file(file, b.data, b.size);
    expect_refusal(file, "made by a later version of gpt2",
                   "expected format version 2 to 3, found");
    assert_null(gpt2_model_open(file, &err));
    assert_non_null(strstr(err.hint, "use that version"));
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
static void rewrite(const struct gpt2_model *model, const char *type,
                    bool (*change)(struct tensor *)) {
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
    assert_true(packed_writer_create(&writer, file, type, list, n, &err));
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
    rewrite(packed, "q8", keep_all);
    gpt2_model_close(open_model(file));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        rewrite(packed, "q8", cases[i].change);
        struct gpt2_model *m = gpt2_model_open(file, &err);
        assert_null(m);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        expect_words(&err, cases[i].a, cases[i].b);
    }
    gpt2_model_close(packed);
    gpt2_model_close(model);
}

/* ---- version 2 ---- */

static bool drop_form(struct tensor *t) {
    t->note = NULL;
    return true;
}

/* `file` as the writer of version 2 made it: there were no forms in the header. */
static struct bytes make_version_2(const char *type) {
    struct gpt2_model *model = open_model(file);
    rewrite(model, type, drop_form);
    gpt2_model_close(model);
    struct bytes b = read_file(file);
    uint64_t n_header;
    memcpy(&n_header, b.data, sizeof n_header);
    strstr((char *)b.data + 8, "\"version\":\"")[11] = '2';
    const uint64_t sum = checksum(b.data, 8 + (size_t)n_header);
    memcpy(b.data + 8 + n_header, &sum, sizeof sum);
    write_file(file, b.data, b.size);
    return b;
}

static void version_2_is_read(void **state) {
    static const struct {
        enum gpt2_weight_type type;
        const char *name;
        uint64_t sum; /* of the file that version 2's own writer made of this model */
    } cases[] = {{GPT2_Q8, "q8", 0x8996357b923f7fcb},
                 {GPT2_Q4, "q4", 0x5f45df7fb387c76d},
                 {GPT2_F16, "f16", 0xd8f555f4632a0337}};
    static const int32_t ids[] = {3, 1, 2};
    float before[3 * 61], after[3 * 61];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        struct gpt2_model *model = make_model(NULL);
        pack(model, cases[i].type);
        gpt2_model_close(model);
        struct bytes as_3 = read_file(file);
        model = open_model(file);
        run(before, model, NULL, ids, 3);
        gpt2_model_close(model);
        struct bytes b = make_version_2(cases[i].name);
        const uint64_t sum = checksum(b.data, b.size);
        if (sum != cases[i].sum)
            fail_msg("%zu: the file has the sum %016llx", i, (unsigned long long)sum);
        model = open_model(file);
        assert_int_equal(model->tensors.in_panels, 2);
        run(after, model, NULL, ids, 3);
        assert_memory_equal(before, after, sizeof after);
        // and becomes a file of this version
        pack(model, GPT2_AS_IS);
        gpt2_model_close(model);
        struct bytes again = read_file(file);
        assert_int_equal(again.size, as_3.size);
        assert_memory_equal(again.data, as_3.data, as_3.size);
        // of integers of others it knew nothing
        pack_gguf("Q8_0", 32, 35);
        free(make_version_2("q8_0").data);
        assert_null(gpt2_model_open(file, &err));
        expect_words(&err, "expected what config.json's", "found U8 [");
        free(again.data);
        free(as_3.data);
        free(b.data);
    }
}

/* ---- forms ---- */

static bool no_form(struct tensor *t) {
    if (is(t, "h.0.attn.c_attn.weight"))
        t->note = NULL;
    return true;
}
static bool unknown_form(struct tensor *t) {
    if (is(t, "wte.weight"))
        t->note = "group=32 bits=4 scale=f32 min=f32 blocks=Q9_1";
    return true;
}
static bool longer_form(struct tensor *t) {
    if (is(t, "wte.weight"))
        t->note = "group=32 bits=4 scale=f32 min=f32 blocks=Q4_1 ";
    return true;
}
static bool form_of_another_size(struct tensor *t) {
    if (is(t, "h.0.mlp.c_fc.weight"))
        t->note = "group=32 bits=8 scale=f16 blocks=Q8_0";
    return true;
}
static bool form_that_is_none_of_the_blocks(struct tensor *t) {
    if (is(t, "h.0.mlp.c_fc.weight"))
        t->note = "group=32 bits=4 scale=f32 min=f32 blocks=Q8_0";
    return true;
}
static bool ours(struct tensor *t) {
    if (is(t, "h.0.mlp.c_fc.weight"))
        t->note = "group=64 bits=4 scale=f16 min=f16";
    return true;
}
static bool form_of_larger_blocks(struct tensor *t) { // as large, where rows are that long
    if (is(t, "h.0.mlp.c_proj.weight"))
        t->note = "group=32 bits=4 scale=f32 min=f32 blocks=Q4_K";
    return true;
}
static bool form_of_floats(struct tensor *t) {
    if (is(t, "wpe.weight"))
        t->note = "group=32 bits=4 scale=f32 min=f32 blocks=Q4_1";
    return true;
}
static bool form_of_a_vector(struct tensor *t) {
    if (is(t, "ln_f.weight"))
        t->note = "group=64 bits=8 scale=f16";
    return true;
}
static bool integers_as_a_vector(struct tensor *t) {
    if (is(t, "ln_f.weight")) {
        t->dtype = "U8";
        t->shape[0] *= 4;
        t->note = "group=64 bits=8 scale=f16";
    }
    return true;
}

static void forms_that_are_wrong_are_named(void **state) {
    static const struct {
        bool (*change)(struct tensor *);
        const char *a, *b;
    } cases[] = {
        {no_form, "\"h.0.attn.c_attn.weight\"", "expected its form in __metadata__"},
        {unknown_form, "\"wte.weight\"", "found \"group=32 bits=4 scale=f32 min=f32 blocks=Q9_1\""},
        {longer_form, "\"wte.weight\"", "expected a form of quantized weights"},
        {form_of_another_size, "\"h.0.mlp.c_fc.weight\"", "found U8 ["},
        {form_that_is_none_of_the_blocks, "h.0.mlp.c_fc.weight", "expected a form of quantized"},
        {ours, "\"h.0.mlp.c_fc.weight\"", "found U8 ["},
        {form_of_larger_blocks, "\"h.0.mlp.c_proj.weight\"",
         "expected rows of a multiple of 256 weights for Q4_K, found 128"},
        {form_of_floats, "\"wpe.weight\"", "expected no form in __metadata__ of F32"},
        {form_of_a_vector, "\"ln_f.weight\"", "expected no form in __metadata__ of F32"},
        {integers_as_a_vector, "\"ln_f.weight\"", "found U8 [128]"},
    };
    pack_gguf("Q4_1", 32, 35);
    struct gpt2_model *model = open_model(file);
    rewrite(model, "q4_1", keep_all);
    gpt2_model_close(open_model(file));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        rewrite(model, "q4_1", cases[i].change);
        for (int expand = 0; expand < 2; expand++) {
            struct gpt2_model *m =
                expand ? gpt2_model_open_expanded(file, &err) : gpt2_model_open(file, &err);
            if (m)
                fail_msg("%s: accepted", cases[i].a);
            assert_int_equal(err.status, GPT2_ERR_MODEL);
            assert_true(err.hint[0]);
            expect_words(&err, cases[i].a, cases[i].b);
        }
    }
    gpt2_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_flipped_byte_anywhere_is_noticed),
        TEST(the_first_damage_of_a_large_file_is_named),
        TEST(damage_in_a_lazily_opened_file_is_noticed_by_the_first_run),
        TEST(a_truncated_file_is_noticed),
        TEST(another_version_is_named),
        TEST(a_later_version_is_named),
        TEST(version_2_is_read),
        TEST(forms_that_are_wrong_are_named),
        TEST(other_files_are_not_packed),
        TEST(tensors_that_are_wrong_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
