/* curl_output.h - what curl writes, taken apart: a file, a status, a message.
 *
 * The last bytes of its standard output are CURL_MARK and "200\n", after the file itself. (Its
 * standard error would be another place for them, but only since 7.63.) They are known to be that
 * when the output ends, so as many bytes are always held back. */
#ifndef HUB_CURL_OUTPUT_H
#define HUB_CURL_OUTPUT_H

#include "hub/curl.h"

#define CURL_WORD    "gpt2-status "
#define CURL_MARK    "\n" CURL_WORD
#define CURL_TRAILER (sizeof CURL_MARK + 3) /* bytes: %{http_code} has three digits, "000" where \
                                             */
                                            /* there was no answer; and a newline                */

/* Start from {0}. */
struct curl_output {
    uint64_t taken; /* bytes given to `take`                           */
    size_t held;    /* bytes in data that may be a part of the trailer */
    unsigned char data[CURL_TRAILER + (1 << 16)];
    size_t n_said;
    char said[2048]; /* what does not fit is dropped */
};

/* Where the next bytes of its standard output go: at most *cap, at least one. */
void *curl_output_room(struct curl_output *output, size_t *cap);

/* n bytes have been put there. Gives all but the last CURL_TRAILER to request->take, but no more
 * than max_bytes allows. False: enough; result->too_long or result->stopped says why. */
bool curl_output_take(struct curl_output *output, size_t n, const struct curl_request *request,
                      struct curl_result *result);

/* Bytes of its standard error. */
void curl_output_say(struct curl_output *output, const char *bytes, size_t n);

/* After the end; `status` as waitpid has it. Fills in http, exit, message, and too_long where curl
 * ended for the announced length. */
void curl_output_end(struct curl_output *output, int status, struct curl_result *result);

#endif
