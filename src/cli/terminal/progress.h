/* progress.h - how far a bulk job is, on standard error: a bar with the time left on a terminal,
 * else a line now and then, or objects of JSON. */
#ifndef CLI_TERMINAL_PROGRESS_H
#define CLI_TERMINAL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool json, quiet, bar;
    uint64_t n_resumed, n_done, n_failed, n_tokens;
    uint64_t n_bytes, n_passed,
        size; /* of the input; n_passed of resumed records; size 0: not known
               */
    uint64_t start_ns, shown_ns;
    bool begun;
};

/* n_resumed: records that an earlier run has done, of which n_failed have errors. */
struct progress progress_begin(int input_fd, uint64_t n_resumed, uint64_t n_failed, bool json,
                               bool quiet);
/* So many bytes of input are dealt with; those of `resumed` records took no time. */
void progress_read(struct progress *progress, size_t n_bytes, bool resumed);
void progress_done(struct progress *progress, bool failed, uint64_t n_tokens);
void progress_show(struct progress *progress); /* where it is time */
void progress_end(struct progress *progress);

#endif
