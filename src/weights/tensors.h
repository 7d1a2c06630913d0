/* tensors.h - what every weight container is turned into: a table of named, checked tensors.
 *
 * A reader (safetensors.c, gguf.c ...; containers.c lists them) maps the file or files, checks
 * them from the first byte to the last, and fills this table. The loader in model/ never sees a
 * container, only this, so all of them look alike here:
 *
 *   - names are GPT-2's own, "h.0.ln_1.weight", perhaps after a wrapper's prefix
 *     (model/tensor_index.c)
 *   - matrices of linear layers are [in, out]. A reader of a format that has them [out, in] says so
 *     (tensors_turn): the shape is [in, out], the data lies there output after output
 *   - what is not F32, F16, BF16 or F64 is in blocks of integers (gguf/ggml_type.h)
 *
 * Data lies in a mapping where the file has it like this, else in memory that the table owns. */
#ifndef WEIGHTS_TENSORS_H
#define WEIGHTS_TENSORS_H

#include "base/os.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_MAX_RANK 8

struct ggml_type;

struct tensor {
    const char *name;               /* as above; outlives the table or is owned by it          */
    const char *dtype;              /* as safetensors spells it: "F32", "U8", ...; static      */
    const struct ggml_type *blocks; /* what the data's blocks are, whose name dtype is then;
                                       NULL: it has single elements                            */
    int rank;                       /* 0..TENSOR_MAX_RANK                                      */
    int64_t shape[TENSOR_MAX_RANK]; /* each >= 0; the product and its bytes fit a size_t       */
    const char *note;               /* what the container says of it beside these; owned by the
                                       table, or static. NULL: nothing                         */
    const void *data;               /* any alignment, row-major, little-endian                 */
    size_t n_bytes;                 /* exactly product(shape) * size of dtype, or of the blocks;
                                       a row, or with by_columns a column, is whole blocks     */
    bool by_columns;                /* a matrix whose data is its transpose: column after column.
                                       Of linear layers only (tensors_turn)                    */
};

/* The checksums that a container carries of its data, in blocks (block_check.h). */
struct checksums {
    const unsigned char *data;   /* [n_bytes] what they are of                                    */
    size_t n_bytes, block_bytes; /* of all, and of each block but the last, which may be shorter  */
    size_t count;                /* of blocks                                                     */
    const unsigned char *sums;   /* [count] of 8 bytes, little-endian, at any address; NULL: none */
};

struct tensors {
    const char *path;     /* of the file, for messages; owned                */
    struct os_file file;  /* its mapping; {NULL, 0} where nothing points into it, and of bytes that
                             are borrowed */
    struct tensor *items; /* [count] owned; in the order of the data         */
    size_t count;
    void *storage;        /* the names and notes; owned, or NULL */
    struct os_file *more; /* [n_more] the mappings of further files; owned */
    size_t n_more;
    void **copies; /* [n_copies] memory that data or names lie in; owned */
    size_t n_copies;
    char *config; /* [config_len] what the container itself says of the configuration, as the text
                     of a config.json; to be freed. NULL: it says nothing */
    size_t config_len;
    const char *config_name; /* what messages call it; static */
    struct checksums checksums;
    int in_panels; /* the weights are as the kernels read them (model/packed_loader.h): matrices in
                      panels, vectors F32, data at multiples of 64 bytes. It is the version of the
                      format that says so (packed.h); 0: they are as other programs have them */
};

/* What a reader does with the bytes of a file: fills *out with a table that points into them, or
 * into files that it maps itself (tensors_map). The bytes are borrowed and outlive the table;
 * `path` is copied and names the file in messages. False: err is set, and *out is zeroed. */
typedef bool tensors_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                           const char *path, struct gpt2_error *err);

/* Maps a file and parses it; the mapping then belongs to the table. After a failure nothing is
 * mapped and there is nothing to close. */
bool tensors_open(struct tensors *out, const char *path, tensors_parse *parse,
                  struct gpt2_error *err);

/* Maps another file, which stays mapped as long as the table is open. NULL: err is set. */
const struct os_file *tensors_map(struct tensors *tensors, const char *path,
                                  struct gpt2_error *err);

/* Memory as of os_alloc (zeroed, aligned), which goes away with the table. NULL: err is set. */
void *tensors_alloc(struct tensors *tensors, size_t count, size_t size, const char *what,
                    struct gpt2_error *err);

/* Memory of os_alloc goes away with the table from now on. False: GPT2_ERR_MEMORY, it does not. */
bool tensors_adopt(struct tensors *tensors, void *memory, struct gpt2_error *err);

/* Says that the data of a linear layer's matrix, of shape [a, b], is that of a matrix [b, a],
 * column after column: nothing is read or moved. */
static inline void tensors_turn(struct tensor *matrix) {
    const int64_t rows = matrix->shape[0];
    matrix->shape[0] = matrix->shape[1];
    matrix->shape[1] = rows;
    matrix->by_columns = true;
}

/* Turns a matrix [a, b], whose elements have a whole number of bytes, into [b, a]: the data is then
 * an owned copy. Fails with GPT2_ERR_MEMORY. */
bool tensors_transpose(struct tensors *tensors, struct tensor *matrix, struct gpt2_error *err);

void tensors_close(struct tensors *tensors); /* unmaps and frees; a zeroed struct is allowed */

#endif
