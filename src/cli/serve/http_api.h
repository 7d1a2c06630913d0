/* http_api.h - the paths of OpenAI's API that the server has, and what each request means. */
#ifndef CLI_SERVE_HTTP_API_H
#define CLI_SERVE_HTTP_API_H

#include "cli/serve/api_keys.h"
#include "cli/serve/completion_service.h"

struct http_api {
    struct completion_service *service;
    const struct api_keys *keys;
    const char *model_name;
    time_t started;
    size_t max_body;
    char noted[32][64]; /* members of requests that were ignored, each said once */
    int n_noted;
};

/* http_options.handler, with a struct http_api as `user`. */
void http_api_handle(void *user, struct http_exchange *x, const struct http_request *request);

#endif
