/* fetch.h - one file from the hub onto the disk: continued, tried again, and checked. */
#ifndef HUB_FETCH_H
#define HUB_FETCH_H

#include "hub/manifest.h"
#include "hub/name.h"

struct fetch {
    const struct hub_name *name;
    const char *endpoint, *token;           /* token: NULL where there is none                  */
    const char *staging;                    /* the folder the files go to                       */
    const struct gpt2_hub_options *options; /* may be NULL                                      */
    unsigned stall;                         /* seconds without a byte before another try        */
    uint64_t done, total;                   /* bytes, for the progress: complete files, all     */
    uint64_t fetched;                       /* bytes that came over the network                 */
};

/* Fetches `url` to STAGING/file->name by way of STAGING/file->name.part, which is continued where
 * it is there. A file that is there and right is left alone. No more than file->size bytes are
 * taken, whatever the server announces. On success it has its size and digest, is on the disk, and
 * `done` has grown by its size. Fails as gpt2_hub_pull does; what has come so far stays, except of
 * a file that is wrong. */
bool fetch_file(struct fetch *fetch, const struct manifest_file *file, const char *url,
                struct gpt2_error *err);

/* The hub's answer to a question: the bytes at `url`, whatever their number up to
 * FETCH_MAX_ANSWER; more is an error. `name` is for the progress and messages. *text is the
 * caller's: free(). */
#define FETCH_MAX_ANSWER ((uint64_t)16 << 20) /* about gpt2 the hub answers 10 KB */
bool fetch_answer(struct fetch *fetch, const char *name, const char *url, char **text, size_t *len,
                  struct gpt2_error *err);

#endif
