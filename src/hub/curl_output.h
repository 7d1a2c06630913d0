/* curl_output.h - what curl writes, taken apart: a file, a status, a message.
 *
 * The last bytes of its standard output are CURL_MARK and "200\n", after the file itself. (Its
 * standard error would be another place for them, but only since 7.63.) They are known to be that
 * when the output ends, so as many bytes are always held back. */
#ifndef HUB_CURL_OUTPUT_H
#define HUB_CURL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The trailer's bytes: %{http_code} has three digits, "000" where there was no answer; and a
 * newline.
 */
#define CURL_WORD    "gpt2-status "
#define CURL_MARK    "\n" CURL_WORD
#define CURL_TRAILER (sizeof CURL_MARK + 3)

struct curl_result {
    int http; /* status of the last answer, 0 where there was none                             */
    int exit; /* curl's own: 0 done, 6 no such host, 7 no connection, 18 cut off, 22 http >= 400,
                 28 stalled, 33 no ranges, ... (curl(1)); -N: by signal N                      */
    bool stopped;      /* by `take` or `watch`                                                 */
    bool too_long;     /* ended because there was more than max_bytes, or that was announced   */
    char message[200]; /* what curl said, one line                                             */
};

/* Starts with these three, and else zeroed. */
struct curl_output {
    uint64_t room;                                              /* bytes that `take` may be given */
    bool (*take)(void *user, const void *data, size_t n_bytes); /* what comes; false ends it */
    void *user;

    size_t held; /* bytes in data that may be a part of the trailer */
    unsigned char data[CURL_TRAILER + (1 << 16)];
    size_t n_said;
    char said[2048]; /* what does not fit is dropped */
};

/* Where the next bytes of its standard output go: at most *cap, at least one. */
void *curl_output_room(struct curl_output *output, size_t *cap);

/* n bytes have been put there. Gives all but the last CURL_TRAILER to `take`, but no more than
 * there is room for. False: enough; result->too_long or result->stopped says why. */
bool curl_output_take(struct curl_output *output, size_t n, struct curl_result *result);

/* Bytes of its standard error. */
void curl_output_say(struct curl_output *output, const char *bytes, size_t n);

/* After the end; `status` as waitpid has it. Fills in http, exit, message, and too_long where curl
 * ended for the announced length. */
void curl_output_end(struct curl_output *output, int status, struct curl_result *result);

#endif
