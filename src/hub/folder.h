/* folder.h - folders of pulled files: what is ours in them, removing that, replacing it.
 *
 * Ours is what a folder's pulled.json lists, and pulled.json itself; in a folder where a fetch has
 * not ended also NAME.part of each. Everything else is the user's: it is never removed, written to
 * or followed. A symbolic link in the place of a listed file is removed, not what it points to. A
 * link in the place of the folder is not ours. */
#ifndef HUB_FOLDER_H
#define HUB_FOLDER_H

#include "hub/manifest.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

struct folder_lock;

enum folder_kind {
    FOLDER_NOTHING,
    FOLDER_EMPTY,  /* a folder without anything in it             */
    FOLDER_PULLED, /* a folder with a pulled.json                 */
    FOLDER_LINK,   /* a symbolic link, wherever it leads          */
    FOLDER_FOREIGN /* another folder, or no folder                */
};

/* False where the folder may not be read, or the system could not look: GPT2_ERR_RUNTIME. */
bool folder_look(enum folder_kind *kind, const char *path, struct gpt2_error *err);

#define FOLDER_ENTRY 256 /* room for the name of what stays */

/* Removes what is ours from a folder, pulled.json last, so that what was interrupted can be done
 * again, and config.json first, so that what is left is not taken for a model. Then the folder
 * itself, if nothing is left in it; else `kept` is the name of something that is. `partial`: a
 * fetch has not ended in it. *n_bytes grows by what was freed. Fails with GPT2_ERR_RUNTIME; nothing
 * is removed where the folder is a link or its pulled.json damaged. */
bool folder_remove(const char *path, bool partial, uint64_t *n_bytes, char kept[FOLDER_ENTRY],
                   struct gpt2_error *err);

/* Writes which files are on their way to the folder of an unfinished fetch: those of `plan`. What
 * an earlier fetch has left there, and is not in the plan, is removed where `final`, else stays
 * listed. */
bool folder_plan(const char *staging, const struct manifest *plan, const char *repo,
                 const char *revision, bool final, struct gpt2_error *err);

/* Fails with GPT2_ERR_USAGE where something of the user's in the pulled folder has the name of a
 * file of the plan. */
bool folder_check(const char *path, const struct manifest *plan, struct gpt2_error *err);

/* Puts `staging` in the place of the pulled folder `path`: what is the user's moves over, then the
 * folders are renamed, then what was ours is removed. On failure everything is in `path` as before,
 * or named in the error. */
bool folder_replace(const char *path, const char *staging, struct gpt2_error *err);

/* Removes an unfinished folder to which nothing has come yet. */
void folder_tidy(const char *staging);

/* One process at a time works on a model's folder and its unfinished one. NULL: GPT2_ERR_RUNTIME,
 * another has the lock. */
struct folder_lock *folder_lock(const char *staging, struct gpt2_error *err);

/* Frees it. NULL is allowed. */
void folder_unlock(struct folder_lock *lock);

#endif
