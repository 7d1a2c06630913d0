/* archive.h - several files as one input:
 *
 *     { [length of name] [name] [length, 4 bytes] [bytes] } ...
 *
 * What is cut short ends the list. A name is one of a folder's own: no '/', no NUL, neither "." nor
 * "..". */
#ifndef FUZZ_ARCHIVE_H
#define FUZZ_ARCHIVE_H

#include "mutate.h"

#include "../testmodel.h"

struct archive_file {
    char name[256];
    size_t at, size; /* of its bytes */
};

/* The next file from *at on, which is moved past it; false: there are no more. */
static inline bool archive_next(struct archive_file *file, const uint8_t *data, size_t size,
                                size_t *at) {
    if (*at >= size || size - *at < (size_t)data[*at] + 5)
        return false;
    const size_t n_name = data[*at];
    memcpy(file->name, data + *at + 1, n_name);
    file->name[n_name] = 0;
    file->at = *at + 1 + n_name + 4;
    file->size = (size_t)mutate_load(data + file->at - 4, 4);
    file->size = file->size < size - file->at ? file->size : size - file->at;
    *at = file->at + file->size;
    return true;
}

static inline bool archive_is_plain(const char *name) {
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Writes the files into the directory, which has none of them. */
static inline void archive_write(const char *dir, const uint8_t *data, size_t size) {
    struct archive_file file;
    for (size_t at = 0, n = 0; n < 40 && archive_next(&file, data, size, &at); n++)
        if (archive_is_plain(file.name))
            testmodel_write_file(dir, file.name, data + file.at, file.size);
}

/* Removes all files of a directory. */
static inline void archive_clear(const char *dir) {
    testmodel_remove(dir);
    if (mkdir(dir, 0700) != 0)
        testmodel_die("create", dir);
}

/* Appends one file to data[*size] of malloc. */
static inline uint8_t *archive_add(uint8_t *data, size_t *size, const char *name, const void *bytes,
                                   size_t n) {
    const size_t n_name = strlen(name);
    data = realloc(data, *size + 5 + n_name + n);
    if (!data)
        testmodel_die("allocate", name);
    data[*size] = (uint8_t)n_name;
    memcpy(data + *size + 1, name, n_name);
    mutate_store(data + *size + 1 + n_name, n, 4);
    if (n)
        memcpy(data + *size + 5 + n_name, bytes, n);
    *size += 5 + n_name + n;
    return data;
}

/* Changes one of the files, or its name, or leaves it out. */
static inline size_t archive_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    struct archive_file file = {0}, chosen = {0};
    size_t n = 0;
    for (size_t at = 0; archive_next(&file, data, size, &at); n++)
        if (replay_below(state, n + 1) == 0)
            chosen = file;
    if (n == 0)
        return replay_change(data, size, cap, state);
    const size_t n_name = strlen(chosen.name), head = 5 + n_name;
    switch (replay_below(state, 12)) {
    case 0:
        mutate_splice(data, &size, cap, chosen.at - head, head + chosen.size, NULL, 0);
        return size;
    case 1:
        if (n_name)
            replay_change(data + chosen.at - 4 - n_name, n_name, n_name, state);
        return size;
    case 2: // of any file
        return replay_change(data, size, cap, state);
    default:
        break;
    }
    const size_t room = chosen.size + 4096;
    uint8_t *bytes = malloc(room);
    if (!bytes)
        testmodel_die("allocate", chosen.name);
    memcpy(bytes, data + chosen.at, chosen.size);
    const size_t changed = mutate_file(bytes, chosen.size, room, state);
    if (mutate_splice(data, &size, cap, chosen.at, chosen.size, bytes, changed))
        mutate_store(data + chosen.at - 4, changed, 4);
    free(bytes);
    return size;
}

#endif
