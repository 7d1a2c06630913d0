/* cmd_serve.c - `gpt2 serve`: OpenAI's completions endpoint, over HTTP. */
#include "cli/command/commands.h"
#include "cli/command/engine.h"
#include "cli/command/memory_limit.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/command/weights_options.h"
#include "cli/io/find_model.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/serve/api_answer.h"
#include "cli/serve/http_api.h"
#include "cli/serve/listen_socket.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct serve_arguments {
    const char *host, *model, *alias, *cpu, *key_file;
    struct model_options opening;
    struct sandbox sandbox;
    struct weights_options weights;
    int port, threads, kv, parallel, connections, queue, timeout;
    size_t max_body, cache_memory;
};

/* Everything that is allocated; freed by close_all. */
struct serve_run {
    struct serve_arguments args;
    struct listen_socket listening;
    struct api_keys keys;
    struct engine engine;
    struct completion_service *service;
    struct http_server *server;
    struct http_api api;
    char *name; /* of the model */
};

/* The name in /v1/models: of a path only the last part, as clients should not see the paths of
 * this machine, without slashes at its end. For free(). */
static char *name_of(const struct serve_arguments *args, struct gpt2_error *err) {
    const char *name = args->alias ? args->alias : model_or_default(args->model);
    size_t n = strlen(name), first = 0;
    if (!args->alias) {
        while (n > 1 && name[n - 1] == '/')
            n--;
        for (size_t i = 0; strchr("./~", *name) && i + 1 < n; i++)
            if (name[i] == '/')
                first = i + 1;
    }
    if (n == 0) {
        command_error(err, GPT2_ERR_USAGE, NULL, "--alias: expected a name, got \"\"");
        return NULL;
    }
    char *copy = strndup(name + first, n - first);
    if (!copy)
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    return copy;
}

/* The socket comes first, before anything that a program gives up. */
static bool open_all(struct serve_run *run, struct gpt2_error *err) {
    struct serve_arguments *a = &run->args;
    run->name = name_of(a, err);
    if (!run->name || !http_server_load(err) ||
        (a->key_file && !api_keys_read(&run->keys, a->key_file, err)) ||
        !listen_socket_open(&run->listening, a->host, a->port, run->keys.n > 0, err))
        return false;
    sandbox_begin(&a->sandbox, NULL, 0);
    if (!engine_open(&run->engine, a->model, &a->opening, a->threads, a->cpu, false, err) ||
        !weights_prepare(run->engine.model, &a->weights, LLONG_MAX, err))
        return false;
    struct memory_use use = {.prefix = a->cache_memory};
    memory_generator(&use, run->engine.model, run->engine.runtime, (enum gpt2_kv)a->kv,
                     a->parallel > MAX_BEAMS ? a->parallel : MAX_BEAMS);
    if (!memory_check(&use, a->opening.max_memory, err))
        return false;
    const struct service_options service = {.engine = &run->engine,
                                            .model_name = run->name,
                                            .kv = (enum gpt2_kv)a->kv,
                                            .max_samples = a->parallel,
                                            .max_queue = a->queue,
                                            .cache_memory = a->cache_memory,
                                            .timeout = a->timeout};
    run->service = completion_service_create(&service, err);
    if (!run->service)
        return false;
    run->api = (struct http_api){.service = run->service,
                                 .keys = &run->keys,
                                 .model_name = service.model_name,
                                 .started = time(NULL),
                                 .max_body = a->max_body};
    const struct http_options http = {.socket = run->listening.fd,
                                      .max_connections = a->connections,
                                      .max_body = a->max_body,
                                      .timeout = a->timeout,
                                      .handler = http_api_handle,
                                      .user = &run->api,
                                      .no_memory = api_no_memory};
    run->server = http_server_start(&http, err);
    if (run->server)
        run->listening.fd = -1;
    sandbox_enter(&a->sandbox, CONFINE_SERVES);
    return run->server != NULL;
}

static void close_all(struct serve_run *run) {
    http_server_stop(run->server);
    completion_service_free(run->service);
    listen_socket_close(&run->listening);
    api_keys_free(&run->keys);
    engine_close(&run->engine);
    free(run->name);
}

static int execute(struct serve_run *run) {
    struct gpt2_error err;
    int n_cut;
    if (!open_all(run, &err))
        return report(&err);
    signals_catch();
    report_done("gpt2: %s at http://%s/v1", run->api.model_name, run->listening.name.data);
    if (!completion_service_run(run->service, run->server, &n_cut, &err))
        return report(&err);
    if (n_cut == 0)
        return 0;
    report_note("%d request%s not finished, and told so", n_cut, n_cut == 1 ? " was" : "s were");
    return 128 + signals_caught();
}

