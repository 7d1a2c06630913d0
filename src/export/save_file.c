/* save_file.c - writes a model as one file, tensor by tensor. */
#include "export/save_file.h"
#include "base/error_internal.h"

bool save_file(const struct gpt2_model *model, const char *path, const char *front, size_t n_front,
               save_part write, gpt2_save_progress progress, void *user, struct gpt2_error *err) {
    struct outfile file = {0};
    bool ok = outfile_create(&file, path, err) && outfile_write(&file, front, n_front, err);
    const size_t n = weight_reader_count(model);
    for (size_t i = 0; ok && i < n; i++) {
        const struct tensor_spec spec = weight_reader_at(model, i);
        ok = write(&file, &spec, err);
        if (ok && progress && !progress(user, i + 1, n))
            ok = error_set(err, GPT2_ERR_RUNTIME, "writing %s was interrupted", path);
    }
    ok = ok && outfile_commit(&file, err);
    outfile_discard(&file);
    return ok;
}
