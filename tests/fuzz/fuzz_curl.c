/* fuzz_curl.c - any bytes as what curl writes, in pieces of any size: what is taken is the
 * beginning of them and no more than was allowed; the status is one or none; the message is one
 * line.
 *
 *     input: [size of a piece] [most bytes, 2] [not used] [when `take` stops] [status, 2]
 *            [length of its standard error] standard error, standard output */
#define REPLAY_NAME  "curl"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "hub/curl_output.h"
#include "mutate.h"

enum { HEAD = 8 };

struct taken {
    const uint8_t *data; /* [n] what was written */
    size_t n, done;
    unsigned left; /* calls until it stops */
};

static bool take(void *user, const void *data, size_t n_bytes) {
    struct taken *taken = user;
    if (n_bytes == 0 || n_bytes > taken->n - taken->done ||
        memcmp(data, taken->data + taken->done, n_bytes) != 0)
        abort();
    taken->done += n_bytes;
    return taken->left-- > 0;
}

/* Returns the status. */
static int try(const uint8_t *data, size_t size) {
    if (size < HEAD)
        return -1;
    const size_t n_said = data[7] < size - HEAD ? data[7] : size - HEAD;
    const uint8_t *body = data + HEAD + n_said;
    struct taken taken = {.data = body, .n = size - HEAD - n_said, .left = data[4]};
    struct curl_result result = {0};
    struct curl_output *output = calloc(1, sizeof *output);
    if (!output)
        abort();
    output->room = mutate_load(data + 1, 2);
    output->take = take;
    output->user = &taken;
    curl_output_say(output, (const char *)data + HEAD, n_said);
    bool goes_on = true;
    for (size_t at = 0; goes_on && at < taken.n;) {
        const size_t piece = (size_t)data[0] * 300 + 1;
        size_t cap, n = taken.n - at < piece ? taken.n - at : piece;
        void *room = curl_output_room(output, &cap);
        n = n < cap ? n : cap;
        if (n == 0)
            abort();
        memcpy(room, body + at, n);
        at += n;
        goes_on = curl_output_take(output, n, &result);
        if (goes_on == (result.too_long || result.stopped))
            abort();
    }
    curl_output_end(output, (int)mutate_load(data + 5, 2), &result);
    if (taken.done > mutate_load(data + 1, 2) || result.http < 0 || result.http > 999 ||
        strpbrk(result.message, "\r\n"))
        abort();
    free(output);
    return result.http;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try(data, size);
    return 0;
}

void replay_seeds(void) {
    static const char said[] = "curl: (22) The requested URL returned error: 404\n";
    static const char *const bodies[] = {"{}\ngpt2-status 200\n", "\ngpt2-status 404\n",
                                         "a\ngpt2-status 500\n\ngpt2-status 206\n", ""};
    static const int statuses[] = {200, 404, 206, 0};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        uint8_t seed[200] = {1, 255, 15, 0, 255, 0, (uint8_t)(i == 1 ? 22 : 0), 0};
        size_t n = HEAD;
        if (i == 1) {
            seed[7] = sizeof said - 1;
            memcpy(seed + n, said, sizeof said - 1);
            n += sizeof said - 1;
        }
        memcpy(seed + n, bodies[i], strlen(bodies[i]));
        n += strlen(bodies[i]);
        if (try(seed, n) != statuses[i]) {
            fprintf(stderr, "seed %zu: is not understood\n", i);
            abort();
        }
        char name[20];
        snprintf(name, sizeof name, "answer%zu", i);
        replay_seed(name, seed, n);
    }
}
