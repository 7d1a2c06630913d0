/* record.c - flattens a JSON object into a list of fields. */
#include <gpt2/record.h>

#include "base/error_internal.h"
#include "base/json.h"
#include "base/os.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_BYTES 32 /* the longest %.17g has 24 */

struct gpt2_record {
    struct json *root; /* names and strings are borrowed from it */
    struct gpt2_field *fields;
    int n_fields;
    char (*numbers)[NUMBER_BYTES]; /* their texts, in order */
    int n_numbers;
    const char *rest, *end; /* while it is parsed: the text after the last number */
    size_t n_bytes;
};

static void count(const struct json *node, int *n_fields, int *n_numbers) {
    for (const struct json *item = json_first(node); item; item = json_next(item)) {
        ++*n_fields;
        *n_numbers += json_kind(item) == JSON_NUMBER;
        count(item, n_fields, n_numbers);
    }
}

/* The next number of the text as it stands there, and its length. Numbers are flattened in the
 * order of the text, which is valid JSON: outside a string only a number has a digit. */
static const char *next_number(struct gpt2_record *record, size_t *len) {
    const char *at = record->rest, *end = record->end;
    for (bool in_string = false; at < end; at++) {
        if (in_string && *at == '\\')
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else if (!in_string && (*at == '-' || (*at >= '0' && *at <= '9')))
            break;
    }
    const char *from = at;
    while (at < end && *at && strchr("+-.0123456789eE", *at))
        at++;
    record->rest = at;
    *len = (size_t)(at - from);
    return from;
}

/* A whole number that a double has exactly, without point and exponent; else the number as it is
 * written, or, where that is long, the shortest of some precisions that reads back as the same. */
static void print_number(char text[NUMBER_BYTES], double value, const char *written, size_t len) {
    if (fabs(value) < 0x1p53 && value == floor(value)) {
        snprintf(text, NUMBER_BYTES, "%" PRId64, (int64_t)value);
        return;
    }
    if (len < NUMBER_BYTES) {
        snprintf(text, NUMBER_BYTES, "%.*s", (int)len, written);
        return;
    }
    static const int precisions[] = {6, 9, 15, 17};
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        double back;
        snprintf(text, NUMBER_BYTES, "%.*g", precisions[i], value);
        if (sscanf(text, "%lf", &back) == 1 && back == value)
            return;
    }
}

static void set_value(struct gpt2_record *record, struct gpt2_field *field,
                      const struct json *item) {
    static const enum gpt2_field_kind kinds[] = {
        [JSON_NULL] = GPT2_FIELD_NULL,     [JSON_BOOL] = GPT2_FIELD_BOOL,
        [JSON_NUMBER] = GPT2_FIELD_NUMBER, [JSON_STRING] = GPT2_FIELD_STRING,
        [JSON_ARRAY] = GPT2_FIELD_LIST,    [JSON_OBJECT] = GPT2_FIELD_OBJECT,
    };
    bool yes = false;
    double number = INFINITY; // 1e999: no option takes it
    field->kind = kinds[json_kind(item)];
    field->name = json_name(item);
    field->text = "";
    if (json_string(item, &field->text))
        return;
    if (json_bool(item, &yes)) {
        field->text = yes ? "true" : "false";
    } else if (field->kind == GPT2_FIELD_NUMBER) {
        char *text = record->numbers[record->n_numbers++];
        size_t len;
        const char *written = next_number(record, &len);
        json_number(item, &number);
        print_number(text, number, written, len);
        field->text = text;
    }
}

static bool is_repeated(const struct json *node, const struct json *item) {
    for (const struct json *other = json_first(node); other != item; other = json_next(other))
        if (!strcmp(json_name(other), json_name(item)))
            return true;
    return false;
}

static bool flatten(struct gpt2_record *record, const struct json *node, struct gpt2_error *err) {
    bool is_object = json_kind(node) == JSON_OBJECT;
    int n_members = 0;
    for (const struct json *item = json_first(node); item; item = json_next(item)) {
        // looking for repetitions takes the square of their number
        if (is_object && ++n_members > 1000)
            return error_set(err, GPT2_ERR_INPUT, "more than 1000 members in one object");
        if (is_object && is_repeated(node, item))
            return error_set(err, GPT2_ERR_INPUT, "the member \"%s\" is there twice",
                             json_name(item));
        int at = record->n_fields++;
        set_value(record, &record->fields[at], item);
        if (!flatten(record, item, err))
            return false;
        record->fields[at].n_inside = record->n_fields - at - 1;
    }
    return true;
}

struct gpt2_record *gpt2_record_parse(const char *line, size_t n_bytes, struct gpt2_error *err) {
    struct gpt2_record *record = os_alloc(1, sizeof *record, "a record", err);
    if (!record)
        return NULL;
    record->root = json_parse(line, n_bytes, "record", GPT2_ERR_INPUT, err);
    if (!record->root)
        goto fail;
    if (json_kind(record->root) != JSON_OBJECT) {
        error_set(err, GPT2_ERR_INPUT, "record: expected an object, got %s",
                  json_kind_name(record->root));
        goto fail;
    }
    int n_fields = 0, n_numbers = 0;
    record->rest = line;
    record->end = line + n_bytes;
    count(record->root, &n_fields, &n_numbers);
    record->fields = os_alloc((size_t)n_fields, sizeof *record->fields, "a record", err);
    record->numbers = os_alloc((size_t)n_numbers, sizeof *record->numbers, "a record", err);
    if (!record->fields || !record->numbers || !flatten(record, record->root, err))
        goto fail;
    record->n_bytes = sizeof *record + JSON_VALUE_BYTES + n_bytes +
                      (size_t)n_fields * (JSON_VALUE_BYTES + sizeof *record->fields) +
                      (size_t)n_numbers * sizeof *record->numbers;
    return record;
fail:
    gpt2_record_free(record);
    return NULL;
}

void gpt2_record_free(struct gpt2_record *record) {
    if (!record)
        return;
    json_free(record->root);
    os_free(record->numbers);
    os_free(record->fields);
    os_free(record);
}

size_t gpt2_record_bytes(const struct gpt2_record *record) {
    return record ? record->n_bytes : 0;
}

const struct gpt2_field *gpt2_record_field(const struct gpt2_record *record, int i) {
    return i >= 0 && i < record->n_fields ? &record->fields[i] : NULL;
}

const char *gpt2_field_kind_name(enum gpt2_field_kind kind) {
    static const char *const names[] = {
        [GPT2_FIELD_NULL] = "null",       [GPT2_FIELD_BOOL] = "true or false",
        [GPT2_FIELD_NUMBER] = "a number", [GPT2_FIELD_STRING] = "a string",
        [GPT2_FIELD_LIST] = "a list",     [GPT2_FIELD_OBJECT] = "an object",
    };
    return names[kind];
}
