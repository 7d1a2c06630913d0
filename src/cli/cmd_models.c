/* cmd_models.c - `gpt2 models` lists the models that -m finds, `gpt2 rm` removes pulled ones. */
#include "base/error_internal.h"
#include "base/escape.h"
#include "base/look.h"
#include "base/os.h"
#include "base/path.h"
#include "cli/command/commands.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/report.h"

#include <dirent.h>
#include <errno.h>
#include <gpt2/hub.h>
#include <gpt2/model.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum models_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_JSONL };

struct models_listing {
    struct output out;
    struct gpt2_error err;
    bool failed; /* err is set */
    bool names;
    int format;         /* enum models_format */
    const char *output; /* the file; NULL: standard output */
    int n;              /* printed */
    char **seen;        /* [n_seen] real paths of the folders listed so far, owned */
    size_t n_seen;
};

/* What may be read of a folder is listed, and it is said what may not. False where this is not the
 * folder's fault. */
static bool may_skip(int reason, const char *path, struct gpt2_error *err) {
    error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot read the folder %s", path);
    if (error_is_of_system(reason))
        return false;
    if (reason != ENOENT && reason != ENOTDIR)
        report_note("%s", err->message);
    return true;
}

/* What is at `path`, links followed. Where it may not be looked at that is said, and *refused. */
static bool look_past(struct stat *info, bool *refused, const char *path, struct gpt2_error *err) {
    *refused = !look_at(info, path, LOOK_THROUGH, GPT2_ERR_RUNTIME, err);
    if (*refused && error_is_of_system(errno))
        return false;
    if (*refused)
        report_note("%s", err->message);
    return true;
}

/* Whether a folder is one of a model: its configuration is there, or may not be looked at, which
 * opening it says. */
static bool has_config(bool *has, const char *folder, struct gpt2_error *err) {
    static const char *const names[] = {"config.json", "hparams.json"};
    *has = false;
    for (size_t i = 0; !*has && i < sizeof names / sizeof *names; i++) {
        char path[4500];
        struct stat info;
        bool refused;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!look_past(&info, &refused, path, err))
            return false;
        *has = info.st_mode != 0 || refused;
    }
    return true;
}

/* The size of a file, or of all files in a folder; links are followed. */
static bool bytes_of(uint64_t *n_bytes, const char *path, struct gpt2_error *err) {
    struct stat info;
    uint64_t total = 0;
    bool refused;
    *n_bytes = 0;
    if (!look_past(&info, &refused, path, err))
        return false;
    if (!S_ISDIR(info.st_mode)) {
        *n_bytes = (uint64_t)info.st_size;
        return true;
    }
    DIR *folder = opendir(path);
    if (!folder)
        return may_skip(errno, path, err);
    bool ok = true;
    for (const char *name = ""; ok && !refused && name;) {
        char file[4400];
        ok = os_next_entry(&name, folder, path, err);
        if (!ok || !name)
            continue;
        snprintf(file, sizeof file, "%s/%s", path, name);
        ok = look_past(&info, &refused, file, err);
        total += S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    }
    closedir(folder);
    *n_bytes = total;
    return ok;
}

/* Sets `type` to the type of the blocks' weights and *parameters to the number of parameters. If
 * the model cannot be opened, `type` says so and *parameters is 0. False where the system refused,
 * which says nothing about the model. */
static bool describe(const char *path, bool partial, char *type, size_t cap, uint64_t *parameters,
                     struct gpt2_error *err) {
    *parameters = 0;
    struct gpt2_model *model = partial ? NULL : gpt2_model_open(path, err);
    if (!model && !partial && err->status != GPT2_ERR_MODEL)
        return false;
    struct gpt2_cost blocks, head;
    if (model) {
        gpt2_model_cost(model, &blocks, &head);
        *parameters = gpt2_model_parameters(model);
        snprintf(type, cap, "%s", blocks.type);
    } else {
        snprintf(type, cap, "%s", partial ? "unfinished" : "unusable");
    }
    gpt2_model_close(model);
    return true;
}

/* Whether --names prints it: no control characters, and not like an option. All else is quoted by
 * the completion scripts. */
static bool is_offered(const char *name) {
    return *name != '-' && !escape_has_control(name);
}

