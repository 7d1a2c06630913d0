/* options.h - one table per command drives parsing, help and error texts.
 *
 * Accepted: --name value, --name=value, -n value, -nvalue, and `--` to end the options. In names
 * `_` equals `-` and an alias is as good as the name. A value is always the next word, even if it
 * begins with a minus. Of an option given twice the last one counts, as in llama.cpp. */
#ifndef CLI_COMMAND_OPTIONS_H
#define CLI_COMMAND_OPTIONS_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,    /* bool *: becomes true                                          */
    OPTION_STRING,  /* const char **: borrowed from argv                             */
    OPTION_INT,     /* int *: within [min, max]                                      */
    OPTION_INTS,    /* struct int_list *: "1,2,4", each within [min, max]            */
    OPTION_STRINGS, /* struct string_list *: each use adds one, borrowed */
    OPTION_FLOAT,   /* float *: within [min, max], not NaN                           */
    OPTION_SEED,    /* struct seed *: 0 to 2^64 - 1, or "random": drawn from the system */
    OPTION_CHOICE,  /* int *: index into `choices`                                   */
    OPTION_SECTION  /* no option: a heading in the help text                         */
};

/* Of an option that is not given, n stays as it was. */
struct int_list {
    int n;
    int values[32];
};

struct seed {
    uint64_t value;
    bool is_set; /* false: the value is a default */
};

/* What an option that may be repeated was given. */
struct string_list {
    int n;
    const char *items[64];
};

struct option {
    const char *name;    /* without dashes; NULL ends the table                    */
    char letter;         /* 0: none                                                */
    const char *aliases; /* other names, separated by spaces; NULL: none           */
    enum option_type type;
    void *dest;
    double min, max;            /* OPTION_INT, OPTION_INTS, OPTION_FLOAT                 */
    const char *const *choices; /* OPTION_CHOICE; ends with NULL                         */
    const char *argument;       /* what help calls the value: "N", "TEXT"                */
    const char *help;           /* with the default; may hold line breaks                */
};

struct command {
    const char *name;
    const char *summary;               /* one line                                        */
    const char *usage;                 /* behind "gpt2 NAME "                              */
    const char *details;               /* paragraphs after the options; NULL: none        */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
};

/* Rows that several commands have. */
#define OPTION_MODEL(dest)                                                             \
    {                                                                                  \
        "model", 'm', "model-name model-id", OPTION_STRING, dest, 0, 0, NULL, "MODEL", \
            "a directory or file: safetensors, GGUF, PyTorch,\n"                       \
            "TensorFlow, llm.c or packed; or a name (default:\n"                       \
            "$GPT2_MODEL, else the shipped \"tales\")"                                 \
    }
#define OPTION_THREADS(dest)                                                                     \
    {                                                                                            \
        "threads", 't', "n-threads", OPTION_INT, dest, 0, 1024, NULL, "N",                       \
            "threads (default 0: all processors this process may\nuse); the result is the same " \
            "for any"                                                                            \
    }
#define OPTION_CPU(dest) \
    { "cpu", 0, NULL, OPTION_STRING, dest, 0, 0, NULL, "VARIANT", options_cpu_help() }
#define OPTION_KV(dest)                                                                           \
    {                                                                                             \
        "kv", 0, "cache-type", OPTION_CHOICE, dest, 0, 0, kv_types, "auto|f32|f16|q8",            \
            "how keys and values are kept (default auto: q8 with\nquantized weights, else f32); " \
            "f16 and q8 are rounded,\nso each gives its own results"                              \
    }

/* Sets one option by its name or an alias, as a command line would; a flag takes "true" or "false".
 * Strings are borrowed. GPT2_ERR_USAGE where there is no such option or it refuses the value. */
bool options_set(const struct option *table, const char *name, const char *value,
                 struct gpt2_error *err);
const struct option *options_find(const struct option *table, const char *name);

/* Appends what an option is set to, as options_set takes it; of several strings, all. */
struct buffer;
void options_value(const struct option *option, struct buffer *out);

/* Appends "NAME=VALUE" and a line break for each option of the table, strings quoted and floats as
 * %.9g: equal texts mean that all options have equal values. */
void options_print(const struct option *table, struct buffer *out);

extern const char *const kv_types[]; /* in the order of enum gpt2_kv */

/* The help of OPTION_CPU, with the names of this build's kernel variants; never freed. */
const char *options_cpu_help(void);

/* Shows a command's table, which is local to its run function, to `visit`; the command does nothing
 * else. */
typedef void (*option_visit)(const struct command *command, const struct option *table, void *user);
void options_visit(const struct command *command, option_visit visit, void *user);

/* What every command starts with: parses argv[1..argc), answers --help (and --help=man with
 * a page for man), reports what is wrong.
 * Words that are no options, at most `max_words`, are moved to argv[0..*n_words) in their order.
 * Returns true if the command is to go on; else *code is its exit code. */
bool options_begin(const struct command *command, const struct option *table, int argc, char **argv,
                   int max_words, int *n_words, int *code);

#endif
