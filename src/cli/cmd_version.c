/* cmd_version.c - `gpt2 version`: what this program is, how it was built and where it runs. */
#include "cli/command/commands.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/serve/http_server.h"
#include "cli/terminal/line_editor.h"

#include <gpt2/runtime.h>
#include <gpt2/version.h>
#include <string.h>

struct version_arguments {
    const char *output;
    bool verbose;
    int format; /* 0 text, 1 JSON */
};

#if defined __clang__
#define COMPILER "clang " __clang_version__
#elif defined __GNUC__
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#if defined __x86_64__
#define ARCHITECTURE "x86-64"
#elif defined __aarch64__
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "other"
#endif

/* What a build may have or not. */
static const struct {
    const char *name, *what;
    bool (*is_built)(void);
} features[] = {
    {"libedit", "arrow keys and history where lines are typed", line_editor_is_built},
    {"libmicrohttpd", "gpt2 serve", http_server_is_built},
};
#define N_FEATURES (sizeof features / sizeof *features)

static bool print_text(struct output *out, const struct gpt2_machine *machine, bool verbose,
                       struct gpt2_error *err) {
    bool ok = output_format(out, err, "gpt2 %s\n", gpt2_version());
    if (!ok || !verbose)
        return ok;
    ok = output_format(out, err,
                       "library       %s, ABI %d\n"
                       "compiler      " COMPILER "\n"
                       "architecture  " ARCHITECTURE "\n"
                       "kernels       %s\n"
                       "this CPU      ",
                       gpt2_version(), GPT2_ABI, gpt2_cpu_variant_names()) &&
         output_shown(out, machine->cpu, err) &&
         output_format(out, err, ", %d for this process; it can run:", machine->n_cpus);
    for (int i = 0; ok && gpt2_cpu_variant(i); i++)
        ok = output_format(out, err, " %s", gpt2_cpu_variant(i));
    ok = ok && output_string(out, "\n", err);
    for (size_t i = 0; ok && i < N_FEATURES; i++)
        ok = output_format(out, err, "%-13s %s (%s)\n", features[i].name,
                           features[i].is_built() ? "yes" : "no", features[i].what);
    return ok;
}

static bool print_json(struct output *out, const struct gpt2_machine *machine,
                       struct gpt2_error *err) {
    bool ok =
        output_format(out, err, "{\"version\": \"%s\", \"abi\": %d, \"compiler\": ", gpt2_version(),
                      GPT2_ABI) &&
        output_json_string(out, COMPILER, strlen(COMPILER), err) &&
        output_string(out, ", \"architecture\": \"" ARCHITECTURE "\", \"cpu\": ", err) &&
        output_json_string(out, machine->cpu, strlen(machine->cpu), err) &&
        output_format(out, err, ", \"cpus\": %d, \"kernels\": [", machine->n_cpus);
    for (const char *name = gpt2_cpu_variant_names(); ok && *name;) { // "generic, avx2"
        const size_t n = strcspn(name, ",");
        ok = output_format(out, err, "\"%.*s\"%s", (int)n, name, name[n] ? ", " : "");
        name += n + strspn(name + n, ", ");
    }
    ok = ok && output_string(out, "], \"runs\": [", err);
    for (int i = 0; ok && gpt2_cpu_variant(i); i++)
        ok = output_format(out, err, "%s\"%s\"", i ? ", " : "", gpt2_cpu_variant(i));
    ok = ok && output_string(out, "], \"features\": {", err);
    for (size_t i = 0; ok && i < N_FEATURES; i++)
        ok = output_format(out, err, "%s\"%s\": %s", i ? ", " : "", features[i].name,
                           features[i].is_built() ? "true" : "false");
    return ok && output_string(out, "}}\n", err);
}

static int version(const struct version_arguments *args) {
    static struct output out;
    struct gpt2_error err;
    struct gpt2_machine machine;
    gpt2_machine_describe(&machine);
    bool ok = output_begin(&out, args->output, &err);
    output_fit(&out);
    ok = ok && (args->format ? print_json(&out, &machine, &err)
                             : print_text(&out, &machine, args->verbose, &err));
    int code = 0;
    if (!ok || !output_end(&out, &err))
        code = output_failed(&out, &err);
    output_discard(&out);
    return code;
}

static int run_version(int argc, char **argv) {
    struct version_arguments args = {0};
    static const char *const formats[] = {"text", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_FLAG("verbose", 'v', &args.verbose,
                 "also how it was built and what this machine is: to be\n"
                 "put into a report of a fault",
                 .not_with = "format=json"),
        OPT_OUTPUT(&args.output),
        OPT_CHOICE("format", 0, &args.format, formats, "text|json",
                   "lines to read (default), or all of it as one object"),
        OPT_VALUE("json", &args.format, formats, "json", "short for --format json"),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_version, table, argc, argv, 0, &n_words, &code))
        return code;
    return version(&args);
}

const struct command command_version = {
    .name = "version",
    .summary = "what this program is, how it was built and where it runs",
    .usage = "[OPTIONS]",
    .details = "`gpt2 --version` prints the first line alone.\n",
    .examples = EXAMPLES(
        {"gpt2 version", "the version"},
        {"gpt2 version --verbose", "compiler, kernels, CPU and what was compiled in, for a report"},
        {"gpt2 version --json", "the same as an object"}),
    .related = "info bench",
    .run = run_version,
};
