/* line_errors.c - reports lines that cannot be answered, and lets the others be. */
#include "cli/io/line_errors.h"
#include "base/error_internal.h"
#include "cli/io/report.h"

#include <inttypes.h>

bool line_errors_take(uint64_t *n, const char *name, uint64_t number,
                      const struct gpt2_error *err) {
    struct gpt2_error whole;
    if (err->status != GPT2_ERR_INPUT)
        return false;
    error_set(&whole, err->status, "%s, line %" PRIu64 ": %s", name, number, err->message);
    error_hint(&whole, "%s", err->hint);
    report(&whole);
    ++*n;
    return true;
}

int line_errors_code(uint64_t n) {
    return n ? GPT2_ERR_RECORDS : GPT2_OK;
}
