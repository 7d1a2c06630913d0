/* choose_record.c - reads a prompt and its choices from a line of JSON. */
#include "cli/score/choose_record.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <string.h>

static bool wrong(struct gpt2_error *err, const char *name, const char *expected,
                  const struct gpt2_field *field) {
    return command_error(err, GPT2_ERR_INPUT, NULL, "\"%s\": expected %s, got %s", name, expected,
                         field ? gpt2_field_kind_name(field->kind) : "nothing");
}

static void take_id(struct choose_record *record, const struct gpt2_field *field) {
    record->id.len = 0;
    if (field->kind == GPT2_FIELD_STRING)
        buffer_json(&record->id, field->text, strlen(field->text));
    else
        buffer_format(&record->id, "%s", field->text);
}

static bool take(struct choose_record *record, const struct gpt2_field *field,
                 struct gpt2_error *err) {
    if (!strcmp(field->name, "id")) {
        if (field->kind != GPT2_FIELD_STRING && field->kind != GPT2_FIELD_NUMBER)
            return wrong(err, "id", "a string or a number", field);
        take_id(record, field);
    } else if (!strcmp(field->name, "prompt")) {
        if (field->kind != GPT2_FIELD_STRING)
            return wrong(err, "prompt", "a string", field);
        record->prompt = field->text;
    } else if (!strcmp(field->name, "choices")) {
        if (field->kind != GPT2_FIELD_LIST || field->n_inside == 0)
            return wrong(err, "choices", "a list of strings", field);
        record->choices = field;
        for (int i = 1; i <= field->n_inside; i++)
            if (field[i].kind != GPT2_FIELD_STRING)
                return wrong(err, "choices", "a list of strings", &field[i]);
    } else {
        return command_error(err, GPT2_ERR_INPUT, "known are \"id\", \"prompt\" and \"choices\"",
                             "unknown member \"%.100s\"", field->name);
    }
    return true;
}

bool choose_record_read(struct choose_record *record, const char *line, size_t len, uint64_t number,
                        struct gpt2_error *err) {
    *record = (struct choose_record){0};
    buffer_format(&record->id, "%" PRIu64, number);
    record->json = gpt2_record_parse(line, len, err);
    bool ok = record->json != NULL;
    const struct gpt2_field *field;
    for (int i = 0; ok && (field = gpt2_record_field(record->json, i)); i += 1 + field->n_inside)
        ok = take(record, field, err);
    if (ok && !record->prompt)
        ok = wrong(err, "prompt", "a string", NULL);
    if (ok && !record->choices)
        ok = wrong(err, "choices", "a list of strings", NULL);
    return ok && (!record->id.failed ||
                  command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record"));
}

void choose_record_free(struct choose_record *record) {
    gpt2_record_free(record->json);
    buffer_free(&record->id);
    *record = (struct choose_record){0};
}
