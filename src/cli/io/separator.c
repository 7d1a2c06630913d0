/* separator.c - decides what stands between a prompt and a choice. */
#include "cli/io/separator.h"

#include <stddef.h>

bool is_white_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

const char *choice_separator(const char *given, bool is_open, const char *choice) {
    return given ? given : is_open || is_white_space(*choice) ? "" : " ";
}
