/* cmd_tokenize.c - `gpt2 tokenize` turns text into token ids, `gpt2 detokenize` ids into text. */
#include "cli/command/commands.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"

#include <gpt2/tokenizer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct text_source source;
    const char *model, *output;
    bool special, count;
    int format; /* 0 ids, 1 JSON */
};

static struct gpt2_tokenizer *open_tokenizer(const char *model, struct gpt2_error *err) {
    char *path = find_model(model, err);
    struct gpt2_tokenizer *tokenizer = path ? gpt2_tokenizer_open(path, err) : NULL;
    free(path);
    return tokenizer;
}

static bool print_ids(struct output *out, const struct gpt2_ids *ids, const char *separator,
                      struct gpt2_error *err) {
    for (size_t i = 0; i < ids->len; i++)
        if (!output_format(out, err, "%s%" PRId32, i ? separator : "", ids->data[i]))
            return false;
    return true;
}

/* {"ids": [...], "tokens": [...], "offsets": [[begin, end], ...]}, offsets in bytes of the text. */
static bool print_json(struct output *out, const struct gpt2_tokenizer *tokenizer,
                       const struct gpt2_ids *ids, struct gpt2_error *err) {
    bool ok = output_string(out, "{\"ids\": [", err) && print_ids(out, ids, ", ", err) &&
              output_string(out, "], \"tokens\": [", err);
    for (size_t i = 0; ok && i < ids->len; i++) {
        size_t n;
        const char *bytes = gpt2_tokenizer_token(tokenizer, ids->data[i], &n);
        ok = output_string(out, i ? ", " : "", err) && output_json_string(out, bytes, n, err);
    }
    ok = ok && output_string(out, "], \"offsets\": [", err);
    size_t at = 0;
    for (size_t i = 0; ok && i < ids->len; i++) {
        size_t n;
        gpt2_tokenizer_token(tokenizer, ids->data[i], &n);
        ok = output_format(out, err, "%s[%zu, %zu]", i ? ", " : "", at, at + n);
        at += n;
    }
    return ok && output_string(out, "]}", err);
}

static int tokenize(const struct arguments *args) {
    struct gpt2_error err;
    struct text text = {0};
    struct gpt2_ids ids = {0};
    static struct output out;
    unsigned flags = args->special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
    struct gpt2_tokenizer *tokenizer = open_tokenizer(args->model, &err);
    int code = 0;
    if (!tokenizer || !text_read(&text, &args->source, &err) ||
        !gpt2_tokenizer_encode(tokenizer, text.data, text.len, flags, &ids, &err)) {
        code = report(&err);
    } else {
        bool ok = output_begin(&out, args->output, &err) &&
                  (args->count    ? output_format(&out, &err, "%zu", ids.len)
                   : args->format ? print_json(&out, tokenizer, &ids, &err)
                                  : print_ids(&out, &ids, " ", &err));
        if (!ok || !output_string(&out, "\n", &err) || !output_end(&out, &err))
            code = output_failed(&out, &err);
        output_discard(&out);
    }
    gpt2_ids_free(&ids);
    text_free(&text);
    gpt2_tokenizer_close(tokenizer);
    return code;
}

static int detokenize(const struct arguments *args) {
    struct gpt2_error err;
    struct text text = {0};
    struct gpt2_ids ids = {0};
    static struct output out;
    const char *what = args->source.file ? args->source.file : "token ids";
    struct gpt2_tokenizer *tokenizer = open_tokenizer(args->model, &err);
    bool ok = tokenizer && text_read(&text, &args->source, &err) &&
              text_parse_ids(text.data, text.len, what, &ids, &err);
    int code = 0;
    for (size_t i = 0; ok && i < ids.len; i++) {
        size_t n;
        if (!gpt2_tokenizer_token(tokenizer, ids.data[i], &n))
            ok = command_error(&err, GPT2_ERR_USAGE, NULL,
                               "token id %" PRId32 " is not in the vocabulary (0 to %" PRId32 ")",
                               ids.data[i], gpt2_tokenizer_size(tokenizer) - 1);
    }
    ok = ok && output_begin(&out, args->output, &err);
    if (!ok)
        code = report(&err);
    for (size_t i = 0; ok && i < ids.len; i++) {
        size_t n;
        const char *bytes = gpt2_tokenizer_token(tokenizer, ids.data[i], &n);
        ok = output_bytes(&out, bytes, n, &err);
    }
    if (code == 0 && !(ok && output_end(&out, &err)))
        code = output_failed(&out, &err);
    output_discard(&out);
    gpt2_ids_free(&ids);
    text_free(&text);
    gpt2_tokenizer_close(tokenizer);
    return code;
}

static int run_tokenize(int argc, char **argv) {
    struct arguments args = {0};
    static const char *const formats[] = {"ids", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL(&args.model),
        OPT_STRING("prompt", 'p', &args.source.option, "TEXT",
                   "the text (also as a plain argument; \"-\" or a pipe is\n"
                   "standard input)"),
        OPT_STRING("file", 'f', &args.source.file, "FILE",
                   "read the text from a file, without one newline\n"
                   "at its end; a text that is given, too, follows it"),
        OPT_FLAG("keep-newline", 0, &args.source.keep_newline, "keep that newline",
                 .not_with = "prompt+!file @+!file"),
        OPT_FLAG("escape", 'e', &args.source.escape,
                 "\\n, \\r, \\t, \\\\ and \\xHH in the text are those bytes", .needs = "prompt @"),
        OPT_FLAG("special", 0, &args.special, "<|endoftext|> in the text is the special token",
                 .aliases = "allow-special"),
        OPT_OUTPUT(&args.output),
        OPT_CHOICE("format", 0, &args.format, formats, "ids|json",
                   "the ids, separated by spaces (default), or ids, token\n"
                   "strings and byte offsets as one JSON object"),
        OPT_VALUE("json", &args.format, formats, "json", "short for --format json"),
        OPT_FLAG("count", 0, &args.count, "only the number of tokens", .aliases = "show-count",
                 .not_with = "format"),
        OPT_END,
    };
    int n_words, code;
    if (!options_begin(&command_tokenize, table, argc, argv, 1, &n_words, &code))
        return code;
    args.source.word = n_words ? argv[0] : NULL;
    return tokenize(&args);
}

static int run_detokenize(int argc, char **argv) {
    struct arguments args = {0};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL(&args.model),
        OPT_STRING("ids", 0, &args.source.option, "1,2,3",
                   "the ids, separated by commas or white space (also as\n"
                   "a plain argument; \"-\" or a pipe is standard input)"),
        OPT_STRING("file", 'f', &args.source.file, "FILE", "read the ids from a file"),
        OPT_OUTPUT(&args.output),
        OPT_END,
    };
    int n_words, code;
    if (!options_begin(&command_detokenize, table, argc, argv, 1, &n_words, &code))
        return code;
    args.source.word = n_words ? argv[0] : NULL;
    return detokenize(&args);
}

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "show a text as token ids",
    .usage = "[OPTIONS] [TEXT]",
    .details = "A directory with only the tokenizer's files is enough for -m.\n",
    .run = run_tokenize,
};

const struct command command_detokenize = {
    .name = "detokenize",
    .summary = "turn token ids back into text",
    .usage = "[OPTIONS] [IDS]",
    .details = "The bytes are exactly those of the tokens: no newline is added.\n",
    .run = run_detokenize,
};
