/* api_keys.c - reads keys from a file and compares them. */
#include "cli/serve/api_keys.h"
#include "cli/io/report.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_LINE 1024 /* the longest line of such a file */

static void add_line(struct api_keys *keys, char *line) {
    while (isspace((unsigned char)*line))
        line++;
    size_t n = strlen(line);
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        n--;
    if (n == 0 || *line == '#')
        return;
    buffer_bytes(&keys->text, line, n);
    buffer_byte(&keys->text, 0);
    keys->n++;
}

bool api_keys_read(struct api_keys *keys, const char *path, struct gpt2_error *err) {
    char line[MAX_LINE];
    FILE *file = fopen(path, "r");
    if (!file)
        return command_error(err, GPT2_ERR_INPUT, NULL, "--api-key-file: cannot open %s: %s", path,
                             strerror(errno));
    bool whole = true;
    while (whole && fgets(line, sizeof line, file)) {
        whole = strlen(line) < sizeof line - 1;
        add_line(keys, line);
    }
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || !whole)
        return command_error(err, GPT2_ERR_INPUT, NULL, "--api-key-file: %s: %s", path,
                             failed ? "cannot be read" : "expected lines of less than 1023 bytes");
    if (keys->text.failed)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the keys");
    return keys->n > 0 || command_error(err, GPT2_ERR_INPUT, "put a key on a line of it",
                                        "--api-key-file: %s has no key", path);
}

void api_keys_free(struct api_keys *keys) {
    buffer_free(&keys->text);
    *keys = (struct api_keys){0};
}

/* Looks at all bytes, whichever differ. */
static bool same_key(const char *key, const char *given, size_t n_given) {
    const size_t n = strlen(key);
    unsigned char differ = n != n_given;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(key[i] ^ (i < n_given ? given[i] : 0));
    return differ == 0;
}

bool api_keys_accept(const struct api_keys *keys, const char *authorization) {
    if (keys->n == 0)
        return true;
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    const char *given = authorization + 7, *key = keys->text.data;
    bool found = false;
    for (int i = 0; i < keys->n; i++, key += strlen(key) + 1)
        found |= same_key(key, given, strlen(given));
    return found;
}
