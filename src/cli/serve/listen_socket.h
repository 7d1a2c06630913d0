/* listen_socket.h - the socket that clients connect to. */
#ifndef CLI_SERVE_LISTEN_SOCKET_H
#define CLI_SERVE_LISTEN_SOCKET_H

#include "base/buffer.h"
#include <gpt2/error.h>
#include <stdbool.h>

struct listen_socket {
    int fd;             /* -1: closed */
    bool is_public;     /* others than this machine reach it */
    struct buffer name; /* "127.0.0.1:8080", "[::1]:8080" */
};

/* Listens at the first address of `host` that can be had; port 0 is any that is free. With
 * `may_be_public` false an address that is not a loopback one is refused (GPT2_ERR_USAGE). Fails
 * with GPT2_ERR_USAGE for a host that there is not, GPT2_ERR_RUNTIME where it is in use. */
bool listen_socket_open(struct listen_socket *listening, const char *host, int port,
                        bool may_be_public, struct gpt2_error *err);
void listen_socket_close(struct listen_socket *listening);

#endif
