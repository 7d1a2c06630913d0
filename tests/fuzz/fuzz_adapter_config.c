/* fuzz_adapter_config.c - any bytes as adapter_config.json: refused with a message, or scales that
 * are numbers for modules of any name. */
#define REPLAY_NAME  "adapter_config"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "model/adapter_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True where it is read, and has a scale for c_attn. */
static bool try(const char *text, size_t size) {
    static const char *const modules[] = {"transformer.h.0.attn.c_attn", "h.11.mlp.c_proj", "",
                                          "x"};
    struct gpt2_error err = {0};
    struct adapter_config config = {0};
    struct warnings notes = {0};
    bool ok = adapter_config_parse(&config, &notes, text, size, "input", &err), scaled = false;
    if (!ok && (err.status == GPT2_OK || !err.message[0]))
        abort(); // refused without a word
    for (size_t i = 0; ok && i < sizeof modules / sizeof *modules; i++) {
        double scale = 0;
        err = (struct gpt2_error){0};
        if (adapter_config_scale(&scale, &config, modules[i], 8, &err))
            scaled = scaled || i == 0;
        else if (err.status == GPT2_OK || !err.message[0])
            abort();
        (void)adapter_config_expects(&config, modules[i]);
    }
    if (ok && !config.base)
        abort();
    adapter_config_free(&config);
    warnings_free(&notes);
    return ok && scaled;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try((const char *)data, size);
    return 0;
}

/* As PEFT writes it. */
void replay_seeds(void) {
    static const char plain[] =
        "{\"base_model_name_or_path\": \"gpt2\", \"bias\": \"none\", \"fan_in_fan_out\": true, "
        "\"inference_mode\": true, \"init_lora_weights\": true, \"lora_alpha\": 16, "
        "\"lora_dropout\": 0.05, \"modules_to_save\": null, \"peft_type\": \"LORA\", \"r\": 8, "
        "\"target_modules\": [\"c_attn\", \"c_proj\"], \"task_type\": \"CAUSAL_LM\"}";
    static const char patterns[] =
        "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 32, \"use_rslora\": true, "
        "\"rank_pattern\": {\"h.0.attn.c_attn\": 8}, \"alpha_pattern\": {\"c_attn\": 3}, "
        "\"target_modules\": \"all-linear\"}";
    static const char regular[] =
        "{\"peft_type\": \"LORA\", \"r\": 8, \"init_lora_weights\": \"gaussian\", "
        "\"rank_pattern\": "
        "{\"h\\\\.\\\\d+\\\\.(?:mlp|attn)\\\\.c_(fc|\\\\w+)\": 8, \"[h]{2,3}\\\\-a\": 4}, "
        "\"target_modules\": [\"transformer.h.0.attn.c_attn\", \"x\"]}";
    static const char *const refused[] = {
        "{\"peft_type\": \"LORA\", \"use_dora\": true}",
        "{\"peft_type\": \"LORA\", \"init_lora_weights\": \"pissa\"}",
        "{\"peft_type\": \"LORA\", \"use_new\": 1}",
        "{\"peft_type\": \"LORA\", \"r\": 8, \"rank_pattern\": {\"(?<=a)b\": 8}}",
        "{\"peft_type\": \"LORA\", \"r\": 8, \"rank_pattern\": {\"((a{9,99}){9}){9,}\": 8}}",
        "{\"peft_type\": \"LORA\", \"r\": 8, \"rank_pattern\": {\"h****\": 8}}",
        "{\"peft_type\": \"LORA\", \"r\": 8, \"rank_pattern\": "
        "{\"(((((((((((((h)*)*)*)*)*)*)*)*)*)*)*)*)*\": 8}}",
        "[]"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (try(refused[i], strlen(refused[i])))
            abort();
        char name[20];
        snprintf(name, sizeof name, "refused%zu", i);
        replay_seed(name, refused[i], strlen(refused[i]));
    }
    if (!try(plain, sizeof plain - 1) || !try(patterns, sizeof patterns - 1) ||
        !try(regular, sizeof regular - 1)) {
        fprintf(stderr, "a seed is refused\n");
        abort();
    }
    replay_seed("regular", regular, sizeof regular - 1);
    replay_seed("plain", plain, sizeof plain - 1);
    replay_seed("patterns", patterns, sizeof patterns - 1);
}
