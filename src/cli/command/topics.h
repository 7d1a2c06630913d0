/* topics.h - pages about a subject that several commands share: gpt2 help TOPIC, and a man page.
 *
 * A text is paragraphs for wrap_text (io/wrap.h), and from it man pages are made as well:
 *
 *     HEADING            a line of capitals alone
 *     "  TERM   text"    a row of a table: two spaces in front, two or more between
 *     "    gpt2 ..."     a line to type or to read as it is: four spaces in front
 *     `words`            bold in a man page
 */
#ifndef CLI_COMMAND_TOPICS_H
#define CLI_COMMAND_TOPICS_H

#include <stddef.h>

struct program_fact; /* program_facts.h */

struct topic {
    const char *name;    /* gpt2 help NAME, gpt2-NAME(section)                                */
    int section;         /* of the manual: 5 for what a file holds, 7 for anything else       */
    const char *summary; /* one line                                                          */
    const char *users;   /* whose man pages name it (program_facts.h)                         */
    const char *text;    /* ends with a newline                                               */
    const char *more;    /* goes on from there: C has no string of more than 4095. NULL: none */
    const struct program_fact *variables, *files; /* follow the text as lists; NULL: none     */
};

#define TOPIC(name) extern const struct topic topic_##name;
#include "cli/command/topics.def"

/* The i-th topic in the order of the list, NULL after the last one. */
const struct topic *topic_at(size_t i);

/* The topic of that name, NULL where there is none. */
const struct topic *topic_find(const char *name);

#endif
