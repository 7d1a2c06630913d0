/* fuzz_stops.c - any stops over any text: fed at once and byte by byte the text ends at the same
 * place, with what was shown in between being a beginning of it.
 *
 *     input: [until | include << 2] [number of stops, to 7] { [length] [bytes] }  text */
#define REPLAY_NAME "stops"
#include "replay.h"

#include "decode/stops_internal.h"
#include <gpt2/stops.h>
#include <stdlib.h>
#include <string.h>

static void show(char *text, size_t *len, struct gpt2_shown shown, const char *all, size_t n) {
    if (shown.n_bytes > n - *len || memcmp(shown.bytes, all + *len, shown.n_bytes) != 0)
        abort();
    memcpy(text + *len, shown.bytes, shown.n_bytes);
    *len += shown.n_bytes;
}

/* Returns the stop; text[*len] is what was shown. */
static int feed(struct gpt2_stop_stream *stream, const char *all, size_t n, size_t piece,
                char *text, size_t *len) {
    struct gpt2_shown shown = {.stop = GPT2_STOP_NONE};
    gpt2_stop_stream_clear(stream);
    *len = 0;
    for (size_t at = 0; at < n && shown.stop == GPT2_STOP_NONE; at += piece) {
        if (!gpt2_stop_stream_push(stream, all + at, piece < n - at ? piece : n - at, &shown, NULL))
            abort();
        show(text, len, shown, all, n);
    }
    int stop = shown.stop;
    gpt2_stop_stream_end(stream, &shown);
    if (stop != GPT2_STOP_NONE && shown.n_bytes)
        abort();
    show(text, len, shown, all, n);
    if (stop == GPT2_STOP_NONE && *len != n)
        abort();
    return stop;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_stop list[7];
    struct gpt2_error err = {0};
    if (size < 2)
        return 0;
    struct gpt2_stops_options options = {
        .strings = list, .until = (enum gpt2_until)(data[0] % 4), .include = data[0] & 4};
    bool is_empty = false;
    size_t at = 2;
    for (int i = 0; i < data[1] % 8 && at < size; i++) {
        size_t n = data[at++];
        n = n < size - at ? n : size - at;
        is_empty |= n == 0;
        list[options.n_strings++] = (struct gpt2_stop){(const char *)data + at, n};
        at += n;
    }
    const char *all = (const char *)data + at;
    size_t n = size - at, n_once, n_bytewise;
    struct gpt2_stops *stops = gpt2_stops_create(&options, &err);
    if (is_empty) {
        if (stops || err.status != GPT2_ERR_USAGE || !err.message[0])
            abort();
        return 0;
    }
    if (stops_is_empty(stops) != (options.n_strings == 0 && options.until == GPT2_UNTIL_NEVER))
        abort();
    struct gpt2_stop_stream *stream = stops ? gpt2_stop_stream_create(stops, NULL) : NULL;
    char *once = malloc(n + 1), *bytewise = malloc(n + 1);
    if (!stream || !once || !bytewise)
        abort();
    int a = feed(stream, all, n, n, once, &n_once);
    int b = feed(stream, all, n, 1, bytewise, &n_bytewise);
    if (a != b || n_once != n_bytewise)
        abort();
    free(once);
    free(bytewise);
    gpt2_stop_stream_free(stream);
    gpt2_stops_free(stops);
    return 0;
}
