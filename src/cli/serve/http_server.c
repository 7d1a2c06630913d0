/* http_server.c - serves HTTP by GNU libmicrohttpd; the only file that knows it.
 *
 * The library is loaded when it is needed, as it brings a dozen others along that no other command
 * should wait for. While an answer is made its connection is suspended, and the library does not
 * look at its socket: http_server_watch does. One lock guards all exchanges; it is never held while
 * the library is called with something that may call back. */
#include "cli/serve/http_server.h"
#include "base/error_internal.h"
#include "base/library.h"
#include "base/os.h"
#include "cli/io/report.h"

#ifdef HAVE_MICROHTTPD

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_BEHIND  ((size_t)8 << 20) /* bytes of a stream that a client has not taken */
#define SPARE       64                /* connections that are taken to be refused      */
#define BLOCK       ((size_t)16 << 10)
#define MAX_HEADERS ((size_t)32 << 10)

/* What is used of the library. */
static struct {
    __typeof__(MHD_start_daemon) *start_daemon;
    __typeof__(MHD_stop_daemon) *stop_daemon;
    __typeof__(MHD_quiesce_daemon) *quiesce_daemon;
    __typeof__(MHD_suspend_connection) *suspend_connection;
    __typeof__(MHD_resume_connection) *resume_connection;
    __typeof__(MHD_get_connection_info) *get_connection_info;
    __typeof__(MHD_lookup_connection_value) *lookup_connection_value;
    __typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
    __typeof__(MHD_create_response_from_callback) *create_response_from_callback;
    __typeof__(MHD_add_response_header) *add_response_header;
    __typeof__(MHD_queue_response) *queue_response;
    __typeof__(MHD_destroy_response) *destroy_response;
    __typeof__(MHD_http_unescape) *http_unescape;
} lib;

/* A connection, from accept to close. */
struct http_connection {
    int fd;
    time_t since;            /* it waits for a request, or its answer is complete */
    struct http_exchange *x; /* NULL: none of which the request has arrived       */
    struct http_connection *next, **to_this;
};

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection; /* NULL: closed */
    struct http_connection *at;        /* likewise      */
    int n_owners;                      /* the library, and who keeps it */
    struct buffer body;
    bool is_too_large, is_too_many, has_two_lengths;
    const char *allow; /* NULL: says nothing of methods */
    bool shared;       /* with the web page that asks    */
    bool handled, kept, suspended;
    struct MHD_Response *response;
    unsigned status;
    bool streams, ended, cut; /* cut: no answer, or not all of it */
    struct buffer out;        /* of a stream: [sent, len) is to be sent */
    size_t sent;
    atomic_bool gone;
};

struct http_server {
    struct http_options options;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
    struct http_connection *connections;
    int n_connections;
    int drained;                    /* the socket that is no longer listened at, -1: it still is */
    struct MHD_Response *no_memory; /* made at the beginning, for any number of requests */
};

bool http_server_load(struct gpt2_error *err) {
    static const char *const names[] = {"libmicrohttpd.so.12", "libmicrohttpd.so.13",
                                        "libmicrohttpd.so", "libmicrohttpd.dylib"};
    const struct library_symbol symbols[] = {
        {"MHD_start_daemon", &lib.start_daemon},
        {"MHD_stop_daemon", &lib.stop_daemon},
        {"MHD_quiesce_daemon", &lib.quiesce_daemon},
        {"MHD_suspend_connection", &lib.suspend_connection},
        {"MHD_resume_connection", &lib.resume_connection},
        {"MHD_get_connection_info", &lib.get_connection_info},
        {"MHD_lookup_connection_value", &lib.lookup_connection_value},
        {"MHD_create_response_from_buffer", &lib.create_response_from_buffer},
        {"MHD_create_response_from_callback", &lib.create_response_from_callback},
        {"MHD_add_response_header", &lib.add_response_header},
        {"MHD_queue_response", &lib.queue_response},
        {"MHD_destroy_response", &lib.destroy_response},
        {"MHD_http_unescape", &lib.http_unescape},
    };
    const char *why;
    if (library_load(names, sizeof names / sizeof *names, symbols, sizeof symbols / sizeof *symbols,
                     &why))
        return true;
    if (why)
        return command_error(err, strstr(why, "memory") ? GPT2_ERR_MEMORY : GPT2_ERR_RUNTIME, NULL,
                             "cannot load GNU libmicrohttpd: %s", why);
    return command_error(err, GPT2_ERR_RUNTIME, "on Debian: apt install libmicrohttpd12",
                         "GNU libmicrohttpd is not installed");
}

