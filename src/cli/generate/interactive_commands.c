/* interactive_commands.c - runs the lines of a session that begin with a slash. */
#include "cli/generate/interactive_commands.h"
#include "base/plural.h"
#include "base/utf8.h"
#include "cli/generate/record_error.h"
#include "cli/io/report.h"
#include "cli/io/wrap.h"
#include "cli/terminal/line_files.h"

#include <gpt2/record.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value in double quotes is a string of JSON, for line ends and spaces at its ends. */
static const char *read_value(struct interactive *it, const char *text, struct gpt2_error *err) {
    if (*text != '"')
        return interactive_keep(it, text, err);
    struct buffer json = {0};
    buffer_format(&json, "{\"value\":");
    buffer_bytes(&json, text, strlen(text));
    buffer_bytes(&json, "}", 1);
    struct gpt2_record *record = json.failed ? NULL : gpt2_record_parse(json.data, json.len, NULL);
    const struct gpt2_field *field = record ? gpt2_record_field(record, 1) : NULL;
    if (field || !record || gpt2_record_field(record, 0)->kind != GPT2_FIELD_STRING)
        usage_error(err, "expected one string of JSON, got %.200s", text), text = NULL;
    else
        text = interactive_keep(it, gpt2_record_field(record, 0)->text, err);
    gpt2_record_free(record);
    buffer_free(&json);
    return text;
}

static bool is_fixed(const struct option *option) {
    return option->flags & OPTION_NOT_IN_SESSION;
}

static const struct option *find(const struct option *table, const char *name,
                                 struct gpt2_error *err) {
    const struct option *option = options_find(table, name);
    for (const struct option *o = table; o->name; o++) // as -n on the command line
        if (o->letter && name[0] == o->letter && !name[1])
            option = o;
    if (option && !is_fixed(option))
        return option;
    command_error(err, GPT2_ERR_USAGE, "/set lists them",
                  option ? "\"%.100s\" has no meaning in a session" : "unknown setting \"%.100s\"",
                  name);
    return NULL;
}

static void print_value(const struct option *option) {
    struct buffer text = {0};
    options_value(option, &text);
    fprintf(stderr, "%-18s %s\n", option->name, text.data ? text.data : "");
    buffer_free(&text);
}

static bool set(struct interactive *it, const char *name, const char *text,
                struct gpt2_error *err) {
    struct settings wanted = it->settings;
    struct option table[SETTINGS_MAX];
    settings_table(table, &wanted);
    const struct option *option = find(table, name, err);
    const char *value = option ? read_value(it, text, err) : NULL;
    return value && options_set(table, option->name, value, err) &&
           interactive_set(it, &wanted, err);
}

static bool do_set(struct interactive *it, char *argument, struct gpt2_error *err) {
    struct settings now = it->run->decoding.settings;
    struct option table[SETTINGS_MAX];
    settings_table(table, &now);
    size_t n = strcspn(argument, " =");
    char *value = argument + n + strspn(argument + n, " =");
    argument[n] = 0;
    if (*value)
        return set(it, argument, value, err);
    for (const struct option *o = table; !*argument && o->name; o++)
        if (o->type != OPTION_SECTION && !is_fixed(o))
            print_value(o);
    const struct option *option = *argument ? find(table, argument, err) : NULL;
    if (option)
        print_value(option);
    return option || !*argument;
}

static bool do_unset(struct interactive *it, char *argument, struct gpt2_error *err) {
    struct settings wanted = it->settings, unset = settings_unset();
    struct option table[SETTINGS_MAX], defaults[SETTINGS_MAX];
    settings_table(table, &wanted);
    settings_table(defaults, &unset);
    const struct option *option = find(table, argument, err);
    if (!option)
        return false;
    options_copy(option, &defaults[option - table]);
    return interactive_set(it, &wanted, err);
}

static bool do_seed(struct interactive *it, char *argument, struct gpt2_error *err) {
    return set(it, "seed", argument, err);
}

static bool no_turn(const struct interactive *it) {
    if (it->transcript.n_turns == 0)
        report_note("there is no text yet");
    return it->transcript.n_turns == 0;
}

