/* tensorflow.h - reads the checkpoint that OpenAI published and its fine-tunes save:
 * model.ckpt.index says where in model.ckpt.data-00000-of-00001 each tensor lies, hparams.json how
 * many heads there are. Formats: tensorflow/core/util/tensor_bundle and OpenAI's gpt-2 repository.
 */
#ifndef WEIGHTS_TENSORFLOW_TENSORFLOW_H
#define WEIGHTS_TENSORFLOW_TENSORFLOW_H

#include "weights/containers.h"

/* The format is container_tensorflow (containers.h): its file is the index, the data files lie
 * beside it. Every byte is compared with the checksums that the index has. tensors->config is from
 * hparams.json; NULL where there is none. On failure GPT2_ERR_MODEL names the file, the tensor,
 * what was expected and found. */

/* The table of an index and one data file in memory. Both are borrowed; the data must outlive the
 * table. `name` stands for the path in messages. */
bool tensorflow_parse(struct tensors *out, const unsigned char *index, size_t n_index,
                      const unsigned char *data, size_t n_data, const char *name,
                      struct gpt2_error *err);

/* config.json's text from that of a hparams.json, to be freed; NULL: err is set. */
char *tensorflow_config(const char *text, size_t len, const char *path, struct gpt2_error *err);

#endif
