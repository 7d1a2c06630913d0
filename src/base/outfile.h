/* outfile.h - writing a file so that it appears whole or not at all.
 *
 * Data goes to a temporary file in the target's folder. outfile_commit puts it on the disk and then
 * renames it to the target, in one step. Until then an existing target keeps its contents, and
 * processes that have it open or mapped keep the old file afterwards. On every failure the
 * temporary file is removed, the struct is zeroed, and *err is GPT2_ERR_RUNTIME with the path and
 * the system's reason, or GPT2_ERR_MEMORY. Large outputs are written in blocks that Linux can map
 * by large pages. */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outfile_flags {
    OUTFILE_PRIVATE = 1,  /* mode 0600; else that of the old file, or 0666 less the umask        */
    OUTFILE_IN_PLACE = 2, /* an existing device, pipe or socket is written to directly, neither */
                          /* synced nor renamed; else it is an error                            */
};

/* Start from {0}. */
struct outfile {
    char *path;                    /* of the target, links followed; owned; NULL: no file is open */
    char *temporary;               /* owned; NULL: the target is written to directly              */
    int fd;                        /* valid while path is set                                     */
    unsigned char *buffer;         /* what outfile_write has not written yet; owned               */
    size_t held;                   /* bytes in it                                                 */
    struct unfinished *unfinished; /* for outfile_remove_unfinished; NULL: it does not know    */
};

/* The open descriptor that a path names: /dev/stdout, /dev/stderr, /dev/fd/N, /proc/self/fd/N, or
 * the file that standard output or standard error writes to. *fd is -1 for none. To open such a
 * path anew would write over what `>>` keeps. False: the system could not look. */
bool outfile_stream(int *fd, const char *path, struct gpt2_error *err);

/* The file that outfile_open replaces or makes: links are followed, to nothing, too. A new string,
 * or NULL. */
char *outfile_target(const char *path, struct gpt2_error *err);

/* Creates the temporary file. A link stays, and the file it points to is the target, whether it
 * exists or not. The new file has the mode of the old one, and its owner where that is allowed;
 * with OUTFILE_IN_PLACE a path of outfile_stream is written to as it is open. Such a path, and a
 * target that exists and is not a regular file, is an error, unless `flags` (of enum outfile_flags)
 * has OUTFILE_IN_PLACE; a directory cannot be opened even then. outfile_create has flags 0. */
bool outfile_open(struct outfile *file, const char *path, unsigned flags, struct gpt2_error *err);
bool outfile_create(struct outfile *file, const char *path, struct gpt2_error *err);

/* Appends, or overwrites what was written at `offset`. A caller that has a buffer of its own may
 * write to `fd` instead, but not mix the two. */
bool outfile_write(struct outfile *file, const void *data, size_t n_bytes, struct gpt2_error *err);
bool outfile_write_at(struct outfile *file, uint64_t offset, const void *data, size_t n_bytes,
                      struct gpt2_error *err);

/* Cuts off what was written from `offset` on. */
bool outfile_end_at(struct outfile *file, uint64_t offset, struct gpt2_error *err);

/* Writes what is held, syncs, closes, puts the file in the target's place and syncs the folder.
 * Where only the last fails, the new file is there, and the error says so. */
bool outfile_commit(struct outfile *file, struct gpt2_error *err);

/* Closes and removes the temporary file. Does nothing after a commit or a failure, or to a zeroed
 * struct. */
void outfile_discard(struct outfile *file);

/* For a handler of a signal that ends the process (it is async-signal-safe): unlinks the temporary
 * files of all threads. */
void outfile_remove_unfinished(void);

#endif
