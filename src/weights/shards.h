/* shards.h - weights split into several files, which an index lists (transformers,
 * save_pretrained). */
#ifndef WEIGHTS_SHARDS_H
#define WEIGHTS_SHARDS_H

#include "weights/containers.h"

/* Formats (containers.h): container_safetensors_index, a model.safetensors.index.json, and
 * container_torch_index, a pytorch_model.bin.index.json.
 *
 *     {"metadata": {...}, "weight_map": {"wte.weight": "model-00001-of-00002.safetensors", ...}}
 *
 * Files are names in the index's own directory, nothing else. Each tensor is in the file that the
 * index says and in no other, and the files have no tensors but those. Otherwise GPT2_ERR_MODEL. */

/* The files that the text of an index names, each once, in the order of their names: *files
 * [*n_files], to be freed with shards_free_files. `path` stands for it in messages. */
bool shards_parse(char ***files, size_t *n_files, const char *text, size_t len, const char *path,
                  struct gpt2_error *err);
void shards_free_files(char **files, size_t n_files);

#endif
