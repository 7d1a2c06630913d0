/* fuzz_options.c - any words as the command line of any command: refused with a message, or read.
 * The first byte says which command; words are separated by newlines. Nothing is run. */
#define REPLAY_NAME  "options"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "base/buffer.h"
#include "cli/command/commands.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 400

struct line {
    char *words[MAX_WORDS + 1];
    int n;
};

static void read_line(const struct command *command, const struct option *table, void *user) {
    struct line *line = user;
    struct gpt2_error err = {0};
    enum help_kind help;
    int n_words;
    if (command_read(command, table, line->n, line->words, &n_words, &help, &err)) {
        if (n_words < 0 || n_words >= line->n)
            abort();
        struct buffer all = {0};
        options_print(table, &all);
        for (const struct option *o = table; o->name; o++)
            options_copy(o, o);
        buffer_free(&all);
    } else if (err.status == GPT2_OK || !err.message[0]) {
        abort(); // refused without a word
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t n_commands = 0;
    while (command_at(n_commands))
        n_commands++;
    if (size == 0)
        return 0;
    const struct command *command = command_at(data[0] % n_commands);
    char *text = malloc(size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    struct line line = {.words = {(char *)(uintptr_t)command->name}, .n = 1};
    for (char *word = text; word && line.n < MAX_WORDS;) {
        char *end = strchr(word, '\n');
        if (end)
            *end++ = 0;
        line.words[line.n++] = word;
        word = end;
    }
    command_visit(command, read_line, &line);
    free(text);
    return 0;
}

/* Every option of every command, with a value that it takes. */

static void add_options(const struct command *command, const struct option *table, void *user) {
    struct buffer *text = user;
    for (const struct option *o = table; o->name; o++) {
        if (!option_is_shown(o))
            continue;
        struct buffer value = {0};
        options_value(o, &value);
        buffer_format(text, "--%s", o->name);
        if (o->type == OPTION_CHOICE)
            buffer_format(text, "=%s", o->choices[0]);
        else if (o->type != OPTION_FLAG && o->type != OPTION_VALUE)
            buffer_format(text, "\n%.*s", (int)(value.len ? value.len : 1),
                          value.len ? value.data : "1");
        buffer_byte(text, '\n');
        buffer_free(&value);
    }
}

/* What is refused of an option: another name, too many values, a format for a file. */
static void add_refused(const struct command *command, const struct option *table, void *user) {
    const size_t number = *(size_t *)user;
    for (const struct option *o = table; o->name; o++) {
        const bool ints = o->type == OPTION_INTS, strings = o->type == OPTION_STRINGS;
        if (!ints && !strings && !(o->flags & OPTION_RESULT) && o->type != OPTION_RENAMED)
            continue;
        struct buffer text = {0};
        char name[100];
        snprintf(name, sizeof name, "%s-%s", command->name, o->name);
        buffer_byte(&text, (char)number);
        buffer_format(&text, "--%s", o->name);
        for (int i = 0; ints && i < 100; i++)
            buffer_text(&text, i ? ",1" : "=1");
        for (int i = 0; strings && i < 300; i++)
            buffer_format(&text, "=x\n--%s", o->name);
        if (!ints && !strings && o->flags & OPTION_RESULT)
            buffer_text(&text, "=json");
        if (text.failed)
            abort();
        replay_seed(name, text.data, text.len);
        buffer_free(&text);
    }
}

void replay_seeds(void) {
    for (size_t i = 0; command_at(i); i++)
        command_visit(command_at(i), add_refused, &i);
    for (size_t i = 0; command_at(i); i++) {
        struct buffer text = {0};
        buffer_byte(&text, (char)i);
        command_visit(command_at(i), add_options, &text);
        buffer_text(&text, "word\n--\n-x");
        if (text.failed)
            abort();
        replay_seed(command_at(i)->name, text.data, text.len);
        buffer_free(&text);
    }
}
