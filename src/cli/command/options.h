/* options.h - tables of options, from which parsing, help, man pages and completions derive.
 *
 * Accepted are --name value, --name=value, -n value, -nvalue, and `--` to end the options. In names
 * `_` is the same as `-`, and an alias works as the name does. A value is always the next word,
 * even one that begins with a minus. An option that has one value is given once; an
 * OPTION_STRINGS collects, a flag may be repeated.
 *
 * An option that can have no effect is an error. What it belongs to stands in `needs` and
 * `not_with`, as terms separated by spaces. A term is one or more of these, joined by `+`, all of
 * which hold:
 *
 *     NAME         the option is given
 *     NAME=VALUE   it has that value, given or by default
 *     @            there is a plain word other than "-"
 *     @WORD        the first plain word is WORD
 *     !...         the contrary of any of these */
#ifndef CLI_COMMAND_OPTIONS_H
#define CLI_COMMAND_OPTIONS_H

#include "cli/io/terminal.h"

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,    /* becomes true                                          */
    OPTION_STRING,  /* borrowed from argv                                    */
    OPTION_INT,     /* within [min, max]                                     */
    OPTION_INTS,    /* "1,2,4", each within [min, max]                       */
    OPTION_STRINGS, /* each use adds one, borrowed from argv                 */
    OPTION_FLOAT,   /* within [min, max], not NaN                            */
    OPTION_SIZE,    /* bytes: "4096", "64K", "512M", "2G", powers of 1024    */
    OPTION_SEED,    /* 0 to 2^64 - 1, or "random": drawn below 2^53          */
    OPTION_CHOICE,  /* index of one of `choices`; index of their NULL: unset */
    OPTION_VALUE,   /* a flag that sets the OPTION_CHOICE with the same destination */
    OPTION_SECTION, /* not an option: a heading in the help text             */
    OPTION_RENAMED  /* was an option; the error says which one it is now     */
};

/* Values of `flags`. */
enum option_flags {
    OPTION_NOT_IN_SESSION = 1 << 0, /* not a setting of an interactive session (/set) */
    OPTION_ESCAPES = 1 << 1,        /* \n, \r, \t, \\ and \xHH in its value are those bytes */
    OPTION_RESULT = 1 << 2,         /* the file of the result: no name of a format */
    OPTION_FIRST_WORD = 1 << 3,     /* if not given, the first plain word is its value */
    OPTION_IGNORED = 1 << 4,        /* accepted without an effect */
    OPTION_LIST = 1 << 5,           /* an OPTION_STRINGS with OPTION_ESCAPES: commas separate texts
                                       in a value, \, is a comma */
    OPTION_WRITES = 1 << 6,         /* a file beside the result (option_paths.h) */
    OPTION_READS = 1 << 7,          /* a file */
    OPTION_FILE_ONLY = 1 << 8,      /* "-" is no stream of it */
    OPTION_UPDATES = 1 << 9         /* two of these may be one file */
};

/* Values of an OPTION_INTS. Unchanged if the option is not given. */
struct int_list {
    int n;
    int values[32];
};

struct seed {
    uint64_t value;
    bool is_set;    /* false: the value is a default */
    bool is_random; /* drawn by this process         */
};

/* JSON's readers keep whole numbers exact up to here, 2^53. "random" draws below; a larger seed is
 * a string in JSON, read and written. */
#define SEED_MAX_NUMBER (UINT64_C(1) << 53)

/* Values of an OPTION_STRINGS. */
struct string_list {
    int n;
    const char *items[64];
    uint64_t whole; /* OPTION_LIST: bit i says that the commas of items[i] are its own */
};

/* Where the value goes. The type of the option says which member is set. */
union option_dest {
    bool *flag;
    const char **string;
    int *number; /* OPTION_INT, OPTION_CHOICE */
    struct int_list *numbers;
    struct string_list *strings;
    float *real;
    struct seed *seed;
    size_t *size;
};

struct option {
    const char *name; /* without dashes; NULL ends the table */
    char letter;      /* 0: none                             */
    enum option_type type;
    union option_dest dest;
    double min, max;            /* OPTION_INT, OPTION_INTS, OPTION_FLOAT */
    const char *const *choices; /* OPTION_CHOICE, OPTION_VALUE; ends with NULL */
    const char *value;          /* OPTION_VALUE: the choice */
    const char *argument;       /* the name of the value in help: "N", "TEXT"; NULL for a flag */
    const char *help;           /* names the default; may have line breaks. OPTION_RENAMED: what it
                                   is now */
    const char *aliases;        /* other names, separated by spaces; NULL: none */
    unsigned flags;             /* enum option_flags */
    const char *needs;          /* terms: an error unless one of them holds; NULL: none */
    const char *not_with;       /* terms: an error if one of them holds; NULL: none */
    const char *free_with;      /* terms: neither is asked if one of these holds; NULL: none */
    const char *hint;           /* OPTION_CHOICE: follows the error of a wrong value; NULL: none */
};

/* Entries of a table. A destination of the wrong type does not compile. Members that few options
 * have follow the help by name:
 *
 *     OPT_FLAG("echo", 0, &echo, "print the prompt first", .aliases = "show-prompt") */
