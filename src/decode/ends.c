/* ends.c - a small state machine over characters. */
#include "decode/ends.h"
#include "base/utf8.h"

#include <gpt2/tokenizer.h>

#define NO_CHARACTER UINT32_MAX /* bytes that are no UTF-8 */

void ends_init(struct ends *ends, enum gpt2_until until) {
    *ends = (struct ends){.until = until, .hold = ENDS_NOWHERE};
}

static bool is_blank(uint32_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_mark(uint32_t c) {
    return c == '.' || c == '!' || c == '?' || c == 0x2026;
}

static bool is_full_mark(uint32_t c) {
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F;
}

static bool is_closer(uint32_t c) {
    switch (c) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case '}':
    case 0xBB:
    case 0x2019:
    case 0x201D:
    case 0x203A:
    case 0x300D:
    case 0x300F:
    case 0xFF09:
        return true;
    default:
        return false;
    }
}

static bool end_at(struct ends *ends, size_t cut, size_t past) {
    ends->cut = cut;
    ends->past = past;
    return true;
}

static bool line(struct ends *ends, uint32_t c, size_t start, size_t end) {
    if (c == '\n')
        return end_at(ends, ends->hold != ENDS_NOWHERE ? ends->hold : start, end);
    ends->hold = c == '\r' ? start : ENDS_NOWHERE;
    return false;
}

static bool paragraph(struct ends *ends, uint32_t c, size_t start, size_t end) {
    if (!is_blank(c)) {
        ends->visible = true;
        ends->hold = ENDS_NOWHERE;
        return false;
    }
    if (!ends->visible)
        return false;
    if (ends->hold == ENDS_NOWHERE) {
        ends->hold = start;
        ends->line_feeds = 0;
    }
    ends->line_feeds += c == '\n';
    return ends->line_feeds == 2 && end_at(ends, ends->hold, end);
}

static bool sentence(struct ends *ends, uint32_t c, size_t start, size_t end) {
    if (is_blank(c) && ends->state != ENDS_OPEN)
        return end_at(ends, start, end);
    if (is_full_mark(c) || (is_mark(c) && ends->state == ENDS_FULL))
        ends->state = ENDS_FULL;
    else if (is_mark(c))
        ends->state = ENDS_MARK;
    else if (!is_closer(c)) {
        if (ends->state == ENDS_FULL)
            return end_at(ends, start, start);
        ends->state = ENDS_OPEN;
    }
    return paragraph(ends, c, start, end);
}

static bool character(struct ends *ends, uint32_t c, size_t start, size_t end) {
    switch (ends->until) {
    case GPT2_UNTIL_LINE:
        return line(ends, c, start, end);
    case GPT2_UNTIL_PARAGRAPH:
        return paragraph(ends, c, start, end);
    case GPT2_UNTIL_SENTENCE:
        return sentence(ends, c, start, end);
    default:
        return false;
    }
}

bool ends_byte(struct ends *ends, unsigned char byte) {
    if (ends->until == GPT2_UNTIL_NEVER)
        return false;
    if (ends->n_pending && (byte & 0xC0) != 0x80) { // the character before was cut off
        size_t start = ends->at - ends->n_pending;
        ends->n_pending = 0;
        if (character(ends, NO_CHARACTER, start, ends->at))
            return true;
    }
    ends->pending[ends->n_pending++] = byte;
    size_t n = ends->n_pending, start = ends->at + 1 - n;
    ends->at++;
    if (gpt2_utf8_whole((const char *)ends->pending, n) < n)
        return false;
    ends->n_pending = 0;
    uint32_t c = NO_CHARACTER;
    utf8_decode(&c, ends->pending, n);
    return character(ends, c, start, ends->at);
}
