/* cmd_pull.c - `gpt2 pull`: fetches a model from the Hugging Face hub. */
#include "base/os.h"
#include "cli/command/commands.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/io/terminal.h"

#include <gpt2/hub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR 30

struct pull_progress {
    bool quiet;
    uint64_t start_ns, start_bytes; /* at the first call, for the speed */
    bool started;
    char file[64]; /* the last one that was shown */
};

/* On a terminal "[######        ]  42 %  model.safetensors  231.4/548.1 MB  12.3 MB/s  26 s", else
 * a line for each file. */
static void show(struct pull_progress *p, const char *file, uint64_t done, uint64_t total) {
    if (!terminal_has_status()) {
        if (strcmp(p->file, file) != 0)
            report_done("fetching %s", file);
        snprintf(p->file, sizeof p->file, "%s", file);
        return;
    }
    if (!p->started) {
        p->start_ns = os_now_ns();
        p->start_bytes = done;
        p->started = true;
    }
    char bar[BAR + 1], left[32] = "", text[300];
    double seconds = (double)(os_now_ns() - p->start_ns) * 1e-9;
    double rate = seconds > 0.5 ? (double)(done - p->start_bytes) / seconds : 0;
    double share = total ? (double)done / (double)total : 0;
    int filled = (int)(share * BAR);
    filled = filled < BAR ? filled : BAR;
    memset(bar, ' ', BAR);
    memset(bar, '#', (size_t)filled);
    bar[BAR] = 0;
    if (rate > 0 && done < total)
        snprintf(left, sizeof left, "  %.0f s", (double)(total - done) / rate);
    snprintf(text, sizeof text, "[%s] %3d %%  %.100s  %.1f/%.1f MB  %.1f MB/s%s", bar,
             (int)(share * 100), file, (double)done / 1e6, (double)total / 1e6, rate / 1e6, left);
    terminal_status(text);
}

static bool progress(void *user, const char *file, uint64_t done, uint64_t total) {
    struct pull_progress *p = user;
    if (total > 0 && !p->quiet) // 0: the list of files has not arrived
        show(p, file, done, total);
    return !signals_caught();
}

static int pull(const char *name, struct pull_progress *p) {
    static struct output out;
    struct gpt2_error err;
    uint64_t fetched = 0;
    signals_catch();
    char *path = gpt2_hub_pull(name, &(struct gpt2_hub_options){.progress = progress, .user = p},
                               &fetched, &err);
    terminal_clear_status();
    if (!path)
        return signals_caught() ? 128 + signals_caught() : report(&err);
    if (!p->quiet && fetched)
        fprintf(stderr, "%s: fetched %.1f MB; try: gpt2 generate -m %s \"Hello\"", name,
                (double)fetched / 1e6, name);
    else if (!p->quiet)
        report_done("%s: nothing to fetch, it is all there", name);
    bool ok = output_format(&out, &err, "%s\n", path) && output_flush(&out, &err);
    free(path);
    return ok ? 0 : output_failed(&out, &err);
}

static int run_pull(int argc, char **argv) {
    struct pull_progress p = {0};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_FLAG("quiet", 'q', &p.quiet, "no progress; errors and the path only"),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_pull, table, argc, argv, 1, &n_words, &code))
        return code;
    const char *hide = getenv("HF_HUB_DISABLE_PROGRESS_BARS");
    p.quiet |= hide && *hide && strcmp(hide, "0") != 0;
    struct gpt2_error err;
    if (n_words == 0) {
        command_error(&err, GPT2_ERR_USAGE, "for example: gpt2 pull gpt2",
                      "expected the name of a model, got nothing");
        return report(&err);
    }
    return pull(argv[0], &p);
}

const struct command command_pull = {
    .name = "pull",
    .summary = "fetch a model from the Hugging Face hub",
    .usage = "[OPTIONS] NAME",
    .words = WORDS_HUB,
    .details =
        "NAME is gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2, or OWNER/NAME, and may end\n"
        "in @REVISION. The path of the model's directory is printed; -m NAME finds it from then\n"
        "on. What was interrupted goes on where it stopped. Every file is checked for its size\n"
        "and its SHA-256 before the model appears. A new commit replaces the files that were\n"
        "pulled; what else is in the directory is yours and stays.\n\n"
        "It goes to the first folder of $GPT2_MODELS, else to $XDG_DATA_HOME/gpt2/models, else\n"
        "to ~/.local/share/gpt2/models. $HF_ENDPOINT is the hub, $HF_TOKEN the token for what\n"
        "is not public. The transfers are done by the program curl.\n",
    .examples = EXAMPLES({"gpt2 pull gpt2", "fetch the 124M model"},
                         {"gpt2 pull gpt2@main", "at a revision"},
                         {"gpt2 generate -m \"$(gpt2 pull -q gpt2)\" \"Once upon a time\"",
                          "fetch it if it is not here, and use it"}),
    .related = "models rm",
    .run = run_pull,
};