#define OPT_FLAG(name_, letter_, dest_, ...) \
    OPT_ENTRY_(name_, letter_, FLAG, flag, bool *, dest_, .help = __VA_ARGS__)
#define OPT_STRING(name_, letter_, dest_, argument_, ...)                                   \
    OPT_ENTRY_(name_, letter_, STRING, string, const char **, dest_, .argument = argument_, \
               .help = __VA_ARGS__)
#define OPT_STRINGS(name_, letter_, dest_, argument_, ...)                    \
    OPT_ENTRY_(name_, letter_, STRINGS, strings, struct string_list *, dest_, \
               .argument = argument_, .help = __VA_ARGS__)
#define OPT_INT(name_, letter_, dest_, min_, max_, argument_, ...)                  \
    OPT_ENTRY_(name_, letter_, INT, number, int *, dest_, .min = min_, .max = max_, \
               .argument = argument_, .help = __VA_ARGS__)
#define OPT_INTS(name_, letter_, dest_, min_, max_, argument_, ...)                               \
    OPT_ENTRY_(name_, letter_, INTS, numbers, struct int_list *, dest_, .min = min_, .max = max_, \
               .argument = argument_, .help = __VA_ARGS__)
#define OPT_FLOAT(name_, letter_, dest_, min_, max_, argument_, ...)                  \
    OPT_ENTRY_(name_, letter_, FLOAT, real, float *, dest_, .min = min_, .max = max_, \
               .argument = argument_, .help = __VA_ARGS__)
#define OPT_SIZE(name_, letter_, dest_, argument_, ...)                            \
    OPT_ENTRY_(name_, letter_, SIZE, size, size_t *, dest_, .argument = argument_, \
               .help = __VA_ARGS__)
#define OPT_SEED(name_, letter_, dest_, argument_, ...)                                 \
    OPT_ENTRY_(name_, letter_, SEED, seed, struct seed *, dest_, .argument = argument_, \
               .help = __VA_ARGS__)
#define OPT_CHOICE(name_, letter_, dest_, choices_, argument_, ...)               \
    OPT_ENTRY_(name_, letter_, CHOICE, number, int *, dest_, .choices = choices_, \
               .argument = argument_, .help = __VA_ARGS__)
/* "--json", short for "--format json": `choices_` are those of the option with the same dest. */
#define OPT_VALUE(name_, dest_, choices_, value_, ...)                                      \
    OPT_ENTRY_(name_, 0, VALUE, number, int *, dest_, .choices = choices_, .value = value_, \
               .help = __VA_ARGS__)
#define OPT_RENAMED(name_, now_) \
    { .name = name_, .type = OPTION_RENAMED, .help = now_ }
#define OPT_SECTION(name_) \
    { .name = name_, .type = OPTION_SECTION }
#define OPT_END \
    { .name = NULL }

#define OPT_ENTRY_(name_, letter_, type_, member_, dest_type_, dest_, ...) \
    {                                                                      \
        .name = name_, .letter = letter_, .type = OPTION_##type_,          \
        .dest.member_ = _Generic((dest_), dest_type_                       \
                                 : (dest_)),                               \
        __VA_ARGS__                                                        \
    }

/* Whether it is an option, for help, man pages and completions. */
static inline bool option_is_shown(const struct option *option) {
    return option->type < OPTION_SECTION;
}

/* Whether it takes a value. */
static inline bool option_has_value(const struct option *option) {
    return option_is_shown(option) && option->type != OPTION_FLAG && option->type != OPTION_VALUE;
}

/* What completions offer for a command's plain words. */
enum command_words {
    WORDS_BY_USAGE, /* models where usage says MODEL or NAME, else files */
    WORDS_PULLED,   /* names of models on this machine, but not files    */
    WORDS_HUB       /* names of models on the hub                        */
};

/* A line for a shell, as help and man pages show it and tests/cli/examples.sh runs it. */
struct example {
    const char *line; /* begins with a program; NULL ends a list */
    const char *says; /* what it does                            */
};

struct command {
    const char *name;
    const char *summary;            /* one line                                        */
    const char *usage;              /* after "gpt2 NAME "                               */
    const char *details;            /* paragraphs after the options, as topics.h has them; NULL:
                                       none. Where they begin with a table, it says what the first
                                       plain word may be */
    const struct example *examples; /* three to six; help begins with the first two    */
    const char *common;  /* the options that --help shows, ten at most, separated by spaces; NULL:
                            the command has no more than that */
    const char *related; /* commands that its man page names, separated by spaces; NULL: none */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
    enum command_words words;
};

/* The examples of a command: EXAMPLES({"gpt2 ...", "what it does"}, ...) */
#define EXAMPLES(...)          \
    (const struct example[]) { \
        __VA_ARGS__, {         \
            NULL, NULL         \
        }                      \
    }

/* Entries that several commands share. */
#define OPT_MODEL(dest)                                             \
    OPT_STRING("model", 'm', dest, "MODEL",                         \
               "a directory or file: safetensors, GGUF, PyTorch,\n" \
               "TensorFlow, llm.c or packed; or a name (default:\n" \
               "$GPT2_MODEL, else the shipped \"tales\")",          \
               .aliases = "model-name model-id", .flags = OPTION_READS)
