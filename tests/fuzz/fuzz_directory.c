/* fuzz_directory.c - any files as a model's directory (archive.h), and each of them as a model, all
 * the way: refused with a message, or a model that computes a token, and a tokenizer that can be
 * asked. */
#define REPLAY_NAME   "directory"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "seeds.h"

static char dir[TESTMODEL_PATH];
static struct gpt2_runtime *runtime;

static void finish(void) {
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
}

static void prepare(void) {
    testmodel_tempdir(dir);
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 1}, NULL);
    if (!runtime || atexit(finish) != 0)
        abort();
}

static void judge(bool ok, const struct gpt2_error *err) {
    if (!ok && (err->status == GPT2_OK || !err->message[0]))
        abort(); // refused without a word
}

static void open_expanded(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open_expanded(path, &err);
    judge(model, &err);
    gpt2_model_close(model);
}

static void ask_tokenizer(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_tokenizer *tokenizer = NULL;
    judge(gpt2_tokenizer_open_if_any(&tokenizer, path, &err), &err);
    struct gpt2_ids ids = {0};
    err = (struct gpt2_error){0};
    if (tokenizer)
        judge(gpt2_tokenizer_encode(tokenizer, "ab, a1\n", 7, GPT2_ENCODE_SPECIAL, &ids, &err),
              &err);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(tokenizer);
}

