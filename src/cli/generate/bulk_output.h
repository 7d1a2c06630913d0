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

/* `settings` are resolved. */
bool bulk_output_open(struct bulk_output *out, const struct bulk_job *job,
                      const struct settings *settings, struct gpt2_error *err);

/* Appends the members that say on what a line depends: of the input's line its hash. */
void bulk_output_mark(const struct bulk_output *out, uint64_t hash, struct buffer *line);

#endif
