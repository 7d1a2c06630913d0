/* tokenizer_json.h - a tokenizer.json without building a tree of its bulk.
 *
 * Nearly all of such a file is model.vocab and model.merges. In the usual form they are read
 * straight (vocab_map.h), as fast as vocab.json and merges.txt; only what is around them, which
 * says how the tokenizer works, becomes a tree. Any other form is parsed whole. */
#ifndef TEXT_TOKENIZER_JSON_H
#define TEXT_TOKENIZER_JSON_H

#include "text/vocab_map.h"

/* Values of a tokenizer.json or vocab.json that is parsed whole (json_parse_large). */
#define TOKENIZER_JSON_VALUES ((size_t)1 << 22)

/* Start from {0}. */
struct tokenizer_json {
    struct json *root; /* the file; where `quick`, with an empty model.vocab and model.merges */
    bool quick;        /* the two are here and not in the tree */
    struct vocab_map vocab;
    struct vocab_pairs merges;
};

/* Reads text[0..len), called `name` in messages. Fails with GPT2_ERR_MODEL where it is no JSON. */
bool tokenizer_json_read(struct tokenizer_json *out, const char *text, size_t len, const char *name,
                         struct gpt2_error *err);

void tokenizer_json_free(struct tokenizer_json *file); /* leaves {0} */

#endif
