/* bulk_output.h - the file that a bulk job writes, and how it goes on after a crash.
 *
 * Each line is one write. --resume drops what follows the last whole line, compares that
 * line's fingerprint with this run's, and skips as many records as there are lines. */
#ifndef CLI_GENERATE_BULK_OUTPUT_H
#define CLI_GENERATE_BULK_OUTPUT_H

#include "base/buffer.h"
#include "cli/generate/bulk_job.h"

struct bulk_output {
    int fd; /* 0: not open */
    bool broken_pipe;
    bool had_errors; /* among the lines that were found */
    char fingerprint[32];
    struct buffer last; /* the last line that was found; empty: none */
    char *folder;       /* of a file that is new: its entry is synced, too; NULL: no new file */
};

/* `settings` are resolved. *n_done is how many records are done already. */
bool bulk_output_open(struct bulk_output *out, const struct bulk_job *job,
                      const struct settings *settings, int input_fd, uint64_t *n_done,
                      struct gpt2_error *err);

/* Compares the record of the last line that was found with the input's. */
bool bulk_output_check(const struct bulk_output *out, const char *line, size_t n, bool is_json,
                       uint64_t number, const struct bulk_job *job, struct gpt2_error *err);

bool bulk_output_line(struct bulk_output *out, const char *line, size_t n, struct gpt2_error *err);
bool bulk_output_close(struct bulk_output *out, struct gpt2_error *err);

#endif