/* Lazily: the first pass checks what it reads. */
static void try(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open_lazy(path, &err);
    judge(model, &err);
    if (model)
        seeds_compute(model, runtime);
    gpt2_model_close(model);
    ask_tokenizer(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct archive_file file;
    if (!runtime)
        prepare();
    archive_write(dir, data, size);
    try(dir);
    open_expanded(dir);
    const char *what;
    gpt2_model_recognise(dir, &what, NULL);
    for (size_t at = 0, n = 0; n < 3 && archive_next(&file, data, size, &at); n++) {
        char path[TESTMODEL_PATH];
        if (!archive_is_plain(file.name))
            continue;
        testmodel_path(path, dir, file.name);
        try(path);
    }
    archive_clear(dir);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return archive_mutate(data, size, cap, state);
}

/* ---- seeds ---- */

/* A directory, which opens as such, or by its `file`. */
static void add_file(const char *name, const char *from, const char *file) {
    struct gpt2_error err = {0};
    char path[TESTMODEL_PATH];
    testmodel_path(path, from, file);
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        seeds_die(name, &err);
    gpt2_model_close(model);
    seeds_add_directory(name, from);
}

static void add(const char *name, const char *from) {
    add_file(name, from, ".");
}

/* The model of `from` as others write it, where there is a Python with numpy. */
static void add_foreign(const char *name, const char *from, const char *to, const char *options) {
    char command[3 * TESTMODEL_PATH];
    snprintf(command, sizeof command,
             "for p in python3 /usr/bin/python3; do $p -c 'import numpy' 2>/dev/null && "
             "exec $p tools/write_containers.py '%s' '%s' %s; done; exit 77",
             from, to, options);
    const int status = system(command);
    if (status == 77 << 8)
        fprintf(stderr, "%s: no numpy for python3\n", name);
    else if (status)
        testmodel_die("write", name);
    else
        add(name, to);
}

/* Shapes and names that the loader treats in its own way each. */
static const struct {
    const char *name;
    struct testmodel_options options;
} variants[] = {
    {"plain", {.config = "\"bos_token_id\": 5, \"eos_token_id\": [3, 4]"}},
    {"head_only", {.head = TESTMODEL_HEAD_ONLY, .prefix = "transformer."}},
    {"masks", {.masks = true, .head = TESTMODEL_HEAD_COPY, .reversed = true, .misalign = 3}},
    {"untied", {.head = TESTMODEL_HEAD_OWN, .tie = "false", .activation = "gelu"}},
    {"tie_false", {.tie = "false"}},
    {"doubles", {.dtype = DTYPE_F64, .inverse_layer_scale = true, .no_attn_scale = true}},
    {"halves", {.dtype = DTYPE_F16, .f32_vectors = true, .n_inner = 48}},
};

static void add_list(const char *name, const char *from, struct testmodel_list *list,
                     const struct testmodel_options *options, bool opens) {
    char path[TESTMODEL_PATH];
    testmodel_path(path, from, "model.safetensors");
    testmodel_write_config(from, options);
    testmodel_write_list(path, list, options);
    free(list->items);
    if (opens)
        add(name, from);
    else
        seeds_add_directory(name, from); // is refused for what it has
}

static struct testmodel_options small(struct testmodel_options options) {
    options.n_embd = 8;
    options.n_layer = 1;
    options.n_ctx = 12;
    options.n_vocab = options.n_vocab ? options.n_vocab : 11;
    return options;
}

/* A tensor more than a model has. */
static void add_with(const char *name, const char *from, const char *tensor, int rank, bool opens) {
    const struct testmodel_options options = small((struct testmodel_options){0});
    struct testmodel_list list = testmodel_list(&options);
    testmodel_add(&list, "", tensor, "F32", rank, 1, 1);
    add_list(name, from, &list, &options, opens);
}

/* A file with one tensor of another model. */
static void add_named(const char *name, const char *from, const char *tensor) {
    const struct testmodel_options options = small((struct testmodel_options){0});
    struct testmodel_list list = {0};
    testmodel_add(&list, "", tensor, "F32", 2, 11, 8);
    add_list(name, from, &list, &options, false);
}

/* Directories without weights that are read. */
static void add_unread(const char *from) {
    static const char *const files[] = {"model.onnx", "flax_model.msgpack",
                                        "adapter_model.safetensors",
                                        "pytorch_model-00001-of-00002.bin", "m.keras"};
    static const char adapter[] =
        "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"gpt2\"}",
                      other[] = "{\"peft_type\": \"IA3\"}";
    for (size_t i = 0; i < 2 * sizeof files / sizeof *files; i++) {
        char name[20];
        const struct testmodel_options options = small((struct testmodel_options){0});
        if (i % 2)
            testmodel_write_config(from, &options);
        testmodel_write_file(from, files[i / 2], "GGUF", 4);
        if (i / 2 == 2)
            testmodel_write_file(from, "adapter_config.json", i % 2 ? adapter : other,
                                 i % 2 ? sizeof adapter - 1 : sizeof other - 1);
        snprintf(name, sizeof name, "unread%zu", i);
        seeds_add_directory(name, from);
    }
    testmodel_write_file(from, "a.gguf", "GGUF", 4);
    testmodel_write_file(from, "b.gguf", "GGUF", 4);
    seeds_add_directory("several", from);
}

static void add_variants(const char *from) {
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct testmodel_options options = small(variants[i].options);
        testmodel_write(from, &options);
        if (i == 0)
            testmodel_write_file(from, "generation_config.json", seeds_generation,
                                 sizeof seeds_generation - 1);
        add(variants[i].name, from);
    }
    struct testmodel_options options = small((struct testmodel_options){0});
    add_with("another_task", from, "score.weight", 1, true);
    add_with("cross", from, "h.0.crossattention.c_attn.weight", 1, false);
    add_with("unknown", from, "h.0.mlp.c_gate.weight", 1, false);
    add_with("deeper", from, "h.7.ln_1.weight", 1, false);
    struct testmodel_list list = testmodel_list(&options);
    options.n_vocab = 9; // config.json says fewer than there are
    add_list("more_rows", from, &list, &options, true);
    add_with("twice", from, "transformer.h.0.ln_1.bias", 1, false);
    add_with("wrong_dtype", from, "h.0.attn.bias", 1, false);
    add_named("llama", from, "model.embed_tokens.weight");
    add_named("prefixed", from, "gpt.wte.weight");
    add_named("merged_later", from, "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight");
    add_named("nameless", from, "x");
    options = small((struct testmodel_options){0});
    list = testmodel_list(&options);
    struct testmodel_tensor *c_fc = testmodel_find(&list, "h.0.mlp.c_fc.weight");
    c_fc->shape[0] = 32;
    c_fc->shape[1] = 8;
    add_list("turned", from, &list, &options, false);
}

