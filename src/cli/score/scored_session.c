/* scored_session.c - loads, saves and hands over what a context has been read to. */
#include "cli/score/scored_session.h"
#include "base/buffer.h"
#include "cli/command/session_io.h"
#include "cli/io/report.h"

static bool create(struct scored_session *s, const struct engine *engine, enum gpt2_kv kv,
                   struct gpt2_error *err) {
    if (!s->session)
        s->session =
            gpt2_session_create(engine->model, &(struct gpt2_session_options){.kv = kv}, err);
    return s->session != NULL;
}

bool scored_session_load(struct scored_session *s, const struct engine *engine, enum gpt2_kv kv,
                         const char *path, struct gpt2_error *err) {
    int n_prompt;
    return create(s, engine, kv, err) && session_io_read(engine->model, engine->runtime, s->session,
                                                         path, &s->ids, &n_prompt, err);
}

bool scored_session_save(struct scored_session *s, const struct engine *engine, enum gpt2_kv kv,
                         const int32_t *ids, size_t n_ids, const char *path,
                         struct gpt2_error *err) {
    const size_t room = (size_t)gpt2_model_config(engine->model)->n_ctx;
    if (n_ids < 1 || n_ids > room)
        return command_error(err, GPT2_ERR_INPUT, NULL,
                             "--save-session: expected a context of 1 to %zu tokens, got %zu", room,
                             n_ids);
    if (!create(s, engine, kv, err))
        return false;
    const int position = gpt2_session_position(s->session);
    const int common = (int)session_io_common(&s->ids, ids, n_ids);
    if (!gpt2_session_rewind(s->session, common < position ? common : position, err))
        return false;
    s->ids.len = 0;
    for (size_t i = 0; i < n_ids; i++)
        if (!gpt2_ids_push(&s->ids, ids[i], err))
            return false;
    return session_io_write(engine->model, engine->runtime, s->session, &s->ids, (int)n_ids, path,
                            err);
}

bool scored_session_use(const struct scored_session *s, struct gpt2_scorer *scorer,
                        struct gpt2_error *err) {
    return !s->session || gpt2_scorer_keep(scorer, s->session, s->ids.data, (int)s->ids.len, err);
}

bool scored_session_text(const struct scored_session *s, const struct gpt2_tokenizer *tokenizer,
                         const char *path, struct buffer *text, struct gpt2_error *err) {
    for (size_t i = 0; i < s->ids.len; i++) {
        size_t n = 0;
        const char *bytes = gpt2_tokenizer_token(tokenizer, s->ids.data[i], &n);
        buffer_bytes(text, bytes ? bytes : "", bytes ? n : 0);
    }
    if (text->failed)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the saved text");
    struct gpt2_ids again = {0};
    bool ok =
        gpt2_tokenizer_encode(tokenizer, text->data, text->len, GPT2_ENCODE_TEXT, &again, err);
    if (ok && (again.len != s->ids.len ||
               session_io_common(&s->ids, again.data, again.len) != s->ids.len))
        ok = command_error(err, GPT2_ERR_INPUT, "save a prompt: generate -n 0 --save-session FILE",
                           "--load-session: %s has other tokens than the tokenizer makes of its "
                           "text, which cannot be continued by a choice",
                           path);
    gpt2_ids_free(&again);
    return ok;
}

void scored_session_free(struct scored_session *s) {
    gpt2_session_free(s->session);
    gpt2_ids_free(&s->ids);
    *s = (struct scored_session){0};
}
