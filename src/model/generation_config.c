/* generation_config.c - the recommended numbers, in one table: adding one is a field and a row. */
#include "model/generation_config.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct gpt2_generation_config, field)

static const struct generation_config_key keys[] = {
    {"do_sample", AT(do_sample), false, 0, 1},
    {"temperature", AT(temperature), true, 0, 1e6},
    {"top_k", AT(top_k), false, 0, INT32_MAX},
    {"top_p", AT(top_p), true, 0, 1},
    {"min_p", AT(min_p), true, 0, 1},
    {"typical_p", AT(typical_p), true, 0, 1},
    {"repetition_penalty", AT(repetition_penalty), true, 1e-3, 1e3},
    {"repeat_last_n", AT(repeat_last_n), false, -1, INT32_MAX},
    {"no_repeat_ngram_size", AT(no_repeat_ngram_size), false, 0, INT32_MAX},
    {"max_new_tokens", AT(max_new_tokens), false, 1, INT32_MAX},
};

const struct generation_config_key *generation_config_key(size_t i) {
    return i < sizeof keys / sizeof *keys ? &keys[i] : NULL;
}

static void set(const struct generation_config_key *key, struct gpt2_generation_config *config,
                double value) {
    const float real = (float)value;
    const int number = key->is_float ? 0 : (int)value;
    memcpy((char *)config + key->offset, key->is_float ? (const void *)&real : &number, 4);
}

bool generation_config_get(const struct generation_config_key *key,
                           const struct gpt2_generation_config *config, double *value) {
    float real;
    int number;
    memcpy(&real, (const char *)config + key->offset, sizeof real);
    memcpy(&number, (const char *)config + key->offset, sizeof number);
    *value = key->is_float ? (double)real : number;
    return key->is_float ? !isnan(real) : number != GPT2_UNSAID;
}

struct gpt2_generation_config generation_config_unsaid(void) {
    struct gpt2_generation_config config;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        set(&keys[i], &config, keys[i].is_float ? (double)NAN : GPT2_UNSAID);
    return config;
}

/* False: of another type, or out of range. true and false are the numbers 1 and 0. */
static bool read_value(double *value, const struct generation_config_key *key,
                       const struct json *node) {
    bool truth;
    int64_t integer;
    if (key->max == 1 && !key->is_float) {
        *value = json_bool(node, &truth) && truth;
        return json_bool(node, &truth);
    }
    if (!key->is_float) {
        *value = json_integer(node, (int64_t)key->min, (int64_t)key->max, &integer)
                     ? (double)integer
                     : (double)NAN;
        return !isnan(*value);
    }
    return json_number(node, value) && *value >= key->min && *value <= key->max;
}

bool generation_config_read(struct gpt2_generation_config *config, const struct json *object,
                            const char *path, struct warnings *notes, struct gpt2_error *err) {
    *config = generation_config_unsaid();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct json *node = json_get(object, keys[i].name);
        double value;
        if (!node || json_kind(node) == JSON_NULL)
            continue;
        if (read_value(&value, &keys[i], node)) {
            set(&keys[i], config, value);
            continue;
        }
        const bool truth = keys[i].max == 1 && !keys[i].is_float;
        char expected[80];
        snprintf(expected, sizeof expected, "%s from %.9g to %.9g",
                 keys[i].is_float ? "a number" : "an integer", keys[i].min, keys[i].max);
        if (!warnings_add(notes, err, "%s: \"%s\": expected %s: not used", path, keys[i].name,
                          truth ? "true or false" : expected))
            return false;
    }
    // Hugging Face's penalty is about all tokens; a file that has our own key says otherwise.
    if (!isnan(config->repetition_penalty) && config->repeat_last_n == GPT2_UNSAID)
        config->repeat_last_n = -1;
    return true;
}

/* The fewest digits that give the number again. */
static int digits_of(float value) {
    int digits = 6;
    for (char text[40]; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return digits;
}

bool generation_config_print(struct buffer *out, const struct gpt2_generation_config *config) {
    bool any = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double value;
        if (!generation_config_get(&keys[i], config, &value))
            continue;
        buffer_format(out, "%s\"%s\": ", any ? ", " : "{", keys[i].name);
        if (keys[i].is_float)
            buffer_real(out, digits_of((float)value), value);
        else if (keys[i].max == 1)
            buffer_text(out, value != 0 ? "true" : "false");
        else
            buffer_format(out, "%.0f", value);
        any = true;
    }
    if (any)
        buffer_text(out, "}");
    return any;
}
