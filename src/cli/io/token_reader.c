/* token_reader.c - reads a text piece by piece and encodes it. */
#include "cli/io/token_reader.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)64 << 10)

bool token_reader_open(struct token_reader *reader, const struct text_source *source,
                       struct gpt2_error *err) {
    reader->input.fd = -1;
    const char *path = text_file(source);
    bool is_stream = !text_literal(source) && !(source->file && source->word);
    if (!is_stream || (!path && isatty(STDIN_FILENO))) { // text_read has the words for mistakes
        struct text text;
        if (!text_read(&text, source, err))
            return false;
        reader->data = text.data;
        reader->len = reader->cap = text.len;
        reader->at_end = reader->keep_newline = true;
        reader->input.name = "the text";
        return true;
    }
    reader->keep_newline = source->keep_newline || source->exact;
    enum input_form form = source->exact   ? INPUT_AS_BYTES
                           : reader->lines ? INPUT_AS_LINES
                                           : INPUT_AS_TEXT;
    return input_open(&reader->input, path ? path : "-", form, err);
}

void token_reader_close(struct token_reader *reader) {
    input_close(&reader->input);
    free(reader->data);
    *reader = (struct token_reader){.input = {.fd = -1}};
}

/* Reads one more block after what is there. */
static bool fill(struct token_reader *r, struct gpt2_error *err) {
    if (r->used > 0) {
        memmove(r->data, r->data + r->used, r->len - r->used);
        r->len -= r->used;
        r->used = 0;
    }
    if (r->len > INPUT_MAX)
        return input_too_long(&r->input, r->lines ? "lines" : "words", err);
    if (r->cap - r->len < BLOCK) {
        size_t cap = r->cap * 2 > r->len + BLOCK ? r->cap * 2 : r->len + BLOCK;
        char *grown = realloc(r->data, cap);
        if (!grown)
            return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory while reading %s",
                                 r->input.name);
        r->data = grown;
        r->cap = cap;
    }
    size_t n;
    if (!input_read(&r->input, r->data + r->len, r->cap - r->len, &n, err))
        return false;
    r->len += n;
    if (n > 0)
        return true;
    r->at_end = true;
    if (!r->keep_newline && r->len && r->data[r->len - 1] == '\n')
        r->len--;
    return true;
}

/* How many bytes of what is there can be encoded now. */
static size_t whole_bytes(const struct token_reader *r) {
    const char *data = r->data + r->used;
    size_t n = r->len - r->used;
    if (r->at_end)
        return n;
    if (!r->is_ids)
        return gpt2_tokenizer_cut(r->tokenizer, data, n, r->flags);
    while (n > 0 && (!data[n - 1] || !strchr(" ,\t\r\n", data[n - 1])))
        n--;
    return n;
}

bool token_reader_encode(const struct token_reader *r, const char *line, size_t len,
                         const struct gpt2_encode_sink *sink, struct gpt2_error *err) {
    if (!r->is_ids)
        return gpt2_tokenizer_encode_parts(r->tokenizer, line, len, r->flags, sink, err);
    char what[300];
    snprintf(what, sizeof what, "%s, from byte %" PRIu64 " on", r->input.name, r->from);
    const char *name = r->lines ? NULL : r->from ? what : r->input.name; // a line has its number
    struct gpt2_ids ids = {0};
    const bool ok = text_parse_ids(line, len, name, &ids, err) &&
                    (!ids.len || sink->take(sink->user, ids.data, NULL, ids.len, err));
    gpt2_ids_free(&ids);
    if (!ok && r->lines && err->status == GPT2_ERR_USAGE) // the other lines have ids of their own
        err->status = GPT2_ERR_INPUT;
    return ok;
}

bool token_reader_text(struct token_reader *r, struct text_line *text, bool *more,
                       struct gpt2_error *err) {
    size_t n = 0, looked_at = 0;
    // A word that never ends is looked at again when it has doubled.
    while (n == 0 && !r->at_end) {
        if (!fill(r, err))
            return false;
        if (r->at_end || r->len >= 2 * looked_at) {
            n = whole_bytes(r);
            looked_at = r->len;
        }
    }
    if (r->at_end)
        n = whole_bytes(r);
    const bool is_empty = r->at_end && r->offset == 0 && !r->is_ids; // may still get a BOS token
    *text = (struct text_line){n || is_empty ? n ? r->data + r->used : "" : NULL, n, n};
    r->from = r->offset;
    r->used += n;
    r->offset += n;
    *more = !r->at_end;
    return true;
}

bool token_reader_next(struct token_reader *r, const struct gpt2_encode_sink *sink, bool *more,
                       struct gpt2_error *err) {
    struct text_line text;
    return token_reader_text(r, &text, more, err) &&
           (!text.bytes || token_reader_encode(r, text.bytes, text.n, sink, err));
}

bool token_reader_line(struct token_reader *r, struct text_line *line, struct gpt2_error *err) {
    size_t searched = 0;
    for (;;) {
        char *start = r->data ? r->data + r->used : NULL;
        size_t n = r->len - r->used;
        char *newline = n > searched ? memchr(start + searched, '\n', n - searched) : NULL;
        if (newline || r->at_end) {
            size_t n_text = newline ? (size_t)(newline - start) : n;
            line->bytes = newline || n ? start : NULL;
            line->n_whole = n_text + (newline != NULL);
            line->n =
                newline && r->input.form == INPUT_AS_LINES ? input_line_end(start, n_text) : n_text;
            r->from = r->offset;
            r->used += line->n_whole;
            r->offset += line->n_whole;
            return true;
        }
        searched = n;
        if (!fill(r, err))
            return false;
    }
}
