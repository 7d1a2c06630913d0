/* http_api.c - answers short requests at once, and hands completions to the service. */
#include "cli/serve/http_api.h"
#include "cli/io/report.h"
#include "cli/serve/api_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BAD "invalid_request_error"

static void refuse(struct http_exchange *x, unsigned status, const char *code,
                   const char *message) {
    api_refuse(x, status, status >= 500 ? "server_error" : BAD, NULL, code, message);
}

static void answer_json(struct http_exchange *x, struct buffer *body) {
    http_answer(x, 200, "application/json", body);
}

static void put_model(const struct http_api *api, struct buffer *out) {
    buffer_text(out, "{\"id\":");
    buffer_json(out, api->model_name, strlen(api->model_name));
    buffer_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"gpt2\"}",
                  (long long)api->started);
}

static void list_models(struct http_api *api, struct http_exchange *x) {
    struct buffer body = {0};
    buffer_text(&body, "{\"object\":\"list\",\"data\":[");
    put_model(api, &body);
    buffer_text(&body, "]}\n");
    answer_json(x, &body);
}

static void show_model(struct http_api *api, struct http_exchange *x, const char *name) {
    struct buffer body = {0};
    if (strcmp(name, api->model_name) != 0) {
        refuse(x, 404, "model_not_found",
               "there is no such model; /v1/models lists the one there "
               "is");
        return;
    }
    put_model(api, &body);
    buffer_byte(&body, '\n');
    answer_json(x, &body);
}

static void show_health(struct http_api *api, struct http_exchange *x) {
    struct buffer body = {0};
    if (completion_service_is_ending(api->service)) {
        refuse(x, 503, "ending", "the server ends");
        return;
    }
    buffer_text(&body, "{\"status\":\"ok\"}\n");
    answer_json(x, &body);
}

/* Says on standard error what of a request means nothing here, each name once. */
static void note_ignored(struct http_api *api, const struct bulk_record *record) {
    const int size = (int)(sizeof api->noted / sizeof *api->noted);
    const char *at = record->ignored.data;
    while (at && *at && api->n_noted < size) {
        char name[sizeof *api->noted];
        const char *end = at + 1; // of the JSON string
        while (*end && *end != '"')
            end += *end == '\\' && end[1] ? 2 : 1;
        end += *end == '"';
        snprintf(name, sizeof name, "%.*s", (int)(end - at), at);
        bool known = false;
        for (int i = 0; i < api->n_noted; i++)
            known |= !strcmp(api->noted[i], name);
        if (!known) {
            memcpy(api->noted[api->n_noted++], name, sizeof name);
            report_note("a request has %s, which means nothing here and is ignored", name);
        }
        at = end + (*end == ',');
    }
}

static void complete(struct http_api *api, struct http_exchange *x,
                     const struct http_request *request) {
    struct gpt2_error err;
    bool no_model;
    struct api_request *r =
        api_request_create(request->body, request->n_body, api->model_name,
                           completion_service_maker(api->service), &no_model, &err);
    if (!r && no_model) {
        api_refuse(x, 404, BAD, "model", "model_not_found", err.message);
        return;
    }
    if (!r) {
        struct bulk_record record = {.is_request = true};
        record.json = gpt2_record_parse(request->body, request->n_body, NULL);
        api_refuse_error(x, &err, &record);
        bulk_record_free(&record);
        return;
    }
    note_ignored(api, &r->texts.record);
    r->x = x;
    http_keep(x);
    switch (completion_service_submit(api->service, r)) {
    case SUBMITTED:
        return;
    case QUEUE_FULL:
        api_refuse(x, 429, "rate_limit_error", NULL, "queue_full",
                   "too many requests wait for their turn: try again later");
        break;
    case SERVICE_ENDING:
        refuse(x, 503, "ending", "the server ends");
        break;
    }
    http_release(x);
    api_request_free(r);
}

/* Whether a page of some web site has the browser send this: without a key it would be let in. */
static bool is_foreign_page(const struct http_api *api, const struct http_request *request) {
    static const char *const local[] = {"http://localhost",  "http://127.0.0.1",  "http://[::1]",
                                        "https://localhost", "https://127.0.0.1", "https://[::1]"};
    const char *origin = request->origin;
    if (!origin || api->keys->n > 0)
        return false;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        const size_t n = strlen(local[i]);
        if (!strncmp(origin, local[i], n) && (!origin[n] || origin[n] == ':'))
            return false;
    }
    return true;
}

/* A browser asks by OPTIONS, which has no key, what a page may send. */
static bool needs_key(const struct http_request *request) {
    return strcmp(request->path, "/health") != 0 && strcmp(request->method, "OPTIONS") != 0;
}

/* False: the request was refused before anybody asks what it is about. */
static bool let_in(const struct http_api *api, struct http_exchange *x,
                   const struct http_request *request) {
    char message[120];
    const bool is_foreign = is_foreign_page(api, request);
    if (request->origin && !is_foreign)
        http_share(x);
    if (request->is_too_many) {
        refuse(x, 503, "too_many_connections", "too many connections: try again later");
    } else if (request->is_too_large) {
        snprintf(message, sizeof message, "the request has more than %zu bytes", api->max_body);
        refuse(x, 413, "request_too_large", message);
    } else if (request->has_two_lengths) {
        refuse(x, 400, "two_lengths", "Content-Length and Transfer-Encoding exclude each other");
    } else if (request->encoding && strcasecmp(request->encoding, "identity") != 0) {
        snprintf(message, sizeof message, "Content-Encoding: expected none, got \"%.40s\"",
                 request->encoding);
        refuse(x, 415, "unsupported_encoding", message);
    } else if (needs_key(request) && !api_keys_accept(api->keys, request->authorization)) {
        api_refuse(x, 401, "authentication_error", NULL, "invalid_api_key",
                   "expected a header \"Authorization: Bearer KEY\" with a key of this server");
    } else if (is_foreign) {
        refuse(x, 403, "foreign_origin",
               "a web page of another origin: without keys only pages of this machine are let in");
    } else {
        return true;
    }
    return false;
}

void http_api_handle(void *user, struct http_exchange *x, const struct http_request *request) {
    struct http_api *api = user;
    static const char models[] = "/v1/models/";
    const char *path = request->path;
    const bool is_post = !strcmp(request->method, "POST");
    const bool is_get = !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD");
    const bool is_options = !strcmp(request->method, "OPTIONS");
    const bool completions = !strcmp(path, "/v1/completions");
    const bool is_model = !strncmp(path, models, sizeof models - 1);
    const bool is_list = !strcmp(path, "/v1/models"), is_health = !strcmp(path, "/health");
    struct buffer nothing = {0};
    if (!let_in(api, x, request))
        return;
    if (!strcmp(path, "/v1/chat/completions"))
        refuse(x, 404, "no_chat",
               "GPT-2 continues texts and was not trained for conversations: there is no chat "
               "here, POST a \"prompt\" to /v1/completions");
    else if (!completions && !is_model && !is_list && !is_health)
        refuse(x, 404, "unknown_path",
               "there is no such path: expected /v1/completions, /v1/models or /health");
    else if (is_options || (completions ? !is_post : !is_get)) {
        http_allow(x, completions ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
        if (is_options)
            http_answer(x, 204, NULL, &nothing);
        else
            refuse(x, 405, "method_not_allowed",
                   completions ? "expected POST with a JSON object" : "expected GET");
    } else if (completions)
        complete(api, x, request);
    else if (is_model)
        show_model(api, x, path + sizeof models - 1);
    else if (is_list)
        list_models(api, x);
    else
        show_health(api, x);
}
