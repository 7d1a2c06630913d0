/* listen_socket.c - finds an address, binds it and listens. */
#include "cli/serve/listen_socket.h"
#include "base/error_internal.h"
#include "cli/io/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 256

/* Whether only this machine reaches an address. */
static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

/* The address that the socket has now, with its port. */
static bool note_name(struct listen_socket *l, struct gpt2_error *err) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    char host[INET6_ADDRSTRLEN + 20], port[8];
    if (getsockname(l->fd, (struct sockaddr *)&address, &n) != 0 ||
        getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot tell the address listened at");
    l->is_public = !is_loopback((struct sockaddr *)&address);
    buffer_format(&l->name, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return !l->name.failed || command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
}

static bool bind_to(int fd, const struct addrinfo *info) {
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
           bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
}

/* Listens at the first of the addresses that can be had. */
static bool listen_at(struct listen_socket *l, const struct addrinfo *infos, const char *host,
                      int port, struct gpt2_error *err) {
    int reason = EADDRNOTAVAIL;
    for (const struct addrinfo *info = infos; info; info = info->ai_next) {
        int fd = socket(info->ai_family, SOCK_STREAM, 0);
        if (fd >= 0 && bind_to(fd, info)) {
            l->fd = fd;
            return note_name(l, err);
        }
        reason = errno;
        if (fd >= 0)
            close(fd);
    }
    error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot listen at %s, port %d", host, port);
    return reason == EADDRINUSE ? error_hint(err, "another --port, or 0 for any that is free")
                                : false;
}

bool listen_socket_open(struct listen_socket *l, const char *host, int port, bool may_be_public,
                        struct gpt2_error *err) {
    char service[8];
    struct addrinfo *infos;
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    *l = (struct listen_socket){.fd = -1};
    snprintf(service, sizeof service, "%d", port);
    int code = getaddrinfo(host, service, &hints, &infos);
    if (code == EAI_MEMORY)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the address of --host");
    if (code == EAI_SYSTEM)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot find the address of --host %s",
                           host);
    if (code != 0)
        return usage_error(err, "--host: expected an address of this machine, got \"%s\": %s", host,
                           gai_strerror(code));
    bool ok = true;
    for (const struct addrinfo *info = infos; ok && info && !may_be_public; info = info->ai_next)
        ok = is_loopback(info->ai_addr) ||
             command_error(err, GPT2_ERR_USAGE,
                           "--api-key-file FILE with a key that clients send, or --host 127.0.0.1",
                           "--host %s: others than this machine reach that address, and there is "
                           "no key",
                           host);
    ok = ok && listen_at(l, infos, host, port, err);
    freeaddrinfo(infos);
    return ok;
}

void listen_socket_close(struct listen_socket *l) {
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    buffer_free(&l->name);
}
