/* tensor_index.c - finds tensors by GPT-2's names, whatever wrapper they are in. */
#include "model/tensor_index.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "model/tensor_names.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct tensor_entry *)a)->name, ((const struct tensor_entry *)b)->name);
}

bool tensor_index_build(struct tensor_index *names, const struct tensors *tensors,
                        struct gpt2_error *err) {
    *names = (struct tensor_index){0};
    struct tensor_entry *entries =
        os_alloc(tensors->count, sizeof *entries, "the index of tensors", err);
    if (!entries)
        return false;
    for (size_t i = 0; i < tensors->count; i++)
        entries[i] = (struct tensor_entry){tensor_names_strip(tensors->items[i].name),
                                           &tensors->items[i], false};
    qsort(entries, tensors->count, sizeof *entries, by_name);
    *names = (struct tensor_index){entries, tensors->count};
    for (size_t i = 1; i < names->count; i++) {
        if (by_name(&entries[i - 1], &entries[i]) == 0) {
            error_set(err, GPT2_ERR_MODEL,
                      "%s: expected one tensor \"%s\", found \"%s\" and \"%s\"", tensors->path,
                      entries[i].name, entries[i - 1].tensor->name, entries[i].tensor->name);
            tensor_index_free(names);
            return false;
        }
    }
    return true;
}

struct tensor_entry *tensor_index_find(const struct tensor_index *names, const char *name) {
    const struct tensor_entry key = {.name = name};
    return bsearch(&key, names->entries, names->count, sizeof key, by_name);
}

void tensor_index_rename(struct tensor_index *names, struct tensor_entry *entry, const char *name) {
    entry->name = name;
    qsort(names->entries, names->count, sizeof *names->entries, by_name);
}

void tensor_index_free(struct tensor_index *names) {
    os_free(names->entries);
    *names = (struct tensor_index){0};
}
