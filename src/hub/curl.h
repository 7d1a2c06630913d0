/* curl.h - one transfer by the system's curl program.
 *
 * A library for HTTPS would be the largest dependency of this project for its smallest part, and
 * curl is on every machine. It is started without a shell and with nothing of ours on its command
 * line, which others can read: address, file and token go through its standard input. */
#ifndef HUB_CURL_H
#define HUB_CURL_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

struct curl_request {
    const char *url;
    const char *token;     /* NULL: none                                                       */
    const char *path;      /* written to; a file that is there is continued                    */
    uint64_t offset;       /* bytes that it has already                                        */
    uint64_t max_bytes;    /* more than this is not taken                                      */
    unsigned stall;        /* seconds without a byte after which it ends                       */
    bool (*watch)(void *); /* called ten times a second meanwhile; false ends it. NULL: none   */
    void *user;
};

struct curl_result {
    int http; /* status of the last answer, 0 where there was none                             */
    int exit; /* curl's own: 0 done, 6 no such host, 7 no connection, 18 cut off, 22 http >= 400,
                 23 cannot write, 28 stalled, 33 no ranges, ... (curl(1)); -N: by signal N     */
    bool stopped;      /* by `watch`                                                           */
    char message[200]; /* what curl said, one line                                             */
};

/* False only where curl could not be started at all: GPT2_ERR_RUNTIME. */
bool curl_run(const struct curl_request *request, struct curl_result *result,
              struct gpt2_error *err);

#endif
