/* json.h - reading JSON from outside, and strings for writing it: the only module that knows cJSON.
 *
 * A parsed document is a tree of `struct json` nodes owned by its root. Looking up a member walks
 * a list, so iterate large objects once (json_first/json_next). Text is bounded before it is
 * parsed: depth, the number of values, and bytes by the caller. Duplicate keys are the caller's to
 * detect.
 *
 * Memory: a tree takes at most JSON_VALUE_BYTES for each value, and what its strings and names say,
 * which is no more than the text: with json_parse at most len + 36 MiB. Without the limit of
 * values 16 MB of "[1,1,...]" would take 640 MB. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct json; /* one node; really a cJSON item */

#define JSON_VALUE_BYTES 144 /* a node of 64, its name and string, what malloc adds to each */
#define JSON_VALUES      ((size_t)1 << 18)

/* Parses text[0..len). Exactly one JSON value with white space around it; valid UTF-8, no NUL.
 * NULL on failure: `what` is named with the byte offset of the first error, with `status`, or with
 * the number of values where there are more than JSON_VALUES. */
struct json *json_parse(const char *text, size_t len, const char *what, enum gpt2_status status,
                        struct gpt2_error *err);

/* The same with another limit, for files that have tables in them. A comma, "[" and "{" count as a
 * value each, so that the empty list counts as two. */
struct json *json_parse_large(const char *text, size_t len, size_t max_values, const char *what,
                              enum gpt2_status status, struct gpt2_error *err);

/* The same, and NaN, Infinity and -Infinity are numbers, as Python's json writes them into files of
 * settings: json_number and json_integer refuse such a node, so only a reader of that key fails.
 */
struct json *json_parse_settings(const char *text, size_t len, const char *what,
                                 enum gpt2_status status, struct gpt2_error *err);

void json_free(struct json *root); /* NULL is allowed; only the root */

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum json_kind json_kind(const struct json *node);
const char *json_kind_name(const struct json *node); /* "null", "a number", ... for messages */

/* Member of an object by exact (case-sensitive) name; NULL if absent or node is not an object. */
const struct json *json_get(const struct json *object, const char *name);

/* Iteration over the members or elements in file order; NULL at the end, and where `node` is NULL
 * or has none. */
const struct json *json_first(const struct json *node);
const struct json *json_next(const struct json *node);
const char *json_name(const struct json *node); /* the member's name; NULL in an array */

/* Typed values. False where the node is of another kind or out of range; *out is then unchanged. */
bool json_bool(const struct json *node, bool *out);
bool json_string(const struct json *node, const char **out); /* borrowed, NUL-ended */
bool json_number(const struct json *node, double *out);      /* finite              */
bool json_integer(const struct json *node, int64_t lo, int64_t hi,
                  int64_t *out); /* exact; |.| <= 2^53 */

/* Appends a node and all that is in it as JSON, without white space. */
void json_print(struct buffer *out, const struct json *node);

#endif
