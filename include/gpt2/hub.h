/* hub.h - models by name: fetched from the Hugging Face hub, or found in its cache.
 *
 * A name is "OWNER/NAME", or one of the famous short ones (gpt2, gpt2-medium, gpt2-large, gpt2-xl,
 * distilgpt2; OpenAI's own 124M, 355M, 774M, 1558M), and may end in "@REVISION": a branch, tag or
 * commit. "gpt2" and "openai-community/gpt2" are the same model.
 *
 * The environment, as Hugging Face's own programs read it:
 *   HF_ENDPOINT                 the hub (default https://huggingface.co)
 *   HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file HF_TOKEN_PATH, $HF_HOME/token
 *                               sent to the hub only, not to hosts it redirects to
 *   HF_HUB_OFFLINE              1: gpt2_hub_pull refuses
 *   HF_HUB_DOWNLOAD_TIMEOUT     seconds without a byte after which a transfer is tried again (30)
 *   TRANSFORMERS_CACHE, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME
 *                               where the cache of from_pretrained is
 *   GPT2_MODELS, XDG_DATA_HOME  where gpt2_hub_pull puts models
 *
 * A revision's commit is asked for once, and everything is fetched from that commit. */
#ifndef GPT2_HUB_H
#define GPT2_HUB_H

#include <gpt2/error.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPT2_HUB_NAME_MAX 256

/* The path of a model below a folder of models: "gpt2", "OWNER/NAME", "gpt2@refs--pr--1". False
 * where `name` is not of the form of a name; `local` is then unchanged. */
bool gpt2_hub_local_name(const char *name, char local[GPT2_HUB_NAME_MAX]);

/* The i-th famous name ("gpt2"), NULL past the last one. */
const char *gpt2_hub_famous(int i);

/* The folder that gpt2_hub_pull puts models in: the first of $GPT2_MODELS (separated by ':'), else
 * $XDG_DATA_HOME/gpt2/models, else ~/.local/share/gpt2/models. It may not exist. Owned by the
 * caller: free(). Fails with GPT2_ERR_RUNTIME where the environment names none. */
char *gpt2_hub_folder(struct gpt2_error *err);

/* Called some ten times a second on the caller's thread. `file` is what is being fetched, done and
 * total are bytes of the whole model (total may grow by what is found out on the way). False ends
 * the work: gpt2_hub_pull then fails with GPT2_ERR_RUNTIME, and a later call goes on from there. */
typedef bool (*gpt2_hub_progress)(void *user, const char *file, uint64_t done, uint64_t total);

struct gpt2_hub_options {
    gpt2_hub_progress progress; /* NULL: none */
    void *user;
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Fetches what a model needs: config.json, the weights, the tokenizer's files. The system's `curl`
 * program does the transfers (found in $PATH; it is not given the token on its command line); it
 * ends when this process does. No more bytes are taken of a file than the hub states it has, and of
 * an answer of the hub no more than 16 MiB: more is an error.
 * The directory appears whole or not at all: files are collected in FOLDER/NAME.partial, from where
 * an interrupted fetch goes on, and each is checked for its size and its SHA-256 (small files:
 * git's SHA-1) as the hub states them. A model that is there already and current is left alone;
 * another commit replaces it in one step, and what was not pulled to the directory - a .q8 made
 * there, notes - moves over; it is an error if a new file has the name of such a one. *fetched, if
 * not NULL: bytes that came over the network.
 *
 * Returns the path of the model's directory, owned by the caller: free(). NULL: GPT2_ERR_USAGE for
 * a name that is none, GPT2_ERR_MODEL where the hub has no such model, does not show it or it is no
 * GPT-2, GPT2_ERR_RUNTIME where the network, the disk or curl fail. */
char *gpt2_hub_pull(const char *name, const struct gpt2_hub_options *options, uint64_t *fetched,
                    struct gpt2_error *err);

/* Called for a folder that stays because something is in it that was not pulled: `entry`, the name
 * of one such thing. */
typedef void (*gpt2_hub_kept)(void *user, const char *folder, const char *entry);

/* Removes a model that gpt2_hub_pull made, and what an interrupted fetch of it has left: the files
 * that pulled.json lists, never anything else. A folder in which then is something yet stays, and
 * `kept`, if not NULL, is called. No link is followed. *n_bytes, if not NULL: bytes freed.
 * GPT2_ERR_MODEL where there is no such model or it was not pulled, GPT2_ERR_RUNTIME where a pull
 * of it is running, its pulled.json is damaged, or the system refuses. */
bool gpt2_hub_remove(const char *name, uint64_t *n_bytes, gpt2_hub_kept kept, void *user,
                     struct gpt2_error *err);

/* Sets *path to the directory of a model in the Hugging Face cache, owned by the caller: free(); to
 * NULL where it is not there. A snapshot with weights goes before one without. Fails where
 * that cannot be said: with GPT2_ERR_MODEL where a cache may not be read. */
bool gpt2_hub_cached(const char *name, char **path, struct gpt2_error *err);

/* Calls visit for each GPT-2 in the cache ("model_type" in its config.json says so), one for each
 * repository. False from `visit` ends it, which is no failure. What
 * may not be read is passed over. */
typedef bool (*gpt2_hub_visit)(void *user, const char *name, const char *path);
bool gpt2_hub_list_cache(gpt2_hub_visit visit, void *user, struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
