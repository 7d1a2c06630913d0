/* api_answer.h - answers as OpenAI's API has them: completions, pieces of them, errors. */
#ifndef CLI_SERVE_API_ANSWER_H
#define CLI_SERVE_API_ANSWER_H

#include "cli/serve/api_request.h"

/* The error of OpenAI's shape where there is no memory for another (http_options.no_memory). */
extern const char api_no_memory[];

/* Answers an exchange with an error object. `type` is "invalid_request_error", "server_error" ...;
 * `param` and `code` may be NULL. */
void api_refuse(struct http_exchange *x, unsigned status, const char *type, const char *param,
                const char *code, const char *message);

/* The same for an error of ours: 400 for what the client did, else 500, or 503 where memory is out.
 * `record` (or NULL) says which member of the request is meant. */
void api_refuse_error(struct http_exchange *x, const struct gpt2_error *err,
                      const struct bulk_record *record);

/* Answers a request whose texts have all ended. */
void api_answer(struct api_request *r, const char *model_name,
                const struct gpt2_tokenizer *tokenizer);

/* Sends what a stream's texts have become since the last call; the first call begins it. */
void api_stream(struct api_request *r, const char *model_name,
                const struct gpt2_tokenizer *tokenizer);

/* Ends a stream: with the tokens that were used, if that is wanted, or with an error. */
void api_stream_end(struct api_request *r, const char *model_name);
void api_stream_fail(struct api_request *r, const struct gpt2_error *err);

#endif
