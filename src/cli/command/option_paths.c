/* option_paths.c - that no option of a command writes what another one reads or writes. */
#include "cli/command/option_paths.h"
#include "base/look.h"
#include "cli/io/report.h"

#include <string.h>
#include <unistd.h>

#define WRITES (OPTION_RESULT | OPTION_WRITES)

/* The file that an option names; NULL: none. */
static const char *file_of(const struct option *o) {
    const char *path = o->type == OPTION_STRING ? *o->dest.string : NULL;
    return path && *path && strcmp(path, "-") != 0 ? path : NULL;
}

static bool is_one_file(const struct stat *a, const struct stat *b) {
    return S_ISREG(a->st_mode) && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* What cannot be looked at is said by who opens it. */
static bool is_same(const char *a, const char *b) {
    struct stat here, there;
    struct gpt2_error err;
    if (!look_at(&here, a, LOOK_THROUGH, GPT2_ERR_RUNTIME, &err) ||
        !look_at(&there, b, LOOK_THROUGH, GPT2_ERR_RUNTIME, &err))
        return false;
    return is_one_file(&here, &there) || (here.st_mode == 0 && strcmp(a, b) == 0);
}

static bool check_pair(const struct option *a, const struct option *b, struct gpt2_error *err) {
    const struct option *writer = a->flags & WRITES ? a : b, *other = writer == a ? b : a;
    if (!(writer->flags & WRITES) || (a->flags & b->flags & OPTION_UPDATES) ||
        !is_same(file_of(a), file_of(b)))
        return true;
    if (other->flags & WRITES)
        return usage_error(err, "--%s and --%s are the same file, %s", a->name, b->name,
                           file_of(a));
    return usage_error(err, "--%s: %s is what --%s reads", writer->name, file_of(writer),
                       other->name);
}

/* The result goes to a file that is read: what is written would be read again. */
static bool check_stream(const struct option *table, struct gpt2_error *err) {
    struct stat out, in;
    struct gpt2_error unseen;
    for (const struct option *o = table; o->name; o++)
        if ((o->flags & OPTION_RESULT) && file_of(o))
            return true;
    if (fstat(STDOUT_FILENO, &out) != 0)
        return true;
    for (const struct option *o = table; o->name; o++)
        if ((o->flags & OPTION_READS) && file_of(o) &&
            look_at(&in, file_of(o), LOOK_THROUGH, GPT2_ERR_RUNTIME, &unseen) &&
            is_one_file(&in, &out))
            return usage_error(err, "standard output is %s, which --%s reads", file_of(o), o->name);
    return true;
}

bool option_paths_check(const struct option *table, struct gpt2_error *err) {
    for (const struct option *o = table; o->name; o++) {
        if ((o->flags & OPTION_FILE_ONLY) && *o->dest.string && !file_of(o))
            return usage_error(err, "--%s: expected the name of a file, got \"%s\"", o->name,
                               *o->dest.string);
        if (!(o->flags & (WRITES | OPTION_READS)) || !file_of(o))
            continue;
        for (const struct option *p = table; p < o; p++)
            if ((p->flags & (WRITES | OPTION_READS)) && file_of(p) && !check_pair(p, o, err))
                return false;
    }
    return check_stream(table, err);
}
