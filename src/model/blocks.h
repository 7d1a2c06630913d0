/* blocks.h - weights that a file has in blocks of integers (weights/gguf/ggml_type.h), made into
 * what products read, and back.
 *
 * Kept are the very integers with their scales, as panels of a type that has room for both
 * (kernels/panels.h): products then are those of quantized weights. Where no such type is, and
 * where it is asked for (`expand`), the weights become F32 instead. Either way each weight is the
 * number that the file has; what differs is that products of integers round the activations. */
#ifndef MODEL_BLOCKS_H
#define MODEL_BLOCKS_H

#include "model/tensor_schema.h"

/* The type of panels that holds the integers of these blocks. False: there is none. */
bool blocks_find_dtype(enum dtype *dtype, const struct ggml_type *type);

/* Sets type and layout of the matrix that a tensor in blocks becomes, and its shape; the data is
 * for blocks_make. Positions, of which single rows are looked up, become F32 always. */
void blocks_plan(struct matrix *out, const struct tensor_spec *spec, const struct tensor *tensor,
                 bool expand);

/* values[n] = the first n values of a tensor in blocks, n a whole number of them. */
void blocks_values(float *values, const struct tensor *tensor, size_t n);

/* Plans a matrix that lies in panels of blocks' integers, as blocks_make made them, to be F32. */
void blocks_plan_expanded(struct matrix *out, const struct tensor_spec *spec);

/* A matrix that was planned, and what it is made from. */
struct blocks_matrix {
    struct matrix *matrix;
    const struct tensor *tensor;
    enum dtype panels; /* what the tensor's data are panels of; DTYPE_F32: they are blocks */
};

/* Makes n matrices, in memory that the model owns (model->made) and with all processors. The pages
 * of the file that they came from leave this process's memory. */
bool blocks_make(struct gpt2_model *model, const struct blocks_matrix *list, size_t n,
                 struct gpt2_error *err);

/* Makes one block again: the i-th of an output of a matrix in panels of blocks' integers
 * (matrix->blocks), with n_in inputs. False: the panels have a number that no block of the type
 * has. */
bool blocks_restore(unsigned char *block, const struct matrix *matrix, int n_in, int output,
                    size_t i);

#endif
