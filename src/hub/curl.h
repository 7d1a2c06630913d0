/* curl.h - one transfer by the system's curl program.
 *
 * A library for HTTPS would be the largest dependency of this project for its smallest part, and
 * curl is on every machine. It is started without a shell and with nothing of ours on its command
 * line, which others can read: address and token go through its standard input.
 *
 * curl writes to a pipe and opens no file. So a limit on the size holds whether or not the server
 * announces a length, and a curl whose parent was killed has nothing left to write to. */
#ifndef HUB_CURL_H
#define HUB_CURL_H

#include "hub/curl_output.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct curl_request {
    const char *url;
    const char *token;  /* NULL: none                                                          */
    uint64_t offset;    /* the first byte that is wanted                                       */
    uint64_t max_bytes; /* of the whole; taken are at most max_bytes - offset                  */
    unsigned stall;     /* seconds without a byte after which it ends                          */
    bool (*take)(void *, const void *data, size_t n_bytes); /* what comes; false ends it       */
    bool (*watch)(void *); /* called ten times a second meanwhile; false ends it. NULL: none   */
    void *user;            /* of both                                                          */
};

/* False only where curl could not be started at all: GPT2_ERR_RUNTIME. When it returns, curl has
 * ended. It also ends when this process does, by whatever signal: at once on Linux, elsewhere with
 * the next byte that comes or when the transfer stalls. */
bool curl_run(const struct curl_request *request, struct curl_result *result,
              struct gpt2_error *err);

#endif
