/* cmd_completions.c - `gpt2 completions`: prints the completion script of a shell. */
#include "cli/command/commands.h"
#include "cli/command/shell_completion.h"
#include "cli/io/report.h"

#include <stdio.h>

static int run_completions(int argc, char **argv) {
    const struct option table[] = {OPT_END};
    struct gpt2_error err;
    int n_words, code;
    if (!command_begin(&command_completions, table, argc, argv, 1, &n_words, &code))
        return code;
    if (n_words == 0 || !shell_completion_print(argv[0], &code)) {
        usage_error(&err, "expected bash, zsh or fish, got %s", n_words ? argv[0] : "nothing");
        return report(&err);
    }
    return code || fflush(stdout) == 0 ? code : GPT2_ERR_RUNTIME;
}

const struct command command_completions = {
    .name = "completions",
    .summary = "print the completion script of a shell",
    .usage = "bash|zsh|fish",
    .details = "Installed packages have them in place. Without: source <(gpt2 completions bash)\n",
    .examples = EXAMPLES({"source <(gpt2 completions bash)", "bash, in this shell"},
                         {"gpt2 completions zsh >_gpt2", "zsh: in a folder of $fpath"},
                         {"gpt2 completions fish | source", "fish, in this shell"}),
    .run = run_completions,
};
