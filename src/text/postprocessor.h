/* postprocessor.h - the tokens that tokenizer.json's "post_processor" puts around a text. */
#ifndef TEXT_POSTPROCESSOR_H
#define TEXT_POSTPROCESSOR_H

#include "base/json.h"

#define POSTPROCESSOR_MAX 64 /* tokens on one side */

/* Start from {0}. */
struct postprocessor {
    int32_t prefix[POSTPROCESSOR_MAX], suffix[POSTPROCESSOR_MAX];
    int n_prefix, n_suffix;
};

/* Reads a "post_processor" that is not null, called `name` in messages: ByteLevel,
 * TemplateProcessing, RobertaProcessing, BertProcessing and Sequence. Fails with GPT2_ERR_MODEL,
 * naming what is not known. What it says of offsets does not apply: they are those of the text. */
bool postprocessor_parse(struct postprocessor *out, const struct json *node, const char *name,
                         struct gpt2_error *err);

/* Puts one more token before all others, or after them if `after`. False: there are too many, with
 * an error as above. */
bool postprocessor_wrap(struct postprocessor *out, bool after, int32_t id, const char *name,
                        struct gpt2_error *err);

#endif
