/* fuzz_history.c - any bytes as the file of lines that were typed: the last ones are given, none
 * with a line end in it, and the file is cut where it has grown long. What is added then is the
 * last line of it. */
#define REPLAY_NAME  "history"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "cli/io/input.h"
#include "cli/terminal/line_history.h"

#include "../testmodel.h"

static const char added[] = "once upon a time";

struct lines {
    size_t n;
    bool ends_in_added; /* the last of them */
};

static void count(void *user, const char *line) {
    struct lines *lines = user;
    if (strchr(line, '\n'))
        abort();
    lines->n++;
    const size_t len = strlen(line), n = sizeof added - 1;
    lines->ends_in_added = len >= n && !strcmp(line + len - n, added);
}

static struct lines load(const char *path) {
    struct lines lines = {0};
    struct gpt2_error err = {0};
    if (!line_history_load(path, count, &lines, &err) && (err.status == GPT2_OK || !err.message[0]))
        abort(); // refused without a word
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char dir[TESTMODEL_PATH];
    char path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    snprintf(dir, sizeof dir, "%s/gpt2-fuzz-history.%ld",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid());
    testmodel_path(path, dir, "history"); // the folder is made, too
    if (size) {
        mkdir(dir, 0700);
        testmodel_write_file(dir, "history", data, size);
    }
    const struct lines before = load(path);
    if (before.n > LINE_HISTORY_KEPT || !line_history_add(path, added, &err))
        abort();
    const struct lines after = load(path);
    if (after.n > LINE_HISTORY_KEPT || after.n < 1)
        abort();
    if (!after.ends_in_added && !(size && memchr(data, 0, size))) // a NUL byte ends a line
        abort();
    if (line_history_load(dir, count, (void *)&(struct lines){0}, &err) || !err.message[0])
        abort(); // a folder
    testmodel_remove(dir);
    return 0;
}

/* The path is that of the environment, whatever that has. */
static void check_paths(void) {
    static const char *const cases[][4] = {{"/a/b", "/s", "/h", "/a/b"},
                                           {"", "/s", "/h", NULL},
                                           {NULL, "/s", "/h", "/s/gpt2/history"},
                                           {NULL, "s", "/h", "/h/.local/state/gpt2/history"},
                                           {NULL, NULL, "h", NULL}};
    static const char *const names[] = {"GPT2_HISTORY", "XDG_STATE_HOME", "HOME"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int k = 0; k < 3; k++)
            if ((cases[i][k] ? setenv(names[k], cases[i][k], 1) : unsetenv(names[k])) != 0)
                abort();
        char *path = line_history_path();
        if (!path != !cases[i][3] || (path && strcmp(path, cases[i][3]) != 0)) {
            fprintf(stderr, "path %zu: found %s\n", i, path ? path : "none");
            abort();
        }
        free(path);
    }
}

/* A file without end is refused, and so is one that is no file, or in a folder that cannot be. */
static void check_refused(void) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    struct lines lines = {0};
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "history");
    testmodel_write_file(dir, "history", "x\n", 2);
    if (truncate(path, INPUT_MAX + 1L) != 0 || line_history_load(path, count, &lines, &err) ||
        lines.n)
        abort();
    if (line_history_add(dir, added, &err))
        abort();
    strcat(path, "/below");
    if (line_history_add(path, added, &err) || !strstr(err.message, "cannot open"))
        abort();
    testmodel_remove(dir);
}

void replay_seeds(void) {
    check_paths();
    check_refused();
    char many[3 * LINE_HISTORY_KEPT * 4];
    size_t n = 0;
    for (int i = 0; i < 2 * LINE_HISTORY_KEPT + 1; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%d\n", i % 10);
    replay_seed("many", many, n);
    replay_seed("few", "once\n/stats\nupon a time\n", 24);
    replay_seed("none", "", 0);
}