static bool print_model(struct models_listing *l, const char *name, const char *path,
                        bool partial) {
    char type[32];
    uint64_t parameters, size;
    struct output *out = &l->out;
    l->n++;
    if (!bytes_of(&size, path, &l->err))
        return false;
    if (l->names)
        return partial || !is_offered(name) || output_format(out, &l->err, "%s\n", name);
    if (!describe(path, partial, type, sizeof type, &parameters, &l->err))
        return false;
    if (l->format == FORMAT_TEXT)
        return output_shown(out, name, &l->err) &&
               output_format(out, &l->err, "%*s %-10s %8.1f M %10.1f MB  ",
                             strlen(name) < 28 ? 28 - (int)strlen(name) : 0, "", type,
                             (double)parameters / 1e6, (double)size / 1e6) &&
               output_shown(out, path, &l->err) && output_string(out, "\n", &l->err);
    const char *before = l->format == FORMAT_JSONL ? "" : l->n > 1 ? ",\n" : "\n";
    return output_string(out, before, &l->err) && output_string(out, "{\"name\": ", &l->err) &&
           output_json_string(out, name, strlen(name), &l->err) &&
           output_format(out, &l->err,
                         ", \"type\": \"%s\", \"parameters\": %" PRIu64 ", \"bytes\": %" PRIu64
                         ", \"path\": ",
                         type, parameters, size) &&
           output_json_string(out, path, strlen(path), &l->err) &&
           output_string(out, l->format == FORMAT_JSONL ? "}\n" : "}", &l->err);
}

static bool visit_model(void *user, const char *name, const char *path) {
    struct models_listing *l = user;
    l->failed = l->failed || !print_model(l, name, path, false);
    return !l->failed;
}

/* Whether a file is listed: one that is all of a model, as names and first bytes say; in an OWNER's
 * folder no safetensors, which may be a part of something there. */
static bool is_whole(bool *is, const char *path, bool owned, struct gpt2_error *err) {
    const char *what;
    const bool ok = gpt2_model_recognise(path, &what, err);
    *is = ok && what &&
          (strstr(what, "packed") || strstr(what, "GGUF") ||
           (!owned && path_ends_in(path, ".safetensors")));
    if (ok || err->status != GPT2_ERR_MODEL)
        return ok;
    *is = !owned; // what may not be read is what -m finds by that name
    return true;
}

/* Lists the models in a folder: directories with a config.json, single files and unfinished pulls,
 * and one level deeper for OWNER/NAME. */
