/* utf8.c - holding back the unfinished end of a stream of UTF-8. */
#include <gpt2/tokenizer.h>
#include <stdbool.h>

size_t gpt2_utf8_whole(const char *bytes, size_t n_bytes) {
    const unsigned char *s = (const unsigned char *)bytes;
    for (size_t back = 1; back <= 3 && back <= n_bytes; back++) {
        unsigned char lead = s[n_bytes - back];
        if ((lead & 0xC0) == 0x80)
            continue; // a continuation byte: look further back for what it continues
        size_t need = lead < 0xC2 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (need <= back)
            return n_bytes;
        if (back >= 2) { // E0, ED, F0 and F4 restrict the byte that follows them
            unsigned char second = s[n_bytes - back + 1];
            bool dead = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
                        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90);
            if (dead)
                return n_bytes; // nothing that follows can complete it
        }
        return n_bytes - back;
    }
    return n_bytes;
}
