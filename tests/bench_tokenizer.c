/* bench_tokenizer.c - how fast text becomes tokens, on one thread.
 *
 *     bench_tokenizer [MODEL-DIRECTORY [TEXT-FILE]]
 *
 * Prints MiB/s (median of several rounds, each into a new list) for English and for inputs chosen
 * to be slow, with their ratio to English, which depends less on the machine. Without arguments:
 * the real GPT-2's vocabulary and TinyShakespeare if they are at hand (tests/README.md), else the
 * shipped model's vocabulary and a text made of its tokens. */
#include "testtext.h"

#include <time.h>

enum { N_ROUNDS = 15, N_CHARS = 1000000 };

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare);
    return values[n / 2];
}

static void fail(const struct gpt2_error *err) {
    fprintf(stderr, "bench_tokenizer: %s\n", err->message);
    exit(1);
}

/* Seconds of processor time of this thread: other programs on the machine count less. */
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* MiB/s of one run; *n_ids is how many tokens there were. */
static double measure(const struct gpt2_tokenizer *t, const struct text *text, size_t *n_ids) {
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    double start = now();
    if (!gpt2_tokenizer_encode(t, text->data, text->len, GPT2_ENCODE_TEXT, &ids, &err))
        fail(&err);
    double seconds = now() - start;
    *n_ids = ids.len;
    gpt2_ids_free(&ids);
    return (double)text->len / (1 << 20) / seconds;
}

/* Measures `text`, in turns with the English text, and frees it. */
static void report(const struct gpt2_tokenizer *t, const char *name, struct text *text,
                   const struct text *english) {
    double rates[N_ROUNDS], ratios[N_ROUNDS];
    size_t n_ids, unused;
    for (int round = -1; round < N_ROUNDS; round++) { // one round to warm up
        double reference = measure(t, english, &unused);
        double rate = measure(t, text, &n_ids);
        if (round < 0)
            continue;
        rates[round] = rate;
        ratios[round] = rate / reference;
    }
    printf("%-28s %8zu bytes %8zu tokens %8.1f MiB/s  x%.2f\n", name, text->len, n_ids,
           median(rates, N_ROUNDS), median(ratios, N_ROUNDS));
    fflush(stdout);
    if (text != english) {
        free(text->data);
        *text = (struct text){0};
    }
}

static void add_utf8(struct text *text, uint32_t cp) { // U+0800..U+FFFF
    char s[3] = {(char)(0xE0 | cp >> 12), (char)(0x80 | (cp >> 6 & 0x3F)),
                 (char)(0x80 | (cp & 0x3F))};
    text_add(text, s, 3);
}

static void read_text(struct text *text, const char *path) {
    struct os_file file;
    struct gpt2_error err;
    if (!os_map(&file, path, GPT2_ERR_INPUT, &err))
        fail(&err);
    text_add(text, (const char *)file.data, file.size);
    os_unmap(&file);
}

/* Tokens of the vocabulary, low ids more often, as in real text. */
static void make_text(struct text *text, const struct gpt2_tokenizer *t) {
    uint64_t seed = 1;
    while (text->len < N_CHARS) {
        size_t n, range = 16u << random_below(&seed, 10);
        const char *token = gpt2_tokenizer_token(t, (int32_t)random_below(&seed, range), &n);
        if (token)
            text_add(text, token, n);
    }
}

static void run_hostile(const struct gpt2_tokenizer *t, const struct text *english) {
    static const char *const units[] = {"a", "^", " ", "\n", "0", "'s", "ab ", "\xE4\xB8\xAD"};
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct text text = {0};
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char name[64];
        snprintf(name, sizeof name, "\"%s\" a million times",
                 units[i][0] == '\n' ? "\\n" : units[i]);
        for (int k = 0; k < N_CHARS; k++)
            text_add(&text, units[i], strlen(units[i]));
        report(t, name, &text, english);
    }
    for (int k = 0; k < N_CHARS; k++)
        add_utf8(&text, 0x4E00 + (uint32_t)random_below(&seed, 3000));
    report(t, "CJK without spaces", &text, english);
    for (int k = 0; k < N_CHARS; k++)
        text_add(&text, &base64[random_below(&seed, 64)], 1);
    report(t, "base64", &text, english);
    for (int k = 0; k < N_CHARS; k++)
        text_add(&text, &base64[26 + random_below(&seed, 26)], 1);
    report(t, "random letters, one word", &text, english);
    for (int k = 0; k < N_CHARS; k++) {
        char byte = (char)random_below(&seed, 256);
        text_add(&text, &byte, 1);
    }
    report(t, "random bytes", &text, english);
}

int main(int argc, char **argv) {
    char path[4096];
    struct gpt2_error err;
    const char *model = argc > 1                               ? argv[1]
                        : data_path(path, sizeof path, "gpt2") ? path
                                                               : "models/tales";
    double times[5];
    struct gpt2_tokenizer *t = NULL;
    for (int i = 0; i < 5; i++) {
        gpt2_tokenizer_close(t);
        double start = now();
        t = gpt2_tokenizer_open(model, &err);
        if (!t)
            fail(&err);
        times[i] = (now() - start) * 1e3;
    }
    printf("%s: %d ids, opened in %.1f ms the first time, then in %.1f ms\n", model,
           (int)gpt2_tokenizer_size(t), times[0], median(times + 1, 4));

    struct text text = {0};
    const char *name = "text of frequent tokens";
    if (argc > 2) {
        read_text(&text, argv[2]);
        name = "the given text";
    } else if (data_path(path, sizeof path, "text/tinyshakespeare.txt")) {
        read_text(&text, path);
        name = "English (TinyShakespeare)";
    } else {
        make_text(&text, t);
    }
    report(t, name, &text, &text);
    run_hostile(t, &text);
    free(text.data);
    gpt2_tokenizer_close(t);
    return 0;
}
