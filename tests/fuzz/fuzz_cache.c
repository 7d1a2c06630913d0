/* fuzz_cache.c - any files as a model in the cache of Hugging Face's programs (archive.h): what is
 * found is one of its snapshots, whatever refs say and whatever the snapshots are called.
 *
 * The file "refs" is refs/main, and any other is the config.json of the snapshot of its name, which
 * has weights where the name ends in a digit. The text of "refs" is tried as a revision, too. */
#define REPLAY_NAME   "cache"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "archive.h"
#include <gpt2/hub.h>

static char cache[TESTMODEL_PATH], repo[TESTMODEL_PATH], snapshots[TESTMODEL_PATH];

static void finish(void) {
    testmodel_remove(cache);
}

static void prepare(void) {
    testmodel_tempdir(cache);
    testmodel_path(repo, cache, "models--some--model");
    testmodel_path(snapshots, repo, "snapshots");
    if (setenv("HF_HUB_CACHE", cache, 1) != 0 || unsetenv("TRANSFORMERS_CACHE") != 0 ||
        atexit(finish) != 0)
        abort();
}

static void make_folder(const char *path) {
    if (mkdir(path, 0700) != 0)
        testmodel_die("create", path);
}

static void write_snapshot(const struct archive_file *file, const uint8_t *data) {
    char path[TESTMODEL_PATH];
    testmodel_path(path, snapshots, file->name);
    if (mkdir(path, 0700) != 0)
        return; // there twice
    testmodel_write_file(path, "config.json", data + file->at, file->size);
    const char last = file->name[strlen(file->name) - 1];
    if (last >= '0' && last <= '9')
        testmodel_write_file(path, "model.safetensors", "x", 1);
}

/* Removes the model's folder. */
static void clear(void) {
    char path[TESTMODEL_PATH];
    DIR *folder = opendir(snapshots);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            testmodel_path(path, snapshots, entry->d_name);
            testmodel_remove(path);
        }
    if (!folder || closedir(folder) != 0)
        testmodel_die("read", snapshots);
    testmodel_path(path, repo, "refs");
    testmodel_remove(path);
    testmodel_remove(snapshots);
    testmodel_remove(repo);
}

/* A path is a folder of `snapshots`. */
static void judge(const char *path) {
    const size_t n = strlen(snapshots);
    struct stat info;
    if (strncmp(path, snapshots, n) != 0 || path[n] != '/' || !archive_is_plain(path + n + 1) ||
        stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        abort();
}

static bool listed;

static bool visit(void *user, const char *name, const char *path) {
    if (strcmp(name, "some/model") != 0)
        abort();
    judge(path);
    listed = true;
    return true;
}

/* True where the model is found and listed. */
static bool try(const uint8_t *data, size_t size) {
    char path[TESTMODEL_PATH], name[600] = "some/model";
    if (!*cache)
        prepare();
    make_folder(repo);
    make_folder(snapshots);
    testmodel_path(path, repo, "refs");
    make_folder(path);
    struct archive_file file;
    for (size_t at = 0, n = 0; n < 20 && archive_next(&file, data, size, &at); n++) {
        if (!archive_is_plain(file.name))
            continue;
        if (strcmp(file.name, "refs") != 0) {
            write_snapshot(&file, data);
            continue;
        }
        testmodel_write_file(path, "main", data + file.at, file.size);
        snprintf(name, sizeof name, "some/model@%.*s", (int)(file.size < 500 ? file.size : 500),
                 (const char *)data + file.at);
    }
    char local[GPT2_HUB_NAME_MAX];
    if (gpt2_hub_local_name(name, local) && (*local == '/' || strstr(local, "..")))
        abort();
    char *famous, *found, *revision;
    gpt2_hub_cached(gpt2_hub_famous((int)(size % 5)), &famous, NULL);
    free(famous);
    gpt2_hub_cached("some/model", &found, NULL);
    gpt2_hub_cached(name, &revision, NULL);
    if (found)
        judge(found);
    if (revision)
        judge(revision);
    listed = false;
    gpt2_hub_list_cache(visit, NULL, NULL);
    const bool both = found && listed;
    free(found);
    free(revision);
    clear();
    return both;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try(data, size);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return archive_mutate(data, size, cap, state);
}

void replay_seeds(void) {
    static const char commit[] = "607a30d783dfa663caf39e06633721c8d4cfcd70",
                      config[] = "{\"model_type\": \"gpt2\", \"n_layer\": 1}";
    for (int i = 0; i < 3; i++) {
        uint8_t *data = NULL;
        size_t size = 0;
        if (i != 1) // without refs there is one snapshot
            data = archive_add(data, &size, "refs", commit, sizeof commit - 1);
        data = archive_add(data, &size, commit, config, sizeof config - 1);
        if (i == 2) // another one, without weights
            data = archive_add(data, &size, "other", config, sizeof config - 1);
        if (!try(data, size)) {
            fprintf(stderr, "seed %d: is not found\n", i);
            abort();
        }
        replay_seed(i == 0 ? "refs" : i == 1 ? "only" : "two", data, size);
        free(data);
    }
}
