/* stop_stream.c - stops in one text: what can be shown and what must wait.
 *
 *     buffer:   | shown before |  to show now  | held back |
 *               0              from            safe        len
 *
 * Held back is the longest of: what the automaton has matched so far, what may come after the end
 * of a sentence, line or paragraph, and an unfinished character. */
#include "base/os.h"
#include "decode/ends.h"
#include "decode/stops_internal.h"

#include <gpt2/tokenizer.h>
#include <string.h>

struct gpt2_stop_stream {
    const struct gpt2_stops *stops;
    char *buffer; /* [cap] */
    size_t from, len, cap;
    size_t base; /* offset of buffer[0] in the text */
    uint32_t node;
    struct ends ends;
    uint64_t n_tokens; /* pushed before this one */
    int stop;
};

struct gpt2_stop_stream *gpt2_stop_stream_create(const struct gpt2_stops *stops,
                                                 struct gpt2_error *err) {
    struct gpt2_stop_stream *stream = os_alloc(1, sizeof *stream, "a text", err);
    if (!stream)
        return NULL;
    stream->stops = stops;
    gpt2_stop_stream_clear(stream);
    return stream;
}

void gpt2_stop_stream_free(struct gpt2_stop_stream *stream) {
    if (!stream)
        return;
    os_free(stream->buffer);
    os_free(stream);
}

void gpt2_stop_stream_clear(struct gpt2_stop_stream *stream) {
    stream->from = stream->len = stream->base = 0;
    stream->node = 0;
    stream->n_tokens = 0;
    stream->stop = GPT2_STOP_NONE;
    ends_init(&stream->ends, stream->stops->until);
}

/* Makes room for so many bytes in all. */
static bool grow(struct gpt2_stop_stream *stream, size_t cap, struct gpt2_error *err) {
    char *buffer = os_alloc(cap, 1, "a text", err);
    if (!buffer)
        return false;
    if (stream->len)
        memcpy(buffer, stream->buffer, stream->len);
    os_free(stream->buffer);
    stream->buffer = buffer;
    stream->cap = cap;
    return true;
}

bool gpt2_stop_stream_copy(struct gpt2_stop_stream *stream, const struct gpt2_stop_stream *source,
                           struct gpt2_error *err) {
    size_t n = source->len - source->from; // what was shown is not looked at again
    if (n > stream->cap && !grow(stream, source->cap, err))
        return false;
    char *buffer = stream->buffer;
    size_t cap = stream->cap;
    *stream = *source;
    stream->buffer = buffer;
    stream->cap = cap;
    stream->base += source->from;
    stream->from = 0;
    stream->len = n;
    if (n)
        memcpy(buffer, source->buffer + source->from, n);
    return true;
}

/* Appends, in place of what was shown where that is most of the buffer. */
static bool append(struct gpt2_stop_stream *stream, const char *bytes, size_t n_bytes,
                   struct gpt2_error *err) {
    if (stream->from > stream->len / 2) {
        stream->len -= stream->from;
        stream->base += stream->from;
        memmove(stream->buffer, stream->buffer + stream->from, stream->len);
        stream->from = 0;
    }
    size_t cap = stream->cap + n_bytes < 128 ? 256 : 2 * (stream->cap + n_bytes);
    if (n_bytes > stream->cap - stream->len && !grow(stream, cap, err))
        return false;
    if (n_bytes)
        memcpy(stream->buffer + stream->len, bytes, n_bytes);
    stream->len += n_bytes;
    return true;
}

/* The last place up to `at` that is not inside a UTF-8 character. Looks at no byte from `end` on:
 * how much more has come already must not matter. */
static size_t whole(const struct gpt2_stop_stream *stream, size_t at, size_t end) {
    if (at <= stream->from)
        return stream->from;
    bool goes_on = at >= end || (stream->buffer[at] & 0xC0) == 0x80;
    if (!goes_on)
        return at;
    return stream->from + gpt2_utf8_whole(stream->buffer + stream->from, at - stream->from);
}

static void show_up_to(struct gpt2_stop_stream *stream, size_t at, struct gpt2_shown *shown) {
    *shown = (struct gpt2_shown){
        .bytes = stream->len ? stream->buffer + stream->from : "",
        .n_bytes = at - stream->from,
        .stop = stream->stop,
    };
    stream->from = at;
}

/* Looks at the byte buffer[at]. True: the text ends; then *end is where. */
static bool look(struct gpt2_stop_stream *stream, size_t at, size_t *end) {
    const struct gpt2_stops *stops = stream->stops;
    unsigned char byte = (unsigned char)stream->buffer[at];
    stream->node = stops_step(stops, stream->node, byte);
    bool over = ends_byte(&stream->ends, byte);
    if (over && stream->n_tokens < stops->until_tokens) { // too early: look for the next one
        const size_t taken = stream->ends.at;
        ends_init(&stream->ends, stops->until);
        stream->ends.at = taken;
        over = false;
    }
    int stop = stops->nodes[stream->node].stop;
    if (stop >= 0) {
        stream->stop = stop;
        *end = stops->include ? at + 1 : at + 1 - stops->lengths[stop];
    } else if (over) {
        stream->stop = GPT2_STOP_UNTIL;
        *end = (stops->include ? stream->ends.past : stream->ends.cut) - stream->base;
    }
    return stop >= 0 || over;
}

/* Up to where nothing has to wait but unfinished characters. */
static size_t safe(const struct gpt2_stop_stream *stream) {
    size_t at = stream->len - stream->stops->nodes[stream->node].depth;
    if (stream->ends.hold != ENDS_NOWHERE && stream->ends.hold < stream->base + at)
        at = stream->ends.hold - stream->base;
    return at;
}

bool gpt2_stop_stream_push(struct gpt2_stop_stream *stream, const char *bytes, size_t n_bytes,
                           struct gpt2_shown *shown, struct gpt2_error *err) {
    if (stream->stop != GPT2_STOP_NONE) {
        show_up_to(stream, stream->from, shown);
        return true;
    }
    if (!append(stream, bytes, n_bytes, err))
        return false;
    size_t end;
    for (size_t at = stream->len - n_bytes; at < stream->len; at++) {
        if (look(stream, at, &end)) {
            show_up_to(stream, whole(stream, end, at + 1), shown);
            return true;
        }
    }
    stream->n_tokens++;
    show_up_to(stream, whole(stream, safe(stream), stream->len), shown);
    return true;
}

void gpt2_stop_stream_end(struct gpt2_stop_stream *stream, struct gpt2_shown *shown) {
    show_up_to(stream, stream->stop == GPT2_STOP_NONE ? stream->len : stream->from, shown);
    stream->node = 0; // nothing waits any more
    stream->ends.hold = ENDS_NOWHERE;
}