static bool do_again(struct interactive *it, char *argument, struct gpt2_error *err) {
    if (no_turn(it))
        return true;
    struct settings wanted = it->settings;
    wanted.seed = (struct seed){.value = it->run->decoding.settings.seed.value + 1, .is_set = true};
    if (!interactive_set(it, &wanted, err))
        return false;
    report_note("seed %" PRIu64, wanted.seed.value);
    transcript_erase(&it->transcript);
    interactive_continue(it); // has said itself what went wrong
    return true;
}

/* Says where the text ends now. */
static void print_end(const struct interactive *it) {
    const struct buffer *text = &it->transcript.text;
    size_t begin = text->len > 60 ? text->len - 60 : 0;
    while (begin < text->len && utf8_is_continuation(text->data[begin]))
        begin++;
    struct buffer shown = {0};
    for (size_t i = begin; i < text->len; i++)
        buffer_bytes(&shown, text->data[i] == '\n' ? "\\n" : text->data + i,
                     text->data[i] == '\n' ? 2 : 1);
    if (text->len == 0)
        report_note("the text is empty");
    else if (!shown.failed)
        report_note("the text ends \"%s%s\"", begin ? "..." : "", shown.data);
    buffer_free(&shown);
}

static bool do_undo(struct interactive *it, char *argument, struct gpt2_error *err) {
    if (no_turn(it))
        return true;
    transcript_undo(&it->transcript);
    print_end(it);
    return true;
}

static bool do_new(struct interactive *it, char *argument, struct gpt2_error *err) {
    transcript_clear(&it->transcript);
    print_end(it);
    return true;
}

static bool do_text(struct interactive *it, char *argument, struct gpt2_error *err) {
    fwrite(it->transcript.text.data, 1, it->transcript.text.len, stderr);
    fputc('\n', stderr);
    return true;
}

static bool do_save(struct interactive *it, char *argument, struct gpt2_error *err) {
    if (!transcript_save(&it->transcript, argument, err))
        return false;
    const size_t n = it->transcript.text.len;
    report_note("%zu byte%s in %s", n, plural((int64_t)n), argument);
    return true;
}

static bool do_save_session(struct interactive *it, char *argument, struct gpt2_error *err) {
    size_t n_bytes;
    int n_ids;
    if (!transcript_save_session(&it->transcript, argument, &n_ids, &n_bytes, err))
        return false;
    report_note("%d token%s, %zu byte%s in %s", n_ids, plural(n_ids), n_bytes,
                plural((int64_t)n_bytes), argument);
    return true;
}

static bool do_load_session(struct interactive *it, char *argument, struct gpt2_error *err) {
    if (!transcript_load_session(&it->transcript, argument, err))
        return false;
    print_end(it);
    return true;
}

static bool do_quit(struct interactive *it, char *argument, struct gpt2_error *err) {
    it->ended = true;
    return true;
}

static bool do_help(struct interactive *it, char *argument, struct gpt2_error *err);

static const struct {
    const char *name, *other; /* another name, or NULL        */
    const char *argument;     /* NULL: takes none             */
    bool needs_argument;
    const char *help;
    bool (*run)(struct interactive *it, char *argument, struct gpt2_error *err);
} commands[] = {
    {"again", NULL, NULL, false, "the last continuation once more, with the next seed", do_again},
    {"undo", NULL, NULL, false, "take back the last line and its continuation", do_undo},
    {"new", "reset", NULL, false, "start afresh, with an empty text", do_new},
    {"text", NULL, NULL, false, "show the text so far", do_text},
    {"save", NULL, "FILE", true, "write it to a file", do_save},
    {"save-session", NULL, "FILE", true, "write it with what was computed, for --load-session",
     do_save_session},
    {"load-session", NULL, "FILE", true, "go on from there, in place of the text", do_load_session},
    {"set", NULL, "NAME VALUE", false, "an option of generate, from the next line on; alone: all",
     do_set},
    {"unset", NULL, "NAME", true, "its default again", do_unset},
    {"seed", NULL, "N", true, "the same as /set seed N", do_seed},
    {"help", "?", NULL, false, "this list", do_help},
    {"quit", "exit", NULL, false, "leave, as Ctrl-D does", do_quit},
};

