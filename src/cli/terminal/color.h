/* color.h - text in colours on a terminal.
 *
 * An escape sequence inside a character would break it, and a background that is on at a line's end
 * fills the line. So characters that are spread over tokens come whole, in the colour of the token
 * that completes them, and line ends have none. Bytes that are no text become \xNN, as a terminal
 * would obey them. */
#ifndef CLI_TERMINAL_COLOR_H
#define CLI_TERMINAL_COLOR_H

#include "cli/io/output.h"

struct color_text {
    char held[4]; /* of a character that is not whole yet */
    size_t n_held;
};

/* Styles of background and foreground together, so that they can be read on any terminal. */
#define COLOR_GREEN  "\033[30;48;5;114m"
#define COLOR_YELLOW "\033[30;48;5;222m"
#define COLOR_RED    "\033[30;48;5;210m"
#define COLOR_VIOLET "\033[30;48;5;183m"

/* Starts from {0}. `style` is the escape sequence that begins a colour; NULL: none. */
bool color_bytes(struct color_text *color_text, struct output *out, const char *style,
                 const char *bytes, size_t n, struct gpt2_error *err);

/* Writes text from outside, a part of it at a time until color_end, or a whole one: with its
 * control characters as \xNN on a terminal, byte for byte elsewhere. */
bool color_part(struct color_text *color_text, struct output *out, const char *bytes, size_t n,
                struct gpt2_error *err);
bool color_whole(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);

/* Writes the style of a token of so many bits, nothing over yellow to red, all with black on it;
 * false: it has none. */
bool color_of_surprisal(double bits, char style[32]);

/* A line that says what the colours mean. */
bool color_surprisal_legend(struct output *out, struct gpt2_error *err);
bool color_rank_legend(struct output *out, struct gpt2_error *err);

/* Writes what is held, as the text ends. */
bool color_end(struct color_text *color_text, struct output *out, struct gpt2_error *err);

#endif
