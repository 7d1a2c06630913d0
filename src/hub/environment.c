/* environment.c - reads folders, the hub's address and the token from the environment. */
#include "hub/environment.h"
#include "base/error_internal.h"

#include <gpt2/hub.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *environment_format(struct gpt2_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : malloc((size_t)n + 1);
    if (!text) {
        error_memory(err, "a path", (unsigned long long)n + 1);
        return NULL;
    }
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

const char *environment_variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* A folder from a variable: "~/" is the home directory, for such values come from files that no
 * shell has read. */
static char *folder(const char *value, const char *below) {
    const char *home = environment_variable("HOME");
    bool tilde = value[0] == '~' && value[1] == '/' && home;
    return environment_format(NULL, "%s%s%s", tilde ? home : "", tilde ? value + 1 : value, below);
}

char *gpt2_hub_folder(struct gpt2_error *err) {
    const char *models = environment_variable("GPT2_MODELS"),
               *data = environment_variable("XDG_DATA_HOME"), *home = environment_variable("HOME");
    models = models ? models + strspn(models, ":") : NULL;
    if (models && *models)
        return environment_format(err, "%.*s", (int)strcspn(models, ":"), models);
    if (data)
        return environment_format(err, "%s/gpt2/models", data);
    if (home)
        return environment_format(err, "%s/.local/share/gpt2/models", home);
    error_set(err, GPT2_ERR_RUNTIME,
              "no folder for models: none of GPT2_MODELS, XDG_DATA_HOME and "
              "HOME is set");
    return NULL;
}

/* Hugging Face's home: token, and hub/ with the cache. NULL where the environment names none. */
static char *hf_home(void) {
    const char *value;
    if ((value = environment_variable("HF_HOME")) != NULL)
        return folder(value, "");
    if ((value = environment_variable("XDG_CACHE_HOME")) != NULL)
        return folder(value, "/huggingface");
    if ((value = environment_variable("HOME")) != NULL)
        return folder(value, "/.cache/huggingface");
    return NULL;
}

/* HF_HUB_CACHE and its older name are the cache itself. TRANSFORMERS_CACHE, where set, is asked
 * first, as transformers does. */
char *environment_cache(int i) {
    const char *legacy = environment_variable("TRANSFORMERS_CACHE"), *value;
    if (legacy && i-- == 0)
        return folder(legacy, "");
    if (i != 0)
        return NULL;
    if ((value = environment_variable("HF_HUB_CACHE")) != NULL ||
        (value = environment_variable("HUGGINGFACE_HUB_CACHE")) != NULL)
        return folder(value, "");
    char *home = hf_home(), *cache = home ? environment_format(NULL, "%s/hub", home) : NULL;
    free(home);
    return cache;
}

char *environment_endpoint(struct gpt2_error *err) {
    const char *value = environment_variable("HF_ENDPOINT");
    if (!value)
        value = "https://huggingface.co";
    size_t n = strlen(value);
    while (n && value[n - 1] == '/')
        n--;
    bool ok = !strncmp(value, "https://", 8) || !strncmp(value, "http://", 7);
    for (size_t i = 0; i < n; i++)
        ok = ok && value[i] > 0x20 && value[i] < 0x7F && !strchr("\"\\?#{}[]", value[i]);
    if (ok && n < 500)
        return environment_format(err, "%.*s", (int)n, value);
    error_set(err, GPT2_ERR_USAGE,
              "HF_ENDPOINT: expected an address like https://huggingface.co, "
              "got \"%s\"",
              value);
    return NULL;
}

/* The first line of a file, "" where there is none. */
static void first_line(char *line, size_t cap, const char *path) {
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file || !fgets(line, (int)cap, file))
        line[0] = 0;
    if (file)
        fclose(file);
}

bool environment_token(char **token, struct gpt2_error *err) {
    char line[1024];
    const char *value = environment_variable("HF_TOKEN");
    if (!value)
        value = environment_variable("HUGGING_FACE_HUB_TOKEN");
    *token = NULL;
    if (!value) {
        const char *named = environment_variable("HF_TOKEN_PATH");
        char *home = named ? NULL : hf_home();
        char *path = named  ? folder(named, "")
                     : home ? environment_format(NULL, "%s/token", home)
                            : NULL;
        first_line(line, sizeof line, path);
        free(path);
        free(home);
        value = line;
    }
    value += strspn(value, " \t\r\n");
    size_t n = strcspn(value, " \t\r\n");
    if (value[n + strspn(value + n, " \t\r\n")])
        return error_set(err, GPT2_ERR_USAGE,
                         "HF_TOKEN: expected one word, found white space in it");
    for (size_t i = 0; i < n; i++)
        if (value[i] < 0x21 || value[i] > 0x7E || strchr("\"\\", value[i]))
            return error_set(err, GPT2_ERR_USAGE,
                             "HF_TOKEN: expected letters and digits, found byte %d at position %zu",
                             (unsigned char)value[i], i);
    if (n == 0)
        return true;
    *token = environment_format(err, "%.*s", (int)n, value);
    return *token != NULL;
}
