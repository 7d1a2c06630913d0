/* logits_file.c - writes logits as they come, in NumPy's form. */
#include "cli/generate/logits_file.h"
#include "base/npy.h"
#include "cli/io/output.h"
#include "cli/io/report.h"

#include <assert.h>

/* The header of `n_rows` rows; its length is the same for any number. */
static bool write_header(struct logits_file *logits, size_t n_rows, struct gpt2_error *err) {
    const size_t shape[] = {n_rows, logits->n_vocab};
    struct buffer header = {0};
    npy_header(&header, shape, 2);
    bool ok = header.failed
                  ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a header")
              : logits->n_rows ? outfile_write_at(&logits->file, 0, header.data, header.len, err)
                               : outfile_write(&logits->file, header.data, header.len, err);
    ok = ok &&
         outfile_end_at(&logits->file, header.len + n_rows * logits->n_vocab * sizeof(float), err);
    buffer_free(&header);
    return ok;
}

bool logits_file_open(struct logits_file *logits, const char *path, int n_vocab,
                      struct gpt2_error *err) {
    if (!path)
        return true;
    logits->n_vocab = (size_t)n_vocab;
    return outfile_create(&logits->file, path, err) && write_header(logits, 0, err);
}

bool logits_file_row(struct logits_file *logits, const float *row) {
    if (!logits->n_vocab)
        return true;
    logits->failed = logits->failed || !outfile_write(&logits->file, row,
                                                      logits->n_vocab * sizeof *row, &logits->err);
    logits->n_rows++;
    return !logits->failed;
}

bool logits_file_end(struct logits_file *logits, int n_ids, struct gpt2_error *err) {
    if (!logits->n_vocab)
        return true;
    if (logits->failed) {
        *err = logits->err;
        return false;
    }
    assert((size_t)n_ids <= logits->n_rows);
    return write_header(logits, (size_t)n_ids, err) && outfile_commit(&logits->file, err);
}

void logits_file_discard(struct logits_file *logits) {
    outfile_discard(&logits->file);
}
