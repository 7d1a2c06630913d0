/* shell_completion.c - writes completion scripts from the tables of options.
 *
 * The values of an option are its choices, or files, folders or models where help calls the value
 * FILE, DIR or MODEL. */
#include "cli/command/shell_completion.h"
#include "cli/command/commands.h"
#include "cli/command/topics.h"

#include <string.h>

/* What is being written. */
static struct buffer *script;

enum word_kind { NOTHING, CHOICES, FILES, FOLDERS, MODELS };

static enum word_kind kind_of(const struct option *o) {
    if (o->type == OPTION_CHOICE)
        return CHOICES;
    if (!o->argument || o->type != OPTION_STRING)
        return NOTHING;
    return strstr(o->argument, "MODEL")  ? MODELS
           : strstr(o->argument, "FILE") ? FILES
           : strstr(o->argument, "DIR")  ? FOLDERS
                                         : NOTHING;
}

#define HELP_SUMMARY "the options of a command, or a page about a topic"

#define HUB_NAMES "gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2"

/* What is offered for the plain words of a command. */
static enum word_kind words_of(const struct command *command) {
    bool models = command->words != WORDS_BY_USAGE || strstr(command->usage, "NAME") ||
                  strstr(command->usage, "MODEL");
    return models ? MODELS : FILES;
}

/* If usage has a list such as "bash|zsh|fish", prints its items, separated by `between` (NULL:
 * prints nothing), and returns true. */
static bool print_first_words(const struct command *command, const char *between) {
    for (const char *at = command->usage; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        bool is_list = *at >= 'a' && *at <= 'z' && memchr(at, '|', n);
        for (size_t i = 0; is_list && between && i < n; i++)
            buffer_text(script, at[i] == '|' ? between : (char[]){at[i], 0});
        if (is_list)
            return true;
        at += n;
    }
    return false;
}

static void print_choices(const struct option *o, const char *between) {
    for (int i = 0; o->choices[i]; i++)
        buffer_format(script, "%s%s", i ? between : "", o->choices[i]);
}

/* Prints text as one line for use between single quotes; characters of `escape` get a backslash. */
static void print_plain(const char *text, const char *escape) {
    for (; *text; text++) {
        if (*text == '\'')
            buffer_text(script, "'\\''");
        else if (*text == '\n')
            buffer_byte(script, ' ');
        else if (strchr(escape, *text))
            buffer_format(script, "\\%c", *text);
        else
            buffer_byte(script, *text);
    }
}

/* What the first command said that could not show its table; 0: all did. */
static int failure;

static void visit(const struct command *command, command_visitor print) {
    if (!failure) // it has been reported
        failure = command_visit(command, print, NULL);
}

static void print_topics(void) {
    for (size_t i = 0; topic_at(i); i++)
        buffer_format(script, "%s%s", i ? " " : "", topic_at(i)->name);
}

/* ---- bash ---- */

static void bash_names(const struct command *command, const struct option *table, void *user) {
    buffer_format(script, "    %s) options='--help", command->name);
    for (const struct option *o = table; o->name; o++)
        if (option_is_shown(o))
            buffer_format(script, " --%s", o->name);
    buffer_format(script, "' words=%d first='", (int)words_of(command));
    print_first_words(command, " ");
    buffer_format(script, "' ;;\n");
}

static void bash_values(const struct command *command, const struct option *table, void *user) {
    for (const struct option *o = table; o->name; o++) {
        if (!option_has_value(o))
            continue;
        buffer_format(script, "    %s:--%s", command->name, o->name);
        if (o->letter)
            buffer_format(script, " | %s:-%c", command->name, o->letter);
        buffer_format(script, ") kind=%d choices='", (int)kind_of(o));
        if (o->type == OPTION_CHOICE)
            print_choices(o, " ");
        buffer_format(script, "' ;;\n");
    }
}

/* A folder can be called $(rm -r .), so names of models and files must not be expanded: neither
 * when they are offered nor when the line is entered. compgen -W and arrays made of a command's
 * output expand them, and -o filenames does not quote $, so the script does without all three. */
