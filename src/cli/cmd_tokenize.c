/* cmd_tokenize.c - `gpt2 tokenize` turns text into token ids, `gpt2 detokenize` ids into text. */
#include "base/buffer.h"
#include "cli/command/commands.h"
#include "cli/io/find_model.h"
#include "cli/io/line_errors.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/token_reader.h"
#include "cli/terminal/color.h"

#include <gpt2/tokenizer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tokenize_arguments {
    struct text_source source;
    const char *model, *output;
    bool special, count, lines;
    int format; /* tokenize: 0 ids, 1 JSON; detokenize: 0 text, 1 JSON */
};

/* The lists of --json. */
enum json_list { JSON_IDS, JSON_TOKENS, JSON_OFFSETS, JSON_LISTS };

struct tokenize_run {
    const struct tokenize_arguments *args;
    struct gpt2_tokenizer *tokenizer;
    struct token_reader reader;
    struct buffer text;      /* with --json all of it, where it is not by lines */
    enum json_list list;     /* with --json: what is printed */
    uint64_t n_ids;          /* of the text so far */
    uint64_t n_errors;       /* lines that could not be tokenized */
    struct color_text shown; /* of detokenize */
    struct output out;
};

static struct gpt2_tokenizer *open_tokenizer(const char *model, struct gpt2_error *err) {
    char *path = find_model(model, err);
    struct gpt2_tokenizer *tokenizer = path ? gpt2_tokenizer_open(path, err) : NULL;
    free(path);
    return tokenizer;
}

/* Prints the ids, or with --json what the list has for each; a sink's `take`. */
static bool take_ids(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                     struct gpt2_error *err) {
    struct tokenize_run *run = user;
    struct output *out = &run->out;
    const bool is_json = run->args->format;
    bool ok = true;
    for (size_t i = 0; ok && i < n && !run->args->count; i++) {
        const char *separator = run->n_ids + i == 0 ? "" : is_json ? ", " : " ";
        if (run->list == JSON_OFFSETS) {
            ok = output_format(out, err, "%s[%zu, %zu]", separator, extents[i].begin,
                               extents[i].end);
        } else if (run->list == JSON_TOKENS) {
            size_t len;
            const char *bytes = gpt2_tokenizer_token(run->tokenizer, ids[i], &len);
            ok = output_string(out, separator, err) && output_json_string(out, bytes, len, err);
        } else {
            ok = output_format(out, err, "%s%" PRId32, separator, ids[i]);
        }
    }
    run->n_ids += n;
    return ok;
}

/* {"ids": [...], "tokens": [...], "offsets": [[begin, end], ...]}, offsets in bytes of the text. It
 * is encoded for each of them: the tokens of a text take 20 times its memory. */
static bool print_json(struct tokenize_run *run, const char *bytes, size_t n,
                       struct gpt2_error *err) {
    static const char *const heads[] = {"{\"ids\": [", "], \"tokens\": [", "], \"offsets\": ["};
    struct gpt2_ids none = {0};
    size_t n_ids;
    // what cannot be encoded is known before anything is printed
    bool ok = gpt2_tokenizer_encode_some(run->tokenizer, bytes, n, run->reader.flags, 0, false,
                                         &none, &n_ids, err);
    gpt2_ids_free(&none);
    for (run->list = JSON_IDS; ok && run->list < JSON_LISTS; run->list++) {
        const struct gpt2_encode_sink sink = {take_ids, run, run->list == JSON_OFFSETS};
        run->n_ids = 0;
        ok = output_string(&run->out, heads[run->list], err) &&
             gpt2_tokenizer_encode_parts(run->tokenizer, bytes, n, run->reader.flags, &sink, err);
    }
    return ok && output_string(&run->out, "]}", err);
}

/* A line, or the next stretch of a text. With --json that is kept until it has ended. */
static bool tokenize_text(struct tokenize_run *run, const struct text_line *text,
                          struct gpt2_error *err) {
    const struct gpt2_encode_sink sink = {take_ids, run, false};
    if (!run->args->format)
        return token_reader_encode(&run->reader, text->bytes, text->n, &sink, err);
    if (run->args->lines)
        return print_json(run, text->bytes, text->n, err);
    buffer_bytes(&run->text, text->bytes, text->n);
    return !run->text.failed ||
           command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a text");
}

static bool tokenize_end(struct tokenize_run *run, struct gpt2_error *err) {
    bool ok = run->args->count ? output_format(&run->out, err, "%" PRIu64, run->n_ids)
              : run->args->format && !run->args->lines
                  ? print_json(run, run->text.data, run->text.len, err)
                  : true;
    run->n_ids = 0;
    return ok && output_string(&run->out, "\n", err);
}

