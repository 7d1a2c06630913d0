/* api_request.h - a request for completions, from its body to the texts that answer it. */
#ifndef CLI_SERVE_API_REQUEST_H
#define CLI_SERVE_API_REQUEST_H

#include "cli/generate/record_texts.h"
#include "cli/serve/http_server.h"
#include <time.h>

#define API_MAX_SAMPLES 128 /* of a prompt, as OpenAI has it */

/* How much of a sample a stream has sent. */
struct sent_part {
    int n_ids;
    size_t n_bytes;
    bool begun, ended;
};

struct api_request {
    struct http_exchange *x; /* kept */
    struct record_texts texts;
    char id[48];
    time_t created;
    bool streams, includes_usage;
    bool began;             /* its stream has  */
    int n_started;          /* of its prompts  */
    int n_each;             /* samples of a prompt that the answer has */
    struct sent_part *sent; /* [texts.n * n_each] of a stream           */
    struct api_request *next;
};

/* Makes a request of a body; `model_name` is the only model that there is. The seed is random where
 * it has none. Fails with GPT2_ERR_USAGE and GPT2_ERR_INPUT for what is wrong in it,
 * GPT2_ERR_MEMORY; *no_model: it asks for another model. */
struct api_request *api_request_create(const char *body, size_t n, const char *model_name,
                                       const struct text_maker *maker, bool *no_model,
                                       struct gpt2_error *err);
void api_request_free(struct api_request *request); /* not the exchange; NULL is allowed */

#endif
