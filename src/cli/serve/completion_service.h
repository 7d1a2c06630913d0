/* completion_service.h - one generator for all clients: what they ask for waits in a queue, joins
 * the generator as there is room, and is answered as it ends.
 *
 * Requests take turns by prompts, so that a long list of one does not keep out the others. What
 * prompts begin with is read once for all. A request whose client is gone loses its place. */
#ifndef CLI_SERVE_COMPLETION_SERVICE_H
#define CLI_SERVE_COMPLETION_SERVICE_H

#include "cli/command/engine.h"
#include "cli/serve/api_request.h"

struct completion_service;

struct service_options {
    const struct engine *engine; /* borrowed */
    const char *model_name;
    enum gpt2_kv kv;
    int max_samples;     /* in progress at once                  */
    int max_queue;       /* requests that wait for their turn    */
    size_t cache_memory; /* for what prompts begin with; 0: none */
    int timeout;         /* seconds for requests in progress when the program is to end */
};

struct completion_service *completion_service_create(const struct service_options *options,
                                                     struct gpt2_error *err);
void completion_service_free(struct completion_service *service); /* NULL is allowed */

/* What requests are made with. */
const struct text_maker *completion_service_maker(const struct completion_service *service);

/* Takes a request, which is the service's from now on. From any thread. */
enum submitted { SUBMITTED, QUEUE_FULL, SERVICE_ENDING };
enum submitted completion_service_submit(struct completion_service *service,
                                         struct api_request *request);
bool completion_service_is_ending(struct completion_service *service);

/* Works until a signal ends the program (signals.h): then finishes what it has, as far as the
 * timeout lets it. *n_cut is how many requests it did not finish, and has told so. False: it cannot
 * go on, *err says why. */
bool completion_service_run(struct completion_service *service, struct http_server *server,
                            int *n_cut, struct gpt2_error *err);

#endif
