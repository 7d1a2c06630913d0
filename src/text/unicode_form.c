/* unicode_form.c - decomposes and composes by utf8proc's tables, and orders marks by counting: what
 * utf8proc does for a whole text sorts them by exchanging neighbours, which takes the square of
 * their number. */
#include "text/unicode_form.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define LONGEST 32 /* characters that one decomposes to: 18, U+FDFA */

static unsigned combining_class(int32_t cp) {
    return (unsigned)utf8proc_get_property(cp)->combining_class;
}

static utf8proc_option_t decomposing(struct unicode_form form) {
    return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (form.compatibility ? UTF8PROC_COMPAT : 0);
}

/* A starter that no composition takes as its second half. Those that one does are marks and Hangul
 * vowels and finals; what a character is made of is looked at, as with halfwidth letters. */
bool unicode_begins_unit(uint32_t cp) {
    int32_t parts[LONGEST];
    int last = 0;
    if (cp < 0x300)
        return true;
    if (utf8proc_decompose_char((int32_t)cp, parts, LONGEST,
                                decomposing((struct unicode_form){.compatibility = true}),
                                &last) < 1)
        return false;
    const uint32_t first = (uint32_t)parts[0];
    return !combining_class(parts[0]) && !unicode_is_mark(first) &&
           !(first >= 0x1160 && first <= 0x11FF);
}

void unicode_form_free(struct form_room *room) {
    free(room->characters);
    free(room->sorted);
    *room = (struct form_room){0};
}

static bool reserve(struct form_room *room) {
    if (room->cap - room->n >= LONGEST)
        return true;
    const size_t cap = room->cap + room->cap / 2 + 4 * LONGEST;
    if (cap > SIZE_MAX / sizeof *room->sorted)
        return false;
    int32_t *characters = realloc(room->characters, cap * sizeof *characters);
    if (characters)
        room->characters = characters;
    int32_t *sorted = realloc(room->sorted, cap * sizeof *sorted);
    if (sorted)
        room->sorted = sorted;
    if (!characters || !sorted)
        return false;
    room->cap = cap;
    return true;
}

bool unicode_form_add(struct form_room *room, struct unicode_form form, uint32_t cp) {
    int last = 0;
    if (!reserve(room))
        return false;
    utf8proc_ssize_t n = utf8proc_decompose_char((int32_t)cp, room->characters + room->n, LONGEST,
                                                 decomposing(form), &last);
    if (n < 1) { // not a character that utf8proc has
        room->characters[room->n] = (int32_t)cp;
        n = 1;
    }
    room->n += (size_t)n;
    return true;
}

/* Puts n marks in the order of their classes; those of a class stay as they stand. */
static void order(int32_t *marks, int32_t *sorted, size_t n) {
    size_t place[257] = {0};
    for (size_t i = 0; i < n; i++)
        place[combining_class(marks[i]) + 1]++;
    for (int class = 0; class < 256; class ++)
        place[class + 1] += place[class];
    for (size_t i = 0; i < n; i++)
        sorted[place[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, sorted, n * sizeof *marks);
}

/* The canonical ordering: every run of marks by itself. */
static void order_all(struct form_room *room) {
    size_t begin = 0;
    bool ordered = true;
    for (size_t i = 0; i <= room->n; i++) {
        const unsigned class = i < room->n ? combining_class(room->characters[i]) : 0;
        if (class) {
            ordered = ordered && (i == begin || combining_class(room->characters[i - 1]) <= class);
            continue;
        }
        if (!ordered)
            order(room->characters + begin, room->sorted, i - begin);
        begin = i + 1;
        ordered = true;
    }
}

void unicode_form_finish(struct form_room *room, struct unicode_form form) {
    order_all(room);
    if (!form.compose || !room->n)
        return;
    utf8proc_ssize_t n = utf8proc_normalize_utf32(room->characters, (utf8proc_ssize_t)room->n,
                                                  UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n > 0)
        room->n = (size_t)n;
}
