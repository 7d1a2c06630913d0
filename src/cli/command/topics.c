/* topics.c - the table of all topics. */
#include "cli/command/topics.h"

#include <string.h>

static const struct topic *const topics[] = {
#define TOPIC(name) &topic_##name,
#include "cli/command/topics.def"
};

const struct topic *topic_at(size_t i) {
    return i < sizeof topics / sizeof *topics ? topics[i] : NULL;
}

const struct topic *topic_find(const char *name) {
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (!strcmp(name, topics[i]->name))
            return topics[i];
    return NULL;
}
