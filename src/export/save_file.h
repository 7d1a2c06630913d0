/* save_file.h - a model as one file: what comes before the data, then the tensors in their order.
 */
#ifndef EXPORT_SAVE_FILE_H
#define EXPORT_SAVE_FILE_H

#include "base/outfile.h"
#include "export/weight_reader.h"
#include <gpt2/save.h>

/* Writes one part as the format has it, with what follows it. */
typedef bool (*save_part)(struct outfile *file, const struct tensor_spec *spec, const void *writer,
                          struct gpt2_error *err);

struct save_contents {
    const struct gpt2_model *model;
    const char *front; /* [n_front] before the data             */
    size_t n_front;
    size_t n_tensors; /* the first ones of weight_reader_at     */
    save_part write;
    const void *writer;          /* for `write`                 */
    gpt2_save_progress progress; /* NULL: none                  */
    void *user;                  /* for `progress`              */
};

/* Writes the front, then every part. The file appears whole or not at all; it fails with
 * GPT2_ERR_RUNTIME where `progress` wants it to end. */
bool save_file(const struct save_contents *contents, const char *path, struct gpt2_error *err);

#endif