static int run_serve(int argc, char **argv) {
    struct serve_run *run = calloc(1, sizeof *run);
    struct gpt2_error err;
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    struct serve_arguments *a = &run->args;
    run->listening.fd = -1;
    a->host = "127.0.0.1";
    a->port = 8080;
    a->parallel = 64;
    a->cache_memory = CACHE_MEMORY;
    a->connections = a->queue = 256;
    a->timeout = 30;
    a->max_body = (size_t)4 << 20;
    const struct option table[] = {
        OPT_SECTION("Address"),
        OPT_STRING("host", 0, &a->host, "HOST",
                   "where to listen (default 127.0.0.1: this machine\n"
                   "alone); an address that others reach needs a key"),
        OPT_INT("port", 0, &a->port, 0, 65535, "N", "its port (default 8080; 0: any that is free)"),
        OPT_STRING("api-key-file", 0, &a->key_file, "FILE",
                   "clients have to send one of the keys in this file, of\n"
                   "which each line has one (\"Authorization: Bearer KEY\")",
                   .flags = OPTION_READS),
        OPT_SECTION("Model"),
        OPT_MODEL_WORD(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_STRING("alias", 'a', &a->alias, "NAME",
                   "the model's name for clients (default: as it is given,\n"
                   "of a path that begins with /, . or ~ the last part)"),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_WEIGHTS(&a->weights),
        OPT_SANDBOX(&a->sandbox),
        OPT_SECTION("Work"),
        OPT_INT("parallel", 0, &a->parallel, 1, 4096, "N",
                "texts in progress at once (default 64); the result is\n"
                "the same for any",
                .aliases = "np"),
        OPT_CACHE_MEMORY(&a->cache_memory, .needs = NULL),
        OPT_SECTION("Limits"),
        OPT_INT("queue", 0, &a->queue, 1, 65536, "N",
                "requests that wait for their turn (default 256); more\n"
                "get 429"),
        OPT_INT("connections", 0, &a->connections, 1, 16384, "N",
                "at once (default 256); more get 503"),
        OPT_SIZE("max-body", 0, &a->max_body, "SIZE",
                 "the largest request (default 4M); larger ones get 413"),
        OPT_INT("timeout", 0, &a->timeout, 1, 86400, "S",
                "seconds for a request to arrive, for a client to take\n"
                "more of an answer, and for requests in progress when\n"
                "SIGTERM or SIGINT ends the program (default 30)"),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_serve, table, argc, argv, 0, &n_words, &code))
        code = execute(run);
    close_all(run);
    free(run);
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "OpenAI's completions API, over HTTP",
    .usage = "[OPTIONS] [MODEL]",
    .details =
        "POST /v1/completions takes the fields of OpenAI's API and those of a record of\n"
        "generate --input (gpt2-bulk(5)): prompt (a text, token ids, or a list of these),\n"
        "max_tokens, temperature, top_p, n, best_of, stop, echo, logprobs, seed, logit_bias,\n"
        "stream, stream_options and so on. What they do not say is as OpenAI has it, whatever the\n"
        "model recommends: 16 tokens, temperature 1, all tokens; the seed is random and stands in\n"
        "the answer. `generate -n 16 --temp 1 --top-k 0 --top-p 1 --repeat-penalty 1 -s SEED` "
        "gives\n"
        "the same text. n and best_of are 128 at most. An unknown field is ignored and listed in\n"
        "\"ignored\"; a wrong value gets 400. Special tokens in prompts are text. GET /v1/models\n"
        "names the model, GET /health is for monitors and needs no key. There is no chat.\n"
        "Web pages may ask (CORS): with --api-key-file those of any site that have a key, else\n"
        "only those of this machine (http://localhost:3000).\n"
        "All requests are computed together; what their prompts begin with is read once. A client "
        "that\n"
        "goes away, or shuts down its side of the connection, ends its texts. After SIGTERM or "
        "SIGINT nothing new is taken; the exit code is "
        "0\n"
        "if every request in progress was finished. A second signal ends at once.\n"
        "The address is printed on standard error when the server is ready.\n",
    .examples =
        EXAMPLES({"gpt2 serve --port 8080", "answer OpenAI's completions API on this machine"},
                 {"gpt2 serve gpt2 --alias gpt-2 --port 8080",
                  "another model, under a name that clients know"},
                 {"gpt2 serve --host 0.0.0.0 --port 8080 --api-key-file keys.txt",
                  "for other machines, which need one of the keys"}),
    .common = "host port api-key-file model alias threads parallel",
    .related = "generate",
    .run = run_serve,
};