static time_t now(void) {
    return (time_t)(os_now_ns() / 1000000000);
}

/* ---- exchanges; with the lock held ---- */

static void wake(struct http_exchange *x) {
    if (!x->suspended)
        return;
    x->suspended = false;
    lib.resume_connection(x->connection);
}

/* One owner less. The last one frees it, without the lock. Returns whether it was the last. */
static bool disown(struct http_exchange *x) {
    return --x->n_owners == 0;
}

static void free_exchange(struct http_exchange *x) {
    if (x->response && x->response != x->server->no_memory)
        lib.destroy_response(x->response);
    buffer_free(&x->body);
    buffer_free(&x->out);
    free(x);
}

/* ---- answers: from any thread ---- */

/* False: out of memory. */
static bool add_header(struct MHD_Response *response, const char *name, const char *value) {
    return lib.add_response_header(response, name, value) == MHD_YES;
}

/* What a browser wants to know. Any page that is let in gets the same, so no origin is named. */
static bool add_sharing(struct MHD_Response *response, const struct http_exchange *x,
                        unsigned status) {
    if (!x || !x->shared)
        return true;
    return add_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*") &&
           add_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ORIGIN) &&
           (status != MHD_HTTP_NO_CONTENT ||
            (add_header(response, "Access-Control-Allow-Methods", x->allow) &&
             // the star does not stand for it
             add_header(response, "Access-Control-Allow-Headers", "Authorization, *") &&
             add_header(response, "Access-Control-Max-Age", "600")));
}