static void add_forms(const char *from, const char *to) {
    static const char *const foreign[][2] = {{"torch", "--to torch"},
                                             {"torch_index", "--to torch --shards 2"},
                                             {"torch_legacy", "--to torch-legacy"},
                                             {"llmc", "--to llmc"},
                                             {"llmc_bf16", "--to llmc --bf16"},
                                             {"tensorflow", "--to tensorflow --shards 2"}};
    struct testmodel_options options =
        small((struct testmodel_options){.n_vocab = SEEDS_TOKENS, .head = TESTMODEL_HEAD_TIED});
    testmodel_write_index(to, &options);
    seeds_write_tokenizer(to);
    add("index", to);
    testmodel_write(from, &options);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        add_foreign(foreign[i][0], from, to, foreign[i][1]);
    options.activation = "gelu";
    testmodel_write(from, &options);
    add_foreign("nanogpt", from, to, "--to nanogpt");
    add_foreign("nanogpt_legacy", from, to, "--to nanogpt-legacy");
    struct testmodel_list list = testmodel_list(&options); // biases of zeros may be left out
    for (size_t i = 0; i < list.count; i++)
        if (strstr(list.items[i].name, ".bias"))
            list.items[i].mean = list.items[i].deviation = 0;
    char path[TESTMODEL_PATH];
    testmodel_path(path, from, "model.safetensors");
    testmodel_write_list(path, &list, &options);
    free(list.items);
    add_foreign("nanogpt_no_bias", from, to, "--to nanogpt --no-bias");
}

/* Models whose tokenizer is refused: what does not read beside what would, a pointer in the place
 * of a file, another kind. */
static void add_tokenizers(const char *from) {
    static const struct {
        const char *name, *file, *text;
        bool pair; /* beside vocab.json and merges.txt */
    } all[] = {
        {"tokenizer_damaged", "tokenizer.json", "{", true},
        {"tokenizer_pointer", "merges.txt", "version https://git-lfs.github.com/spec/v1\n", true},
        {"sentencepiece", "spiece.model", "\n\16", false},
        {"wordpiece", "vocab.txt", "[PAD]\n", false},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct testmodel_options options =
            small((struct testmodel_options){.n_vocab = SEEDS_TOKENS});
        testmodel_write(from, &options);
        if (all[i].pair)
            seeds_write_tokenizer(from);
        testmodel_write_file(from, all[i].file, all[i].text, strlen(all[i].text));
        add(all[i].name, from);
    }
}

/* One file that has all: GGUF and packed, with the tokenizer inside. */
static void add_whole_files(const char *from, const char *to) {
    struct gpt2_error err = {0};
    char path[TESTMODEL_PATH];
    const struct testmodel_options options =
        small((struct testmodel_options){.n_vocab = SEEDS_TOKENS});
    testmodel_write(from, &options);
    testmodel_write_file(from, "generation_config.json", seeds_generation,
                         sizeof seeds_generation - 1);
    struct gpt2_model *model = gpt2_model_open(from, &err);
    struct gpt2_tokenizer *tokenizer = seeds_tokenizer();
    struct gpt2_gguf_pairs pairs = {0};
    unsigned char *packed = NULL;
    size_t n_packed = 0;
    if (!model || !gpt2_tokenizer_gguf(tokenizer, SEEDS_TOKENS, &pairs, &err) ||
        !gpt2_tokenizer_pack(tokenizer, &packed, &n_packed, &err))
        seeds_die("whole files", &err);
    testmodel_path(path, to, "model.gguf");
    if (!gpt2_model_save_gguf(model, &(struct gpt2_gguf_options){.tokenizer = &pairs}, path, &err))
        seeds_die("gguf", &err);
    add("gguf", to);
    testmodel_path(path, to, "model.packed");
    if (!gpt2_quantize(model, runtime,
                       &(struct gpt2_quantize_options){
                           .type = GPT2_Q8, .tokenizer = packed, .n_tokenizer = n_packed},
                       path, &err))
        seeds_die("packed", &err);
    add_file("packed", to, "model.packed");
    free(packed);
    free(pairs.bytes);
    gpt2_tokenizer_close(tokenizer);
    gpt2_model_close(model);
}

void replay_seeds(void) {
    char from[TESTMODEL_PATH], to[TESTMODEL_PATH];
    if (!runtime)
        prepare();
    testmodel_tempdir(from);
    testmodel_tempdir(to);
    add_variants(from);
    add_unread(from);
    add_forms(from, to);
    add_whole_files(from, to);
    add_tokenizers(from);
    testmodel_remove(from);
    testmodel_remove(to);
}
