/* program_facts.c - exit codes, variables of the environment and files, as tables. */
#include "cli/command/program_facts.h"

#include <string.h>

const struct exit_code exit_codes[] = {
    {0, "ok"},
    {1, "runtime error; of choose --test: another choice comes first"},
    {2, "wrong usage"},
    {3, "finished, some records of a job failed"},
    {4, "model or tokenizer missing or invalid"},
    {5, "input unreadable or too long"},
    {6, "out of memory"},
    {130, "interrupted"},
    {141, "the reader of a pipe went away"},
    {143, "terminated"},
    {0, NULL},
};

const struct program_fact environment_facts[] = {
    {"GPT2_MODEL", "the model where no MODEL is given", "--model"},
    {"GPT2_MODELS",
     "folders of models, separated by colons; pull writes into the first, and\n"
     "names are looked for in all of them",
     "--model models pull rm"},
    {"GPT2_HISTORY", "the file that keeps the lines of sessions; empty: none", "generate"},
    {"XDG_STATE_HOME", "where that file is otherwise (default ~/.local/state)", "generate"},
    {"XDG_DATA_HOME", "models are in its gpt2/models (default ~/.local/share)",
     "--model models pull rm"},
    {"HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, TRANSFORMERS_CACHE",
     "the cache of Hugging Face's programs, where names are looked for, too", "--model models"},
    {"HF_HOME, XDG_CACHE_HOME",
     "where that cache and the token are otherwise (default ~/.cache/huggingface)",
     "--model models pull"},
    {"HF_ENDPOINT", "the address of the hub (default https://huggingface.co)", "pull"},
    {"HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH",
     "the token for what is not public, or the file that has it", "pull"},
    {"HF_HUB_OFFLINE", "1: fetch nothing", "pull"},
    {"HF_HUB_DOWNLOAD_TIMEOUT", "seconds without a byte after which a transfer fails", "pull"},
    {"HF_HUB_DISABLE_PROGRESS_BARS", "1: no progress", "pull"},
    {"NO_COLOR", "not empty: no colours, unless --color always", "--color"},
    {"TERM", "\"dumb\": no colours, and no line that is written over", "--color pull"},
    {"LD_PRELOAD", "with valgrind's library in it: as --no-sandbox", "--no-sandbox"},
    {"HOME", "the home directory", "--model models pull rm"},
    {NULL, NULL, NULL},
};

const struct program_fact file_facts[] = {
    {"./models, models beside the program, PREFIX/share/gpt2/models",
     "folders of models, after those of $GPT2_MODELS", "--model models"},
    {"~/.local/share/gpt2/models", "models that were pulled", "--model models pull rm"},
    {"~/.cache/huggingface/hub", "models that Hugging Face's programs fetched", "--model models"},
    {"~/.local/state/gpt2/history", "the lines of sessions", "generate"},
    {"pulled.json", "what pull wrote into a model's directory, and rm may remove", "pull rm"},
    {"PREFIX/share",
     "the scripts, where `make install` puts them: in bash-completion,\n"
     "zsh/site-functions and fish/vendor_completions.d",
     "completions"},
    {NULL, NULL, NULL},
};

bool concerns(const char *users, const struct command *command, const struct option *table) {
    if (!users)
        return true;
    for (const char *at = users; *at; at += strspn(at, " ")) {
        const size_t n = strcspn(at, " ");
        if (n > 2 && at[0] == '-') {
            const struct option *o = options_find_name(table, at + 2, n - 2);
            if (o && !(o->flags & OPTION_IGNORED))
                return true;
        } else if (strlen(command->name) == n && !memcmp(at, command->name, n)) {
            return true;
        }
        at += n;
    }
    return false;
}

const struct example program_examples[] = {
    {"gpt2 generate \"Once upon a time\"", "a tale, by the model that comes along"},
    {"echo \"Once upon a time\" | gpt2 generate -n 40", "the same in a pipeline, shorter"},
    {"gpt2 tokenize \"Hello, world\"", "what the model reads"},
    {"gpt2 inspect layernorm \"ok\"", "what layer normalization does to each token"},
    {NULL, NULL},
};
