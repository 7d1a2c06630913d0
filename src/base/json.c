/* json.c - reads JSON with cJSON: bounded, case-sensitive, range-checked.
 *
 * cJSON's own traps stay in here: its default look-up ignores case (GPT-2 has tokens that differ
 * only in case), valueint saturates at INT_MAX, it is recursive, and it does not check UTF-8. */
#include "base/json.h"
#include "base/buffer.h"
#include "base/encoding.h"
#include "base/error_internal.h"
#include "base/stand_in.h"
#include "base/utf8.h"

#include <cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_DEPTH 32 /* config.json uses 3, tokenizer.json 6 */

struct json {
    cJSON item; /* never created: a struct json * is a cJSON * */
};

static const cJSON *item_of(const struct json *node) {
    return &node->item;
}

/* Checks what cJSON does not: valid UTF-8, no NUL, bounded nesting. Returns the offset of the first
 * offence, or len, with its reason. *n_values is how many values a text without offence has: every
 * value but the first of a container follows a comma, the first follows the container's bracket. */
static size_t scan(const char *text, size_t len, size_t *n_values, const char **reason) {
    const unsigned char *s = (const unsigned char *)text;
    bool in_string = false;
    int depth = 0;
    size_t i = 0;
    *n_values = 1;
    while (i < len) {
        unsigned char c = s[i];
        if (c < 0x80) {
            if (c == 0) {
                *reason = "a NUL byte";
                return i;
            }
            if (in_string) {
                if (c == '\\') {
                    if (len - i >= 6 && !memcmp(text + i, "\\u0000", 6)) { // would end a C string
                        *reason = "an escaped NUL";
                        return i;
                    }
                    i++; // whatever is escaped cannot end the string
                } else if (c == '"')
                    in_string = false;
                else if (c < 0x20) {
                    *reason = "a control character inside a string";
                    return i;
                }
            } else if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
                *reason = "a control character"; // cJSON would pass it over like a space
                return i;
            } else if (c == '"') {
                in_string = true;
            } else if (c == ',') {
                ++*n_values;
            } else if (c == '{' || c == '[') {
                ++*n_values;
                if (++depth > MAX_DEPTH) {
                    *reason = "nested too deeply";
                    return i;
                }
            } else if (c == '}' || c == ']') {
                depth--;
            }
            i++;
            continue;
        }
        uint32_t cp;
        int n = utf8_decode(&cp, s + i, len - i);
        if (n == 0) {
            *reason = "invalid UTF-8";
            return i;
        }
        i += (size_t)n;
    }
    return len;
}

struct json *json_parse(const char *text, size_t len, const char *what, enum gpt2_status status,
                        struct gpt2_error *err) {
    return json_parse_large(text, len, JSON_VALUES, what, status, err);
}

struct json *json_parse_large(const char *text, size_t len, size_t max_values, const char *what,
                              enum gpt2_status status, struct gpt2_error *err) {
    const char *reason = "";
    size_t mark, n_values;
    const char *foreign = encoding_foreign((const unsigned char *)text, len, &mark);
    if (foreign) {
        error_set(err, status, "%s: expected UTF-8, found %s", what, foreign);
        return NULL;
    }
    text = len ? text + mark : ""; // it may be NULL
    len -= mark;
    size_t offence = scan(text, len, &n_values, &reason);
    if (offence < len) {
        error_set(err, status, "%s: not valid JSON: %s at byte %zu", what, reason, offence);
        return NULL;
    }
    if (n_values > max_values) {
        error_set(err, status, "%s: expected JSON of at most %zu values, found %zu", what,
                  max_values, n_values);
        return NULL;
    }
    const char *end = NULL;
    errno = 0; // cJSON says NULL for bad syntax and for lack of memory; POSIX has malloc set ENOMEM
    cJSON *root = cJSON_ParseWithLengthOpts(text, len, &end, false);
    size_t at = end ? (size_t)(end - text) : 0;
    if (!root && errno == ENOMEM) {
        error_memory(err, what, len);
        return NULL;
    }
    if (!root && stand_in_refuse(text, len, what, status, err))
        return NULL;
    if (!root) {
        error_set(err, status, "%s: not valid JSON: syntax error at byte %zu of %zu", what, at,
                  len);
        return NULL;
    }
    while (at < len && strchr(" \t\r\n", text[at]))
        at++;
    if (at < len) {
        cJSON_Delete(root);
        error_set(err, status, "%s: not valid JSON: unexpected text after the value at byte %zu",
                  what, at);
        return NULL;
    }
    return (struct json *)root;
}

/* Python's names of what JSON has no number for, and numbers that are read as infinite. */
static const struct non_finite {
    const char *name, *number;
} non_finites[] = {{"NaN", "1e999"}, {"Infinity", "1e999"}, {"-Infinity", "-1e999"}};