static void print_bash(void) {
    buffer_format(
        script,
        "# bash completion for gpt2, made by `gpt2 completions bash`\n"
        "_gpt2_offer() { # WORD...: those that begin with $word, as they are\n"
        "  local each\n"
        "  for each; do [[ $each == \"$word\"* ]] && COMPREPLY+=(\"$each\"); done\n"
        "}\n"
        "_gpt2_models() { # names of models, quoted so that the line means just them\n"
        "  local each quoted\n"
        "  while IFS= read -r each; do\n"
        "    [[ $each ]] || continue\n"
        "    printf -v quoted %%q \"$each\"\n"
        "    [[ $quoted == \"$word\"* || $each == \"$word\"* ]] && COMPREPLY+=(\"$quoted\")\n"
        "  done <<<\"$(\"${COMP_WORDS[0]}\" models --names 2>/dev/null)\"\n"
        "}\n"
        "_gpt2_files() { # files, likewise; what is typed up to the last slash stays as it is\n"
        "  local each real quoted typed=''\n"
        "  [[ $word == */* ]] && typed=${word%%/*}/\n"
        "  while IFS= read -r each; do\n"
        "    real=${each/#\\~\\//$HOME/} # a part of a name with a line break is not there\n"
        "    [[ -e $real || -L $real || ( $each && $typed == *\\$* ) ]] || continue\n"
        "    printf -v quoted %%q \"${each##*/}\"\n"
        "    [[ $typed || $each != \\~* ]] || quoted=$each # a user's folder\n"
        "    if [[ -d $real ]]; then quoted+=/; compopt -o nospace 2>/dev/null; fi\n"
        "    COMPREPLY+=(\"$typed$quoted\")\n"
        "  done <<<\"$(compgen -f -- \"$word\")\"\n"
        "}\n"
        "_gpt2() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "  local command=${COMP_WORDS[1]} options='' words=%d kind=-1 choices='' first=''\n"
        "  local IFS=' '\n"
        "  COMPREPLY=()\n"
        "  compopt +o default 2>/dev/null # without compopt files are offered for lack of others\n"
        "  if [[ $word == = ]]; then word=''; before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "  elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
        "  if ((COMP_CWORD == 1)); then\n"
        "    _gpt2_offer $_gpt2_commands help --help --version\n"
        "    return\n"
        "  fi\n"
        "  if [[ $command == help ]]; then\n"
        "    ((COMP_CWORD == 2)) && _gpt2_offer $_gpt2_commands $_gpt2_topics\n"
        "    return\n"
        "  fi\n"
        "  case $command in\n",
        (int)FILES);
    for (size_t i = 0; command_at(i); i++)
        visit(command_at(i), bash_names);
    buffer_format(script, "  esac\n  case $command:$before in\n");
    for (size_t i = 0; command_at(i); i++)
        visit(command_at(i), bash_values);
    buffer_format(script,
                  "  esac\n"
                  "  if [[ $word == -* ]] && ((kind < 0)); then\n"
                  "    _gpt2_offer $options\n"
                  "    return\n"
                  "  fi\n"
                  "  if ((kind < 0)); then\n"
                  "    kind=$words\n"
                  "    [[ $first && $COMP_CWORD == 2 ]] && { kind=%d; choices=$first; }\n"
                  "  fi\n"
                  "  case $kind in\n"
                  "    %d) _gpt2_offer $choices ;;\n"
                  "    %d) compopt -o default 2>/dev/null ;;\n"
                  "    %d) compopt -o dirnames 2>/dev/null ;;\n"
                  "    %d) case $command in\n",
                  (int)CHOICES, (int)CHOICES, (int)FILES, (int)FOLDERS, (int)MODELS);
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i)->words != WORDS_BY_USAGE)
            buffer_format(script, "         %s) %s ;;\n", command_at(i)->name,
                          command_at(i)->words == WORDS_HUB ? "_gpt2_offer " HUB_NAMES
                                                            : "_gpt2_models");
    buffer_format(script,
                  "         *) if [[ $word == [\\\"\\']* ]]; then compopt -o default 2>/dev/null\n"
                  "            else _gpt2_files; _gpt2_models; fi ;;\n"
                  "       esac ;;\n"
                  "  esac\n"
                  "}\n"
                  "_gpt2_commands='");
    for (size_t i = 0; command_at(i); i++)
        buffer_format(script, "%s%s", i ? " " : "", command_at(i)->name);
    buffer_format(script, "'\n_gpt2_topics='");
    print_topics();
    buffer_format(script, "'\ncomplete -o default -F _gpt2 gpt2\n");
}

