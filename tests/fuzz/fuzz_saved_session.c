/* fuzz_saved_session.c - any bytes as a saved session: refused with a message, or a session that
 * can be read on from, whatever numbers its keys and values are. The checksums would refuse nearly
 * everything, so each input is tried as it is and then with its checksums made right. */
#define REPLAY_NAME  "saved_session"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "base/checksum.h"
#include "forward/saved_session_file.h"
#include "seeds.h"
#include <gpt2/saved_session.h>

static struct gpt2_model *model;
static struct gpt2_runtime *runtime;
static struct gpt2_batch *batch;
static struct gpt2_session *sessions[3]; /* f32, f16, q8 */
static struct gpt2_session *short_one;   /* of few tokens */
static char path[TESTMODEL_PATH + 32];

static void finish(void) {
    for (int i = 0; i < 3; i++)
        gpt2_session_free(sessions[i]);
    gpt2_session_free(short_one);
    gpt2_batch_free(batch);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
}

static void prepare(void) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = 70, .n_layer = 1});
    model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    runtime = gpt2_runtime_create(NULL, NULL);
    batch = gpt2_batch_create(model, runtime, NULL, NULL);
    for (int i = 0; i < 3; i++)
        sessions[i] = gpt2_session_create(
            model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)(GPT2_KV_F32 + i)}, NULL);
    short_one = gpt2_session_create(
        model, &(struct gpt2_session_options){.n_ctx = 9, .kv = GPT2_KV_F16}, NULL);
    snprintf(path, sizeof path, "%s/gpt2-fuzz.%ld", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
             (long)getpid());
    if (!model || !batch || !sessions[2] || !short_one || atexit(finish) != 0)
        abort();
}

/* True where the session goes on from it. */
static bool try(const uint8_t *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
    struct gpt2_error err = {0};
    struct gpt2_saved_session *saved = gpt2_saved_session_open(path, model, &err);
    remove(path);
    if (!saved) {
        if (err.status == GPT2_OK || !err.message[0])
            abort(); // refused without a word
        return false;
    }
    int n_ids, n_prompt;
    const int32_t *ids = gpt2_saved_session_ids(saved, &n_ids, &n_prompt);
    struct gpt2_session *session = sessions[gpt2_saved_session_kv(saved) - GPT2_KV_F32];
    bool ok = gpt2_saved_session_restore(saved, session, batch, &err);
    if (!ok && (err.status == GPT2_OK || !err.message[0]))
        abort();
    struct gpt2_span span = {session, ids, 1, 1};
    if (ok && gpt2_session_position(session) < gpt2_session_capacity(session))
        gpt2_batch_run(batch, &span, 1, &err);
    gpt2_session_rewind(session, 0, NULL);
    struct gpt2_error other = {0}; // of another type, or too short for it, or it is restored
    if (!gpt2_saved_session_restore(saved, short_one, batch, &other) &&
        (other.status == GPT2_OK || !other.message[0]))
        abort();
    gpt2_session_rewind(short_one, 0, NULL);
    gpt2_saved_session_close(saved);
    return ok;
}

/* Sessions of each type of cache, of few and of many tokens. */
void replay_seeds(void) {
    struct gpt2_error err = {0};
    int32_t ids[66];
    if (!model)
        prepare();
    for (int i = 0; i < 66; i++)
        ids[i] = i * 7 % 61;
    for (int i = 0; i < 6; i++) {
        const int n = i % 2 ? 66 : 5, n_read = n - i % 3;
        struct gpt2_session *session = sessions[i / 2];
        struct gpt2_span span = {.session = session, .ids = ids, .n_ids = n_read};
        if (!gpt2_batch_run(batch, &span, 1, &err) ||
            !gpt2_session_save(session, batch, ids, n, 3, path, &err) ||
            gpt2_session_file_bytes(session, n) == 0) {
            fprintf(stderr, "seed %d: %s\n", i, err.message);
            abort();
        }
        gpt2_session_rewind(session, 0, NULL);
        char name[20];
        size_t size;
        unsigned char *data = seeds_read(path, &size);
        if (!try(data, size))
            abort();
        snprintf(name, sizeof name, "%s%d", i < 2 ? "f32_" : i < 4 ? "f16_" : "q8_", n);
        replay_seed(name, data, size);
        free(data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct saved_session_header header;
    if (!model)
        prepare();
    try(data, size);
    if (size < sizeof header)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    memcpy(&header, copy, sizeof header);
    header.n_bytes = size;
    header.body = checksum(copy + sizeof header, size - sizeof header);
    header.own = checksum(&header, offsetof(struct saved_session_header, own));
    memcpy(copy, &header, sizeof header);
    try(copy, size);
    free(copy);
    return 0;
}
