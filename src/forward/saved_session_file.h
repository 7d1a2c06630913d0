/* saved_session_file.h - the header of a saved session's file (gpt2/saved_session.h has the
 * format), as far as it can be checked without a model. */
#ifndef FORWARD_SAVED_SESSION_FILE_H
#define FORWARD_SAVED_SESSION_FILE_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAVED_SESSION_MAGIC   "gpt2kv\r\n"
#define SAVED_SESSION_VERSION 1
#define SAVED_SESSION_ALIGN   4096

struct saved_session_header {
    char magic[8];
    uint32_t version, kv;
    uint32_t n_layer, n_head, head_dim, n_vocab;
    uint32_t n_ids, n_prompt, n_read, zero;
    uint64_t page_bytes, logits, n_bytes, body;
    uint64_t zeros[5];
    uint64_t own; /* checksum of all before it */
};

_Static_assert(sizeof(struct saved_session_header) == 128, "the format says so");

/* Sets the checksums; `body` is the file after the header, header->n_bytes - 128 bytes. */
void saved_session_seal(struct saved_session_header *header, const void *body);

/* Reads and checks the header of data[0..size), and that the file is whole: magic, version,
 * checksums, lengths, the type of the cache, 1 <= n_read <= n_ids, n_prompt <= n_ids. The shape is
 * the caller's to check. False: GPT2_ERR_INPUT with `path`. */
bool saved_session_parse(struct saved_session_header *header, const unsigned char *data,
                         size_t size, const char *path, struct gpt2_error *err);

#endif
