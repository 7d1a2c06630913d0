/* fuzz_shards.c - any bytes as a model.safetensors.index.json: refused with a message, or a list of
 * names of files in the same directory. */
#define REPLAY_NAME "shards"
#include "replay.h"

#include "weights/shards.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    char **files;
    size_t n_files;
    if (!shards_parse(&files, &n_files, (const char *)data, size, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || files || n_files)
            abort();
        return 0;
    }
    for (size_t i = 0; i < n_files; i++)
        if (!*files[i] || strpbrk(files[i], "/\\") || !strcmp(files[i], "..") ||
            (i && strcmp(files[i - 1], files[i]) >= 0))
            abort();
    if (n_files == 0)
        abort();
    shards_free_files(files, n_files);
    return 0;
}
