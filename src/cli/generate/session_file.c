/* session_file.c - loads and saves what a run of generate goes on from. */
#include "cli/generate/session_file.h"
#include "base/look.h"
#include "base/plural.h"
#include "cli/command/session_io.h"
#include "cli/io/report.h"

bool session_file_wanted(const struct generate_arguments *args) {
    return args->load_session || args->save_session || args->prompt_cache;
}

bool session_file_is_prompt(const struct generate_arguments *args) {
    return args->load_session && !args->source.option && !args->source.word && !args->source.file &&
           !args->ids;
}

static bool check_beginning(const struct generate_run *run, struct gpt2_error *err) {
    return session_io_begins(run->tokenizer, &run->saved, run->ids.data, run->ids.len,
                             run->args.load_session, "the prompt",
                             "--prompt-cache FILE takes what is common; without a prompt the saved "
                             "text goes on",
                             err);
}

static bool load(struct generate_run *run, const char *path, struct gpt2_error *err) {
    int n_prompt = 0;
    if (!session_io_read(run->model, run->runtime, run->session, path, &run->saved, &n_prompt, err))
        return false;
    if (!session_file_is_prompt(&run->args))
        return run->args.prompt_cache || check_beginning(run, err);
    const int n_ctx = gpt2_model_config(run->model)->n_ctx;
    if (run->saved.len > (size_t)n_ctx && run->args.settings.truncate == GPT2_TRUNCATE_ERROR)
        return command_error(err, GPT2_ERR_INPUT,
                             "--truncate left --on-overflow slide goes on from its end",
                             "--load-session: the text of %s has %zu tokens, the model's context "
                             "holds %d",
                             path, run->saved.len, n_ctx);
    run->n_generated = (int)run->saved.len - n_prompt;
    for (size_t i = 0; i < run->saved.len; i++)
        if (!gpt2_ids_push(&run->ids, run->saved.data[i], err))
            return false;
    return true;
}

bool session_file_load(struct generate_run *run, struct gpt2_error *err) {
    const struct generate_arguments *args = &run->args;
    const char *cache = args->prompt_cache;
    run->session = gpt2_session_create(
        run->model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)args->kv}, err);
    if (!run->session)
        return false;
    struct stat info = {0}; // a link to nothing is written through
    if (cache && !look_at(&info, cache, LOOK_THROUGH, GPT2_ERR_RUNTIME, err))
        return false;
    const char *path = info.st_mode ? cache : args->load_session;
    return !path || load(run, path, err);
}

bool session_file_fit(struct generate_run *run, struct gpt2_error *err) {
    if (!run->session)
        return true;
    int n_ids, n_read, position = gpt2_session_position(run->session);
    const int32_t *ids = gpt2_completion_prompt(run->completion, &n_ids, &n_read);
    int n = (int)session_io_common(&run->saved, ids,
                                   (size_t)(n_read - 1)); // the last one is to be read
    run->n_reused = n < position ? n : position;
    return gpt2_session_rewind(run->session, run->n_reused, err);
}

/* The tokens of the text so far; false in *whole where its beginning slid out of the session. */
static bool collect(struct generate_run *run, struct gpt2_ids *text, bool *whole,
                    struct gpt2_error *err) {
    int n_ids, n_read, position = gpt2_session_position(run->session);
    const int32_t *ids = gpt2_completion_prompt(run->completion, &n_ids, &n_read);
    struct gpt2_sample made = gpt2_completion_get(run->completion, 0);
    *whole = made.n_ids == 0 || position + 1 >= n_read + made.n_ids;
    int n = run->args.prompt_cache ? n_read : n_read + made.n_ids;
    for (int i = 0; i < n; i++)
        if (!gpt2_ids_push(text, i < n_read ? ids[i] : made.ids[i - n_read], err))
            return false;
    run->n_generated += n - n_read;
    return *whole || run->args.prompt_cache ||
           usage_error(err, "--save-session: the text slid out of the context: expected "
                            "--on-overflow stop");
}

bool session_file_save(struct generate_run *run, struct gpt2_error *err) {
    const struct generate_arguments *args = &run->args;
    const char *path = args->prompt_cache ? args->prompt_cache : args->save_session;
    if (!path)
        return true;
    struct gpt2_ids text = {0};
    bool whole, ok = collect(run, &text, &whole, err);
    bool is_there = args->prompt_cache &&
                    session_io_common(&run->saved, text.data, text.len) == text.len; // or longer
    int position = gpt2_session_position(run->session);
    if (ok && !whole) // its beginning is read again
        ok = gpt2_session_rewind(run->session, 0, err);
    else if (ok && position > (int)text.len) // what was generated is no part of a cache
        ok = gpt2_session_rewind(run->session, (int)text.len, err);
    if (ok && !is_there) {
        const size_t n_bytes = gpt2_session_file_bytes(run->session, (int)text.len);
        if (args->stats)
            report_done("saves   %zu token%s, %zu byte%s in %s", text.len,
                        plural((int64_t)text.len), n_bytes, plural((int64_t)n_bytes), path);
        ok = session_io_write(run->model, run->runtime, run->session, &text,
                              (int)text.len - run->n_generated, path, err);
    }
    gpt2_ids_free(&text);
    return ok;
}
