/* http_server.h - requests and answers over HTTP, by GNU libmicrohttpd.
 *
 * The server has one thread of its own. It reads requests and calls the handler with each that has
 * arrived whole; the handler answers at once, or keeps the exchange, hands it to another thread and
 * returns: that thread answers when it can, in one go or piece by piece, or gives the exchange up.
 *
 *     http_answer(x, 200, "application/json", &body);
 *
 *     http_keep(x);                                   // in the handler, before it is handed over
 *     http_stream_begin(x, "text/event-stream");      // on any one thread, from here on
 *     http_stream_send(x, bytes, n);                  // never waits for the client
 *     http_stream_end(x, true);
 *     http_release(x);                                // always, in the end
 *
 * A client that is slow has its bytes kept in memory, up to a bound, and one that is gone makes
 * http_is_gone true: nothing fails because of either. */
#ifndef CLI_SERVE_HTTP_SERVER_H
#define CLI_SERVE_HTTP_SERVER_H

#include "base/buffer.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

struct http_server;
struct http_exchange;

/* A request that has arrived. Borrowed for the call of the handler. */
struct http_request {
    const char *method, *path;                     /* the path of any form of target */
    const char *authorization, *origin, *encoding; /* headers; NULL: not sent */
    const char *body;                              /* [n_body], never NULL    */
    size_t n_body;
    bool is_too_large;    /* the body is: it was not kept              */
    bool has_two_lengths; /* its end is not certain (RFC 9112, 6.3): the connection is closed */
    bool is_too_many;     /* there are more connections than is wanted */
};

struct http_options {
    int socket;          /* listens already; the server closes it, once it has started */
    int max_connections; /* more are answered, with is_too_many                      */
    size_t max_body;     /* bytes of a request                                       */
    int timeout;         /* seconds for a request to arrive, whole, and for a client to take some
                            of an answer; ten times as long for all of it            */
    void (*handler)(void *user, struct http_exchange *x, const struct http_request *request);
    void *user;
    const char *no_memory; /* JSON, copied: what is answered, with 503, where there is no memory for
                              a request or its answer */
};

/* Whether this build knows the library. */
bool http_server_is_built(void);

/* True where the library is there; else http_server_load says what is missing. */
bool http_server_load(struct gpt2_error *err);

/* Starts the thread, after http_server_load. Fails with GPT2_ERR_RUNTIME or GPT2_ERR_MEMORY. */
struct http_server *http_server_start(const struct http_options *options, struct gpt2_error *err);

/* Looks after connections: closes those whose request does not arrive, and notices clients that are
 * gone. To be called now and then, by one thread. */
void http_server_watch(struct http_server *server);

/* Takes no more connections. May be called again. */
void http_server_drain(struct http_server *server);

/* How many answers are not there, or not sent to their ends yet. */
int http_server_under_way(struct http_server *server);

/* Every exchange that was kept has been released. Closes all connections. NULL is allowed. */
void http_server_stop(struct http_server *server);

/* Answers. `body` is emptied; where its memory ran out, or that of the answer, the answer is 503
 * with options.no_memory. So it is where a stream cannot begin; the client then counts as gone.
 * type: NULL with 204, which has no body. */
void http_answer(struct http_exchange *x, unsigned status, const char *type, struct buffer *body);

/* The methods that a path has, a constant: part of an answer of 405, and of one to OPTIONS. */
void http_allow(struct http_exchange *x, const char *methods);

/* A web page that sent the request may read the answer, and learn by OPTIONS what it may send
 * (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol). Before the answer begins. */
void http_share(struct http_exchange *x);

void http_keep(struct http_exchange *x);
void http_stream_begin(struct http_exchange *x, const char *type);
void http_stream_send(struct http_exchange *x, const char *bytes, size_t n);
/* With `whole` false the connection is cut, so that the client knows that something is missing. */
void http_stream_end(struct http_exchange *x, bool whole);

/* The client is gone, or reads too slowly: no answer will reach it. */
bool http_is_gone(const struct http_exchange *x);

/* The last call for a kept exchange. Where it has no answer, or one without an end, the connection
 * is cut. */
void http_release(struct http_exchange *x);

#endif
