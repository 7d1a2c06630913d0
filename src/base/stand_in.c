/* stand_in.c - tells a Git LFS pointer and a web page by their first bytes, which no supported
 * format begins with. */
#include "base/stand_in.h"
#include "base/error_internal.h"

#include <string.h>
#include <strings.h>

static bool begins(const char *text, size_t n, const char *with) {
    return n >= strlen(with) && strncasecmp(text, with, strlen(with)) == 0;
}

bool stand_in_refuse(const void *bytes, size_t n, const char *name, enum gpt2_status status,
                     struct gpt2_error *err) {
    const char *text = bytes;
    if (begins(text, n, "\xEF\xBB\xBF")) { // a byte order mark
        text += 3;
        n -= 3;
    }
    while (n > 0 && *text && strchr(" \t\r\n", *text)) {
        text++;
        n--;
    }
    if (begins(text, n, "version https://git-lfs")) {
        error_set(err, status, "%s: expected the file itself, found a Git LFS pointer to it", name);
        error_hint(err, "`git lfs pull` in the model's directory fetches the file itself");
        return true;
    }
    if (begins(text, n, "<!doctype html") || begins(text, n, "<html")) {
        error_set(err, status, "%s: expected the file itself, found an HTML page", name);
        error_hint(err, "a page about the file was saved in its place; the hub has the file at "
                        "/resolve/main/, its page at /blob/main/");
        return true;
    }
    return false;
}