/* The one that text[0..len) begins with; NULL: none. */
static const struct non_finite *non_finite_at(const char *text, size_t len) {
    for (size_t i = 0; i < sizeof non_finites / sizeof *non_finites; i++)
        if (len >= strlen(non_finites[i].name) &&
            !memcmp(text, non_finites[i].name, strlen(non_finites[i].name)))
            return &non_finites[i];
    return NULL;
}

/* Appends the text with numbers for those names, strings aside. Returns how many. */
static size_t replace_non_finite(struct buffer *out, const char *text, size_t len) {
    size_t n = 0;
    bool in_string = false;
    for (size_t i = 0; i < len;) {
        const struct non_finite *found = in_string ? NULL : non_finite_at(text + i, len - i);
        if (found) {
            buffer_text(out, found->number);
            i += strlen(found->name);
            n++;
            continue;
        }
        if (text[i] == '"')
            in_string = !in_string;
        else if (in_string && text[i] == '\\' && i + 1 < len)
            buffer_byte(out, text[i++]);
        buffer_byte(out, text[i++]);
    }
    return n;
}

struct json *json_parse_settings(const char *text, size_t len, const char *what,
                                 enum gpt2_status status, struct gpt2_error *err) {
    struct gpt2_error strict = {0};
    struct json *root = json_parse(text, len, what, status, &strict);
    if (!root) {
        struct buffer copy = {0};
        if (strict.status == status && replace_non_finite(&copy, text, len) && !copy.failed)
            root = json_parse(copy.data, copy.len, what, status, NULL);
        buffer_free(&copy);
    }
    if (!root && err)
        *err = strict;
    return root;
}

void json_free(struct json *root) {
    cJSON_Delete((cJSON *)root);
}

enum json_kind json_kind(const struct json *node) {
    const cJSON *item = item_of(node);
    return cJSON_IsObject(item)   ? JSON_OBJECT
           : cJSON_IsArray(item)  ? JSON_ARRAY
           : cJSON_IsString(item) ? JSON_STRING
           : cJSON_IsNumber(item) ? JSON_NUMBER
           : cJSON_IsBool(item)   ? JSON_BOOL
                                  : JSON_NULL;
}

const char *json_kind_name(const struct json *node) {
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",     [JSON_OBJECT] = "an object",
    };
    return names[json_kind(node)];
}

const struct json *json_get(const struct json *object, const char *name) {
    if (!object || !cJSON_IsObject(item_of(object)))
        return NULL;
    return (const struct json *)cJSON_GetObjectItemCaseSensitive(item_of(object), name);
}

const struct json *json_first(const struct json *node) {
    if (!node)
        return NULL;
    const cJSON *item = item_of(node);
    return cJSON_IsObject(item) || cJSON_IsArray(item) ? (const struct json *)item->child : NULL;
}

const struct json *json_next(const struct json *node) {
    return (const struct json *)item_of(node)->next;
}

const char *json_name(const struct json *node) {
    return item_of(node)->string;
}

bool json_bool(const struct json *node, bool *out) {
    if (!node || !cJSON_IsBool(item_of(node)))
        return false;
    *out = cJSON_IsTrue(item_of(node));
    return true;
}

bool json_string(const struct json *node, const char **out) {
    if (!node || !cJSON_IsString(item_of(node)))
        return false;
    *out = item_of(node)->valuestring;
    return true;
}

bool json_number(const struct json *node, double *out) {
    if (!node || !cJSON_IsNumber(item_of(node)) || !isfinite(item_of(node)->valuedouble))
        return false;
    *out = item_of(node)->valuedouble;
    return true;
}

bool json_integer(const struct json *node, int64_t lo, int64_t hi, int64_t *out) {
    double value;
    if (!json_number(node, &value) || !(fabs(value) <= 0x1p53) || value != floor(value))
        return false;
    int64_t integer = (int64_t)value;
    if (integer < lo || integer > hi)
        return false;
    *out = integer;
    return true;
}

void json_print(struct buffer *out, const struct json *node) {
    const enum json_kind kind = json_kind(node);
    const char *text, *separator = "";
    double number;
    bool on = false;
    if (kind == JSON_STRING && json_string(node, &text)) {
        buffer_json(out, text, strlen(text));
    } else if (kind == JSON_NUMBER && json_number(node, &number)) {
        buffer_real(out, 17, number);
    } else if (kind == JSON_BOOL && json_bool(node, &on)) {
        buffer_text(out, on ? "true" : "false");
    } else if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
        buffer_byte(out, kind == JSON_OBJECT ? '{' : '[');
        for (node = json_first(node); node; node = json_next(node), separator = ",") {
            buffer_text(out, separator);
            if (kind == JSON_OBJECT) {
                buffer_json(out, json_name(node), strlen(json_name(node)));
                buffer_byte(out, ':');
            }
            json_print(out, node); // as deep as json_parse lets it be
        }
        buffer_byte(out, kind == JSON_OBJECT ? '}' : ']');
    } else {
        buffer_text(out, "null");
    }
}