/* x: whose answer it is, or NULL. */
static struct MHD_Response *make_response(const struct http_exchange *x, unsigned status,
                                          const char *type, struct buffer *body) {
    size_t n;
    if (!type)
        buffer_text(body, "");
    char *bytes = body->failed ? NULL : buffer_take(body, &n);
    struct MHD_Response *response =
        bytes ? lib.create_response_from_buffer(n, bytes, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free(bytes);
        return NULL;
    }
    const bool waits =
        status == MHD_HTTP_TOO_MANY_REQUESTS || status == MHD_HTTP_SERVICE_UNAVAILABLE;
    if ((!type || add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type)) &&
        add_sharing(response, x, status) &&
        (!waits || add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1")) &&
        (!x || !x->allow || add_header(response, MHD_HTTP_HEADER_ALLOW, x->allow)) &&
        (!x || !x->has_two_lengths || add_header(response, MHD_HTTP_HEADER_CONNECTION, "close")) &&
        (status != MHD_HTTP_UNAUTHORIZED ||
         add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer")))
        return response;
    lib.destroy_response(response);
    return NULL;
}

void http_answer(struct http_exchange *x, unsigned status, const char *type, struct buffer *body) {
    struct MHD_Response *response = make_response(x, status, type, body);
    buffer_free(body);
    pthread_mutex_lock(&x->server->lock);
    x->response = response ? response : x->server->no_memory;
    x->status = response ? status : MHD_HTTP_SERVICE_UNAVAILABLE;
    x->ended = true;
    if (x->at)
        x->at->since = now();
    wake(x);
    pthread_mutex_unlock(&x->server->lock);
}

void http_allow(struct http_exchange *x, const char *methods) {
    x->allow = methods;
}

void http_share(struct http_exchange *x) {
    x->shared = true;
}

void http_keep(struct http_exchange *x) {
    pthread_mutex_lock(&x->server->lock);
    x->kept = true;
    x->n_owners++;
    x->suspended = true;
    pthread_mutex_unlock(&x->server->lock);
    lib.suspend_connection(x->connection);
}

/* The library asks for more of a stream. */
static ssize_t read_stream(void *user, uint64_t position, char *bytes, size_t max) {
    struct http_exchange *x = user;
    ssize_t n = 0;
    pthread_mutex_lock(&x->server->lock);
    size_t left = x->out.len - x->sent;
    if (left > 0) {
        n = (ssize_t)(left < max ? left : max);
        memcpy(bytes, x->out.data + x->sent, (size_t)n);
        x->sent += (size_t)n;
    } else if (x->cut) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (x->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        x->suspended = true;
        lib.suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->server->lock);
    return n;
}

void http_stream_begin(struct http_exchange *x, const char *type) {
    struct MHD_Response *response =
        lib.create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, x, NULL);
    if (response && (!add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) ||
                     !add_sharing(response, x, MHD_HTTP_OK) ||
                     !add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"))) {
        lib.destroy_response(response);
        response = NULL;
    }
    pthread_mutex_lock(&x->server->lock);
    x->response = response ? response : x->server->no_memory;
    x->status = response ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    x->streams = true;
    if (!response)
        x->gone = true; // there is no stream to read
    wake(x);
    pthread_mutex_unlock(&x->server->lock);
}

void http_stream_send(struct http_exchange *x, const char *bytes, size_t n) {
    pthread_mutex_lock(&x->server->lock);
    if (x->sent == x->out.len) {
        x->out.len = x->sent = 0;
    } else if (x->sent > MAX_BEHIND / 2) {
        memmove(x->out.data, x->out.data + x->sent, x->out.len - x->sent);
        x->out.len -= x->sent;
        x->sent = 0;
    }
    if (x->out.len - x->sent + n > MAX_BEHIND || x->out.failed) {
        x->cut = true;
        x->gone = true;
    } else {
        buffer_bytes(&x->out, bytes, n);
    }
    wake(x);
    pthread_mutex_unlock(&x->server->lock);
}

void http_stream_end(struct http_exchange *x, bool whole) {
    pthread_mutex_lock(&x->server->lock);
    x->ended = true;
    x->cut |= !whole || x->out.failed;
    if (x->at)
        x->at->since = now();
    wake(x);
    pthread_mutex_unlock(&x->server->lock);
}

bool http_is_gone(const struct http_exchange *x) {
    return atomic_load_explicit(&x->gone, memory_order_relaxed);
}

void http_release(struct http_exchange *x) {
    struct http_server *server = x->server;
    pthread_mutex_lock(&server->lock);
    if (!x->ended) {
        x->ended = x->cut = true;
        wake(x);
    }
    bool last = disown(x);
    pthread_mutex_unlock(&server->lock);
    if (last)
        free_exchange(x);
}

/* ---- what the library calls, on its thread ---- */

static void note_connection(void *user, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code) {
    struct http_server *server = user;
    struct http_connection *c = *context;
    pthread_mutex_lock(&server->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            lib.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        c = calloc(1, sizeof *c); // NULL: its requests are refused
        if (c) {
            *c = (struct http_connection){.fd = info ? info->connect_fd : -1, .since = now()};
            c->next = server->connections;
            c->to_this = &server->connections;
            if (c->next)
                c->next->to_this = &c->next;
            server->connections = c;
        }
        server->n_connections++;
        *context = c;
    } else {
        server->n_connections--;
        if (c) {
            *c->to_this = c->next;
            if (c->next)
                c->next->to_this = c->to_this;
            free(c);
        }
        *context = NULL;
    }
    pthread_mutex_unlock(&server->lock);
}

static struct http_exchange *begin_exchange(struct http_server *server,
                                            struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        lib.get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_exchange *x = info && info->socket_context ? calloc(1, sizeof *x) : NULL;
    if (!x)
        return NULL;
    const char *length =
        lib.lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    *x = (struct http_exchange){
        .server = server, .connection = connection, .at = info->socket_context, .n_owners = 1};
    x->has_two_lengths = length && lib.lookup_connection_value(connection, MHD_HEADER_KIND,
                                                               MHD_HTTP_HEADER_TRANSFER_ENCODING);
    x->is_too_large = length && strtoull(length, NULL, 10) > server->options.max_body;
    pthread_mutex_lock(&server->lock);
    x->is_too_many = server->n_connections > server->options.max_connections;
    pthread_mutex_unlock(&server->lock);
    return x;
}

/* What stands for bytes in a target, but for 0, which would end it: there is no such path. */
static size_t unescape(void *user, struct MHD_Connection *connection, char *s) {
    return strstr(s, "%00") ? strlen(s) : lib.http_unescape(s);
}

/* Of a target in absolute form, as a proxy gets it, the path (RFC 9112, 3.2.2). */
static const char *path_of(const char *target) {
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    const char *path = strchr(target + 7, '/');
    return path ? path : "/";
}

static void call_handler(struct http_exchange *x, const char *path, const char *method) {
    const struct http_options *o = &x->server->options;
    struct http_request request = {.method = method,
                                   .path = path_of(path),
                                   .body = x->body.data ? x->body.data : "",
                                   .n_body = x->body.len,
                                   .is_too_large = x->is_too_large,
                                   .has_two_lengths = x->has_two_lengths,
                                   .is_too_many = x->is_too_many};
    request.authorization =
        lib.lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    request.origin =
        lib.lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    request.encoding = lib.lookup_connection_value(x->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_ENCODING);
    pthread_mutex_lock(&x->server->lock);
    x->handled = true;
    x->at->x = x;
    pthread_mutex_unlock(&x->server->lock);
    o->handler(o->user, x, &request);
}

/* Answers a request for which there is no memory. */
static enum MHD_Result refuse(struct http_server *server, struct MHD_Connection *connection) {
    return lib.queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, server->no_memory);
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *bytes,
                              size_t *n_bytes, void **context) {
    struct http_server *server = user;
    struct http_exchange *x = *context;
    if (!x) {
        x = *context = begin_exchange(server, connection);
        if (!x)
            return refuse(server, connection);
        if (!x->is_too_large && !x->is_too_many && !x->has_two_lengths)
            return MHD_YES;
        // it is answered before the body comes
    } else if (*n_bytes > 0) {
        x->is_too_large |= x->body.len + *n_bytes > server->options.max_body;
        if (!x->is_too_large)
            buffer_bytes(&x->body, bytes, *n_bytes);
        *n_bytes = 0;
        return MHD_YES;
    }
    if (x->body.failed)
        return refuse(server, connection);
    const bool first = !x->handled;
    if (first)
        call_handler(x, path, method);
    pthread_mutex_lock(&server->lock);
    bool waits = x->suspended || (first && x->kept); // it is resumed, and this called again
    struct MHD_Response *response = x->response;
    pthread_mutex_unlock(&server->lock);
    if (waits)
        return MHD_YES;
    return response ? lib.queue_response(connection, x->status, response) : MHD_NO; // it was cut
}

