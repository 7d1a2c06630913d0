/* bulk_output.h - the lines that a bulk job writes (line_output.h), and their fingerprint. */
#ifndef CLI_GENERATE_BULK_OUTPUT_H
#define CLI_GENERATE_BULK_OUTPUT_H

#include "cli/command/fingerprint.h"
#include "cli/generate/bulk_job.h"
#include "cli/io/line_output.h"

struct bulk_output {
    struct line_output lines;
    char fingerprint[FINGERPRINT_BYTES];
};

/* `settings` are resolved. *n_done is how many records are done already. */
bool bulk_output_open(struct bulk_output *out, const struct bulk_job *job,
                      const struct settings *settings, int input_fd, uint64_t *n_done,
                      struct gpt2_error *err);

/* Compares the record of the last line that was found with the input's. */
bool bulk_output_check(const struct bulk_output *out, const char *line, size_t n, bool is_json,
                       uint64_t number, const struct bulk_job *job, struct gpt2_error *err);

#endif
