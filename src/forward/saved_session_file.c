/* saved_session_file.c - seals and checks the header of a saved session's file. */
#include "forward/saved_session_file.h"
#include "base/checksum.h"
#include "base/error_internal.h"

#include <gpt2/session.h>
#include <inttypes.h>
#include <string.h>

void saved_session_seal(struct saved_session_header *header, const void *body) {
    header->body = checksum(body, header->n_bytes - sizeof *header);
    header->own = checksum(header, offsetof(struct saved_session_header, own));
}

static bool damaged(struct gpt2_error *err, const char *path, const char *what) {
    error_set(err, GPT2_ERR_INPUT, "%s: is damaged: %s", path, what);
    return error_hint(err, "save it again");
}

bool saved_session_parse(struct saved_session_header *header, const unsigned char *data,
                         size_t size, const char *path, struct gpt2_error *err) {
    if (size < sizeof header->magic || memcmp(data, SAVED_SESSION_MAGIC, sizeof header->magic) != 0)
        return error_set(err, GPT2_ERR_INPUT, "%s: expected a saved session, found another file",
                         path);
    if (size < sizeof *header)
        return damaged(err, path, "it ends in its header");
    memcpy(header, data, sizeof *header);
    if (header->version != SAVED_SESSION_VERSION)
        return error_set(err, GPT2_ERR_INPUT, "%s: has version %" PRIu32 ": expected %d", path,
                         header->version, SAVED_SESSION_VERSION);
    if (header->own != checksum(header, offsetof(struct saved_session_header, own)))
        return damaged(err, path, "the checksum of its header differs");
    if (header->n_bytes != size) {
        error_set(err, GPT2_ERR_INPUT, "%s: is damaged: expected %" PRIu64 " bytes, found %zu",
                  path, header->n_bytes, size);
        return error_hint(err, "save it again");
    }
    if (header->body != checksum(data + sizeof *header, size - sizeof *header))
        return damaged(err, path, "its checksum differs");
    if (header->kv < GPT2_KV_F32 || header->kv > GPT2_KV_Q8 || header->n_read < 1 ||
        header->n_read > header->n_ids || header->n_prompt > header->n_ids)
        return damaged(err, path, "its numbers contradict each other");
    return true;
}
