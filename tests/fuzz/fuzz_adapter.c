/* fuzz_adapter.c - any files as the folder of a LoRA adapter (archive.h): refused with a message,
 * and the model is as it was, or merged into a small model, which then computes a token. */
#define REPLAY_NAME   "adapter"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "seeds.h"
#include <gpt2/lora.h>

static char base[TESTMODEL_PATH], dir[TESTMODEL_PATH];
static struct gpt2_runtime *runtime;

/* The models that are changed: one whose head is wte, one with a head of its own. */
static const struct testmodel_options shapes[] = {
    {.n_embd = 8, .n_layer = 1, .n_ctx = 12, .n_vocab = 11},
    {.n_embd = 8, .n_layer = 1, .n_ctx = 12, .n_vocab = 11, .head = TESTMODEL_HEAD_OWN},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, RANK = 2 };

static void finish(void) {
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
    for (int i = 0; i < SHAPES; i++) {
        char path[TESTMODEL_PATH];
        testmodel_path(path, base, i ? "own" : "tied");
        testmodel_remove(path);
    }
    testmodel_remove(base);
}

static void prepare(void) {
    testmodel_tempdir(base);
    testmodel_tempdir(dir);
    for (int i = 0; i < SHAPES; i++) {
        char path[TESTMODEL_PATH];
        testmodel_path(path, base, i ? "own" : "tied");
        if (mkdir(path, 0700) != 0)
            testmodel_die("create", path);
        testmodel_write(path, &shapes[i]);
    }
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 1}, NULL);
    if (!runtime || atexit(finish) != 0)
        abort();
}

/* True where it was merged. */
static bool merge(int shape, double scale) {
    char path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    testmodel_path(path, base, shape ? "own" : "tied");
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        seeds_die(path, &err);
    const bool ok = gpt2_model_adapt(model, dir, scale, runtime, &err);
    struct gpt2_adapter_info info;
    if (ok != gpt2_model_adapter(model, 0, &info))
        abort();
    if (!ok && (err.status == GPT2_OK || !err.message[0]))
        abort(); // refused without a word
    seeds_compute(model, runtime);
    gpt2_model_close(model);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!runtime)
        prepare();
    archive_write(dir, data, size);
    for (int i = 0; i < SHAPES; i++)
        merge(i, i ? -0.5 : 1);
    archive_clear(dir);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return archive_mutate(data, size, cap, state);
}

/* ---- seeds, as PEFT writes them ---- */

static void add_pair(struct testmodel_list *list, const char *module, int n_in, int n_out,
                     const char *a, const char *b) {
    char name[96];
    snprintf(name, sizeof name, "base_model.model.transformer.%s.%s", module, a);
    testmodel_add(list, "", name, "F32", 2, RANK, n_in)->deviation = 0.3;
    snprintf(name, sizeof name, "base_model.model.transformer.%s.%s", module, b);
    testmodel_add(list, "", name, "F32", 2, n_out, RANK)->deviation = 0.3;
}

static void add(const char *name, const char *config, const struct testmodel_list *list,
                bool opens) {
    char path[TESTMODEL_PATH];
    testmodel_path(path, dir, "adapter_model.safetensors");
    testmodel_write_list(path, list, NULL);
    testmodel_write_file(dir, "adapter_config.json", config, strlen(config));
    for (int i = 0; i < SHAPES; i++)
        if (merge(i, 1) != opens) {
            fprintf(stderr, "%s: is %s\n", name, opens ? "refused" : "merged");
            abort();
        }
    seeds_add_directory(name, dir);
}

void replay_seeds(void) {
    if (!runtime)
        prepare();
    struct testmodel_list list = {0};
    add_pair(&list, "h.0.attn.c_attn", 8, 24, "lora_A.weight", "lora_B.weight");
    add_pair(&list, "h.0.mlp.c_fc", 8, 32, "lora_A.weight", "lora_B.weight");
    add("plain",
        "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"fan_in_fan_out\": true, "
        "\"base_model_name_or_path\": \"gpt2\", \"bias\": \"none\", "
        "\"target_modules\": [\"c_attn\", \"c_fc\"]}",
        &list, true);
    add("patterns",
        "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"use_rslora\": true, "
        "\"rank_pattern\": {\"^transformer\\\\.h\\\\.\\\\d+\\\\.mlp\\\\.(?:c_fc|c_proj)\": 2}, "
        "\"alpha_pattern\": {\"c_attn\": 3, \"h.[0-9].\\\\w+.c_fc\": 5}, "
        "\"target_modules\": \".*(c_attn|c_fc)$\"}",
        &list, true);
    list.count = 0;
    add_pair(&list, "wte", 11, 8, "lora_embedding_A", "lora_embedding_B");
    testmodel_add(&list, "", "base_model.model.transformer.h.0.ln_1.bias", "F16", 1, 8, 1);
    testmodel_add(&list, "", "base_model.model.transformer.ln_f.modules_to_save.default.weight",
                  "F32", 1, 8, 1)
        ->mean = 1;
    add("whole",
        "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"bias\": \"all\", "
        "\"modules_to_save\": [\"ln_f\"], \"target_modules\": [\"wte\"]}",
        &list, true);
    list.count = 0;
    add_pair(&list, "h.0.attn.c_attn.base_layer", 8, 24, "lora_A.default.weight",
             "lora_B.default.weight");
    testmodel_add(&list, "", "base_model.model.transformer.h.0.attn.c_attn.lora_B.bias", "F32", 1,
                  24, 1)
        ->deviation = 0.1;
    add("bias",
        "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"lora_bias\": true, "
        "\"target_modules\": \"all-linear\", \"layers_to_transform\": [0]}",
        &list, true);
    static const char plain[] = "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4}";
    list.count = 0;
    add_pair(&list, "h.0.attn.c_attn", 8, 23, "lora_A.weight", "lora_B.weight");
    add("shape", plain, &list, false);
    list.items[1].shape[0] = 24;
    list.items[1].dtype = "I32";
    add("dtype", plain, &list, false);
    list.items[1].dtype = "F32";
    testmodel_add(&list, "", "base_model.model.score.weight", "F32", 2, 2, 8);
    add("score", plain, &list, true);
    strcpy(list.items[2].name, "base_model.model.transformer.ln_f.bias");
    add("rank", plain, &list, false); // a vector has one
    strcpy(list.items[2].name, "base_model.model.something");
    add("unknown", plain, &list, false);
    list.count = 1;
    add("half", plain, &list, false);
    list.count = 0;
    testmodel_add(&list, "", "base_model.model.transformer.wte.weight", "F32", 2, 11, 8);
    testmodel_add(&list, "", "base_model.model.lm_head.weight", "F32", 2, 11, 8);
    add("both", "{\"peft_type\": \"LORA\", \"r\": 2, \"modules_to_save\": [\"wte\", \"lm_head\"]}",
        &list, true);
    free(list.items);
}
