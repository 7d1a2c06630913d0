/* replay.h - main() for a fuzz target in an ordinary build, so that `make check` runs it.
 *
 * A target is a file tests/fuzz/fuzz_NAME.c that begins with
 *
 *     #define REPLAY_NAME "NAME"
 *     #include "replay.h"
 *
 * and defines the function declared below, which returns 0 and aborts on a bug.
 *
 * A target with `#define REPLAY_SEEDS 1` also defines replay_seeds(), which adds inputs by
 * replay_seed(): files as today's writers make them (seeds.h), so that they cannot go stale.
 *
 * Without -DFUZZING this gives a program
 *
 *     fuzz_NAME [-n MUTATIONS] [-s SEED] [-k INDEX] [-t SECONDS] [FILE | DIRECTORY]...
 *
 * that first calls the target with each file (default: those of tests/fuzz/corpus/NAME, sorted by
 * name), and then with MUTATIONS (default 4000, for at most 3 seconds of processor time) random
 * variations of them. Variation INDEX depends on SEED, INDEX and the files alone: -k repeats just
 * that one. When the target dies, the index is printed and its input saved as fuzz_NAME.crash
 * beside the program, to be fixed and then moved into the corpus for good. Every input lies in a
 * heap block of exactly its size, so that AddressSanitizer and valgrind see a read past its end.
 *
 * -t SECONDS is another bound of the processor time. -w DIRECTORY writes the inputs there, those of
 * replay_seeds among them, and ends.
 *
 * A target with `#define REPLAY_MUTATE 1` also defines replay_mutate(), which knows the format: it
 * changes an input and keeps it whole (lengths, counts, checksums), so that the change is reached.
 * Half of the edits are its.
 *
 * With -DFUZZING it is a target of libFuzzer, which brings its own main() and calls replay_mutate()
 * the same way: `make fuzz` (tests/fuzz.sh). There only -w DIRECTORY, of the seeds alone, is
 * known. */
#ifndef FUZZ_REPLAY_H
#define FUZZ_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void replay_seeds(void);
void replay_seed(const char *name, const void *data, size_t size); /* copied */

/* Changes data[size], which has room for `cap` bytes, and returns its new size; what it does
 * depends on the input and the state alone. */
size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state);

/* For replay_mutate: a random word; a number below n, 0 for n 0; one edit of any kind to a part of
 * the input that stands alone in data[size] with room for `cap` bytes. */
static inline uint64_t replay_random(uint64_t *state);
static inline size_t replay_below(uint64_t *state, size_t n);
static inline size_t replay_change(uint8_t *data, size_t size, size_t cap, uint64_t *state);

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64: any 64-bit state gives a good next word. */
static inline uint64_t replay_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline size_t replay_below(uint64_t *state, size_t n) {
    return n ? (size_t)(replay_random(state) % n) : 0;
}

static inline void replay_fail(const char *what, const char *path) {
    fprintf(stderr, "fuzz_" REPLAY_NAME ": %s %s: %s\n", what, path, strerror(errno));
    exit(2);
}

/* Writes folder/NAME, where NAME is what follows the last slash of `path`. */
static inline void replay_save(const char *folder, const char *path, const void *data,
                               size_t size) {
    char file[4096];
    const char *slash = strrchr(path, '/');
    snprintf(file, sizeof file, "%s/%s", folder, slash ? slash + 1 : path);
    FILE *to = fopen(file, "wb");
    if (!to || fwrite(data, 1, size, to) != size || fclose(to) != 0)
        replay_fail("cannot write", file);
}

#ifdef FUZZING

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t cap);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t cap, unsigned seed);

static inline size_t replay_change(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return LLVMFuzzerMutate(data, size, cap);
}

static const char *replay_folder;

#ifdef REPLAY_SEEDS
void replay_seed(const char *name, const void *data, size_t size) {
    replay_save(replay_folder, name, data, size);
}
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    if (*argc != 3 || strcmp((*argv)[1], "-w") != 0)
        return 0;
    replay_folder = (*argv)[2];
