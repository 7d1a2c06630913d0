/* interactive.c - the loop of a session: lines, turns and what to say about them. */
#include "cli/generate/interactive.h"
#include "cli/generate/generate_output.h"
#include "cli/generate/interactive_commands.h"
#include "cli/generate/prompt_special.h"
#include "cli/generate/session_file.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/io/wrap.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool has_prompt(const struct generate_arguments *args) {
    return args->source.option || args->source.word || args->source.file || args->ids;
}

bool interactive_wanted(const struct generate_arguments *args) {
    bool for_programs = args->format != FORMAT_TEXT || args->output || args->bulk.input ||
                        args->settings.beams > 1 || args->settings.echo ||
                        session_file_wanted(args);
    return args->interactive ||
           (!has_prompt(args) && !for_programs && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
}

static bool check(const struct generate_arguments *args, struct gpt2_error *err) {
    const struct settings *s = &args->settings;
    if (s->best_of || s->logprobs >= 0 || s->num_samples > 1)
        return command_error(err, GPT2_ERR_USAGE, "give a prompt",
                             "--best-of, --logprobs and --num-samples have no effect in a session");
    const char *word = args->source.word, *file = args->source.file;
    if ((word && !strcmp(word, "-")) || (file && !strcmp(file, "-")))
        return usage_error(err, "--interactive reads lines from standard input: expected the "
                                "prompt from elsewhere, got \"-\"");
    return true;
}

/* Some scripts beyond ASCII write no spaces between words. */
static bool is_word(char c) {
    return (unsigned char)c < 0x80 && isalnum((unsigned char)c);
}

/* What is easily overlooked when typing: GPT-2's words begin with the space before them, and a
 * special token is text. */
static void give_hints(struct interactive *it, const char *bytes, size_t n) {
    const struct buffer *text = &it->transcript.text;
    if (n == 0 || !line_input_is_terminal(it->lines))
        return;
    if (!it->hinted_join && text->len && is_word(text->data[text->len - 1]) && is_word(bytes[0])) {
        fputs("hint: no space came between the text and your line; begin a line with a space "
              "to have one (/undo takes this line back)\n",
              stderr);
        it->hinted_join = true;
    }
    if (!it->hinted_space && bytes[n - 1] == ' ' && !it->settings.heal) {
        fputs("hint: the line ends in a space, which words begin with; leave it out, "
              "or /set heal true\n",
              stderr);
        it->hinted_space = true;
    }
    size_t n_token;
    const char *token =
        prompt_special(it->run->tokenizer, &it->run->decoding.settings, bytes, n, &n_token);
    if (!it->hinted_special && token) {
        report_done("hint: %.*s is read as text; /set special true reads it as the special token",
                    (int)(n_token < 60 ? n_token : 60), token);
        it->hinted_special = true;
    }
}

static void take_turn(struct interactive *it, const char *bytes, size_t n) {
    struct gpt2_error err;
    give_hints(it, bytes, n);
    if (transcript_type(&it->transcript, bytes, n, &err))
        interactive_continue(it);
    else
        report(&err);
}

/* Lines that belong together: pasted at once, or each but the last ending in a backslash. */
static enum line_kind read_rest(struct interactive *it, struct buffer *entry,
                                struct gpt2_error *err) {
    struct buffer line = {0};
    enum line_kind kind = LINE_TEXT;
    while (kind == LINE_TEXT) {
        if (!line_input_pasted(it->lines)) {
            if (entry->len == 0 || entry->data[entry->len - 1] != '\\')
                break;
            entry->len--;
        }
        kind = line_input_read(it->lines, "| ", &line, err);
        buffer_bytes(entry, "\n", 1);
        buffer_append(entry, &line);
    }
    buffer_free(&line);
    return kind;
}

static void take_entry(struct interactive *it, struct buffer *entry) {
    struct gpt2_error err;
    enum line_kind kind = line_input_read(it->lines, "> ", entry, &err);
    bool empty = entry->len == 0;
    bool is_command = kind == LINE_TEXT && !empty && entry->data[0] == '/' && entry->data[1] != '/';
    if (kind == LINE_TEXT && !is_command)
        kind = read_rest(it, entry, &err);
    if (kind == LINE_INTERRUPTED) {
        interactive_interrupted(it, empty);
    } else if (entry->failed || kind == LINE_FAILED) {
        if (entry->failed)
            command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory for a line");
        it->code = report(&err);
        it->ended = true;
    } else if (is_command) {
        interactive_command(it, entry->data);
    } else if (kind == LINE_TEXT || entry->len > 0) {
        size_t skip = entry->len > 1 && entry->data[0] == '/'; // "//" stands for a slash
        take_turn(it, entry->data + skip, entry->len - skip);
    } else {
        it->ended = true;
    }
}

/* The text's session, and those of the generator's one sample. */
static bool check_memory(const struct generate_run *run, struct gpt2_error *err) {
    struct memory_use use = {0};
    memory_model(&use, run->model);
    memory_sessions(&use, run->model,
                    &(struct memory_sessions){.kv = (enum gpt2_kv)run->args.kv, .n = 2});
    memory_batch(&use, run->model, run->runtime, 128, 32);
    return memory_check(&use, run->args.opening.max_memory, err);
}

static bool begin(struct interactive *it, struct gpt2_error *err) {
    struct generate_run *run = it->run;
    struct settings *s = &it->settings;
    *s = run->args.settings;
    s->num_samples = 1;
    if (!check(&run->args, err) || !check_memory(run, err) || !interactive_set(it, s, err) ||
        !weights_prepare(run->model, &run->args.weights, INT_MAX, err) ||
        !speculate_create(&run->speculate, &run->args.speculate, run->model, run->tokenizer,
                          run->runtime, 1, false, err) ||
        !transcript_create(&it->transcript, run, err))
        return false;
    run->colors = wants_colors(&run->args);
    if (run->colors && (!color_surprisal_legend(&run->out, err) || !output_flush(&run->out, err)))
        return false;
    it->lines = line_input_open(interactive_complete);
    if (!it->lines)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    if (has_prompt(&run->args) && !text_read(&run->prompt, &run->args.source, err))
        return false;
    sandbox_enter(&run->args.sandbox, CONFINE_READS); // /load and /save name any file
    return true;
}

int interactive_run(struct generate_run *run) {
    struct interactive it = {.run = run};
    struct gpt2_error err;
    signals_keep();
    if (!begin(&it, &err)) {
        it.code = report(&err);
        it.ended = true;
    } else if (line_input_is_terminal(it.lines)) {
        wrap_tell(
            "A line you type is added to the text as it is, and continued; an empty one just\n"
            "continues. /help lists commands, Ctrl-C stops, Ctrl-D leaves.\n");
    }
    if (!it.ended && has_prompt(&run->args))
        take_turn(&it, run->prompt.data, run->prompt.len);
    struct buffer entry = {0};
    while (!it.ended)
        take_entry(&it, &entry);
    buffer_free(&entry);
    transcript_free(&it.transcript);
    line_input_close(it.lines);
    free_completion(run);
    decoding_free(&run->decoding); // its settings borrow what is kept
    interactive_free_kept(&it);
    return it.code;
}
