/* man_page.c - makes the parts of man pages: prose, lists, examples, what the tables of facts say.
 */
#include "cli/command/man_page.h"

#include <gpt2/version.h>
#include <stdio.h>
#include <string.h>

/* A line of the source holds at most so many characters, which may take more bytes there. */
#define SOURCE_WIDTH 60

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

/* Appends a character of text: hyphens stay ASCII, a backslash is one. */
static void put_char(struct buffer *page, char c) {
    if (c == '\\')
        buffer_text(page, "\\e");
    else if (c == '-')
        buffer_text(page, "\\-");
    else if (c == '^')
        buffer_text(page, "\\(ha");
    else if (c == '~')
        buffer_text(page, "\\(ti");
    else if (c == '\'')
        buffer_text(page, "\\(aq");
    else
        buffer_byte(page, c);
}

/* Appends text[0..n) on the line at hand; between backquotes it is bold where `bold`. */
void man_words(struct buffer *page, const char *text, size_t n) {
    bool bold = false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '`') {
            bold = !bold;
            buffer_text(page, bold ? "\\fB" : "\\fR");
        } else {
            put_char(page, text[i]);
        }
    }
}

/* Appends text[0..n) as filled lines. Nothing in it is read as a request, and a part between
 * backquotes may go on in the next line. */
static void put_filled(struct buffer *page, const char *text, size_t n) {
    size_t at = 0;
    bool bold = false;
    for (size_t i = 0; i < n;) {
        size_t word = 0;
        while (i + word < n && text[i + word] != ' ' && text[i + word] != '\n')
            word++;
        if (!word) {
            i++;
            continue;
        }
        if (at && at + 1 + word > SOURCE_WIDTH) {
            buffer_byte(page, '\n');
            at = 0;
        }
        if (at)
            buffer_byte(page, ' ');
        else if (text[i] == '.' || text[i] == '\'')
            buffer_text(page, "\\&");
        at += word + (at > 0);
        for (const char *end = text + i + word, *c = text + i; c < end; c++) {
            if (*c == '`') {
                bold = !bold;
                buffer_text(page, bold ? "\\fB" : "\\fR");
            } else {
                put_char(page, *c);
            }
        }
        i += word;
    }
    if (at)
        buffer_byte(page, '\n');
}

void man_text(struct buffer *page, const char *text) {
    put_filled(page, text, strlen(text));
}

/* A heading, in capitals. */
void man_heading(struct buffer *page, const char *text) {
    buffer_text(page, ".SH \"");
    for (; *text; text++) {
        char c = is_lower(*text) ? (char)(*text - 'a' + 'A') : *text;
        put_char(page, c);
    }
    buffer_text(page, "\"\n");
}

/* A term of a list; its text follows. */
static void man_term(struct buffer *page, const char *term, size_t n) {
    buffer_text(page, ".TP\n\\fB");
    man_words(page, term, n);
    buffer_text(page, "\\fR\n");
}

/* ---- prose (topics.h) ---- */

static bool is_heading(const char *line, size_t n) {
    bool has_capital = false;
    for (size_t i = 0; i < n; i++) {
        if (is_lower(line[i]) || line[i] == '`')
            return false;
        has_capital |= is_upper(line[i]);
    }
    return has_capital && n > 3 && line[0] != ' ';
}

/* Where the text of a row "  TERM   text" begins; 0: the line is none. */
static size_t row_text(const char *line, size_t n) {
    const size_t first = strspn(line, " ");
    for (size_t i = first; first == 2 && i + 2 < n; i++)
        if (line[i] == ' ' && line[i + 1] == ' ')
            return i + strspn(line + i, " ");
    return 0;
}

/* The lines of a row: the first, and those that begin with three spaces or more. Returns its end.
 */
static const char *put_row(struct buffer *page, const char *line, size_t text) {
    size_t term = text;
    while (line[term - 1] == ' ')
        term--;
    man_term(page, line + 2, term - 2);
    const char *end = line + strcspn(line, "\n");
    while (*end && strspn(end + 1, " ") > 2)
        end += 1 + strcspn(end + 1, "\n");
    put_filled(page, line + text, (size_t)(end - line) - text);
    return end + (*end == '\n');
}

/* Lines as they are, down to the first that does not begin with a space. Returns its begin. They
 * are broken only where the terminal is too narrow. */