/* Prints the bytes of the ids. With --json they are one string; a sink's `take`. */
static bool take_texts(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                       struct gpt2_error *err) {
    enum { PART = 4096 }; // ids whose text is in memory
    struct tokenize_run *run = user;
    const bool is_json = run->args->format;
    size_t len;
    for (size_t i = 0; i < n; i++)
        if (!gpt2_tokenizer_token(run->tokenizer, ids[i], &len))
            return command_error(err, GPT2_ERR_USAGE, NULL,
                                 "token id %" PRId32 " is not in the vocabulary (0 to %" PRId32 ")",
                                 ids[i], gpt2_tokenizer_size(run->tokenizer) - 1);
    bool ok = true;
    run->n_ids += n;
    for (size_t i = 0; ok && i < n;) {
        struct buffer text = {0};
        const size_t end = is_json || n - i < PART ? n : i + PART;
        for (; i < end; i++) {
            const char *bytes = gpt2_tokenizer_token(run->tokenizer, ids[i], &len);
            buffer_bytes(&text, bytes, len);
        }
        ok = !text.failed || command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a text");
        ok = ok && (is_json ? output_json_string(&run->out, text.data, text.len, err)
                            : color_part(&run->shown, &run->out, text.data, text.len, err));
        buffer_free(&text);
    }
    return ok;
}

static bool detokenize_text(struct tokenize_run *run, const struct text_line *text,
                            struct gpt2_error *err) {
    const struct gpt2_encode_sink sink = {take_texts, run, false};
    return token_reader_encode(&run->reader, text->bytes, text->n, &sink, err);
}

static bool detokenize_end(struct tokenize_run *run, struct gpt2_error *err) {
    const char *empty = run->args->format && run->n_ids == 0 ? "\"\"" : "";
    run->n_ids = 0;
    return color_end(&run->shown, &run->out, err) && output_string(&run->out, empty, err) &&
           (!run->args->lines || output_string(&run->out, "\n", err));
}

struct direction {
    bool (*text)(struct tokenize_run *run, const struct text_line *text, struct gpt2_error *err);
    bool (*end)(struct tokenize_run *run, struct gpt2_error *err); /* of a text */
};

/* The answer to a line of which nothing can be made: an empty line, or {"error": ...}. */
static bool tokenize_error(struct tokenize_run *run, const struct gpt2_error *fault,
                           struct gpt2_error *err) {
    run->n_ids = 0;
    if (!run->args->format)
        return output_string(&run->out, "\n", err);
    return output_string(&run->out, "{\"error\": ", err) &&
           line_errors_output(&run->out, fault, 0, err) && output_string(&run->out, "}\n", err);
}

static bool convert_lines(struct tokenize_run *run, const struct direction *to,
                          struct gpt2_error *err) {
    for (uint64_t number = 1;; number++) {
        struct text_line line;
        if (!token_reader_line(&run->reader, &line, err))
            return false;
        if (!line.bytes)
            return true;
        if (to->text(run, &line, err)) {
            if (!to->end(run, err))
                return false;
            continue;
        }
        const struct gpt2_error fault = *err;
        if (!line_errors_take(&run->n_errors, run->reader.input.name, number, &fault) ||
            !tokenize_error(run, &fault, err))
            return false;
    }
}

static bool convert_stream(struct tokenize_run *run, const struct direction *to,
                           struct gpt2_error *err) {
    struct text_line text;
    for (bool more = true; more;)
        if (!token_reader_text(&run->reader, &text, &more, err) ||
            (text.bytes && !to->text(run, &text, err)))
            return false;
    return to->end(run, err);
}

/* Answers what is known, before the input is waited for (input.h). */
static bool answer(void *user, struct gpt2_error *err) {
    struct tokenize_run *run = user;
    return output_flush(&run->out, err);
}

static int convert(const struct tokenize_arguments *args, bool is_ids, const struct direction *to) {
    static struct tokenize_run run;
    struct gpt2_error err;
    run.args = args;
    run.tokenizer = open_tokenizer(args->model, &err);
    run.reader.tokenizer = run.tokenizer;
    run.reader.is_ids = is_ids;
    run.reader.lines = args->lines;
    run.reader.flags = args->special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
    run.reader.input.fd = -1;
    bool ok = run.tokenizer && token_reader_open(&run.reader, &args->source, &err) &&
              output_begin(&run.out, args->output, &err);
    run.reader.input.idle = answer;
    run.reader.input.idle_user = &run;
    ok = ok && (args->lines ? convert_lines(&run, to, &err) : convert_stream(&run, to, &err));
    struct gpt2_error write_err;
    bool written = run.out.broken_pipe || !ok || output_end(&run.out, &write_err);
    int code = !ok       ? output_failed(&run.out, &err)
               : written ? line_errors_code(run.n_errors)
                         : output_failed(&run.out, &write_err);
    output_discard(&run.out);
    token_reader_close(&run.reader);
    buffer_free(&run.text);
    gpt2_tokenizer_close(run.tokenizer);
    return code;
}

