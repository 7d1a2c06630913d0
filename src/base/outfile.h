/* outfile.h - writing a file that is there whole or not at all, and quick to map afterwards.
 *
 * What is written goes to a temporary file beside the target. outfile_commit puts it in the place
 * of the target in one step, once it is on the disk; until then a file that was there before stays
 * as it was, and whoever has it open or mapped keeps the old one. Every failure removes the
 * temporary file and has GPT2_ERR_RUNTIME with the path and the system's reason. */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outfile {
    char *path;      /* of the target, links followed; owned */
    char *temporary; /* owned */
    int fd;
    unsigned char *buffer; /* what is not written yet; owned */
    size_t held;           /* bytes in it */
};

/* Refuses a target that is there and no regular file: a directory, a device. */
bool outfile_create(struct outfile *file, const char *path, struct gpt2_error *err);

/* Appends, or overwrites what was written at `offset`. */
bool outfile_write(struct outfile *file, const void *data, size_t n_bytes, struct gpt2_error *err);
bool outfile_write_at(struct outfile *file, uint64_t offset, const void *data, size_t n_bytes,
                      struct gpt2_error *err);

bool outfile_commit(struct outfile *file, struct gpt2_error *err);

/* Removes the temporary file. Nothing happens after a commit, a failure, or to a zeroed struct. */
void outfile_discard(struct outfile *file);

#endif
