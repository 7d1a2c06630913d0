/* line_errors.c - reports lines that cannot be answered, and lets the others be. */
#include "cli/io/line_errors.h"
#include "base/error_internal.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <string.h>

void line_errors_report(const char *name, uint64_t number, const struct gpt2_error *err) {
    struct gpt2_error whole;
    error_set(&whole, err->status, "%s, line %" PRIu64 ": %s", name, number, err->message);
    error_hint(&whole, "%s", err->hint);
    report(&whole);
}

bool line_errors_take(uint64_t *n, const char *name, uint64_t number,
                      const struct gpt2_error *err) {
    if (err->status != GPT2_ERR_INPUT)
        return false;
    if (name)
        line_errors_report(name, number, err);
    ++*n;
    return true;
}

void line_errors_json(struct buffer *out, const struct gpt2_error *fault, uint64_t line,
                      const char *space) {
    buffer_format(out, "{\"code\":%s\"%s\",%s\"message\":%s", space,
                  fault->status == GPT2_ERR_USAGE   ? "invalid_option"
                  : fault->status == GPT2_ERR_INPUT ? "invalid_record"
                                                    : "failed",
                  space, space);
    buffer_json(out, fault->message, strlen(fault->message));
    if (line)
        buffer_format(out, ",%s\"line\":%s%" PRIu64, space, space, line);
    buffer_byte(out, '}');
}

bool line_errors_output(struct output *out, const struct gpt2_error *fault, uint64_t line,
                        struct gpt2_error *err) {
    struct buffer text = {0};
    line_errors_json(&text, fault, line, " ");
    bool ok = text.failed ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory")
                          : output_bytes(out, text.data, text.len, err);
    buffer_free(&text);
    return ok;
}

int line_errors_code(uint64_t n) {
    return n ? GPT2_ERR_RECORDS : GPT2_OK;
}
