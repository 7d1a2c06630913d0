/* fuzz_bulk.c - any bytes as a record of a job, and as the body of a request to serve: refused with
 * a message, or prompts of ids that the model has, and texts that could be made of them. */
#define REPLAY_NAME   "bulk"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "cli/generate/record_texts.h"
#include "cli/serve/api_request.h"
#include "mutate.h"

#include "../testworld.h"

static struct testworld world;
static struct decoding decoding;
static struct settings defaults;

static void finish(void) {
    decoding_free(&decoding);
    testworld_close(&world);
}

static void prepare(void) {
    struct gpt2_error err = {0};
    defaults = settings_unset();
    struct settings settings = defaults;
    if (!testworld_open(&world, 24, &err))
        abort();
    settings_resolve(&settings, gpt2_model_config(world.model));
    if (!decoding_create(&decoding, &settings, world.model, world.tokenizer, &err) ||
        atexit(finish) != 0)
        abort();
}

static void judge(bool ok, const struct gpt2_error *err) {
    if (!ok && (err->status == GPT2_OK || !err->message[0]))
        abort(); // refused without a word
}

static struct gpt2_error last; /* of a record */

static bool go_on(void *user, const float *logits) {
    return true;
}

static void check(const struct bulk_record *record) {
    for (int i = 0; i < record->n_prompts; i++)
        for (size_t k = 0; k < record->prompts[i].len; k++)
            if (record->prompts[i].data[k] < 0)
                abort();
    (void)bulk_record_bytes(record);
}

/* True where it is texts that can be made. */
static bool read_record(const char *data, size_t size, bool is_json,
                        const struct text_maker *maker) {
    struct gpt2_error err = {0};
    struct record_texts texts = {0};
    const struct prompt_encoder encoder = text_maker_encoder(maker);
    bool ok = bulk_record_read(&texts.record, data, size, is_json, 7, &defaults, &encoder, &err);
    judge(ok, &err);
    if (ok)
        check(&texts.record);
    if (texts.record.id.len == 0 && !texts.record.id.failed)
        abort(); // what an error is reported under
    err = (struct gpt2_error){0};
    if (ok)
        judge(ok = record_texts_create(&texts, maker, go_on, NULL, &err), &err);
    record_texts_free(&texts);
    last = err;
    return ok;
}

static bool read_request(const char *data, size_t size, const struct text_maker *maker) {
    struct gpt2_error err = {0};
    bool no_model;
    struct api_request *request = api_request_create(data, size, "m", maker, &no_model, &err);
    judge(request, &err);
    if (request && (no_model || request->texts.n < 1 || request->n_each < 1))
        abort();
    if (request)
        check(&request->texts.record);
    api_request_free(request);
    return request;
}

/* Bits: 1 it is a record, 2 a request. */
static int try(const char *data, size_t size) {
    if (!world.model)
        prepare();
    const struct text_maker maker = {.model = world.model,
                                     .tokenizer = world.tokenizer,
                                     .decoding = &decoding,
                                     .max_samples = 16};
    read_record(data, size, false, &maker);
    return (read_record(data, size, true, &maker) ? 1 : 0) |
           (read_request(data, size, &maker) ? 2 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try((const char *)data, size);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_json(data, size, cap, state);
}

void replay_seeds(void) {
    static const struct {
        const char *name, *text;
        int is; /* as `try` has it */
    } seeds[] = {
        {"text", "{\"prompt\": \"AB\", \"id\": \"r1\", \"max_tokens\": 3, \"seed\": 7}", 1},
        {"ids", "{\"ids\": [1, 2], \"n\": 2, \"stop\": [\"C\", \"AB\"], \"top_k\": 5}", 1},
        {"request",
         "{\"model\": \"m\", \"prompt\": [\"A\", \"B\"], \"n\": 2, \"stream\": true, "
         "\"stream_options\": {\"include_usage\": true}, \"logprobs\": 2, \"echo\": true, "
         "\"user\": \"u\", \"suffix\": null, \"logit_bias\": {\"3\": -5, \"4\": 2.5}}",
         2},
        {"lists", "{\"prompt\": [[1, 2], [3]], \"best_of\": 3, \"temperature\": 0.5}", 3},
        {"batch",
         "{\"custom_id\": \"a\", \"method\": \"POST\", \"url\": \"/v1/completions\", \"body\": "
         "{\"model\": \"m\", \"prompt\": \"A\", \"max_tokens\": 2, \"logit_bias\": {\"1\": 1}}}",
         1},
        {"choices", "{\"prompt\": \"A\", \"choices\": [\"B\", \"C\"], \"separator\": \"\"}", 1},
        {"beams", "{\"prompt\": \"A\", \"beams\": 3, \"length_penalty\": 0.5, \"until\": \"line\"}",
         1},
        {"slide",
         "{\"prompt\": \"A\", \"on_overflow\": \"slide\", \"max_tokens\": 90, \"keep\": 2}", 3},
        {"members", "{\"prompt\": \"A\", \"stream\": 1}", 0},
        {"no_object", "{\"prompt\": \"A\", \"stream\": true, \"stream_options\": 1}", 0},
        {"usage",
         "{\"prompt\": \"A\", \"stream\": true, \"stream_options\": {\"include_usage\": 1}}", 0},
        {"suffix", "{\"prompt\": \"A\", \"suffix\": \"B\"}", 0},
        {"best", "{\"prompt\": \"A\", \"stream\": true, \"best_of\": 3, \"n\": 2}", 0},
        {"many", "{\"prompt\": \"A\", \"n\": 129}", 0},
        {"biases",
         "{\"custom_id\": \"a\", \"logit_bias\": {\"1\": 1}, \"body\": {\"logit-bias\": {\"2\": "
         "1}, "
         "\"logit_bias\": {\"3\": 1}, \"prompt\": \"A\"}}",
         0},
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        const int is = try(seeds[i].text, strlen(seeds[i].text));
        if ((is & seeds[i].is) != seeds[i].is) {
            fprintf(stderr, "%s: expected %d, found %d: %s\n", seeds[i].name, seeds[i].is, is,
                    last.message);
            abort();
        }
        replay_seed(seeds[i].name, seeds[i].text, strlen(seeds[i].text));
    }
}
