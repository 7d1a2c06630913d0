/* environment.c - reads folders, the hub's address and the token from the environment. */
#include "hub/environment.h"
#include "base/error_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <gpt2/hub.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
static char *folder(const char *value, const char *below, struct gpt2_error *err) {
    const char *home = environment_variable("HOME");
    bool tilde = value[0] == '~' && value[1] == '/' && home;
    return environment_format(err, "%s%s%s", tilde ? home : "", tilde ? value + 1 : value, below);
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

/* `path` becomes a path in Hugging Face's home, where the token and hub/ with the cache are; NULL
 * where the environment names none. */
static bool in_hf_home(char **path, const char *name, struct gpt2_error *err) {
    static const struct {
        const char *variable, *below;
    } homes[] = {
        {"HF_HOME", ""}, {"XDG_CACHE_HOME", "/huggingface"}, {"HOME", "/.cache/huggingface"}};
    *path = NULL;
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        const char *value = environment_variable(homes[i].variable);
        if (!value)
            continue;
        char *home = folder(value, homes[i].below, err);
        *path = home ? environment_format(err, "%s/%s", home, name) : NULL;
        free(home);
        return *path != NULL;
    }
    return true;
}

/* HF_HUB_CACHE and its older name are the cache itself. TRANSFORMERS_CACHE, where set, is asked
 * first, as transformers does. */
bool environment_cache(int i, char **path, struct gpt2_error *err) {
    const char *value = environment_variable("TRANSFORMERS_CACHE");
    *path = NULL;
    if (value && i-- == 0)
        return (*path = folder(value, "", err)) != NULL;
    if (i != 0)
        return true;
    if ((value = environment_variable("HF_HUB_CACHE")) != NULL ||
        (value = environment_variable("HUGGINGFACE_HUB_CACHE")) != NULL)
        return (*path = folder(value, "", err)) != NULL;
    return in_hf_home(path, "hub", err);
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

FILE *environment_open(const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    const int reason = errno;
    if (fd >= 0 && !file)
        close(fd);
    errno = reason;
    return file;
}

/* The first line of a file, "" where there is none. */
static bool first_line(char *line, size_t cap, const char *path, struct gpt2_error *err) {
    FILE *file = environment_open(path);
    errno = file ? 0 : errno;
    if (!file || !fgets(line, (int)cap, file))
        line[0] = 0;
    const int reason = errno;
    if (file)
        fclose(file);
    return !reason || reason == ENOENT || reason == ENOTDIR ||
           error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot read the token in %s", path);
}

/* The file that the token is in, to be freed; NULL: the environment names none. */
static bool token_file(char **path, struct gpt2_error *err) {
    const char *named = environment_variable("HF_TOKEN_PATH");
    if (!named)
        return in_hf_home(path, "token", err);
    return (*path = folder(named, "", err)) != NULL;
}

bool environment_token(char **token, struct gpt2_error *err) {
    char line[1024] = "";
    const char *value = environment_variable("HF_TOKEN");
    if (!value)
        value = environment_variable("HUGGING_FACE_HUB_TOKEN");
    *token = NULL;
    if (!value) {
        char *path;
        const bool ok =
            token_file(&path, err) && (!path || first_line(line, sizeof line, path, err));
        free(path);
        if (!ok)
            return false;
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
