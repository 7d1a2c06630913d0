/* saved_session.h - a session in a file, to go on from later, or in another process.
 *
 * The file has the tokens, their keys and values, and how many of the tokens are a prompt, which is
 * what penalties and draws need. It is mapped, and its pages are used where they lie, so that a
 * long prompt starts as fast as its file is read. It goes from machine to machine, as bits do.
 *
 *     gpt2_session_save(session, batch, ids, n_ids, n_prompt, "prompt.session", &err);
 *     ...
 *     struct gpt2_saved_session *saved = gpt2_saved_session_open("prompt.session", model, &err);
 *     const int32_t *ids = gpt2_saved_session_ids(saved, &n_ids, &n_prompt);
 *     gpt2_saved_session_restore(saved, session, batch, &err);   // has read them
 *
 * The format, version 1; numbers are little-endian:
 *
 *     byte  0   "gpt2kv\r\n"
 *           8   u32 version; u32 type of the cache: 1 f32, 2 f16, 3 q8
 *          16   u32 n_layer, n_head, head_dim, n_vocab
 *          32   u32 n_ids; n_prompt of them are the prompt; the first n_read have keys and values;
 * 0 48   u64 bytes of a page: the keys and values of 64 positions, blocks as forward/kv.h draws
 * them, keys of all layers and heads, then values 56   u64 FNV-1a of the logits after the first
 * n_read ids, as f32: the model's fingerprint 64   u64 bytes of the file 72   u64 checksum
 * (base/checksum.h) of all that follows the first 128 bytes 80   zeros 120   u64 checksum of the
 * first 120 bytes 128   i32 ids[n_ids] pages for n_read positions, each at a multiple of 4096;
 * cells after n_read are 0
 *
 * Checksums are against damage, not against forgers: a foreign file can make a text say
 * anything, but no more than that. */
#ifndef GPT2_SAVED_SESSION_H
#define GPT2_SAVED_SESSION_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/session.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the file for a session that has read n_ids tokens. */
size_t gpt2_session_file_bytes(const struct gpt2_session *session, int n_ids);

/* Writes the file at `path` with mode 0600: it is there whole, or what was there before. The
 * session has read a beginning of ids [n_ids], at least 1, and reads as many of the others as fit
 * it, the last one again for its logits, with a batch of its model. The first n_prompt ids are a
 * prompt, the others were generated. Fails with GPT2_ERR_USAGE for numbers out of range, as
 * gpt2_batch_run, or with GPT2_ERR_RUNTIME where the file cannot be written. */
bool gpt2_session_save(struct gpt2_session *session, struct gpt2_batch *batch, const int32_t *ids,
                       int n_ids, int n_prompt, const char *path, struct gpt2_error *err);

struct gpt2_saved_session;

/* Maps and checks a file: lengths, checksums, and that its shape is the model's, which is borrowed.
 * Fails with GPT2_ERR_INPUT, the path and what is wrong, or GPT2_ERR_MEMORY. */
struct gpt2_saved_session *gpt2_saved_session_open(const char *path, const struct gpt2_model *model,
                                                   struct gpt2_error *err);
void gpt2_saved_session_close(struct gpt2_saved_session *saved); /* NULL is allowed */

/* The tokens [*n_ids], borrowed; the first *n_prompt of them are a prompt. */
const int32_t *gpt2_saved_session_ids(const struct gpt2_saved_session *saved, int *n_ids,
                                      int *n_prompt);
enum gpt2_kv gpt2_saved_session_kv(const struct gpt2_saved_session *saved);

/* Makes the session, whatever it held, one that has read the saved tokens: all, or all but one that
 * did not fit. The last of them is read again with a batch of the model: where its logits are not
 * those of the file, that was made with another model, which is GPT2_ERR_INPUT. So is another type
 * of cache, or too small a session. The session is then empty. It may outlive `saved`. */
bool gpt2_saved_session_restore(const struct gpt2_saved_session *saved,
                                struct gpt2_session *session, struct gpt2_batch *batch,
                                struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
