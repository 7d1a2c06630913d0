/* bulk.h - many prompts from a file or a pipe, one line of JSON for each, in their order.
 *
 * A line depends on the model, the options and the record alone: not on order, threads, shards or
 * restarts. Each carries `system_fingerprint`, a hash of what the model computes and of all options
 * that change a text, and `input`, a hash of the record's line; --resume goes on only where both
 * are the same. The error of a record without an id has its line, on which it then depends, too. */
#ifndef CLI_GENERATE_BULK_H
#define CLI_GENERATE_BULK_H

#include "cli/generate/bulk_job.h"

/* Runs the job; returns the exit code, errors are reported. */
int bulk_run(const struct bulk_job *job);

#endif
