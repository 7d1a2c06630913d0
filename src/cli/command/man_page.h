/* man_page.h - the parts of man pages, appended to a buffer in man(7) format. */
#ifndef CLI_COMMAND_MAN_PAGE_H
#define CLI_COMMAND_MAN_PAGE_H

#include "base/buffer.h"
#include "cli/command/program_facts.h"

/* The top of a page and its NAME: gpt2-NAME(section), or gpt2 where name is NULL. The date in .TH
 * is left empty, for tools/make_man. */
void man_begin(struct buffer *page, const char *made_by, const char *name, int section,
               const char *summary);

/* text[0..n) on the line at hand. What is between backquotes is bold, here and below. */
void man_words(struct buffer *page, const char *text, size_t n);

/* Text as filled lines, a heading in capitals, and a command's usage. */
void man_text(struct buffer *page, const char *text);
void man_heading(struct buffer *page, const char *text);
void man_usage(struct buffer *page, const char *text);

/* Paragraphs, headings, tables and lines to type, as topics.h has them. */
void man_prose(struct buffer *page, const char *text);

/* Whole parts. man_facts is about one command, which has the options of `table`; NULL: about all.
 */
void man_examples(struct buffer *page, const struct example *examples);
void man_facts(struct buffer *page, const char *heading, const struct program_fact *facts,
               const struct command *command, const struct option *table);
void man_exit_codes(struct buffer *page);

/* A list of pages, from {page, false}: adds gpt2-NAME(section), or gpt2 where n is 0. */
struct man_related {
    struct buffer *page;
    bool any;
};
void man_related(struct man_related *related, const char *name, size_t n, int section);

#endif
