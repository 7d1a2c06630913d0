/* presets.c - what other systems do when they are told nothing (the tables of gpt2/sampler.h). */
#include "sampling/filters.h"

void gpt2_sampler_defaults(struct gpt2_sampler_options *options, enum gpt2_compat compat) {
    *options = (struct gpt2_sampler_options){
        .compat = compat,
        .temperature = 1,
        .repeat_penalty = 1,
        .last_n = -1,
    };
    filters_set_off(options);
    switch (compat) {
    case GPT2_COMPAT_NATIVE:
        options->temperature = 0.8f;
        options->top_k = 40;
        options->top_p = 0.95f;
        options->last_n = 64;
        break;
    case GPT2_COMPAT_HF:
        options->greedy = true;
        options->top_k = 50;
        break;
    case GPT2_COMPAT_OPENAI:
        options->generated_only = true;
        break;
    case GPT2_COMPAT_LLAMA_CPP:
        options->temperature = 0.8f;
        options->top_k = 40;
        options->top_p = 0.95f;
        options->min_p = 0.05f;
        options->last_n = 64;
        break;
    case GPT2_COMPAT_NANOGPT:
        options->temperature = 0.8f;
        options->top_k = 200;
        options->seed = 1337;
        break;
    }
}

struct gpt2_compat_habits gpt2_compat_habits(enum gpt2_compat compat, int n_ctx) {
    struct gpt2_compat_habits habits = {.max_tokens = 256, .num_samples = 1, .ends_at_eos = true};
    switch (compat) {
    case GPT2_COMPAT_NATIVE:
        break;
    case GPT2_COMPAT_HF:
        habits.max_tokens = 20;
        break;
    case GPT2_COMPAT_OPENAI:
        habits.max_tokens = n_ctx / 2;
        habits.ends_at_eos = false;
        break;
    case GPT2_COMPAT_LLAMA_CPP:
        habits.max_tokens = -1;
        break;
    case GPT2_COMPAT_NANOGPT:
        habits.max_tokens = 500;
        habits.num_samples = 10;
        habits.ends_at_eos = false;
        break;
    }
    return habits;
}

const char *gpt2_compat_name(enum gpt2_compat compat) {
    static const char *const names[] = {"native", "hf", "openai", "llama.cpp", "nanogpt"};
    size_t n = sizeof names / sizeof *names;
    return (size_t)compat < n ? names[compat] : NULL;
}
