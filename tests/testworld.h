/* testworld.h - a small model, a tokenizer of letters and a runtime, for tests that continue texts.
 * After cmocka.h. */
#ifndef TESTWORLD_H
#define TESTWORLD_H

#include "testmodel.h"
#include <gpt2/completion.h>
#include <stdio.h>
#include <string.h>

/* Ids 0 to 57 are the letters 'A' to 'z', then come two words and the end of text. */
enum { V = 61, LETTERS = 58, AB = 58, ABC = 59, END = 60 };

struct testworld {
    struct gpt2_model *model;
    struct gpt2_tokenizer *tokenizer;
    struct gpt2_runtime *runtime;
};

static inline void testworld_close(struct testworld *world) {
    gpt2_runtime_free(world->runtime);
    gpt2_tokenizer_close(world->tokenizer);
    gpt2_model_close(world->model);
    *world = (struct testworld){0};
}

/* Opens all three; the model has random weights and n_ctx positions. false: `err` says why, and
 * nothing is open. */
static inline bool testworld_open(struct testworld *world, int n_ctx, struct gpt2_error *err) {
    static const char merges[] = "#version: 0.2\nA B\nAB C\n";
    char dir[TESTMODEL_PATH], vocab[16 * V] = "{";
    testmodel_tempdir(dir);
    testmodel_write(
        dir, &(struct testmodel_options){.n_vocab = V,
                                         .n_ctx = n_ctx,
                                         .config = "\"bos_token_id\": 60, \"eos_token_id\": 60"});
    for (int i = 0; i < LETTERS; i++)
        snprintf(vocab + strlen(vocab), sizeof vocab - strlen(vocab), "\"%s%c\": %d, ",
                 'A' + i == '\\' ? "\\" : "", 'A' + i, i);
    strcat(vocab, "\"AB\": 58, \"ABC\": 59, \"<|endoftext|>\": 60}");
    testmodel_write_file(dir, "vocab.json", vocab, strlen(vocab));
    testmodel_write_file(dir, "merges.txt", merges, sizeof merges - 1);
    *world = (struct testworld){.model = gpt2_model_open(dir, err)};
    if (world->model)
        world->tokenizer = gpt2_tokenizer_open(dir, err);
    if (world->tokenizer)
        world->runtime = gpt2_runtime_create(NULL, err);
    testmodel_remove(dir);
    if (!world->runtime)
        testworld_close(world);
    return world->runtime;
}

#endif