static void complete(void *user, struct MHD_Connection *connection, void **context,
                     enum MHD_RequestTerminationCode code) {
    struct http_server *server = user;
    struct http_exchange *x = *context;
    if (!x)
        return;
    pthread_mutex_lock(&server->lock);
    x->at->x = NULL;
    x->at->since = now();
    x->at = NULL;
    x->connection = NULL;
    x->suspended = false;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        x->gone = true;
    bool last = disown(x);
    pthread_mutex_unlock(&server->lock);
    *context = NULL;
    if (last)
        free_exchange(x);
}

/* ---- the server ---- */

static struct MHD_Response *make_no_memory(const char *body) {
    struct buffer copy = {0};
    buffer_text(&copy, body);
    struct MHD_Response *response =
        make_response(NULL, MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", &copy);
    buffer_free(&copy);
    return response;
}

struct http_server *http_server_start(const struct http_options *options, struct gpt2_error *err) {
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a server");
        return NULL;
    }
    server->options = *options;
    server->drained = -1;
    pthread_mutex_init(&server->lock, NULL);
    server->no_memory = make_no_memory(options->no_memory);
    if (!server->no_memory) {
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a server");
        http_server_stop(server);
        return NULL;
    }
    errno = 0;
    server->daemon = lib.start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, server,
        MHD_OPTION_LISTEN_SOCKET, options->socket, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)options->max_connections + SPARE, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)options->timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MAX_HEADERS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, server,
        MHD_OPTION_NOTIFY_CONNECTION, note_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        complete, server, MHD_OPTION_END);
    if (server->daemon)
        return server;
    error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot start the server");
    http_server_stop(server);
    return NULL;
}

