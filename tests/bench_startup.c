/* bench_startup.c - from the start of the process to its first token, and how much memory it takes.
 *
 *     bench_startup [-r RUNS] [-p TOKENS] [-n TOKENS] PROGRAM [OPTION...] MODEL...
 *
 * A MODEL is a directory or a packed file; OPTIONs begin with "--" and go to `PROGRAM generate`.
 * Each run is a whole process that reads a prompt of 8 tokens and writes 1. Reported are medians,
 * with the least and the largest: the time until its first byte of output arrives in a pipe, the
 * time until it has ended, and the most memory that it had (its mapped files included, as far as
 * they were touched). The models take turns, so that a moment in which the machine is busy does not
 * fall on one of them alone, and one turn before them brings the files into memory.
 *
 * Beside each model stands what bounds it: a process that maps the model's weights and reads them
 * once with two threads, and nothing else. Below them, a process that does nothing. */
#define _DEFAULT_SOURCE // wait4

#include "base/look.h"
#include "base/os.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_MODELS = 16, MAX_OPTIONS = 32, MAX_RUNS = 1000, READERS = 2 };

struct sample {
    double first_ms, end_ms, peak_mib;
};

struct row {
    const char *name;
    char *argv[MAX_OPTIONS + 24];
    char weights[4096]; /* instead of a program: a file to be read */
    struct sample samples[MAX_RUNS];
};

static void fail(const char *what) {
    fprintf(stderr, "bench_startup: %s\n", what);
    exit(1);
}

static double since(uint64_t start) {
    return (double)(os_now_ns() - start) * 1e-6;
}

/* ---- the bound ---- */

static struct os_file file;
static uint64_t sums[READERS];

static void *read_part(void *arg) {
    size_t i = (size_t)(uintptr_t)arg, part = file.size / READERS / sizeof(uint64_t);
    const unsigned char *at = file.data + i * part * sizeof(uint64_t);
    uint64_t sum = 0, word;
    for (size_t k = 0; k < part; k++, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    sums[i] = sum;
    return NULL;
}

/* Maps a file and reads it once; writes a byte that depends on all of it. */
static void read_once(const char *path) {
    pthread_t threads[READERS];
    struct gpt2_error err;
    if (!os_map(&file, path, GPT2_ERR_RUNTIME, &err))
        fail(err.message);
    for (size_t i = 0; i < READERS; i++)
        if (pthread_create(&threads[i], NULL, read_part, (void *)(uintptr_t)i))
            fail("cannot start a thread");
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    char byte = 0;
    for (int i = 0; i < READERS; i++)
        byte ^= (char)(sums[i] >> 56);
    if (write(STDOUT_FILENO, &byte, 1) != 1)
        _exit(1);
}

/* ---- one process ---- */

static void start(const struct row *row, int out) {
    int null = open("/dev/null", O_RDWR);
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0)
        _exit(126);
    if (*row->weights) {
        read_once(row->weights);
        _exit(0);
    }
    execv(row->argv[0], row->argv);
    _exit(127);
}

static struct sample run(const struct row *row) {
    int ends[2], status;
    char bytes[4096];
    struct rusage usage;
    struct sample sample = {0};
    if (pipe(ends))
        fail("cannot make a pipe");
    uint64_t begin = os_now_ns();
    pid_t child = fork();
    if (child < 0)
        fail("cannot start a process");
    if (child == 0) {
        close(ends[0]);
        start(row, ends[1]);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], bytes, sizeof bytes);
    sample.first_ms = since(begin);
    while (n > 0)
        n = read(ends[0], bytes, sizeof bytes);
    if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status))
        fail(row->name);
    sample.end_ms = since(begin);
    sample.peak_mib = (double)usage.ru_maxrss / 1024;
    close(ends[0]);
    return sample;
}