/* The same, also as the first plain word. */
#define OPT_MODEL_WORD(dest)                                          \
    OPT_STRING("model", 'm', dest, "MODEL",                           \
               "a directory or file: safetensors, GGUF, PyTorch,\n"   \
               "TensorFlow, llm.c or packed; or a name (default:\n"   \
               "$GPT2_MODEL, else the shipped \"tales\"). Also the\n" \
               "first plain argument",                                \
               .aliases = "model-name model-id", .flags = OPTION_FIRST_WORD | OPTION_READS)
#define OPT_OUTPUT(dest)                                          \
    OPT_STRING("output", 'o', dest, "FILE",                       \
               "where the result goes (default \"-\": standard\n" \
               "output); a file is there whole or not at all",    \
               .flags = OPTION_RESULT)
/* Of commands whose --input is a job of many records (line_output.h). */
#define OPT_JOB_OUTPUT(dest)                                         \
    OPT_STRING("output", 'o', dest, "FILE",                          \
               "where the result goes (default \"-\": standard\n"    \
               "output); a file is there whole or not at all, but\n" \
               "with --input it grows line by line",                 \
               .flags = OPTION_RESULT)
/* Of commands that have colours; command_begin adds one without an effect to all others. It is the
 * exception among options: never an error, so that an alias or a script can have it everywhere. */
#define OPT_COLOR(dest, ...)                                       \
    OPT_CHOICE("color", 0, dest, color_modes, "auto|always|never", \
               "colours: auto (default: on a terminal, unless\n"   \
               "$NO_COLOR is set), always or never",               \
               .aliases = "colour", __VA_ARGS__)
#define OPT_THREADS(dest)                                           \
    OPT_INT("threads", 't', dest, 0, 1024, "N",                     \
            "threads (default 0: all processors this process may\n" \
            "use); the result is the same for any",                 \
            .aliases = "n-threads")
#define OPT_CPU(dest) OPT_STRING("cpu", 0, dest, "VARIANT", options_cpu_help())
#define OPT_KV(dest)                                                     \
    OPT_CHOICE("kv", 0, dest, kv_types, "auto|f32|f16|q8",               \
               "how keys and values are kept (default auto: q8 with\n"   \
               "quantized weights, else f32); f16 and q8 are rounded,\n" \
               "so each gives its own results",                          \
               .aliases = "cache-type")

/* Members follow: where it has an effect. */
#define OPT_CACHE_MEMORY(dest, ...)                                   \
    OPT_SIZE("cache-memory", 0, dest, "SIZE",                         \
             "memory for what texts begin with, so that later ones\n" \
             "do not read it again (default 1G; 0: none); the\n"      \
             "result is the same for any",                            \
             __VA_ARGS__)
#define CACHE_MEMORY ((size_t)1 << 30) /* its default */

/* Sets one option by its name or an alias, as a command line does; a flag takes "true" or "false".
 * Strings are borrowed. Returns false with GPT2_ERR_USAGE if there is no such option or the value
 * is not valid. */
bool options_set(const struct option *table, const char *name, const char *value,
                 struct gpt2_error *err);

/* Sets an option of the table to a value, which is NULL for one that takes none. Fails as above. */
bool options_assign(const struct option *table, const struct option *option, const char *value,
                    struct gpt2_error *err);

/* Adds one text to an OPTION_LIST: its commas are its own. Borrowed. Fails as above. */
bool options_add_text(const struct option *list, const char *text, struct gpt2_error *err);

/* The length of the next text of list->items[i], which begins at `text`: up to a comma or the end.
 */
size_t options_text_len(const struct string_list *list, int i, const char *text);

/* The option of a name or an alias; NULL: there is none. */
const struct option *options_find(const struct option *table, const char *name);
const struct option *options_find_name(const struct option *table, const char *name, size_t len);
const struct option *options_find_letter(const struct option *table, char letter);

/* GPT2_ERR_USAGE: name[0..len), which came after `dashes`, is no option; the hint has one with a
 * similar name. Returns false. */
bool options_refuse(const struct option *table, const char *dashes, const char *name, size_t len,
                    struct gpt2_error *err);

/* Copies the value of `from` to the destination of `to`, which has the same type. */
void options_copy(const struct option *to, const struct option *from);

struct buffer;

/* Appends the option's value in the form that options_set takes; the strings of an OPTION_STRINGS
 * are separated by commas. */
void options_value(const struct option *option, struct buffer *out);

/* Appends a line "NAME=VALUE" for each option, strings in quotes and floats as %.9g. Two tables
 * print the same text only if all their values are equal. */
void options_print(const struct option *table, struct buffer *out);

extern const char *const kv_types[]; /* in the order of enum gpt2_kv */

/* What an option's help ends with: the escapes that its value has. "": none. */
const char *options_escapes(const struct option *option);

/* The help of OPT_CPU, with the names of this build's kernel variants; never freed. */
const char *options_cpu_help(void);

#endif
