/* test_record.c - a line of JSON as a list of fields: what comes out, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gpt2/record.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses a copy that ends where the line does, so that nothing behind it can be read. */
static struct gpt2_record *parse(const char *line, size_t n, struct gpt2_error *err) {
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, line, n);
    struct gpt2_record *record = gpt2_record_parse(copy, n, err);
    free(copy);
    return record;
}

static struct gpt2_record *parse_text(const char *line) {
    struct gpt2_error err;
    struct gpt2_record *record = parse(line, strlen(line), &err);
    if (!record)
        fail_msg("%s: %s", line, err.message);
    return record;
}

static void refuse(const char *line, size_t n, const char *words) {
    struct gpt2_error err = {0};
    assert_null(parse(line, n, &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    if (!strstr(err.message, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", line, err.message, words);
    assert_null(parse(line, n, NULL));
}

static void the_fields_are_those_of_the_header(void **state) {
    static const struct gpt2_field expected[] = {
        {"id", GPT2_FIELD_NUMBER, "7", 0},    {"prompt", GPT2_FIELD_STRING, "Once", 0},
        {"stop", GPT2_FIELD_LIST, "", 2},     {NULL, GPT2_FIELD_STRING, "\n", 0},
        {NULL, GPT2_FIELD_STRING, ".", 0},    {"temperature", GPT2_FIELD_NUMBER, "0.5", 0},
        {"echo", GPT2_FIELD_BOOL, "true", 0}, {"heal", GPT2_FIELD_BOOL, "false", 0},
        {"seed", GPT2_FIELD_NULL, "", 0},
    };
    int n = (int)(sizeof expected / sizeof *expected);
    struct gpt2_record *record =
        parse_text("{\"id\": 7, \"prompt\": \"Once\", \"stop\": [\"\\n\", \".\"], "
                   "\"temperature\": 0.5, \"echo\":true,\"heal\":false , \"seed\":null}");
    for (int i = 0; i < n; i++) {
        const struct gpt2_field *field = gpt2_record_field(record, i);
        assert_non_null(field);
        assert_int_equal(field->kind, expected[i].kind);
        assert_int_equal(field->n_inside, expected[i].n_inside);
        assert_string_equal(field->text, expected[i].text);
        assert_true(!field->name == !expected[i].name);
        if (field->name)
            assert_string_equal(field->name, expected[i].name);
    }
    assert_null(gpt2_record_field(record, n));
    assert_null(gpt2_record_field(record, -1));
    gpt2_record_free(record);
    gpt2_record_free(NULL);
    record = parse_text("{}");
    assert_null(gpt2_record_field(record, 0));
    gpt2_record_free(record);
}

static void what_is_inside_counts_at_any_depth(void **state) {
    struct gpt2_record *record =
        parse_text("{\"a\":[[1,2],[],[[3]]],\"b\":{\"c\":{\"d\":[4]},\"e\":5},\"f\":6}");
    static const int inside[] = {7, 2, 0, 0, 0, 2, 1, 0, 4, 2, 1, 0, 0, 0};
    static const char *const top[] = {"a", "b", "f"};
    for (int i = 0; i < 14; i++)
        assert_int_equal(gpt2_record_field(record, i)->n_inside, inside[i]);
    assert_null(gpt2_record_field(record, 14));
    int i = 0;
    for (int k = 0; k < 3; k++, i += 1 + gpt2_record_field(record, i)->n_inside)
        assert_string_equal(gpt2_record_field(record, i)->name, top[k]);
    assert_int_equal(i, 14);
    gpt2_record_free(record);
}

static void numbers_read_back(void **state) {
    static const char *const pairs[][2] = {{"0", "0"},
                                           {"-0", "0"},
                                           {"5.0", "5"},
                                           {"1e3", "1000"},
                                           {"-17", "-17"},
                                           {"2.5", "2.5"},
                                           {"0.1", "0.1"},
                                           {"9007199254740991", "9007199254740991"},
                                           {"1e300", "1e300"},
                                           {"1e999", "1e999"},
                                           {"1.4e19", "1.4e19"},
                                           {"9007199254740993", "9007199254740993"},
                                           {"-9007199254740993.50", "-9007199254740993.50"},
                                           {"100000000000000000000000000000000", "1e+32"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char line[64];
        snprintf(line, sizeof line, "{\"x\":%s}", pairs[i][0]);
        struct gpt2_record *record = parse_text(line);
        assert_string_equal(gpt2_record_field(record, 0)->text, pairs[i][1]);
        gpt2_record_free(record);
    }
    static const double values[] = {
        1.0 / 3, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 123456.789, -2.2250738585072014e-308};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char line[64];
        snprintf(line, sizeof line, "{\"x\":%.17g}", values[i]);
        struct gpt2_record *record = parse_text(line);
        assert_true(strtod(gpt2_record_field(record, 0)->text, NULL) == values[i]);
        gpt2_record_free(record);
    }
}

static void a_number_is_found_after_strings_that_look_like_numbers(void **state) {
    struct gpt2_record *record = parse_text(
        "{\"1e5\":[\"-2\\\"3\",0.10],\"a\\\\\":true,\"4\":{\"b7\":18446744073709551615}}");
    assert_string_equal(gpt2_record_field(record, 2)->text, "0.10");
    assert_string_equal(gpt2_record_field(record, 5)->text, "18446744073709551615");
    gpt2_record_free(record);
}

static void strings_are_what_they_say(void **state) {
    struct gpt2_record *record =
        parse_text("{\"\\u00e9\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u20ac\\ud83d\\ude00 \xC3\xA9\"}");
    assert_string_equal(gpt2_record_field(record, 0)->name, "\xC3\xA9");
    assert_string_equal(gpt2_record_field(record, 0)->text,
                        "a\"\\/\b\f\n\r\t\xE2\x82\xAC\xF0\x9F\x98\x80 \xC3\xA9");
    gpt2_record_free(record);
}

static void what_is_no_record_is_refused(void **state) {
    static const char *const lines[][2] = {
        {"", "record"},
        {"{", "record"},
        {"{\"a\":1", "record"},
        {"{\"a\":1}x", "record"},
        {"{\"a\":1}{}", "record"},
        {"{a:1}", "record"},
        {"{\"a\":}", "record"},
        {"{\"a\":\"\xFF\"}", "record"},
        {"{\"a\":\"\xED\xA0\x80\"}", "record"},
        {"{\"a\":\"\\u0000\"}", "record"},
        {"[1]", "expected an object, got a"},
        {"7", "expected an object, got a"},
        {"null", "expected an object, got null"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "\"a\" is there twice"},
        {"{\"a\":[{\"b\":2,\"b\":3}]}", "\"b\" is there twice"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        refuse(lines[i][0], strlen(lines[i][0]), lines[i][1]);
    refuse("{\"a\":\"\0\"}", 9, "record");
    refuse("{\"a\":1}\0", 8, "record");
}

/* {"a":[[[...]]]}: `depth` levels, the object among them. */
static size_t nest(char *line, int depth) {
    size_t n = (size_t)sprintf(line, "{\"a\":");
    memset(line + n, '[', (size_t)depth - 1);
    n += (size_t)depth - 1;
    memset(line + n, ']', (size_t)depth - 1);
    n += (size_t)depth - 1;
    line[n++] = '}';
    line[n] = 0;
    return n;
}

static void depth_and_width_have_their_limits(void **state) {
    char line[20000];
    struct gpt2_record *record = parse(line, nest(line, 32), NULL);
    assert_non_null(record);
    assert_int_equal(gpt2_record_field(record, 0)->n_inside, 30);
    gpt2_record_free(record);
    refuse(line, nest(line, 33), "record");
    for (int members = 1000; members <= 1001; members++) {
        size_t n = 0;
        for (int i = 0; i < members; i++)
            n += (size_t)sprintf(line + n, "%c\"m%d\":1", i ? ',' : '{', i);
        n += (size_t)sprintf(line + n, "}");
        if (members > 1000) {
            refuse(line, n, "more than 1000 members");
            continue;
        }
        record = parse(line, n, NULL);
        assert_non_null(record);
        assert_string_equal(gpt2_record_field(record, 999)->name, "m999");
        gpt2_record_free(record);
    }
}

/* {"a":[1,1,...]} with n ones. */
static char *ones(size_t n) {
    char *line = malloc(16 + 2 * n), *at = line;
    assert_non_null(line);
    at += sprintf(at, "{\"a\":[");
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, i ? ",1" : "1");
    sprintf(at, "]}");
    return line;
}

static void memory_is_bounded(void **state) {
    const size_t most = 262144; // values: the ones, the list and the object
    char *line = ones(most - 2);
    struct gpt2_record *record = parse_text(line);
    assert_int_equal(gpt2_record_field(record, 0)->n_inside, most - 2);
    assert_true(gpt2_record_bytes(record) > most * sizeof(struct gpt2_field));
    assert_true(gpt2_record_bytes(record) <= strlen(line) + ((size_t)56 << 20));
    gpt2_record_free(record);
    free(line);
    line = ones(most - 1);
    refuse(line, strlen(line), "record: expected JSON of at most 262144 values, found 262145");
    free(line);
    line = malloc(1 << 20);
    assert_non_null(line);
    memset(line, ',', 1 << 20); // in a string they are no values
    memcpy(line, "{\"a\":\"", 6);
    memcpy(line + (1 << 20) - 3, "\"}", 3);
    record = parse_text(line);
    assert_int_equal(strlen(gpt2_record_field(record, 0)->text), (1 << 20) - 9);
    assert_true(gpt2_record_bytes(record) < 2 << 20);
    gpt2_record_free(record);
    free(line);
    assert_int_equal(gpt2_record_bytes(NULL), 0);
}

static void kinds_have_names(void **state) {
    static const char *const names[] = {"null",     "true or false", "a number",
                                        "a string", "a list",        "an object"};
    for (int i = 0; i < 6; i++)
        assert_string_equal(gpt2_field_kind_name((enum gpt2_field_kind)i), names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_are_those_of_the_header),
        cmocka_unit_test(what_is_inside_counts_at_any_depth),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(a_number_is_found_after_strings_that_look_like_numbers),
        cmocka_unit_test(strings_are_what_they_say),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(depth_and_width_have_their_limits),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
