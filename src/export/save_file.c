/* save_file.c - writes a model as one file, tensor by tensor. */
#include "export/save_file.h"
#include "base/error_internal.h"

bool save_file(const struct save_contents *contents, const char *path, struct gpt2_error *err) {
    struct outfile file = {0};
    bool ok = outfile_create(&file, path, err) &&
              outfile_write(&file, contents->front, contents->n_front, err);
    const size_t n = contents->n_tensors;
    for (size_t i = 0; ok && i < n; i++) {
        const struct tensor_spec spec = weight_reader_at(contents->model, i);
        ok = contents->write(&file, &spec, contents->writer, err);
        if (ok && contents->progress && !contents->progress(contents->user, i + 1, n))
            ok = error_set(err, GPT2_ERR_RUNTIME, "writing %s was interrupted", path);
    }
    ok = ok && outfile_commit(&file, err);
    outfile_discard(&file);
    return ok;
}