static const char *put_literal(struct buffer *page, const char *line) {
    buffer_text(page, ".RS 4\n.nh\n.ad l\n");
    for (bool first = true; *line == ' '; first = false) {
        const size_t n = strcspn(line, "\n"), indent = strspn(line, " ");
        if (!first)
            buffer_text(page, ".br\n");
        const bool request = line[indent] == '.' || line[indent] == '\'';
        buffer_text(page, request ? "\\&" : "");
        for (size_t i = indent; i < n; i++)
            if (line[i] == ' ' && line[i + 1] == ' ')
                buffer_text(page, "\\ ");
            else
                put_char(page, line[i]);
        buffer_byte(page, '\n');
        line += n + (line[n] == '\n');
    }
    buffer_text(page, ".hy\n.ad b\n.RE\n");
    return line;
}

void man_prose(struct buffer *page, const char *text) {
    bool in_list = false, first = true; // no .PP right after a heading
    while (*text) {
        const size_t n = strcspn(text, "\n"), row = row_text(text, n);
        if (n == 0) {
            text++;
            continue;
        }
        if (row) {
            text = put_row(page, text, row);
            in_list = true;
            first = false;
        } else if (*text == ' ') {
            buffer_text(page, first && !in_list ? "" : ".PP\n");
            text = put_literal(page, text);
            in_list = first = false;
        } else if (is_heading(text, n)) {
            char heading[100];
            snprintf(heading, sizeof heading, "%.*s", (int)n, text);
            man_heading(page, heading);
            text += n + (text[n] == '\n');
            first = true;
            in_list = false;
        } else {
            const char *end = text + n;
            while (*end && end[1] && end[1] != '\n' && end[1] != ' ')
                end += 1 + strcspn(end + 1, "\n");
            buffer_text(page, first ? "" : ".PP\n");
            put_filled(page, text, (size_t)(end - text));
            text = end + (*end == '\n');
            in_list = first = false;
        }
    }
}

/* ---- parts of pages ---- */

void man_begin(struct buffer *page, const char *made_by, const char *name, int section,
               const char *summary) {
    buffer_format(page, ".\\\" made by `%s`\n.TH GPT2", made_by);
    if (name)
        buffer_text(page, "\\-");
    for (const char *c = name ? name : ""; *c; c++)
        buffer_byte(page, is_lower(*c) ? (char)(*c - 'a' + 'A') : *c);
    buffer_format(page, " %d \"\" \"gpt2 %s\" \"%s\"\n.SH NAME\ngpt2%s%s \\- ", section,
                  GPT2_VERSION,
                  section == 1   ? "User Commands"
                  : section == 5 ? "File Formats"
                                 : "Miscellaneous Information",
                  name ? "\\-" : "", name ? name : "");
    man_words(page, summary, strlen(summary));
    buffer_byte(page, '\n');
}

/* Alternatives have spaces between them, where a line may be broken. */
void man_usage(struct buffer *page, const char *text) {
    for (; *text; text++) {
        if (*text == '|')
            buffer_text(page, " | ");
        else
            put_char(page, *text);
    }
    buffer_byte(page, '\n');
}

void man_examples(struct buffer *page, const struct example *examples) {
    man_heading(page, "Examples");
    for (const struct example *e = examples; e->line; e++) {
        char line[300];
        snprintf(line, sizeof line, "    %s\n", e->line);
        buffer_text(page, e == examples ? "" : ".PP\n");
        man_text(page, e->says);
        put_literal(page, line);
    }
}

/* `command` NULL: all of them. */
void man_facts(struct buffer *page, const char *heading, const struct program_fact *facts,
               const struct command *command, const struct option *table) {
    bool any = false;
    for (; facts->name; facts++) {
        if (command && !concerns(facts->users, command, table))
            continue;
        if (!any)
            man_heading(page, heading);
        any = true;
        man_term(page, facts->name, strlen(facts->name));
        man_text(page, facts->meaning);
    }
}

void man_exit_codes(struct buffer *page) {
    man_heading(page, "Exit status");
    for (const struct exit_code *e = exit_codes; e->meaning; e++) {
        char code[16];
        snprintf(code, sizeof code, "%d", e->code);
        man_term(page, code, strlen(code));
        man_text(page, e->meaning);
    }
}

void man_related(struct man_related *related, const char *name, size_t n, int section) {
    buffer_text(related->page, related->any ? ",\n.BR gpt2" : ".BR gpt2");
    if (n)
        buffer_text(related->page, "\\-");
    man_words(related->page, name, n);
    buffer_format(related->page, " (%d)", section);
    related->any = true;
}
