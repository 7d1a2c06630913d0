/* record_id.c - reads a record's id. */
#include "cli/io/record_id.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_whole(const struct gpt2_field *field) {
    if (field->kind != GPT2_FIELD_NUMBER)
        return false;
    const char *digits = field->text + (field->text[0] == '-');
    return digits[0] && strspn(digits, "0123456789") == strlen(digits) &&
           fabs(strtod(digits, NULL)) < 0x1p53;
}

bool record_id_take(struct buffer *id, const struct gpt2_field *field, struct gpt2_error *err) {
    const bool is_number = field->kind == GPT2_FIELD_NUMBER;
    if (field->kind != GPT2_FIELD_STRING && !is_whole(field))
        return command_error(
            err, GPT2_ERR_INPUT, is_number ? "a string may be any number: \"8.5\"" : NULL,
            "%s: expected a string or a whole number below 2^53, got %s", field->name,
            is_number ? field->text : gpt2_field_kind_name(field->kind));
    id->len = 0;
    if (field->kind == GPT2_FIELD_STRING)
        buffer_json(id, field->text, strlen(field->text));
    else
        buffer_text(id, field->text);
    return true;
}

void record_id_find(struct buffer *id, const struct gpt2_record *record, uint64_t number) {
    id->len = 0;
    buffer_format(id, "%" PRIu64, number);
    const struct gpt2_field *field;
    for (int i = 0; record && (field = gpt2_record_field(record, i)); i += 1 + field->n_inside) {
        struct gpt2_error ignored;
        if (!strcmp(field->name, "id") || !strcmp(field->name, "custom_id"))
            record_id_take(id, field, &ignored);
    }
}
