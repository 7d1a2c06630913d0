/* fuzz_record.c - any line is refused with a reason, or becomes fields that nest as they say: each
 * inside its parent, named in objects and nowhere else, numbers that read back. */
#define REPLAY_NAME  "record"
#define REPLAY_SEEDS 1
#include "replay.h"

#include <gpt2/record.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Walks the fields [at, end) of one list or object. */
static void walk(const struct gpt2_record *record, int at, int end, bool named, int depth) {
    if (depth > 32)
        abort();
    while (at < end) {
        const struct gpt2_field *field = gpt2_record_field(record, at);
        if (!field || !field->text || !field->name == named || field->n_inside < 0 ||
            field->n_inside > end - at - 1)
            abort();
        char *rest;
        bool empty = field->kind == GPT2_FIELD_NULL || field->kind == GPT2_FIELD_LIST ||
                     field->kind == GPT2_FIELD_OBJECT;
        if (empty && *field->text)
            abort();
        if (field->kind == GPT2_FIELD_NUMBER &&
            (isnan(strtod(field->text, &rest)) || rest == field->text || *rest))
            abort();
        if (!*gpt2_field_kind_name(field->kind))
            abort();
        if (field->kind == GPT2_FIELD_BOOL && strcmp(field->text, "true") != 0 &&
            strcmp(field->text, "false") != 0)
            abort();
        if (field->kind == GPT2_FIELD_LIST || field->kind == GPT2_FIELD_OBJECT)
            walk(record, at + 1, at + 1 + field->n_inside, field->kind == GPT2_FIELD_OBJECT,
                 depth + 1);
        else if (field->n_inside)
            abort();
        at += 1 + field->n_inside;
    }
    if (at != end)
        abort();
}

/* More members than a record may have. */
void replay_seeds(void) {
    char text[20000] = "{";
    size_t n = 1;
    for (int i = 0; i < 1001; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\"%d\":[%d]", i ? "," : "", i, i);
    text[n++] = '}';
    replay_seed("members", text, n);
    replay_seed("none", "", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    struct gpt2_record *record = gpt2_record_parse((const char *)data, size, &err);
    if (!record) {
        if (err.status != GPT2_ERR_INPUT || !err.message[0])
            abort();
        return 0;
    }
    int n = 0;
    if (gpt2_record_bytes(record) < sizeof(struct gpt2_field))
        abort();
    while (gpt2_record_field(record, n))
        n++;
    walk(record, 0, n, true, 1);
    gpt2_record_free(record);
    return 0;
}