/* Whether the other side has closed. */
static bool is_closed(int fd) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void http_server_watch(struct http_server *server) {
    const time_t at = now(), timeout = server->options.timeout;
    pthread_mutex_lock(&server->lock);
    for (struct http_connection *c = server->connections; c; c = c->next) {
        if (c->x && !c->x->ended) {
            if (c->x->suspended && is_closed(c->fd))
                c->x->gone = true; // who keeps it releases it
        } else if (at - c->since > (c->x ? 10 * timeout : timeout)) {
            shutdown(c->fd, SHUT_RDWR); // the library then closes it
        }
    }
    pthread_mutex_unlock(&server->lock);
}

void http_server_drain(struct http_server *server) {
    if (server->drained >= 0)
        return;
    // the library's thread may still take it out of its set: closed, that ends the program
    server->drained = lib.quiesce_daemon(server->daemon);
    shutdown(server->drained, SHUT_RDWR);
}

int http_server_under_way(struct http_server *server) {
    int n = 0;
    pthread_mutex_lock(&server->lock);
    for (const struct http_connection *c = server->connections; c; c = c->next)
        n += c->x != NULL;
    pthread_mutex_unlock(&server->lock);
    return n;
}

void http_server_stop(struct http_server *server) {
    if (!server)
        return;
    if (server->daemon)
        lib.stop_daemon(server->daemon);
    if (server->drained >= 0)
        close(server->drained);
    if (server->no_memory)
        lib.destroy_response(server->no_memory);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

bool http_server_is_built(void) {
    return true;
}

#else

bool http_server_is_built(void) {
    return false;
}

bool http_server_load(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_RUNTIME,
                         "install it (Debian: libmicrohttpd-dev) and build again",
                         "this gpt2 was built without GNU libmicrohttpd, which serve needs");
}

/* The others are never called. */
struct http_server *http_server_start(const struct http_options *options, struct gpt2_error *err) {
    http_server_load(err);
    return NULL;
}
void http_server_watch(struct http_server *server) {}
void http_server_drain(struct http_server *server) {}
int http_server_under_way(struct http_server *server) {
    return 0;
}
void http_server_stop(struct http_server *server) {}
void http_answer(struct http_exchange *x, unsigned status, const char *type, struct buffer *body) {
    buffer_free(body);
}
void http_allow(struct http_exchange *x, const char *methods) {}
void http_share(struct http_exchange *x) {}
void http_keep(struct http_exchange *x) {}
void http_stream_begin(struct http_exchange *x, const char *type) {}
void http_stream_send(struct http_exchange *x, const char *bytes, size_t n) {}
void http_stream_end(struct http_exchange *x, bool whole) {}
bool http_is_gone(const struct http_exchange *x) {
    return true;
}
void http_release(struct http_exchange *x) {}

#endif
