/* adapter.c - knows adapters, which are no models, and names the model that one is for. */
#include "weights/adapter.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/os.h"
#include "base/path.h"
#include "weights/containers.h"

#include <stdio.h>
#include <stdlib.h>

/* What adapter_config.json says; "" where it does not. */
struct adapter_says {
    char kind[40];  /* "LORA" */
    char base[200]; /* "openai-community/gpt2" */
};

static void copy_string(char *out, size_t cap, const struct json *root, const char *name) {
    const char *text = "";
    json_string(json_get(root, name), &text);
    snprintf(out, cap, "%s", text);
}

static void read_config(struct adapter_says *says, const char *dir) {
    struct os_file file = {0};
    char *path = path_join(dir, "adapter_config.json", NULL);
    struct json *root = NULL;
    if (path && os_map(&file, path, GPT2_ERR_MODEL, NULL))
        root = json_parse_settings((const char *)file.data, file.size, path, GPT2_ERR_MODEL, NULL);
    copy_string(says->kind, sizeof says->kind, root, "peft_type");
    copy_string(says->base, sizeof says->base, root, "base_model_name_or_path");
    json_free(root);
    os_unmap(&file);
    free(path);
}

bool adapter_refuse(const char *path, struct gpt2_error *err) {
    struct adapter_says says = {0};
    char *dir = path_directory(path, err);
    if (!dir)
        return false;
    read_config(&says, dir);
    const bool lora = !*says.kind || path_matches(says.kind, "LORA");
    error_set(err, GPT2_ERR_MODEL, "%s: expected a model, found %s%s adapter%s%s%s", path,
              lora ? "a LoRA" : "an adapter: a ", lora ? "" : says.kind,
              *says.base ? " for \"" : "", says.base,
              *says.base ? "\"" : ", whose model is not named");
    const char *base = *says.base ? says.base : "BASE";
    if (lora)
        error_hint(err,
                   "an adapter changes a model: -m %s --lora %s, or `gpt2 convert -m %s --lora %s "
                   "-o MERGED` for one model of both",
                   base, dir, base, dir);
    else
        error_hint(err,
                   "merge it into its model with PEFT: merge_and_unload() and save_pretrained()");
    free(dir);
    return false;
}

const struct container container_adapter = {
    .what = "an adapter",
    .names =
        CONTAINER_NAMES("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"),
    .hint = "give it with the model that it is for",
    .refuse = adapter_refuse,
};