static int run_tokenize(int argc, char **argv) {
    struct tokenize_arguments args = {0};
    static const char *const formats[] = {"ids", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL(&args.model),
        OPT_STRING("prompt", 'p', &args.source.option, "TEXT",
                   "the text (also as a plain argument, where \"-\", or a pipe\n"
                   "if nothing is given, is standard input; -p - is a text)"),
        OPT_STRING("file", 'f', &args.source.file, "FILE",
                   "read the text from a file, without one newline\n"
                   "at its end; a text that is given, too, follows it",
                   .flags = OPTION_READS),
        OPT_FLAG("keep-newline", 0, &args.source.exact,
                 "keep that newline, \"\\r\\n\" and a byte order mark: the\n"
                 "bytes as they are",
                 .not_with = "prompt+!file @+!file"),
        OPT_FLAG("escape", 'e', &args.source.escape,
                 "\\n, \\r, \\t, \\\\ and \\xHH in the text are those bytes", .needs = "prompt @"),
        OPT_FLAG("lines", 0, &args.lines,
                 "every line is a text of its own, answered by a line\n"
                 "before the next one is waited for"),
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
    if (!command_begin(&command_tokenize, table, argc, argv, 1, &n_words, &code))
        return code;
    args.source.word = n_words ? argv[0] : NULL;
    args.source.keep_newline |= args.lines;
    return convert(&args, false, &(struct direction){tokenize_text, tokenize_end});
}

static int run_detokenize(int argc, char **argv) {
    struct tokenize_arguments args = {0};
    static const char *const formats[] = {"text", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL(&args.model),
        OPT_STRING("ids", 0, &args.source.option, "1,2,3",
                   "the ids, separated by commas or white space (also as\n"
                   "plain arguments; \"-\", or a pipe if nothing is given,\n"
                   "is standard input)"),
        OPT_STRING("file", 'f', &args.source.file, "FILE", "read the ids from a file",
                   .flags = OPTION_READS, .not_with = "ids @"),
        OPT_FLAG("lines", 0, &args.lines,
                 "every line is a text of its own, answered by a line\n"
                 "before the next one is waited for"),
        OPT_OUTPUT(&args.output),
        OPT_CHOICE("format", 0, &args.format, formats, "text|json",
                   "the text (default), or that of every line as a JSON\n"
                   "string"),
        OPT_VALUE("json", &args.format, formats, "json", "short for --format json"),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_detokenize, table, argc, argv, argc, &n_words, &code))
        return code;
    struct buffer words = {0}; // as tokenize prints them: the shell has taken them apart
    for (int i = 0; i < n_words; i++)
        buffer_format(&words, "%s%s", i ? " " : "", argv[i]);
    buffer_byte(&words, 0);
    if (words.failed) {
        struct gpt2_error err;
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory for the ids");
        return report(&err);
    }
    args.source.word = n_words ? words.data : NULL;
    args.lines |= args.format != 0;
    code = convert(&args, true, &(struct direction){detokenize_text, detokenize_end});
    buffer_free(&words);
    return code;
}

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "show a text as token ids",
    .usage = "[OPTIONS] [TEXT]",
    .details =
        "A directory with only the tokenizer's files is enough for -m. A text of any size is read\n"
        "in pieces; a word, or a line with --lines, may have 64 MiB. With --lines, one that has a\n"
        "byte of which no token is made is reported and answered by an empty line; the exit code\n"
        "is 3 then.\n",
    .examples = EXAMPLES(
        {"gpt2 tokenize \"Hello, world\"", "the ids"},
        {"gpt2 tokenize --count -f story.txt", "how long is a file?"},
        {"gpt2 tokenize --json \"Hello, world\"", "ids, token strings and places, as an object"},
        {"gpt2 tokenize --lines -f lines.txt", "a line of ids for each line"}),
    .common = "prompt file lines model count json special output",
    .related = "detokenize",
    .run = run_tokenize,
};

const struct command command_detokenize = {
    .name = "detokenize",
    .summary = "turn token ids back into text",
    .usage = "[OPTIONS] [IDS...]",
    .details =
        "The bytes are exactly those of the tokens: no newline is added, unless with --lines.\n"
        "What is read is answered before more is waited for.\n",
    .examples =
        EXAMPLES({"gpt2 detokenize 7454,2402,257", "ids to text"},
                 {"gpt2 tokenize \"Once upon a time\" | gpt2 detokenize", "there and back again"},
                 {"gpt2 detokenize --lines --json -f ids.txt", "a JSON string for each line"}),
    .related = "tokenize",
    .run = run_detokenize,
};
