/* record_error.h - errors in the words of the record, or of the request, that they are about.
 *
 * What reads options says "--max-tokens", as on a command line, and what reads records says
 * "record". Who wrote {"max_tokens": ...} looks for that, and who sent a request knows of no
 * record.
 */
#ifndef CLI_GENERATE_RECORD_ERROR_H
#define CLI_GENERATE_RECORD_ERROR_H

#include "cli/generate/bulk_record.h"

/* The error with "--NAME" as the record spells that option, outside of quotation marks. What the
 * record does not have was said on the command line, and stays; but a request has no such line: of
 * it "--NAME" becomes the name in the API, and "record" "request". */
struct gpt2_error record_error(const struct bulk_record *record, const struct gpt2_error *err);

/* The error of a session, where "--temp" is the setting "temp". */
struct gpt2_error setting_error(const struct gpt2_error *err);

#endif
