/* fuzz_task.c - any bytes as a record of a benchmark: refused with a message, or a context and
 * choices of which one is right. */
#define REPLAY_NAME  "task"
#define REPLAY_SEEDS 1
#include "replay.h"

#include <gpt2/task.h>
#include <stdlib.h>
#include <string.h>

static bool try(const uint8_t *data, size_t size, enum gpt2_task task, enum gpt2_task_form form) {
    struct gpt2_error err = {0};
    struct gpt2_task_item item = {0};
    const bool ok = gpt2_task_parse(&item, task, form, (const char *)data, size, "input", &err);
    if (!ok && (err.status == GPT2_OK || !err.message[0]))
        abort(); // refused without a word
    if (ok && (item.n_choices < 1 || item.n_choices > GPT2_MAX_CHOICES || item.label < 0 ||
               item.label >= item.n_choices))
        abort();
    size_t n = ok ? strlen(item.context) : 0;
    for (int i = 0; ok && i < item.n_choices; i++)
        n += strlen(item.choices[i]);
    gpt2_task_free(&item);
    return ok && n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try(data, size, GPT2_TASK_LAMBADA, GPT2_FORM_LM_EVAL);
    try(data, size, GPT2_TASK_HELLASWAG, GPT2_FORM_LM_EVAL);
    try(data, size, GPT2_TASK_HELLASWAG, GPT2_FORM_LLM_C);
    return 0;
}

void replay_seeds(void) {
    static const struct {
        const char *name, *text;
        enum gpt2_task task;
        enum gpt2_task_form form;
    } seeds[] = {
        {"lambada", "{\"text\": \"once upon a time there was a king\"}", GPT2_TASK_LAMBADA,
         GPT2_FORM_LM_EVAL},
        {"hellaswag",
         "{\"ind\": 24, \"activity_label\": \"Roof [header] work\", \"ctx_a\": \"A man sits.\", "
         "\"ctx_b\": \"he\", \"endings\": [\"is \\u00e9.\", \"[title] rips it.\", \"x\", \"y\"], "
         "\"label\": 3}",
         GPT2_TASK_HELLASWAG, GPT2_FORM_LM_EVAL},
        {"llm_c",
         "{\"ctx\": \"A man sits. he\", \"endings\": [\"a\", \"b\", \"c\", \"d\"], \"label\": 0}",
         GPT2_TASK_HELLASWAG, GPT2_FORM_LLM_C},
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        const size_t n = strlen(seeds[i].text);
        if (!try((const uint8_t *)seeds[i].text, n, seeds[i].task, seeds[i].form)) {
            fprintf(stderr, "%s: is refused\n", seeds[i].name);
            abort();
        }
        replay_seed(seeds[i].name, seeds[i].text, n);
    }
}
