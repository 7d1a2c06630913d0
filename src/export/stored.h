/* stored.h - the weights of an open model, element by element, wherever they lie: what writing a
 * model and checking it have in common. */
#ifndef EXPORT_STORED_H
#define EXPORT_STORED_H

#include "model/parts.h"

/* The parts that a file has: those of parts.h, and lm_head where it is not tied. */
size_t stored_count(const struct gpt2_model *model);
struct part stored_at(const struct gpt2_model *model, size_t i);

enum dtype stored_dtype(const struct part *part);
size_t stored_elements(const struct part *part);

/* Copies `n` rows from `first` of a matrix [rows, cols], elements in its own type; a vector is one
 * row. */
void stored_rows(void *out, const struct part *part, size_t first, size_t n);

/* The same of columns: out[n][rows]. Of a linear layer that is [out, in]. */
void stored_columns(void *out, const struct part *part, size_t first, size_t n);

/* Fails with GPT2_ERR_MODEL where one is quantized. `why` goes into the message. */
bool stored_check_plain(const struct gpt2_model *model, const char *why, struct gpt2_error *err);

#endif
