/* unicode_form.h - NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15), a unit of characters at a
 * time, in time linear in their number. */
#ifndef TEXT_UNICODE_FORM_H
#define TEXT_UNICODE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unicode_form {
    bool compose;       /* NFC, NFKC; else NFD, NFKD */
    bool compatibility; /* NFKC, NFKD                */
};

/* True if no form moves or joins this character with what comes before it, so that a unit may begin
 * here. */
bool unicode_begins_unit(uint32_t cp);

/* Room that units share. Start from {0}. */
struct form_room {
    int32_t *characters; /* [cap], the form of the last unit */
    int32_t *sorted;     /* [cap] */
    size_t n, cap;
};
void unicode_form_free(struct form_room *room);

/* Appends a character to the unit, decomposed. False: out of memory. */
bool unicode_form_add(struct form_room *room, struct unicode_form form, uint32_t cp);

/* Makes the form of what was added since room->n was 0: room->characters [room->n]. */
void unicode_form_finish(struct form_room *room, struct unicode_form form);

#endif
