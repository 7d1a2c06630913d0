/* stops.h - where a text ends: stop strings, and the end of a sentence, line or paragraph.
 *
 * Text comes in as the bytes of one token after another and goes out as far as it is safe to show.
 * What may yet turn out to be part of a stop is held back, and so is an unfinished UTF-8 character.
 * Decisions are taken byte by byte: how the text is cut into tokens makes no difference.
 *
 *     struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, &err);
 *     for each token:
 *         if (!gpt2_stop_stream_push(stream, bytes, n_bytes, &shown, &err)) ...
 *         write(shown.bytes, shown.n_bytes);
 *         if (shown.stop != GPT2_STOP_NONE) break;           // no more pushes
 *     if the text ended otherwise (end token, -n):
 *         gpt2_stop_stream_end(stream, &shown); write(...);   // what was held back
 *
 * Stop strings: the text ends at the first byte that completes one; of several completed by the
 * same byte it is the longest, and the first of equals. The text before it is what is left.
 *
 * Ends of text, of which one may be asked for:
 *   line       at the first line feed. A carriage return before it goes with it.
 *   paragraph  at a blank line: two line feeds with nothing but spaces, tabs and carriage returns
 *              between them, after something visible. The whitespace before it goes with it.
 *   sentence   at whitespace after . ! ? or U+2026 (and after more of them, closing quotes and
 *              brackets: " ' ) ] } U+2019 U+201D U+00BB U+203A); after the ideographic U+3002
 *              U+FF01 U+FF1F, closed by U+300D U+300F U+FF09 as well, at whatever comes next, as no
 *              space follows there; or at the end of a paragraph. The marks belong to the sentence,
 *              the whitespace does not. Abbreviations are not understood: "Mr. Fox" ends after Mr.,
 *              "3.14" does not end. The end is only known when the next token has come.
 *
 * By default the stop is not part of the text. With `include` it is: the whole stop string, or the
 * whitespace up to the byte that decided.
 * Whole characters: where a stop begins or ends inside a UTF-8 character, that character is left
 * out. Bytes that are no UTF-8 anyway pass. */
#ifndef GPT2_STOPS_H
#define GPT2_STOPS_H

#include <gpt2/error.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum gpt2_until { GPT2_UNTIL_NEVER, GPT2_UNTIL_SENTENCE, GPT2_UNTIL_LINE, GPT2_UNTIL_PARAGRAPH };

struct gpt2_stop {
    const char *bytes; /* [n_bytes], any bytes */
    size_t n_bytes;    /* at least 1           */
};

struct gpt2_stops_options {
    const struct gpt2_stop *strings; /* [n_strings], copied; any number */
    int n_strings;
    enum gpt2_until until;
    bool include;
    uint64_t
        until_tokens; /* an end of text does not count before so many pushes; stop strings do */
    uint64_t reserved[GPT2_RESERVED - 1]; /* 0 (version.h) */
};

/* All stops of a job, compiled to one automaton (Aho and Corasick 1975): a byte costs the same
 * whatever their number, but for the logarithm of how many continue alike. Read-only; to be shared
 * by streams and threads. Fails with GPT2_ERR_USAGE where a string is empty, or GPT2_ERR_MEMORY. */
struct gpt2_stops;
struct gpt2_stops *gpt2_stops_create(const struct gpt2_stops_options *options,
                                     struct gpt2_error *err);
void gpt2_stops_free(struct gpt2_stops *stops); /* NULL is allowed */

/* One text on its way. Borrows `stops`. */
struct gpt2_stop_stream;
struct gpt2_stop_stream *gpt2_stop_stream_create(const struct gpt2_stops *stops,
                                                 struct gpt2_error *err);
void gpt2_stop_stream_free(struct gpt2_stop_stream *stream);  /* NULL is allowed */
void gpt2_stop_stream_clear(struct gpt2_stop_stream *stream); /* for the next text */

/* Makes `stream` a copy of `source`, which has the same stops: two texts that begin alike. False:
 * GPT2_ERR_MEMORY, `stream` is as it was. */
bool gpt2_stop_stream_copy(struct gpt2_stop_stream *stream, const struct gpt2_stop_stream *source,
                           struct gpt2_error *err);

#define GPT2_STOP_NONE  (-1) /* go on                        */
#define GPT2_STOP_UNTIL (-2) /* the sentence, line or paragraph ended */

struct gpt2_shown {
    const char *bytes; /* [n_bytes], valid until the next call with this stream */
    size_t n_bytes;
    int stop; /* index of the stop string that ended the text, or one of the above */
};

/* Takes the bytes of one token and gives those that can be shown. After a stop, what is pushed is
 * passed over and the answer keeps its `stop`. False: GPT2_ERR_MEMORY. */
bool gpt2_stop_stream_push(struct gpt2_stop_stream *stream, const char *bytes, size_t n_bytes,
                           struct gpt2_shown *shown, struct gpt2_error *err);

/* The text has ended without a stop: gives everything that was held back, unfinished characters
 * included. */
void gpt2_stop_stream_end(struct gpt2_stop_stream *stream, struct gpt2_shown *shown);

#ifdef __cplusplus
}
#endif
#endif
