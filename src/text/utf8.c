/* utf8.c - holding back the unfinished end of a stream of UTF-8. */
#include "base/utf8.h"

#include <gpt2/tokenizer.h>

size_t gpt2_utf8_whole(const char *bytes, size_t n_bytes) {
    for (size_t back = 1; back <= 3 && back <= n_bytes; back++) {
        const char *last = bytes + n_bytes - back; // of up to 3 bytes, the character they begin
        if (!utf8_is_continuation(*last))
            return utf8_is_unfinished((const unsigned char *)last, back) ? n_bytes - back : n_bytes;
    }
    return n_bytes;
}
