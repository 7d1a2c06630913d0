/* test_tokenizer_oracle.c - every component of tokenizer.json against Hugging Face's own library.
 *
 * tokenizers_oracle.js makes the files, and says what the library makes of some hundred strings
 * with each. Needs npm and a registry that has `tokenizers` (or $GPT2_TEST_NODE_PATH, where that
 * lies); says skipped elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testtext.h"

#define N_STRINGS 640

static char folder[2048];

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...) {
    char command[8192];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    return system(command);
}

static int set_up(void **state) {
    const char *tmp = getenv("TMPDIR"), *given = getenv("GPT2_TEST_NODE_PATH");
    snprintf(folder, sizeof folder, "%s/gpt2-oracle-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    if (!given && shell("cd '%s' && { npm install --silent --no-audit --no-fund --prefix . "
                        "tokenizers@0.23; } >npm.log 2>&1",
                        folder) != 0)
        return 0;
    shell("NODE_PATH='%s%s' node tests/tokenizers_oracle.js '%s' %d >'%s/log' 2>&1",
          given ? given : folder, given ? "" : "/node_modules", folder, N_STRINGS, folder);
    return 0;
}

static int tear_down(void **state) {
    return shell("rm -rf '%s'", folder);
}

static size_t read_hex(unsigned char *out, const char *hex) {
    size_t n = 0;
    unsigned byte;
    for (; *hex != '-' && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[n++] = (unsigned char)byte;
    return n;
}

/* Where the character number `at` begins, in bytes. */
static size_t byte_of(const unsigned char *text, size_t n, long at) {
    size_t i = 0;
    for (; i < n; i++)
        if ((text[i] & 0xC0) != 0x80 && at-- == 0)
            return i;
    return n;
}

static size_t character_begin(const unsigned char *text, size_t i) {
    while (i > 0 && (text[i] & 0xC0) == 0x80)
        i--;
    return i;
}

static size_t character_end(const unsigned char *text, size_t n, size_t i) {
    while (i < n && (text[i] & 0xC0) == 0x80)
        i++;
    return i;
}

/* One string: its ids, and where they came from. The library says of a character that was composed
 * where the first of its parts stood, and we where all of them did: of normalized text, places are
 * only to contain the library's. */
static bool check_string(const struct gpt2_tokenizer *t, const char *name, const char *hex,
                         const char *ids, const char *offsets, bool normalized) {
    static unsigned char text[4096];
    struct gpt2_ids found = {0};
    struct gpt2_extent *extents;
    struct gpt2_error err;
    size_t n = read_hex(text, hex), i = 0;
    bool same = true;
    if (!gpt2_tokenizer_encode_extents(t, (const char *)text, n, GPT2_ENCODE_SPECIAL, &found,
                                       &extents, &err))
        fail_msg("%s: %s", name, err.message);
    for (const char *at = ids; *at && *at != '-'; i++, at += *at == ',') {
        int32_t id = (int32_t)strtol(at, (char **)&at, 10);
        same = same && i < found.len && found.data[i] == id;
    }
    same = same && i == found.len;
    i = 0;
    for (const char *at = offsets; same && *at && *at != '-'; i++, at += *at == ',') {
        long begin = strtol(at, (char **)&at, 10), end = strtol(at + 1, (char **)&at, 10);
        struct gpt2_extent e = extents[i];
        if (begin == end || e.begin == e.end)
            continue; // a token that is put in
        const size_t first = character_begin(text, e.begin), last = character_end(text, n, e.end);
        const size_t from = byte_of(text, n, begin), to = byte_of(text, n, end);
        same = normalized ? first <= from && last >= to : first == from && last == to;
    }
    for (i = 0; i < found.len; i++)
        assert_true(extents[i].begin <= extents[i].end && extents[i].end <= n);
    if (!same) {
        printf("%s: \"%.*s\" (%s)\n  expected %s %s\n  found   ", name, (int)n, text, hex, ids,
               offsets);
        for (i = 0; i < found.len; i++)
            printf(" %d[%zu,%zu)", (int)found.data[i], extents[i].begin, extents[i].end);
        printf("\n");
    }
    free(extents);
    gpt2_ids_free(&found);
    return same;
}

static void every_component_gives_the_ids_of_the_library(void **state) {
    static char line[1 << 16], name[256], hex[1 << 13], ids[1 << 14], offsets[1 << 15];
    char path[4096];
    struct gpt2_error err;
    struct gpt2_tokenizer *t = NULL;
    bool normalized = false;
    int n_cases = 0, n_strings = 0, n_wrong = 0;
    snprintf(path, sizeof path, "%s/cases", folder);
    FILE *file = fopen(path, "r");
    if (!file)
        skip(); // no npm, no node, or no such package
    while (fgets(line, sizeof line, file)) {
        if (line[0] == 'D') {
            gpt2_tokenizer_close(t);
            normalized = line[2] == '<';
            snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 4, "\n"), line + 4);
            snprintf(path, sizeof path, "%s/%d", folder, n_cases++);
            t = gpt2_tokenizer_open(path, &err);
            if (!t)
                fail_msg("%s: %s", name, err.message);
            // The tables of a packed file give the same.
            unsigned char *bytes;
            size_t n_bytes;
            assert_true(gpt2_tokenizer_pack(t, &bytes, &n_bytes, &err));
            struct gpt2_tokenizer *packed = tokenizer_unpack(bytes, n_bytes, "tables", &err);
            if (!packed)
                fail_msg("%s: %s", name, err.message);
            gpt2_tokenizer_close(packed);
            free(bytes);
            continue;
        }
        assert_int_equal(sscanf(line, "S %8191s %16383s %32767s", hex, ids, offsets), 3);
        bool same = check_string(t, name, hex, ids, offsets, normalized);
        n_strings++;
        n_wrong += !same;
        if (n_wrong > 20)
            break;
    }
    fclose(file);
    gpt2_tokenizer_close(t);
    assert_int_equal(n_wrong, 0);
    assert_true(n_cases > 100);
    assert_int_equal(n_strings, n_cases * N_STRINGS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_component_gives_the_ids_of_the_library),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
