/* record_error.c - puts errors into the words of a record or of a request. */
#include "cli/generate/record_error.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 64

/* Names of OpenAI's API that are other words than the option's. */
static const char *const api_names[] = {"n", "temperature"};

/* The name of an option in the record; NULL: the record does not have it. */
static const char *name_in_record(const struct bulk_record *record, const struct option *table,
                                  const struct option *option) {
    const struct gpt2_field *field;
    for (int i = 0; record->json && (field = gpt2_record_field(record->json, i)); i++)
        if (field->name && options_find(table, field->name) == option)
            return field->name;
    return NULL;
}

static const char *name_in_api(const struct option *table, const struct option *option,
                               char spelled[NAME_BYTES]) {
    for (size_t i = 0; i < sizeof api_names / sizeof *api_names; i++)
        if (options_find(table, api_names[i]) == option)
            return api_names[i];
    snprintf(spelled, NAME_BYTES, "%s", option->name);
    for (char *c = spelled; *c; c++)
        *c = *c == '-' ? '_' : *c;
    return spelled;
}

static bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* What takes the place of the word text[0..n): NULL, or a name of at most NAME_BYTES. Without a
 * record: in a session. */
static const char *other_word(const struct bulk_record *record, const struct option *table,
                              const char *text, size_t n, char spelled[NAME_BYTES]) {
    char word[NAME_BYTES];
    if (n >= sizeof word)
        return NULL;
    memcpy(word, text, n);
    word[n] = 0;
    if (record && record->is_request && !strcmp(word, "record"))
        return "request";
    const struct option *option =
        !strncmp(word, "--", 2) && word[2] ? options_find(table, word + 2) : NULL;
    if (!record)
        return option ? option->name : NULL;
    const char *name = option ? name_in_record(record, table, option) : NULL;
    return option && !name && record->is_request ? name_in_api(table, option, spelled) : name;
}

static void reword(const struct bulk_record *record, const struct option *table, const char *text,
                   char *out, size_t cap) {
    struct buffer words = {0};
    bool quoted = false;
    for (size_t n; *text; text += n) {
        n = 1;
        quoted ^= *text == '"';
        while (!quoted && in_word(*text) && in_word(text[n]))
            n++;
        char spelled[NAME_BYTES];
        const char *other =
            quoted || !in_word(*text) ? NULL : other_word(record, table, text, n, spelled);
        buffer_bytes(&words, other ? other : text, other ? strlen(other) : n);
    }
    if (!words.failed && words.data)
        snprintf(out, cap, "%s", words.data);
    buffer_free(&words);
}

static struct gpt2_error reworded(const struct bulk_record *record, const struct gpt2_error *err) {
    struct gpt2_error worded = *err;
    struct settings settings = settings_unset();
    struct option table[SETTINGS_MAX];
    settings_table(table, &settings);
    reword(record, table, err->message, worded.message, sizeof worded.message);
    reword(record, table, err->hint, worded.hint, sizeof worded.hint);
    return worded;
}

struct gpt2_error record_error(const struct bulk_record *record, const struct gpt2_error *err) {
    return record && (record->json || record->is_request) ? reworded(record, err) : *err;
}

struct gpt2_error setting_error(const struct gpt2_error *err) {
    return reworded(NULL, err);
}
