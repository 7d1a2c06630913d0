/* option_rules.h - what options may be given together, as the table says (`needs`, `not_with`,
 * `free_with`, options.h). */
#ifndef CLI_COMMAND_OPTION_RULES_H
#define CLI_COMMAND_OPTION_RULES_H

#include "cli/command/options.h"

#define MAX_OPTIONS 256 /* entries of a table */

/* What a command line gives, entry by entry of the table; or a record, whose table is a part of
 * that, and whose options may be set by the command line, too. Starts zeroed. */
struct given_options {
    bool entry[MAX_OPTIONS];
    bool passed[MAX_OPTIONS]; /* of these: nothing to check, as another has set them */
    bool is_record;           /* rules may name options that are not in the table, and then say
                               * nothing; no command is needed */
    const struct option *as[MAX_OPTIONS]; /* of a choice: itself, or the OPTION_VALUE */
    const char *word;                     /* the first plain word; NULL: none */
};

/* Notes that `option` of the table was given, and set. False with GPT2_ERR_USAGE: it has one value
 * and was given before, by this name or another. */
bool given_note(struct given_options *given, const struct option *table,
                const struct option *option, struct gpt2_error *err);

/* Whether each option that is given has an effect. False with GPT2_ERR_USAGE: err names one that
 * has none, and what it belongs to. */
bool given_check(const struct given_options *given, const struct command *command,
                 const struct option *table, struct gpt2_error *err);

#endif
