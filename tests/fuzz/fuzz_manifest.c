/* fuzz_manifest.c - any bytes as the hub's answer about a model, as the index of its shards and as
 * a pulled.json: refused with a message, or names that are those of files in the folder itself. */
#define REPLAY_NAME  "manifest"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "../testmodel.h"
#include "hub/manifest.h"

static void check(const struct manifest *manifest) {
    for (size_t i = 0; i < manifest->count; i++) {
        const char *name = manifest->files[i].name;
        if (!*name || strchr(name, '/') || !strcmp(name, "..") || !strcmp(name, ".") ||
            !memchr(name, 0, MANIFEST_FILE_NAME) ||
            !memchr(manifest->files[i].digest, 0, DIGEST_HEX))
            abort();
        for (const char *at = name; *at; at++)
            if ((unsigned char)*at <= ' ' || *at == 127)
                abort();
    }
}

static void judge(bool ok, struct manifest *manifest, const struct gpt2_error *err) {
    if (ok)
        check(manifest);
    else if (err->status == GPT2_OK || !err->message[0])
        abort(); // refused without a word
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct manifest listed = {0}, read = {0}, more = {0};
    struct gpt2_error err = {0};
    const bool ok = manifest_parse_hub(&listed, (const char *)data, size, "input", &err);
    judge(ok, &listed, &err);
    err = (struct gpt2_error){0};
    judge(manifest_add_shards(&more, &listed, (const char *)data, size, "input", &err), &more,
          &err);
    static char path[TESTMODEL_PATH];
    if (!*path)
        snprintf(path, sizeof path, "%s/gpt2-fuzz-manifest.%ld",
                 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid());
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
    err = (struct gpt2_error){0};
    judge(manifest_read(&read, path, &err), &read, &err);
    remove(path);
    manifest_free(&more);
    manifest_free(&read);
    manifest_free(&listed);
    return 0;
}

/* An answer as the hub gives it, an index, and a pulled.json of today's writer. */
void replay_seeds(void) {
    static const char answer[] =
        "{\"id\":\"a/b\",\"sha\":\"607a30d783dfa663caf39e06633721c8d4cfcd7e\",\"siblings\":["
        "{\"rfilename\":\"config.json\",\"size\":665,\"blobId\":"
        "\"10c66461e4c109db5a2196bff4bb59be30396ed8\"},"
        "{\"rfilename\":\"model-00001-of-00002.safetensors\",\"size\":548105171,\"lfs\":{"
        "\"sha256\":"
        "\"248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707\",\"size\":548105171}},"
        "{\"rfilename\":\"onnx/decoder.onnx\"},{\"rfilename\":\"vocab.json\",\"size\":1042301}]}";
    static const char index[] =
        "{\"metadata\":{},\"weight_map\":{\"wte.weight\":\"model-00001-of-00002.safetensors\"}}";
    struct manifest manifest = {0};
    struct gpt2_error err = {0};
    if (!manifest_parse_hub(&manifest, answer, sizeof answer - 1, "seed", &err) ||
        manifest.count < 3) {
        fprintf(stderr, "the hub's answer: %s\n", err.message);
        abort();
    }
    replay_seed("answer", answer, sizeof answer - 1);
    replay_seed("index", index, sizeof index - 1);
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_path(path, dir, MANIFEST_NAME);
    if (!manifest_write(&manifest, "a/b", "main", path, &err)) {
        fprintf(stderr, "pulled.json: %s\n", err.message);
        abort();
    }
    char text[8192];
    FILE *file = fopen(path, "rb");
    const size_t n = file ? fread(text, 1, sizeof text, file) : 0;
    if (!n || fclose(file) != 0)
        abort();
    replay_seed("pulled", text, n);
    manifest_free(&manifest);
    testmodel_remove(dir);
}
