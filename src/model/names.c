#include "model/names.h"
#include "base/error.h"
#include "base/os.h"

#include <stdlib.h>
#include <string.h>

static const char *const prefixes[] = {"_orig_mod.", "module.", "model.", "transformer."};
#define N_PREFIXES (sizeof prefixes / sizeof *prefixes)

static const char *strip(const char *name) {
    for (size_t i = 0; i < N_PREFIXES;) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], len) == 0) {
            name += len;
            i = 0; // wrappers nest in any order
        } else {
            i++;
        }
    }
    return name;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

bool names_index(struct names *names, const struct tensors *tensors, struct gpt2_error *err) {
    *names = (struct names){0};
    struct entry *entries = os_alloc(tensors->count, sizeof *entries, "the index of tensors", err);
    if (!entries)
        return false;
    for (size_t i = 0; i < tensors->count; i++)
        entries[i] = (struct entry){strip(tensors->items[i].name), &tensors->items[i], false};
    qsort(entries, tensors->count, sizeof *entries, by_name);
    *names = (struct names){entries, tensors->count};
    for (size_t i = 1; i < names->count; i++) {
        if (by_name(&entries[i - 1], &entries[i]) == 0) {
            error_set(err, GPT2_ERR_MODEL,
                      "%s: expected one tensor \"%s\", found \"%s\" and \"%s\"", tensors->path,
                      entries[i].name, entries[i - 1].tensor->name, entries[i].tensor->name);
            names_free(names);
            return false;
        }
    }
    return true;
}

struct entry *names_find(const struct names *names, const char *name) {
    const struct entry key = {.name = name};
    return bsearch(&key, names->entries, names->count, sizeof key, by_name);
}

void names_rename(struct names *names, struct entry *entry, const char *name) {
    entry->name = name;
    qsort(names->entries, names->count, sizeof *names->entries, by_name);
}

void names_free(struct names *names) {
    os_free(names->entries);
    *names = (struct names){0};
}