static void list_folder(struct models_listing *l, const char *folder, const char *owner) {
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    if (n < 0)
        l->failed = !may_skip(errno, folder, &l->err);
    for (int i = 0; i < n; i++) {
        const char *entry = entries[i]->d_name;
        char path[4400], name[600];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, entry);
        snprintf(name, sizeof name, "%s%s%s", owner, *owner ? "/" : "", entry);
        bool ok = !l->failed && entry[0] != '.', whole, is_model, refused;
        if (ok)
            l->failed = !(ok = look_past(&info, &refused, path, &l->err));
        if (ok && S_ISDIR(info.st_mode)) {
            bool partial = path_ends_in(entry, ".partial");
            l->failed = !has_config(&is_model, path, &l->err);
            if (!l->failed && (partial || is_model)) {
                if (partial)
                    name[strlen(name) - strlen(".partial")] = 0;
                l->failed = !print_model(l, name, path, partial);
            } else if (!l->failed && !*owner) {
                list_folder(l, path, entry);
            }
        } else if (ok && S_ISREG(info.st_mode)) {
            l->failed = !is_whole(&whole, path, *owner, &l->err) ||
                        (whole && !print_model(l, name, path, false));
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

static bool visit_folder(void *user, const char *folder) {
    struct models_listing *l = user;
    char *real = canonical_path(folder);
    if (!real) { // it does not exist, as most
        l->failed = !may_skip(errno, folder, &l->err);
        return !l->failed;
    }
    for (size_t i = 0; i < l->n_seen; i++) {
        if (!strcmp(l->seen[i], real)) {
            free(real);
            return true;
        }
    }
    char **grown = realloc(l->seen, (l->n_seen + 1) * sizeof *grown);
    if (!grown) {
        free(real);
        l->failed = true;
        return error_memory(&l->err, "a list of folders", (l->n_seen + 1) * sizeof *grown);
    }
    l->seen = grown;
    l->seen[l->n_seen++] = real;
    list_folder(l, real, "");
    return !l->failed;
}

static int run_models(int argc, char **argv) {
    static struct models_listing l; // it has a buffer, too large for a small stack
    l.output = NULL;
    l.format = FORMAT_TEXT;
    l.names = false;
    static const char *const formats[] = {"text", "json", "jsonl", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_OUTPUT(&l.output),
        OPT_CHOICE("format", 0, &l.format, formats, "text|json|jsonl",
                   "a table (default), a JSON list of objects, or an\n"
                   "object for each model",
                   .not_with = "names"),
        OPT_VALUE("json", &l.format, formats, "json", "short for --format json"),
        OPT_VALUE("jsonl", &l.format, formats, "jsonl", "short for --format jsonl"),
        OPT_FLAG("names", 0, &l.names,
                 "names alone, one a line, for shells: without those that\n"
                 "hold control characters or begin like an option"),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_models, table, argc, argv, 0, &n_words, &code))
        return code;
    l.failed = !output_begin(&l.out, l.output, &l.err);
    if (l.format == FORMAT_TEXT && !l.names)
        output_fit(&l.out);
    if (!l.failed && l.format == FORMAT_JSON)
        l.failed = !output_string(&l.out, "[", &l.err);
    if (!l.failed && l.format == FORMAT_TEXT && !l.names)
        l.failed = !output_format(&l.out, &l.err, "%-28s %-10s %10s %13s  %s\n", "NAME", "TYPE",
                                  "WEIGHTS", "SIZE", "WHERE");
    if (!l.failed)
        l.failed = !list_model_folders(visit_folder, &l, &l.err) ||
                   !gpt2_hub_list_cache(visit_model, &l, &l.err) || l.failed;
    for (size_t i = 0; i < l.n_seen; i++)
        free(l.seen[i]);
    free(l.seen);
    if (!l.failed && l.format == FORMAT_JSON)
        l.failed = !output_string(&l.out, l.n ? "\n]\n" : "]\n", &l.err);
    bool ok = !l.failed && output_end(&l.out, &l.err);
    output_discard(&l.out);
    return ok ? 0 : output_failed(&l.out, &l.err);
}

const struct command command_models = {
    .name = "models",
    .summary = "list the models that are here",
    .usage = "[OPTIONS]",
    .details =
        "Listed is what -m finds by name, in the order in which it is looked for: folders of\n"
        "models, then the cache of Hugging Face's programs. \"unfinished\": `gpt2 pull NAME`\n"
        "goes on; \"unusable\": `gpt2 info NAME` says why.\n",
    .examples =
        EXAMPLES({"gpt2 models", "a table"}, {"gpt2 models --jsonl", "an object for each model"},
                 {"gpt2 models --names", "names alone, for a script"}),
    .related = "pull rm info",
    .run = run_models,
};

static void name_kept(void *user, const char *folder, const char *entry) {
    report_note("%s stays: it holds %s, which was not pulled", folder, entry);
}

/* What -m finds by that name from now on. */
static void name_cached(const char *name) {
    struct gpt2_error err;
    char *cached;
    if (!gpt2_hub_cached(name, &cached, &err))
        report_note("%s may be in Hugging Face's cache, too: %s", name, err.message);
    else if (cached)
        report_note("Hugging Face's cache has %s, too, which is left alone: %s", name, cached);
    free(cached);
}

static int run_rm(int argc, char **argv) {
    struct gpt2_error err;
    const struct option table[] = {OPT_END};
    int n_words, code;
    if (!command_begin(&command_rm, table, argc, argv, argc, &n_words, &code))
        return code;
    if (n_words == 0) {
        command_error(&err, GPT2_ERR_USAGE, "`gpt2 models` lists them",
                      "expected the name of a model, got nothing");
        return report(&err);
    }
    for (int i = 0; i < n_words; i++) {
        uint64_t n_bytes;
        if (!gpt2_hub_remove(argv[i], &n_bytes, name_kept, NULL, &err))
            return report(&err);
        report_done("%s: removed, %.1f MB", argv[i], (double)n_bytes / 1e6);
        name_cached(argv[i]);
    }
    return 0;
}

const struct command command_rm = {
    .name = "rm",
    .summary = "remove models that were pulled",
    .usage = "NAME...",
    .words = WORDS_PULLED,
    .details =
        "Removes what `gpt2 pull` made, finished or not, and nothing else: the files that the\n"
        "model's pulled.json lists. Files of your own beside them stay, and so does the folder\n"
        "then, which is named. Models put there by hand and the cache of Hugging Face's programs\n"
        "stay too. No link is followed.\n",
    .examples = EXAMPLES({"gpt2 rm gpt2", "remove a model that was pulled"},
                         {"gpt2 rm gpt2 gpt2-medium", "two of them"},
                         {"gpt2 models && gpt2 rm gpt2", "look first"}),
    .related = "pull models",
    .run = run_rm,
};
