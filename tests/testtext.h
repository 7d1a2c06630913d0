/* testtext.h - what the tests and the benchmark of the tokenizer share: files from outside the
 * clone, random numbers, SHA-256, and vocabularies made up on the spot. */
#ifndef TESTTEXT_H
#define TESTTEXT_H

#include "base/os.h"
#include "text/tokenizer_internal.h"
#include "text/vocab_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* path[cap] = a file that is not part of the clone (tests/README.md); false and a printed reason
 * where it is absent. */
static inline bool data_path(char *path, size_t cap, const char *name) {
    const char *folder = getenv("GPT2_TEST_DATA");
    snprintf(path, cap, "%s/%s", folder && *folder ? folder : "../shared/data", name);
    if (access(path, F_OK) == 0)
        return true;
    printf("%s is not there (see tests/README.md)\n", path);
    return false;
}

/* splitmix64. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline size_t random_below(uint64_t *state, size_t n) {
    return (size_t)(next_random(state) % n);
}

/* ---- SHA-256 (FIPS 180-4) ---- */

static inline uint32_t sha256_rotate(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static inline void sha256_block(uint32_t state[8], const unsigned char block[64]) {
    // The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (sha256_rotate(a, 7) ^ sha256_rotate(a, 18) ^ a >> 3) + w[i - 7] +
               (sha256_rotate(b, 17) ^ sha256_rotate(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t1 = s[7] + (sha256_rotate(e, 6) ^ sha256_rotate(e, 11) ^ sha256_rotate(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        uint32_t t2 = (sha256_rotate(a, 2) ^ sha256_rotate(a, 13) ^ sha256_rotate(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

/* hex = SHA-256 of data[0..n), 64 digits and a NUL. */
static inline void sha256(char hex[65], const unsigned char *data, size_t n) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned char tail[128] = {0};
    size_t whole = n / 64 * 64, rest = n - whole, n_tail = rest < 56 ? 64 : 128;
    for (size_t i = 0; i < whole; i += 64)
        sha256_block(state, data + i);
    memcpy(tail, data + whole, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[n_tail - 1 - (size_t)i] = (unsigned char)((uint64_t)n * 8 >> 8 * i);
    for (size_t i = 0; i < n_tail; i += 64)
        sha256_block(state, tail + i);
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", (unsigned)state[i]);
}

/* ---- vocabularies ---- */

/* A growing text. */
struct text {
    char *data;
    size_t len, cap;
};

static inline void text_add(struct text *text, const char *bytes, size_t n) {
    if (text->len + n + 1 > text->cap) {
        text->cap = (text->len + n + 1) * 2;
        text->data = realloc(text->data, text->cap);
        if (!text->data)
            abort();
    }
    memcpy(text->data + text->len, bytes, n);
    text->len += n;
    text->data[text->len] = 0;
}

/* Adds bytes in the alphabet of the vocabulary files, made here by its definition: bytes that are
 * not printable Latin-1 are numbered from U+0100 on. `json`: quotes and backslashes are escaped. */
static inline void text_add_token(struct text *text, const unsigned char *bytes, size_t n,
                                  bool json) {
    for (size_t i = 0; i < n; i++) {
        unsigned cp = 0x100;
        for (unsigned b = 0; b <= bytes[i]; b++) {
            bool printable =
                (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
            if (b == bytes[i] && printable)
                cp = b;
            else if (b < bytes[i] && !printable)
                cp++;
        }
        char utf8[3] = {(char)cp, 0, 0};
        if (cp >= 0x80) {
            utf8[0] = (char)(0xC0 | cp >> 6);
            utf8[1] = (char)(0x80 | (cp & 0x3F));
        }
        if (json && (cp == '"' || cp == '\\'))
            text_add(text, "\\", 1);
        text_add(text, utf8, cp < 0x80 ? 1 : 2);
    }
}

/* The vocabulary of the two files given as text; NULL: err says why. */
static inline struct vocab *parse_pair(const struct text *tokens, const struct text *merges,
                                       struct gpt2_error *err) {
    struct vocab_source files[VOCAB_N_FILES] = {{0}};
    files[VOCAB_TOKENS] = (struct vocab_source){"vocab.json", tokens->data, tokens->len};
    files[VOCAB_MERGES] = (struct vocab_source){"merges.txt", merges->data, merges->len};
    return vocab_parse(files, err);
}

#define MAKE_LETTERS 12 /* so many different bytes are merged by make_vocab */

/* The bytes that make_vocab merges: letters, digits, punctuation, spaces, and parts of UTF-8. */
static const unsigned char make_letters[MAKE_LETTERS] = {'a',  'b', 'c', ' ',  '\'', 's',
                                                         '\n', '1', '.', 0xC3, 0xA9, 0xFF};

/* A made-up vocabulary: all bytes, and n_merges random merges of what there is. Ids are shuffled.
 * `wild`: so are the ranks, so that a merge may come before those that make its halves, and a
 * token may be made in several ways: training never gives that, but a file may. */
static inline struct vocab *make_vocab(uint64_t seed, int n_merges, bool wild) {
    enum { LONGEST = 24 };
    struct token {
        unsigned char bytes[LONGEST];
        size_t n;
    } *tokens = calloc((size_t)n_merges + 256, sizeof *tokens);
    int(*merges)[2] = calloc((size_t)n_merges, sizeof *merges);
    int *ids = calloc((size_t)n_merges + 256, sizeof *ids);
    struct text vocab = {0}, rules = {0};
    int n_tokens = 0, n = 0;
    if (!tokens || !merges || !ids)
        abort();
    for (int i = 0; i < MAKE_LETTERS; i++)
        tokens[n_tokens++] = (struct token){{make_letters[i]}, 1};
    while (n < n_merges) {
        int left = (int)random_below(&seed, (size_t)n_tokens);
        int right = (int)random_below(&seed, (size_t)n_tokens), same = 0;
        struct token made = tokens[left];
        if (made.n + tokens[right].n > LONGEST)
            continue;
        memcpy(made.bytes + made.n, tokens[right].bytes, tokens[right].n);
        made.n += tokens[right].n;
        while (same < n_tokens &&
               (tokens[same].n != made.n || memcmp(tokens[same].bytes, made.bytes, made.n) != 0))
            same++;
        if (same < n_tokens && !wild)
            continue;
        if (same == n_tokens)
            tokens[n_tokens++] = made;
        merges[n][0] = left;
        merges[n++][1] = right;
    }
    for (int b = 0; b < 256; b++)
        if (!memchr(make_letters, b, MAKE_LETTERS))
            tokens[n_tokens++] = (struct token){{(unsigned char)b}, 1};
    for (int i = 0; i < n_tokens; i++) {
        int j = (int)random_below(&seed, (size_t)i + 1);
        ids[i] = ids[j];
        ids[j] = i;
    }
    text_add(&vocab, "{", 1);
    for (int i = 0; i < n_tokens; i++) {
        char id[32];
        text_add(&vocab, i ? ",\"" : "\"", i ? 2 : 1);
        text_add_token(&vocab, tokens[i].bytes, tokens[i].n, true);
        text_add(&vocab, id, (size_t)snprintf(id, sizeof id, "\":%d", ids[i]));
    }
    text_add(&vocab, "}", 1);
    text_add(&rules, "#version: 0.2\n", 14);
    for (int i = 0; i < n_merges; i++) {
        int pick = wild ? i + (int)random_below(&seed, (size_t)(n_merges - i)) : i;
        const struct token *left = &tokens[merges[pick][0]], *right = &tokens[merges[pick][1]];
        text_add_token(&rules, left->bytes, left->n, false);
        text_add(&rules, " ", 1);
        text_add_token(&rules, right->bytes, right->n, false);
        text_add(&rules, "\n", 1);
        memcpy(merges[pick], merges[i], sizeof *merges);
    }
    struct gpt2_error err;
    struct vocab *parsed = parse_pair(&vocab, &rules, &err);
    if (!parsed)
        printf("%s\n", err.message);
    free(tokens);
    free(merges);
    free(ids);
    free(vocab.data);
    free(rules.data);
    return parsed;
}

#endif
