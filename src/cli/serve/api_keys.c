/* api_keys.c - reads keys from a file and compares them. */
#include "cli/serve/api_keys.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static void add_line(struct api_keys *keys, const char *line, size_t n) {
    while (n > 0 && isspace((unsigned char)*line))
        line++, n--;
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        n--;
    if (n == 0 || *line == '#')
        return;
    buffer_bytes(&keys->text, line, n);
    buffer_byte(&keys->text, 0);
    keys->n++;
}

bool api_keys_read(struct api_keys *keys, const char *path, struct gpt2_error *err) {
    struct text text;
    if (!text_read(&text, &(struct text_source){.file = path}, err))
        return false;
    const char *end = text.data + text.len;
    bool has_nul = memchr(text.data, 0, text.len) != NULL;
    for (const char *line = text.data; !has_nul && line < end;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        feed = feed ? feed : end;
        add_line(keys, line, (size_t)(feed - line));
        line = feed + 1;
    }
    text_free(&text);
    if (has_nul)
        return command_error(err, GPT2_ERR_INPUT, NULL,
                             "--api-key-file: %s: expected lines of text, found a NUL byte", path);
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
    const char *given = authorization + 7 + strspn(authorization + 7, " "), *key = keys->text.data;
    bool found = false;
    for (int i = 0; i < keys->n; i++, key += strlen(key) + 1)
        found |= same_key(key, given, strlen(given));
    return found;
}
