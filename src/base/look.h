/* look.h - what is at a path. "Nothing" is an answer only where the system gave it: where it could
 * not look, that is an error. No other file calls stat, lstat, fstatat, access or faccessat, which
 * have one value for both (`make lint`). */
#ifndef BASE_LOOK_H
#define BASE_LOOK_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <sys/stat.h>

enum look_links {
    LOOK_THROUGH, /* at what a link leads to; one that leads to nothing is nothing */
    LOOK_LINKS,   /* at the link itself                                            */
};

/* Sets *info to what the system knows of what is at `path`; all of it is 0 where nothing is there,
 * st_mode too, so that no S_ISREG or S_ISDIR holds. False where the system could not look (memory,
 * a disk that fails, a folder that may not be entered, links in a circle): *info is 0, err has
 * `status` as error_errno (error_internal.h) says, errno is the system's. */
bool look_at(struct stat *info, const char *path, enum look_links links, enum gpt2_status status,
             struct gpt2_error *err);

/* The same of `name` in an open folder; `folder_path` is for the message alone. */
bool look_in(struct stat *info, int folder, const char *folder_path, const char *name,
             enum look_links links, enum gpt2_status status, struct gpt2_error *err);

/* Whether both are there, and are one: two names of it, or a name and a descriptor. */
bool look_is_one(const struct stat *a, const struct stat *b);

/* Sets *is where something has that name. A link to nothing exists, so that opening it says what is
 * wrong and nothing else is taken in its place. */
bool look_exists(bool *is, const char *path, enum gpt2_status status, struct gpt2_error *err);

/* Sets *is where `path` is a folder or leads to one. */
bool look_is_directory(bool *is, const char *path, enum gpt2_status status, struct gpt2_error *err);

/* False where something is at `path` that this process may not read, or where the system could not
 * look; true also where there is nothing. */
bool look_may_read(const char *path, enum gpt2_status status, struct gpt2_error *err);

#endif
