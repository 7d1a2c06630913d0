/* record.h - one line of a bulk job: a JSON object, as a list of named values.
 *
 *     {"id": 7, "prompt": "Once", "stop": ["\n", "."], "temperature": 0.5}
 *
 * becomes six fields. A list or an object is a field, too, and what is in it follows it:
 *
 *     i  name           kind    text     n_inside
 *     0  "id"           NUMBER  "7"      0
 *     1  "prompt"       STRING  "Once"   0
 *     2  "stop"         LIST    ""       2
 *     3  NULL           STRING  "\n"     0
 *     4  NULL           STRING  "."      0
 *     5  "temperature"  NUMBER  "0.5"    0
 *
 * The next field at the same depth is i + 1 + n_inside. */
#ifndef GPT2_RECORD_H
#define GPT2_RECORD_H

#include <gpt2/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_record;

enum gpt2_field_kind {
    GPT2_FIELD_NULL,
    GPT2_FIELD_BOOL,   /* text is "true" or "false"                                       */
    GPT2_FIELD_NUMBER, /* text reads back as the same double: a whole number below 2^53 without
                          point and exponent, others as written where that is below 32 bytes */
    GPT2_FIELD_STRING, /* text is what the string says, UTF-8, NUL-ended                  */
    GPT2_FIELD_LIST,
    GPT2_FIELD_OBJECT
};

struct gpt2_field {
    const char *name; /* of an object's member, NULL in a list */
    enum gpt2_field_kind kind;
    const char *text; /* never NULL */
    int n_inside;     /* fields inside this one, at any depth */
};

/* Parses line[0..n_bytes): one object, valid UTF-8, no NUL, no name twice in an object, at most 32
 * deep, at most 262144 values. NULL: GPT2_ERR_INPUT with what is wrong and where, or
 * GPT2_ERR_MEMORY. */
struct gpt2_record *gpt2_record_parse(const char *line, size_t n_bytes, struct gpt2_error *err);
void gpt2_record_free(struct gpt2_record *record); /* NULL is allowed */

/* How many bytes of memory the record takes at most: never more than n_bytes + 56 MiB. NULL: 0. */
size_t gpt2_record_bytes(const struct gpt2_record *record);

/* The i-th field, NULL past the last one. Borrowed from the record. */
const struct gpt2_field *gpt2_record_field(const struct gpt2_record *record, int i);

/* Name of a kind for messages: "a number", "true or false". */
const char *gpt2_field_kind_name(enum gpt2_field_kind kind);

#ifdef __cplusplus
}
#endif
#endif
