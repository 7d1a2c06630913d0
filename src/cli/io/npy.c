/* npy.c - the header of a .npy file. */
#include "cli/io/npy.h"

#include <string.h>

#define ALIGN 64 /* where the data begins */

void npy_header(struct buffer *out, const size_t *shape, int rank) {
    struct buffer text = {0};
    buffer_text(&text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        buffer_format(&text, i ? ", %zu" : "%zu", shape[i]);
    buffer_text(&text, rank == 1 ? ",), }" : "), }");
    while ((10 + text.len + 1) % ALIGN && !text.failed)
        buffer_byte(&text, ' ');
    buffer_byte(&text, '\n');
    const unsigned char front[] = {0x93,
                                   'N',
                                   'U',
                                   'M',
                                   'P',
                                   'Y',
                                   1,
                                   0,
                                   (unsigned char)text.len,
                                   (unsigned char)(text.len >> 8)};
    buffer_bytes(out, front, sizeof front);
    buffer_append(out, &text);
    buffer_free(&text);
}