#ifdef REPLAY_SEEDS
    replay_seeds();
#endif
    exit(0);
}

#ifdef REPLAY_MUTATE
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t cap, unsigned seed) {
    uint64_t state = seed;
    return seed % 2 ? LLVMFuzzerMutate(data, size, cap) : replay_mutate(data, size, cap, &state);
}
#endif

#else

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef REPLAY_NAME
#error "define REPLAY_NAME before including replay.h"
#endif

enum {
    REPLAY_MUTATIONS = 4000,  /* default of -n                                  */
    REPLAY_SECONDS = 3,       /* the processor time after which variations stop */
    REPLAY_STEPS = 6,         /* edits in one variation, at most                */
    REPLAY_GROWTH = 256 * 256 /* bytes a variation may have beyond its original */
};

struct replay_input {
    char *path;
    uint8_t *data; /* [size] */
    size_t size;
};

/* The run, for the handler that reports a death. */
static struct {
    struct replay_input *inputs; /* [n_inputs] */
    size_t n_inputs;
    const char *program;
    const char *what;    /* the file being replayed; NULL while a variation runs */
    const uint8_t *data; /* [size], the input that runs                          */
    size_t size;
    uint64_t seed;
    uint64_t index; /* of the variation */
} replay;

static void *replay_alloc(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory)
        replay_fail("cannot allocate for", "an input");
    return memory;
}

/* Says which input killed the target and saves it. Runs while the process dies. */
static void replay_report(void) {
    char path[4096], line[4352];
    int n = snprintf(path, sizeof path, "%s.crash", replay.program);
    if (!replay.data || n < 0 || (size_t)n >= sizeof path)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool saved = fd >= 0 && write(fd, replay.data, replay.size) == (ssize_t)replay.size;
    if (fd >= 0)
        close(fd);
    if (replay.what)
        n = snprintf(line, sizeof line, "fuzz_" REPLAY_NAME ": died on %s\n", replay.what);
    else
        n = snprintf(line, sizeof line,
                     "fuzz_" REPLAY_NAME ": died on variation %llu (-s %llu -k %llu)%s%s\n",
                     (unsigned long long)replay.index, (unsigned long long)replay.seed,
                     (unsigned long long)replay.index, saved ? ", saved as " : "",
                     saved ? path : "");
    if (n > 0 && write(2, line, (size_t)n) < 0)
        return;
}

static void replay_on_signal(int number) {
    replay_report();
    signal(number, SIG_DFL);
    raise(number);
}

/* Present where a sanitizer is linked in; it handles all signals but SIGABRT itself. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* Runs the target on a copy of exactly `size` bytes. */
static void replay_one(const uint8_t *data, size_t size) {
    uint8_t *copy = replay_alloc(size);
    if (size)
        memcpy(copy, data, size);
    replay.data = copy;
    replay.size = size;
    LLVMFuzzerTestOneInput(copy, size);
    replay.data = NULL;
    free(copy);
}

static void replay_load(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0)
        replay_fail("cannot open", path);
    struct replay_input input = {.path = replay_alloc(strlen(path) + 1),
                                 .size = (size_t)info.st_size};
    input.data = replay_alloc(input.size);
    strcpy(input.path, path);
    if (fread(input.data, 1, input.size, file) != input.size)
        replay_fail("cannot read", path);
    fclose(file);
    replay.inputs = realloc(replay.inputs, (replay.n_inputs + 1) * sizeof *replay.inputs);
    if (!replay.inputs)
        replay_fail("cannot allocate for", path);
    replay.inputs[replay.n_inputs++] = input;
}