static bool do_help(struct interactive *it, char *argument, struct gpt2_error *err) {
    struct buffer table = {0};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *value = commands[i].argument ? commands[i].argument : "";
        const int n = (int)(strlen(commands[i].name) + strlen(value)) + 4;
        buffer_format(&table, "  /%s %s%*s%s\n", commands[i].name, value, n < 22 ? 22 - n : 1, "",
                      commands[i].help);
    }
    report_table(&table);
    buffer_free(&table);
    wrap_tell("A line that is to begin with a slash begins with two. A backslash at the end of\n"
              "a line joins the next one to it, with the line end between them. A value or a\n"
              "file in double quotes is a string of JSON: /set stop \"\\n\\n\". Tab completes\n"
              "commands, settings and files.\n");
    return true;
}

static bool takes_file(size_t i) {
    return commands[i].argument && !strcmp(commands[i].argument, "FILE");
}

/* A file's name may stand in quotes, as a value of /set does. */
static bool run_command(struct interactive *it, size_t i, char *argument, struct gpt2_error *err) {
    const char *name = takes_file(i) ? read_value(it, argument, err) : argument;
    if (!name)
        return false;
    return commands[i].run(it, name == argument ? argument : (char *)name, err);
}

/* The options that /set knows, `end` after each, or the values of the one that is named in
 * argument[0..n). */
static void offer_settings(const char *argument, size_t n, const char *end, line_offer offer,
                           void *to) {
    struct settings unset = settings_unset();
    struct option table[SETTINGS_MAX];
    settings_table(table, &unset);
    const struct option *named = n ? options_find_name(table, argument, n) : NULL;
    for (int i = 0; named && named->type == OPTION_CHOICE && named->choices[i]; i++)
        offer(to, named->choices[i]);
    for (const struct option *o = table; !n && o->name; o++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", o->name, end);
        if (option_is_shown(o) && !is_fixed(o))
            offer(to, name);
    }
}

size_t interactive_complete(const char *line, size_t n, line_offer offer, void *to) {
    if (line[0] != '/' || line[1] == '/')
        return n + 1;
    const size_t n_name = strcspn(line, " ");
    const size_t n_commands = sizeof commands / sizeof *commands;
    if (!line[n_name]) {
        for (size_t i = 0; offer && i < n_commands; i++) {
            char name[40];
            snprintf(name, sizeof name, "/%s%s", commands[i].name, commands[i].argument ? " " : "");
            offer(to, name);
        }
        return 0;
    }
    const size_t from = n_name + strspn(line + n_name, " ");
    const bool sets = !strncmp(line, "/set ", 5), unsets = !strncmp(line, "/unset ", 7);
    const size_t n_option = strcspn(line + from, " =");
    if (sets && line[from + n_option]) { // the value
        if (offer)
            offer_settings(line + from, n_option, "", offer, to);
        return from + n_option + strspn(line + from + n_option, " =");
    }
    if ((sets || unsets) && offer)
        offer_settings("", 0, sets ? " " : "", offer, to);
    for (size_t i = 0; offer && i < n_commands; i++)
        if (takes_file(i) && strlen(commands[i].name) == n_name - 1 &&
            !strncmp(line + 1, commands[i].name, n_name - 1))
            line_files_offer(line + from, offer, to);
    return from;
}

void interactive_command(struct interactive *it, char *line) {
    struct gpt2_error err = {0};
    char *name = line + 1;
    size_t n = strcspn(name, " ");
    char *argument = name + n + strspn(name + n, " ");
    name[n] = 0;
    bool ok = false, found = false;
    for (size_t i = 0; !found && i < sizeof commands / sizeof *commands; i++) {
        found = !strcmp(name, commands[i].name) ||
                (commands[i].other && !strcmp(name, commands[i].other));
        if (!found)
            continue;
        if (!commands[i].argument && *argument)
            usage_error(&err, "/%s takes no value, got \"%.100s\"", name, argument);
        else if (commands[i].needs_argument && !*argument)
            usage_error(&err, "/%s: expected %s, got nothing", name, commands[i].argument);
        else
            ok = run_command(it, i, argument, &err);
    }
    if (!found)
        command_error(&err, GPT2_ERR_USAGE,
                      "/help lists the commands; a line of text that begins with a slash begins "
                      "with two",
                      "unknown command \"/%.100s\"", name);
    if (!ok) {
        const struct gpt2_error worded = setting_error(&err);
        report(&worded);
    }
}
