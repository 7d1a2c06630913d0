/* weight_reader.h - the weights of an open model, element by element, wherever they lie: what
 * writing a model and checking it have in common. */
#ifndef EXPORT_WEIGHT_READER_H
#define EXPORT_WEIGHT_READER_H

#include "model/tensor_schema.h"

/* The tensors that a file has: those of tensor_schema.h, and lm_head where it is not tied. */
size_t weight_reader_count(const struct gpt2_model *model);
/* Past their end it is lm_head, the same matrix as wte where it is tied. */
struct tensor_spec weight_reader_at(const struct gpt2_model *model, size_t i);

/* The type of its elements here. A type whose panels hold the numbers of a file of another format
 * (dtype_is_foreign) counts as F32, which has them exactly. */
enum dtype weight_reader_dtype(const struct tensor_spec *spec);
size_t weight_reader_elements(const struct tensor_spec *spec);

/* Copies `n` rows from `first` of a matrix [rows, cols], elements in its own type; a vector is one
 * row. */
void weight_reader_rows(void *out, const struct tensor_spec *spec, size_t first, size_t n);

/* The same of columns: out[n][rows]. Of a linear layer that is [out, in]. */
void weight_reader_columns(void *out, const struct tensor_spec *spec, size_t first, size_t n);

/* Fails with GPT2_ERR_MODEL where one is quantized. `why` goes into the message. */
bool weight_reader_check_plain(const struct gpt2_model *model, const char *why,
                               struct gpt2_error *err);

#endif
