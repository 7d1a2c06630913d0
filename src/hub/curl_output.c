/* curl_output.c - tells the file in curl's output from the status after it. */
#include "hub/curl_output.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define N_MARK (sizeof CURL_MARK - 1)

void *curl_output_room(struct curl_output *output, size_t *cap) {
    *cap = sizeof output->data - output->held;
    return output->data + output->held;
}

bool curl_output_take(struct curl_output *output, size_t n, struct curl_result *result) {
    output->held += n;
    size_t ready = output->held > CURL_TRAILER ? output->held - CURL_TRAILER : 0;
    result->too_long = ready > output->room;
    if (result->too_long)
        ready = (size_t)output->room;
    result->stopped = ready > 0 && !output->take(output->user, output->data, ready);
    output->room -= ready;
    output->held -= ready;
    memmove(output->data, output->data + ready, output->held);
    return !result->too_long && !result->stopped;
}

void curl_output_say(struct curl_output *output, const char *bytes, size_t n) {
    const size_t room = sizeof output->said - 1 - output->n_said;
    n = n < room ? n : room;
    memcpy(output->said + output->n_said, bytes, n);
    output->n_said += n;
}

static bool is_status(const unsigned char *text) {
    for (int i = 0; i < 3; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* Where a signal ended curl there is no trailer; what is held then may be the file's, and is
 * fetched again. */
void curl_output_end(struct curl_output *output, int status, struct curl_result *result) {
    result->exit = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    result->too_long = result->too_long || result->exit == 63; // by the announced length
    const unsigned char *status_text = output->data + N_MARK;
    if (result->exit >= 0 && output->held == CURL_TRAILER &&
        !memcmp(output->data, CURL_MARK, N_MARK) && is_status(status_text))
        result->http =
            (status_text[0] - '0') * 100 + (status_text[1] - '0') * 10 + (status_text[2] - '0');
    // "curl: (6) Could not resolve host: huggingface.co"
    output->said[output->n_said] = 0;
    char *end = strncmp(output->said, "curl: (", 7) == 0 ? strstr(output->said, ") ") : NULL;
    char *text = end ? end + 2 : output->said;
    snprintf(result->message, sizeof result->message, "%.*s", (int)strcspn(text, "\r\n"), text);
}