/* ---- the report ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const struct row *row, int n_runs) {
    static double first[MAX_RUNS], end[MAX_RUNS], peak[MAX_RUNS];
    for (int i = 0; i < n_runs; i++) {
        first[i] = row->samples[i].first_ms;
        end[i] = row->samples[i].end_ms;
        peak[i] = row->samples[i].peak_mib;
    }
    qsort(first, (size_t)n_runs, sizeof *first, by_value);
    qsort(end, (size_t)n_runs, sizeof *end, by_value);
    qsort(peak, (size_t)n_runs, sizeof *peak, by_value);
    printf("%8.1f %8.1f %8.1f %8.1f %8.1f   %s\n", first[n_runs / 2], first[0], first[n_runs - 1],
           end[n_runs / 2], peak[n_runs - 1], row->name);
}

/* n times the id 262, which every vocabulary has: " the" in GPT-2's own. */
static char *make_ids(int n) {
    char *ids = malloc((size_t)n * 4 + 1);
    if (!ids)
        fail("out of memory");
    for (int i = 0; i < n; i++)
        strcpy(ids + 4 * (size_t)i, i + 1 < n ? "262," : "262");
    return ids;
}

static struct row *add_row(struct row *rows, int *n, const char *name) {
    if (*n == 2 * MAX_MODELS)
        fail("too many models");
    struct row *row = &rows[(*n)++];
    *row = (struct row){.name = name};
    return row;
}

int main(int argc, char **argv) {
    static struct row rows[2 * MAX_MODELS + 1];
    int n_runs = 21, n_prompt = 8, n_rows = 0, option;
    const char *n_new = "1";
    while ((option = getopt(argc, argv, "+r:p:n:")) > 0) {
        if (option == 'r')
            n_runs = atoi(optarg);
        else if (option == 'p')
            n_prompt = atoi(optarg);
        else if (option == 'n')
            n_new = optarg;
        else
            return 2;
    }
    if (optind == argc || n_runs < 1 || n_runs > MAX_RUNS || n_prompt < 1)
        fail("expected [-r RUNS] [-p TOKENS] [-n TOKENS] PROGRAM [OPTION...] MODEL...");
    char *program = argv[optind++], *ids = make_ids(n_prompt);
    int first_option = optind;
    while (optind < argc && !strncmp(argv[optind], "--", 2))
        optind++;
    int n_options = optind - first_option;
    if (n_options > MAX_OPTIONS)
        fail("too many options");
    for (; optind < argc; optind++) {
        char *model = argv[optind];
        struct row *row = add_row(rows, &n_rows, model);
        char *fixed[] = {program,  "generate", "-m",    model, "-n",          (char *)n_new,
                         "--temp", "0",        "--ids", ids,   "--ignore-eos"};
        const int n_fixed = sizeof fixed / sizeof *fixed;
        memcpy(row->argv, fixed, sizeof fixed);
        memcpy(row->argv + n_fixed, argv + first_option, (size_t)n_options * sizeof *argv);
        bool is_directory = false, exists = false;
        look_is_directory(&is_directory, model, GPT2_ERR_MODEL, NULL);
        row = add_row(rows, &n_rows, "  its weights, mapped and read once by 2 threads");
        snprintf(row->weights, sizeof row->weights, "%s%s", model,
                 is_directory ? "/model.safetensors" : "");
        if (!look_exists(&exists, row->weights, GPT2_ERR_MODEL, NULL) || !exists)
            n_rows--; // of another form: no bound is known
    }
    struct row *nothing = &rows[n_rows++];
    nothing->name = "(PROGRAM --version)";
    nothing->argv[0] = program;
    nothing->argv[1] = "--version";
    for (int i = -1; i < n_runs; i++)
        for (int k = 0; k < n_rows; k++)
            rows[k].samples[i < 0 ? 0 : i] = run(&rows[k]);
    printf("to first byte, ms           to end  peak MiB   %d runs, %d tokens read, %s written\n"
           "  median    least  largest   median  largest\n",
           n_runs, n_prompt, n_new);
    for (int k = 0; k < n_rows; k++)
        report(&rows[k], n_runs);
    free(ids);
    return 0;
}
