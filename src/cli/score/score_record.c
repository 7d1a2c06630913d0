/* score_record.c - reads the members of a line of JSON. */
#include "cli/score/score_record.h"
#include "cli/io/record_id.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *kind_of(const struct score_member *member) {
    return member->is_list ? "a list of strings" : "a string";
}

static bool wrong(struct gpt2_error *err, const char *name, const char *expected,
                  const struct gpt2_field *field) {
    const bool is_empty = field && field->kind == GPT2_FIELD_LIST && field->n_inside == 0;
    return command_error(err, GPT2_ERR_INPUT, NULL, "%s: expected %s, got %s", name, expected,
                         is_empty ? "an empty list"
                         : field  ? gpt2_field_kind_name(field->kind)
                                  : "nothing");
}

static bool take_member(struct score_member *member, const struct gpt2_field *field,
                        struct gpt2_error *err) {
    member->field = field;
    if (!member->is_list)
        return field->kind == GPT2_FIELD_STRING || wrong(err, member->name, kind_of(member), field);
    if (field->kind != GPT2_FIELD_LIST || field->n_inside == 0)
        return wrong(err, member->name, kind_of(member), field);
    for (int i = 1; i <= field->n_inside; i++)
        if (field[i].kind != GPT2_FIELD_STRING)
            return wrong(err, member->name, kind_of(member), &field[i]);
    return true;
}

static bool unknown(const struct score_member *members, size_t n, const char *name,
                    struct gpt2_error *err) {
    char hint[200];
    size_t used = (size_t)snprintf(hint, sizeof hint, "known are \"id\"");
    for (size_t i = 0; i < n && used < sizeof hint; i++)
        used += (size_t)snprintf(hint + used, sizeof hint - used, "%s \"%s\"",
                                 i + 1 == n ? " and" : ",", members[i].name);
    return command_error(err, GPT2_ERR_INPUT, hint, "unknown member \"%.100s\"", name);
}

static bool take(struct score_record *record, struct score_member *members, size_t n,
                 const struct gpt2_field *field, struct gpt2_error *err) {
    if (!strcmp(field->name, "id"))
        return record->has_id = record_id_take(&record->id, field, err);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(field->name, members[i].name))
            return take_member(&members[i], field, err);
    return unknown(members, n, field->name, err);
}

bool score_record_read(struct score_record *record, struct score_member *members, size_t n,
                       const char *line, size_t len, uint64_t number, struct gpt2_error *err) {
    *record = (struct score_record){0};
    for (size_t i = 0; i < n; i++)
        members[i].field = NULL;
    buffer_format(&record->id, "%" PRIu64, number);
    record->json = gpt2_record_parse(line, len, err);
    bool ok = record->json != NULL;
    const struct gpt2_field *field;
    for (int i = 0; ok && (field = gpt2_record_field(record->json, i)); i += 1 + field->n_inside)
        ok = take(record, members, n, field, err);
    for (size_t i = 0; ok && i < n; i++)
        if (!members[i].field && !members[i].may_be_out)
            ok = wrong(err, members[i].name, kind_of(&members[i]), NULL);
    return ok && (!record->id.failed ||
                  command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record"));
}

void score_record_free(struct score_record *record) {
    gpt2_record_free(record->json);
    buffer_free(&record->id);
    *record = (struct score_record){0};
}