/* ---- zsh ---- */

static void zsh_action(enum word_kind kind, const struct option *o) {
    if (kind == CHOICES) {
        buffer_format(script, "(");
        print_choices(o, " ");
        buffer_format(script, ")");
    } else {
        buffer_text(script, kind == FILES     ? "_files"
                            : kind == FOLDERS ? "_files -/"
                            : kind == MODELS  ? "_gpt2_models"
                                              : " ");
    }
}

static void zsh_option(const struct option *o, const char *dashes, const char *name) {
    buffer_format(script, " \\\n      '%s%s%s[", dashes, name,
                  !option_has_value(o) ? ""
                  : dashes[1]          ? "="
                                       : "+");
    print_plain(o->help, "[]:\\");
    buffer_format(script, "]");
    if (option_has_value(o)) {
        buffer_format(script, ":");
        print_plain(o->argument, "[]:\\");
        buffer_format(script, ":");
        zsh_action(kind_of(o), o);
    }
    buffer_format(script, "'");
}

static void zsh_command(const struct command *command, const struct option *table, void *user) {
    buffer_format(script, "    %s) _arguments -s '--help[this text]'", command->name);
    for (const struct option *o = table; o->name; o++) {
        if (!option_is_shown(o))
            continue;
        char letter[2] = {o->letter, 0};
        zsh_option(o, "--", o->name);
        if (o->letter)
            zsh_option(o, "-", letter);
    }
    if (print_first_words(command, NULL)) {
        buffer_format(script, " \\\n      '1:word:(");
        print_first_words(command, " ");
        buffer_format(script, ")'");
    }
    buffer_format(script, " \\\n      '*:word:");
    zsh_action(words_of(command), NULL);
    buffer_format(script, "' ;;\n");
}

static void print_zsh(void) {
    buffer_format(script,
                  "#compdef gpt2\n# zsh completion for gpt2, made by `gpt2 completions zsh`\n"
                  "_gpt2_models() {\n"
                  "  local -a gpt2_names=(${(f)\"$($program models --names 2>/dev/null)\"})\n");
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i)->words == WORDS_HUB)
            buffer_format(script, "  [[ $words[1] == %s ]] && gpt2_names=(" HUB_NAMES ")\n",
                          command_at(i)->name);
    // an action is evaluated: it must not contain the names
    buffer_format(script,
                  "  _alternative 'models:model:compadd -a gpt2_names' 'files:file:_files'\n"
                  "}\n"
                  "_gpt2() {\n"
                  "  local program=$words[1]\n"
                  "  local -a commands=(\n");
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++) {
        buffer_format(script, "    '%s:", command->name);
        print_plain(command->summary, ":\\");
        buffer_format(script, "'\n");
    }
    buffer_format(script, "  )\n"
                          "  local -a help=(\"help:" HELP_SUMMARY "\")\n"
                          "  local -a topics=(\n");
    for (size_t i = 0; topic_at(i); i++) {
        buffer_format(script, "    '%s:", topic_at(i)->name);
        print_plain(topic_at(i)->summary, ":\\");
        buffer_format(script, "'\n");
    }
    buffer_format(script,
                  "  )\n"
                  "  if ((CURRENT == 2)); then _describe command commands -- help; return; fi\n"
                  "  if [[ $words[2] == help ]]; then\n"
                  "    ((CURRENT == 3)) && _describe command commands -- topics\n"
                  "    return\n"
                  "  fi\n"
                  "  shift words; ((CURRENT--))\n"
                  "  case $words[1] in\n");
    for (size_t i = 0; command_at(i); i++)
        visit(command_at(i), zsh_command);
    buffer_format(
        script,
        "  esac\n}\n"
        "if [[ $funcstack[1] == _gpt2 ]]; then _gpt2 \"$@\"; else compdef _gpt2 gpt2; fi\n");
}