#ifdef REPLAY_SEEDS
void replay_seed(const char *name, const void *data, size_t size) {
    struct replay_input input = {.path = replay_alloc(strlen(name) + 8), .size = size};
    input.data = replay_alloc(size);
    sprintf(input.path, "seed/%s", name);
    if (size)
        memcpy(input.data, data, size);
    replay.inputs = realloc(replay.inputs, (replay.n_inputs + 1) * sizeof *replay.inputs);
    if (!replay.inputs)
        replay_fail("cannot allocate for", name);
    replay.inputs[replay.n_inputs++] = input;
}
#endif

/* Loads a file, or every plain file of a directory. */
static void replay_add(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        replay_fail("cannot open", path);
    if (!S_ISDIR(info.st_mode)) {
        replay_load(path);
        return;
    }
    DIR *folder = opendir(path);
    if (!folder)
        replay_fail("cannot open", path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char file[4096];
        int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (n > 0 && (size_t)n < sizeof file && stat(file, &info) == 0 && S_ISREG(info.st_mode))
            replay_load(file);
    }
    closedir(folder);
}

static int replay_compare(const void *a, const void *b) {
    return strcmp(((const struct replay_input *)a)->path, ((const struct replay_input *)b)->path);
}

/* data[at .. at+n_old) becomes with[0..n_new). */
static void replay_splice(uint8_t *data, size_t *size, size_t cap, size_t at, size_t n_old,
                          const uint8_t *with, size_t n_new) {
    if (*size - n_old + n_new > cap)
        return;
    memmove(data + at + n_new, data + at + n_old, *size - at - n_old);
    memmove(data + at, with, n_new);
    *size = *size - n_old + n_new;
}

/* One random edit. Values that mean something to parsers come up often. */
static void replay_edit(uint8_t *data, size_t *size, size_t cap, uint64_t *state) {
    static const char *const words[] = {"0",
                                        "-1",
                                        "1e9",
                                        "4294967296",
                                        "9223372036854775808",
                                        "18446744073709551615",
                                        "null",
                                        "true",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        "\"",
                                        ":",
                                        ",",
                                        "\\u0000",
                                        "\\ud800",
                                        "\r\n",
                                        "\xef\xbb\xbf",
                                        " ",
                                        "\xc4\xa0",
                                        "\xff",
                                        "\xed\xa0\x80"};
    uint8_t scratch[256];
    size_t at = replay_below(state, *size + 1), rest = *size - at;
    size_t span = replay_below(state, rest < 64 ? rest + 1 : 64);
    uint64_t word = replay_random(state);
    switch (replay_below(state, 9)) {
    case 0: /* flip a bit */
        if (rest)
            data[at] ^= (uint8_t)(1u << (word & 7));
        break;
    case 1: /* any byte, or an extreme one */
        if (rest)
            data[at] = word & 256 ? (uint8_t)word : (uint8_t)(word & 512 ? 0xFF : 0);
        break;
    case 2: /* a little-endian integer becomes small, huge, or off by a little */
        if (rest >= 8) {
            uint64_t value;
            memcpy(&value, data + at, 8);
            value = word & 1   ? value + (word >> 60) - 8
                    : word & 2 ? word >> (word >> 58)
                               : 0 - word % 16;
            memcpy(data + at, &value, 8);
        }
        break;
    case 3: /* remove */
        replay_splice(data, size, cap, at, span, data, 0);
        break;
    case 4: /* repeat a stretch */
        memcpy(scratch, data + at, span);
        replay_splice(data, size, cap, at, 0, scratch, span);
        break;
    case 5: { /* insert, or put in place of a stretch, a telling word */
        const char *text = words[word % (sizeof words / sizeof *words)];
        replay_splice(data, size, cap, at, word >> 63 ? span : 0, (const uint8_t *)text,
                      strlen(text));
        break;
    }
    case 6: { /* insert a stretch of another input */
        const struct replay_input *other = &replay.inputs[replay_below(state, replay.n_inputs)];
        size_t from = replay_below(state, other->size + 1);
        size_t n = replay_below(state, other->size - from + 1);
        replay_splice(data, size, cap, at, 0, other->data + from, n);
        break;
    }
    case 7: /* cut off */
        *size = at;
        break;
    default: /* swap two bytes */
        if (rest) {
            size_t to = replay_below(state, *size);
            uint8_t byte = data[at];
            data[at] = data[to];
            data[to] = byte;
        }
    }
}

