/* option_paths.c - that no option of a command writes what another one reads or writes, or what
 * cannot be written. */
#include "cli/command/option_paths.h"
#include "base/look.h"
#include "base/outfile.h"
#include "cli/io/report.h"

#include <string.h>
#include <unistd.h>

#define WRITES (OPTION_RESULT | OPTION_WRITES)

/* Whether an option names a file: "-" is one where it is standard input. */
static bool is_file(const struct option *o) {
    const char *path = o->type == OPTION_STRING ? *o->dest.string : NULL;
    return path && *path &&
           (strcmp(path, "-") != 0 ||
            (o->flags & (OPTION_READS | OPTION_FILE_ONLY)) == OPTION_READS);
}

/* Leaves zeros where nothing is there. What cannot be looked at is said by who opens it. */
static void look_at_file(struct stat *info, const struct option *o) {
    struct gpt2_error unseen;
    const char *path = *o->dest.string;
    if (strcmp(path, "-") != 0)
        (void)look_at(info, path, LOOK_THROUGH, GPT2_ERR_RUNTIME, &unseen);
    else if (fstat(STDIN_FILENO, info) != 0)
        *info = (struct stat){0};
}

/* Devices and pipes may be used twice. */
static bool is_one_file(const struct stat *a, const struct stat *b) {
    return S_ISREG(a->st_mode) && look_is_one(a, b);
}

static bool is_same(const struct option *a, const struct option *b) {
    struct stat here, there;
    look_at_file(&here, a);
    look_at_file(&there, b);
    return is_one_file(&here, &there) ||
           (here.st_mode == 0 && strcmp(*a->dest.string, *b->dest.string) == 0);
}

static bool check_pair(const struct option *a, const struct option *b, struct gpt2_error *err) {
    const struct option *writer = a->flags & WRITES ? a : b, *other = writer == a ? b : a;
    if (!(writer->flags & WRITES) || (a->flags & b->flags & OPTION_UPDATES) || !is_same(a, b))
        return true;
    if (other->flags & WRITES)
        return usage_error(err, "--%s and --%s are the same file, %s", a->name, b->name,
                           *a->dest.string);
    return usage_error(err, "--%s: %s is what --%s reads", writer->name, *writer->dest.string,
                       other->name);
}

/* Where the result goes to standard output, what is written would be read again. */
static bool check_stream(const struct option *table, struct gpt2_error *err) {
    struct stat out, in;
    for (const struct option *o = table; o->name; o++)
        if ((o->flags & OPTION_RESULT) && is_file(o))
            return true;
    if (fstat(STDOUT_FILENO, &out) != 0 || !S_ISREG(out.st_mode))
        return true;
    for (const struct option *o = table; o->name; o++) {
        if (!(o->flags & OPTION_READS) || !is_file(o))
            continue;
        look_at_file(&in, o);
        if (is_one_file(&in, &out))
            return usage_error(err, "standard output is what --%s reads", o->name);
    }
    return true;
}

/* What is written at the end, beside the result, has a place: else the work would be for nothing. A
 * file that is there may have all there is to write, as a prompt cache in a folder of others. */
static bool check_place(const struct option *o, struct gpt2_error *err) {
    struct outfile file = {0};
    struct stat there;
    if (!(o->flags & OPTION_WRITES) || !(o->flags & OPTION_FILE_ONLY) || !is_file(o))
        return true;
    look_at_file(&there, o);
    if (there.st_mode != 0 && !S_ISDIR(there.st_mode))
        return true;
    if (!outfile_open(&file, *o->dest.string, OUTFILE_PRIVATE, err))
        return false;
    outfile_discard(&file);
    return true;
}

bool option_paths_check(const struct option *table, struct gpt2_error *err) {
    const unsigned checked = WRITES | OPTION_READS;
    for (const struct option *o = table; o->name; o++) {
        if ((o->flags & OPTION_FILE_ONLY) && *o->dest.string && !is_file(o))
            return usage_error(err, "--%s: expected the name of a file, got \"%s\"", o->name,
                               *o->dest.string);
        for (const struct option *p = table; (o->flags & checked) && is_file(o) && p < o; p++)
            if ((p->flags & checked) && is_file(p) && !check_pair(p, o, err))
                return false;
    }
    for (const struct option *o = table; o->name; o++)
        if (!check_place(o, err))
            return false;
    return check_stream(table, err);
}
