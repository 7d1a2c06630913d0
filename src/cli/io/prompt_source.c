/* prompt_source.c - the text of a command: from an option, a word, a file or a pipe. */
#include "cli/io/prompt_source.h"
#include "base/encoding.h"
#include "cli/io/input.h"
#include "cli/io/report.h"
#include "cli/io/unescape.h"

#include <gpt2/tokenizer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void text_free(struct text *text) {
    free(text->data);
    *text = (struct text){NULL, 0};
}

static bool no_memory(struct gpt2_error *err, const char *name) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory while reading %s", name);
}

/* Reads an input to its end. */
static bool read_all(struct text *text, struct input *input, struct gpt2_error *err) {
    size_t cap = 0, n;
    do {
        if (text->len > INPUT_MAX)
            return input_too_long(input, "a text", err);
        if (cap - text->len <= ENCODING_BYTES) {
            cap = cap ? cap * 2 : 1 << 16;
            char *grown = realloc(text->data, cap);
            if (!grown)
                return no_memory(err, input->name);
            text->data = grown;
        }
        if (!input_read(input, text->data + text->len, cap - text->len - 1, &n, err))
            return false;
        text->len += n;
    } while (n > 0);
    text->data[text->len] = 0;
    return true;
}

static bool read_file(struct text *text, const char *path, bool exact, struct gpt2_error *err) {
    struct input input;
    if (!input_open(&input, path, exact ? INPUT_AS_BYTES : INPUT_AS_TEXT, err))
        return false;
    bool ok = read_all(text, &input, err);
    input_close(&input);
    return ok;
}

static bool is_dash(const char *word) {
    return word && !strcmp(word, "-");
}

const char *text_literal(const struct text_source *source) {
    return source->option ? source->option : is_dash(source->word) ? NULL : source->word;
}

const char *text_file(const struct text_source *source) {
    return source->file ? source->file : is_dash(source->word) ? "-" : NULL;
}

/* Appends the literal text. */
static bool add_literal(struct text *text, const struct text_source *source,
                        struct gpt2_error *err) {
    const char *given = text_literal(source);
    size_t n = strlen(given);
    char *grown = realloc(text->data, text->len + n + 1);
    if (!grown)
        return no_memory(err, "the command line");
    text->data = grown;
    memcpy(grown + text->len, given, n + 1);
    if (source->escape && !unescape(grown + text->len, &n, "--escape", err))
        return false;
    text->len += n;
    text->data[text->len] = 0;
    return true;
}

bool text_read(struct text *text, const struct text_source *source, struct gpt2_error *err) {
    *text = (struct text){NULL, 0};
    if (source->option && source->word)
        return usage_error(err, "the text is given more than once: expected an option or an "
                                "argument, got both");
    if (source->file && is_dash(source->word))
        return usage_error(err, "the text is given more than once: expected --file or \"-\", got "
                                "both");
    const char *literal = text_literal(source), *path = text_file(source);
    if (!literal && !path) {
        if (isatty(STDIN_FILENO))
            return usage_error(err, "no text given: expected an argument, --file FILE or a pipe");
        path = "-";
    }
    bool ok = !path || read_file(text, path, source->exact, err);
    bool keep = source->keep_newline || source->exact;
    if (ok && path && !keep && text->len && text->data[text->len - 1] == '\n')
        text->data[--text->len] = 0;
    ok = ok && (!literal || add_literal(text, source, err));
    if (!ok)
        text_free(text);
    return ok;
}

bool text_parse_ids(const char *data, size_t len, const char *what, struct gpt2_ids *ids,
                    struct gpt2_error *err) {
    size_t i = 0;
    for (;;) {
        while (i < len && strchr(" ,\t\r\n", data[i]) && data[i])
            i++;
        if (i == len)
            return true;
        size_t start = i;
        int64_t id = 0;
        while (i < len && data[i] >= '0' && data[i] <= '9' && id <= INT32_MAX)
            id = id * 10 + (data[i++] - '0');
        bool ended = i == len || (data[i] && strchr(" ,\t\r\n", data[i]));
        if (i == start || !ended || id > INT32_MAX) {
            size_t rest = len - start, word = 0;
            while (word < rest && word < 40 && data[start + word] &&
                   !strchr(" ,\t\r\n", data[start + word]))
                word++;
            return command_error(err, GPT2_ERR_USAGE, NULL,
                                 "%s%sexpected token ids (whole numbers), found \"%.*s\" at byte "
                                 "%zu",
                                 what ? what : "", what ? ": " : "", (int)word, data + start,
                                 start);
        }
        if (!gpt2_ids_push(ids, (int32_t)id, err))
            return false;
    }
}