static inline size_t replay_change(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    replay_edit(data, &size, cap, state);
    return size;
}

static void replay_variation(uint64_t index) {
    uint64_t state = replay.seed * 0xD1342543DE82EF95u + index;
    const struct replay_input *input = &replay.inputs[replay_below(&state, replay.n_inputs)];
    size_t size = input->size, cap = size + REPLAY_GROWTH;
    uint8_t *data = replay_alloc(cap);
    if (size)
        memcpy(data, input->data, size);
    for (size_t n = 1 + replay_below(&state, REPLAY_STEPS); n > 0; n--) {
#ifdef REPLAY_MUTATE
        if (replay_below(&state, 2)) {
            size = replay_mutate(data, size, cap, &state);
            continue;
        }
#endif
        replay_edit(data, &size, cap, &state);
    }
    replay.index = index;
    replay.what = NULL;
    replay_one(data, size);
    free(data);
}

int main(int argc, char **argv) {
    uint64_t mutations = REPLAY_MUTATIONS, only = UINT64_MAX, seconds = REPLAY_SECONDS, done = 0;
    int option;
    replay.program = argv[0];
    replay.seed = 1;
    const char *folder = NULL;
    while ((option = getopt(argc, argv, "n:s:k:t:w:")) != -1) {
        if (option == '?')
            return 2;
        if (option == 'w') {
            folder = optarg;
            continue;
        }
        *(option == 'n'   ? &mutations
          : option == 's' ? &replay.seed
          : option == 't' ? &seconds
                          : &only) = strtoull(optarg, NULL, 10);
    }
#ifdef REPLAY_SEEDS
    replay_seeds();
    if (optind == argc && access("tests/fuzz/corpus/" REPLAY_NAME, F_OK) == 0)
        replay_add("tests/fuzz/corpus/" REPLAY_NAME);
#else
    if (optind == argc)
        replay_add("tests/fuzz/corpus/" REPLAY_NAME);
#endif
    for (int i = optind; i < argc; i++)
        replay_add(argv[i]);
    if (!replay.n_inputs) {
        fprintf(stderr, "fuzz_" REPLAY_NAME ": no inputs found\n");
        return 2;
    }
    qsort(replay.inputs, replay.n_inputs, sizeof *replay.inputs, replay_compare);
    if (folder) {
        for (size_t i = 0; i < replay.n_inputs; i++)
            replay_save(folder, replay.inputs[i].path, replay.inputs[i].data,
                        replay.inputs[i].size);
        return 0;
    }

    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(replay_report);
    else
        for (size_t i = 0; i < 3; i++)
            signal((int[]){SIGSEGV, SIGBUS, SIGFPE}[i], replay_on_signal);
    signal(SIGABRT, replay_on_signal);
    if (only != UINT64_MAX) {
        replay_variation(only);
    } else {
        for (size_t i = 0; i < replay.n_inputs; i++) {
            replay.what = replay.inputs[i].path;
            replay_one(replay.inputs[i].data, replay.inputs[i].size);
        }
        clock_t end = clock() + (clock_t)seconds * CLOCKS_PER_SEC;
        for (; done < mutations && clock() < end; done++)
            replay_variation(done);
        printf("fuzz_" REPLAY_NAME ": %zu inputs and %llu variations of them passed\n",
               replay.n_inputs, (unsigned long long)done);
    }
    for (size_t i = 0; i < replay.n_inputs; i++) {
        free(replay.inputs[i].path);
        free(replay.inputs[i].data);
    }
    free(replay.inputs);
    return 0;
}

#endif
#endif