/* ---- fish ---- */

static void fish_command(const struct command *command, const struct option *table, void *user) {
    for (const struct option *o = table; o->name; o++) {
        if (!option_is_shown(o))
            continue;
        buffer_format(script, "complete -c gpt2 -n '__gpt2_is %s' -l %s", command->name, o->name);
        if (o->letter)
            buffer_format(script, " -s %c", o->letter);
        enum word_kind kind = kind_of(o);
        if (kind == CHOICES) {
            buffer_format(script, " -x -a '");
            print_choices(o, " ");
            buffer_format(script, "'");
        } else if (option_has_value(o)) {
            buffer_text(script, kind == FILES     ? " -r -F"
                                : kind == FOLDERS ? " -x -a '(__fish_complete_directories)'"
                                : kind == MODELS  ? " -r -F -a '(__gpt2_models)'"
                                                  : " -x");
        }
        buffer_format(script, " -d '");
        for (const char *c = o->help; *c; c++) // fish escapes ' and \ in quotes
            buffer_format(script, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c == '\n' ? ' ' : *c);
        buffer_format(script, "'\n");
    }
    if (words_of(command) == MODELS)
        buffer_format(script, "complete -c gpt2 -n '__gpt2_is %s'%s -a '%s'\n", command->name,
                      command->words == WORDS_BY_USAGE ? "" : " -f",
                      command->words == WORDS_HUB ? HUB_NAMES : "(__gpt2_models)");
    if (print_first_words(command, NULL)) {
        buffer_format(script, "complete -c gpt2 -n '__gpt2_is %s 2' -f -a '", command->name);
        print_first_words(command, " ");
        buffer_format(script, "'\n");
    }
}

static void print_fish(void) {
    buffer_format(script,
                  "# fish completion for gpt2, made by `gpt2 completions fish`\n"
                  "function __gpt2_is # COMMAND [N]: this is the command, and N words are there\n"
                  "  set -l words (commandline -opc)\n"
                  "  test (count $words) -ge 2; and test $words[2] = $argv[1]; or return 1\n"
                  "  test (count $argv) -eq 1; or test (count $words) -eq $argv[2]\n"
                  "end\n"
                  "function __gpt2_models\n"
                  "  set -l words (commandline -opc)\n"
                  "  command -q $words[1]; and $words[1] models --names 2>/dev/null\n"
                  "end\n");
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++) {
        buffer_format(script, "complete -c gpt2 -n __fish_use_subcommand -f -a %s -d '",
                      command->name);
        for (const char *c = command->summary; *c; c++)
            buffer_format(script, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
        buffer_format(script, "'\n");
        visit(command, fish_command);
    }
    buffer_format(script,
                  "complete -c gpt2 -n __fish_use_subcommand -f -a help -d '" HELP_SUMMARY "'\n"
                  "complete -c gpt2 -n '__gpt2_is help' -f\n"
                  "complete -c gpt2 -n '__gpt2_is help 2' -f -a '");
    for (size_t i = 0; (command = command_at(i)); i++)
        buffer_format(script, "%s%s", i ? " " : "", command->name);
    buffer_byte(script, ' ');
    print_topics();
    buffer_format(script, "'\n");
}

bool shell_completion_write(struct buffer *to, const char *shell, int *code) {
    script = to;
    failure = 0;
    if (!strcmp(shell, "bash"))
        print_bash();
    else if (!strcmp(shell, "zsh"))
        print_zsh();
    else if (!strcmp(shell, "fish"))
        print_fish();
    else
        return false;
    *code = failure;
    return true;
}
