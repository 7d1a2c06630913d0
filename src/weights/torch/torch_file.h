/* torch_file.h - the outer form of what torch.save wrote: the pickle of the object, and storages,
 * the stretches of elements that its tensors are views of. */
#ifndef WEIGHTS_TORCH_TORCH_FILE_H
#define WEIGHTS_TORCH_TORCH_FILE_H

#include "weights/torch/pickle.h"
#include "weights/torch/zip.h"

/* What the pickle may name, apart from storages. */
enum torch_global { TORCH_REBUILD_TENSOR, TORCH_REBUILD_PARAMETER, TORCH_SIZE, TORCH_N_FUNCTIONS };

struct torch_storage {
    const char *key; /* [n_key] in the pickle */
    size_t n_key;
    const char *dtype;         /* as safetensors spells it; static               */
    size_t element;            /* its bytes                                      */
    uint64_t count;            /* elements                                       */
    const unsigned char *data; /* [count * element] in the file                  */
};

struct torch_file {
    struct pickle pickle;
    struct torch_storage *storages; /* [n_storages] sorted by key, no two alike */
    size_t n_storages;
};

bool torch_file_recognise(const unsigned char *head, size_t n);

/* Reads either format. The bytes are borrowed; `name` stands for them in messages. Fails with
 * GPT2_ERR_MODEL or GPT2_ERR_MEMORY; then there is nothing to free. */
bool torch_file_parse(struct torch_file *out, const unsigned char *bytes, size_t n_bytes,
                      const char *name, struct gpt2_error *err);
void torch_file_free(struct torch_file *file); /* a zeroed struct is allowed */

/* The storage that a value of the pickle is; NULL if it is none. */
const struct torch_storage *torch_file_storage(const struct torch_file *file,
                                               const struct pickle_value *value);

#endif
