/* save_file.h - a model as one file: what comes before the data, then the tensors in their order.
 */
#ifndef EXPORT_SAVE_FILE_H
#define EXPORT_SAVE_FILE_H

#include "base/outfile.h"
#include "export/weight_reader.h"
#include <gpt2/save.h>

/* Writes one part as the format has it, with what follows it. */
typedef bool (*save_part)(struct outfile *file, const struct tensor_spec *spec,
                          struct gpt2_error *err);

/* Writes front[0..n_front), then every part. The file appears whole or not at all; it fails with
 * GPT2_ERR_RUNTIME where `progress` (NULL: none) wants it to end. */
bool save_file(const struct gpt2_model *model, const char *path, const char *front, size_t n_front,
               save_part write, gpt2_save_progress progress, void *user, struct gpt2_error *err);

#endif
