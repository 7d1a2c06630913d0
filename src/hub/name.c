/* name.c - parses the name of a model at the hub. */
#include "hub/name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Before there were owners these were names of their own, and they still are what people say. */
static const struct famous {
    const char *name, *repo, *others; /* other names: OpenAI's, by their number of parameters */
} famous[] = {
    {"gpt2", "openai-community/gpt2", " 124M 117M "},
    {"gpt2-medium", "openai-community/gpt2-medium", " 355M 345M "},
    {"gpt2-large", "openai-community/gpt2-large", " 774M "},
    {"gpt2-xl", "openai-community/gpt2-xl", " 1558M 1.5B "},
    {"distilgpt2", "distilbert/distilgpt2", " 82M "},
};

#define N_FAMOUS (sizeof famous / sizeof *famous)

const char *gpt2_hub_famous(int i) {
    return i >= 0 && (size_t)i < N_FAMOUS ? famous[i].name : NULL;
}

bool name_word(const char *text, size_t len) {
    if (len == 0 || len > 100 || text[0] == '.' || text[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 || !(isalnum(c) || c == '-' || c == '_' || c == '.'))
            return false;
        if (c == '.' && text[i - 1] == '.')
            return false;
    }
    return true;
}

static const struct famous *find_famous(const char *repo) {
    char padded[GPT2_HUB_NAME_MAX + 2];
    snprintf(padded, sizeof padded, " %s ", repo);
    for (size_t i = 0; i < N_FAMOUS; i++)
        if (!strcmp(repo, famous[i].name) || !strcmp(repo, famous[i].repo) ||
            strstr(famous[i].others, padded))
            return &famous[i];
    return NULL;
}

/* Words between slashes, from 1 to `max` of them. */
static bool words(const char *text, size_t len, int max) {
    for (int i = 0; i < max; i++) {
        const char *slash = memchr(text, '/', len);
        size_t n = slash ? (size_t)(slash - text) : len;
        if (!name_word(text, n))
            return false;
        if (!slash)
            return true;
        text += n + 1;
        len -= n + 1;
    }
    return false;
}

bool name_parse(struct hub_name *name, const char *text) {
    size_t len = strlen(text), n_repo = strcspn(text, "@");
    if (len >= GPT2_HUB_NAME_MAX / 2 || !words(text, n_repo, 2))
        return false;
    const char *revision = text[n_repo] ? text + n_repo + 1 : "main";
    if (!words(revision, strlen(revision), 4))
        return false;

    snprintf(name->repo, sizeof name->repo, "%.*s", (int)n_repo, text);
    snprintf(name->revision, sizeof name->revision, "%s", revision);
    snprintf(name->local, sizeof name->local, "%s", name->repo);
    name->alias[0] = 0;
    const struct famous *known = find_famous(name->repo);
    if (known) {
        snprintf(name->repo, sizeof name->repo, "%s", known->repo);
        snprintf(name->local, sizeof name->local, "%s", known->name);
        snprintf(name->alias, sizeof name->alias, "%s", known->name);
    }
    if (text[n_repo] && strcmp(revision, "main") != 0) {
        size_t n = strlen(name->local);
        name->local[n++] = '@';
        for (const char *c = revision; *c; c++) {
            name->local[n++] = *c == '/' ? '-' : *c;
            if (*c == '/')
                name->local[n++] = '-';
        }
        name->local[n] = 0;
    }
    return true;
}

bool gpt2_hub_local_name(const char *name, char local[GPT2_HUB_NAME_MAX]) {
    struct hub_name parsed;
    if (!name_parse(&parsed, name))
        return false;
    memcpy(local, parsed.local, GPT2_HUB_NAME_MAX);
    return true;
}
