/* pipeline.h - what a tokenizer.json says besides its tables: is it GPT-2's way of tokenizing?
 *
 * A tokenizer.json can describe many tokenizers. This one accepts byte-level BPE with GPT-2's
 * pre-tokenization and refuses, by name, every setting that would give other ids. */
#ifndef TEXT_PIPELINE_H
#define TEXT_PIPELINE_H

#include "base/json.h"

struct pipeline {
    bool split;                /* cut text into pieces by GPT-2's regular expression */
    bool add_prefix_space;     /* see vocab.h                                        */
    bool ignore_merges;        /* see vocab.h                                        */
    const struct json *vocab;  /* model.vocab, an object                             */
    const struct json *merges; /* model.merges, an array                            */
};

/* Reads a parsed tokenizer.json, called `name` in messages. */
bool pipeline_read(struct pipeline *pipeline, const struct json *root, const char *name,
                   struct gpt2_error *err);

#endif
