/* session_io.c - reads and writes sessions, and says where a text parts from a saved one. */
#include "cli/command/session_io.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_ROWS 512 /* of a pass */

/* A batch to read n tokens with. */
static struct gpt2_batch *make_batch(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                     int n, struct gpt2_error *err) {
    struct gpt2_batch_options options = {.max_rows = n < MAX_ROWS ? n : MAX_ROWS};
    return gpt2_batch_create(model, runtime, &options, err);
}

bool session_io_read(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                     struct gpt2_session *session, const char *path, struct gpt2_ids *ids,
                     int *n_prompt, struct gpt2_error *err) {
    struct gpt2_saved_session *saved = gpt2_saved_session_open(path, model, err);
    struct gpt2_batch *batch = saved ? make_batch(model, runtime, 1, err) : NULL;
    bool ok = batch && gpt2_saved_session_restore(saved, session, batch, err);
    int n = 0;
    const int32_t *read = ok ? gpt2_saved_session_ids(saved, &n, n_prompt) : NULL;
    ids->len = 0;
    for (int i = 0; ok && i < n; i++)
        ok = gpt2_ids_push(ids, read[i], err);
    gpt2_batch_free(batch);
    gpt2_saved_session_close(saved);
    return ok;
}

bool session_io_write(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                      struct gpt2_session *session, const struct gpt2_ids *ids, int n_prompt,
                      const char *path, struct gpt2_error *err) {
    int n = (int)ids->len - gpt2_session_position(session);
    struct gpt2_batch *batch = make_batch(model, runtime, n < 1 ? 1 : n, err);
    bool ok =
        batch && gpt2_session_save(session, batch, ids->data, (int)ids->len, n_prompt, path, err);
    gpt2_batch_free(batch);
    return ok;
}

size_t session_io_common(const struct gpt2_ids *saved, const int32_t *ids, size_t n) {
    size_t i = 0;
    while (i < saved->len && i < n && saved->data[i] == ids[i])
        i++;
    return i;
}

/* A token for a message: its text, as far as it is printable. */
static void name_token(const struct gpt2_tokenizer *tokenizer, int32_t id, char name[40]) {
    size_t n = 0;
    const char *bytes = tokenizer ? gpt2_tokenizer_token(tokenizer, id, &n) : NULL;
    bool plain = bytes && n > 0 && n < 30;
    for (size_t i = 0; plain && i < n; i++)
        plain = bytes[i] >= ' ' && bytes[i] <= '~';
    if (plain)
        snprintf(name, 40, "\"%.*s\"", (int)n, bytes);
    else
        snprintf(name, 40, "%" PRId32, id);
}

bool session_io_begins(const struct gpt2_tokenizer *tokenizer, const struct gpt2_ids *saved,
                       const int32_t *ids, size_t n, const char *path, const char *what,
                       const char *hint, struct gpt2_error *err) {
    const size_t at = session_io_common(saved, ids, n);
    if (at == saved->len)
        return true;
    char there[40], here[40];
    name_token(tokenizer, saved->data[at], there);
    if (at >= n)
        return command_error(err, GPT2_ERR_INPUT, hint,
                             "--load-session: %s has the token %s at %zu, where %s ends", path,
                             there, at, what);
    name_token(tokenizer, ids[at], here);
    return command_error(err, GPT2_ERR_INPUT, hint,
                         "--load-session: %s has the token %s at %zu, %s has %s", path, there, at,
                         what, here);
}
