/* pipeline.h - what a tokenizer.json says besides its tables: byte-level BPE, and how text is
 * treated before and after it.
 *
 * A tokenizer.json can describe many tokenizers. What the GPT-2 family uses is followed
 * (text_rules.h); every setting beyond that, which would give other ids, is refused by name. */
#ifndef TEXT_PIPELINE_H
#define TEXT_PIPELINE_H

#include "text/text_rules.h"

struct pipeline {
    struct text_rules *rules;  /* to be freed; NULL: none                            */
    bool split;                /* cut text into pieces by GPT-2's regular expression */
    bool add_prefix_space;     /* see vocab.h                                        */
    bool is_byte_level;        /* ByteLevel is not in a Sequence                     */
    bool ignore_merges;        /* see vocab.h                                        */
    const struct json *vocab;  /* model.vocab, an object                             */
    const struct json *merges; /* model.merges, an array                            */
};

/* Reads a parsed tokenizer.json, called `name` in messages. Where it fails there are no rules. */
bool pipeline_read(struct pipeline *pipeline, const struct json *root, const char *name,
                   struct gpt2_error *err);

#endif
