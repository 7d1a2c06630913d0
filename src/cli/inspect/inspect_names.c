/* inspect_names.c - names of tokens and ablations, for all kinds of `gpt2 inspect`. */
#include "cli/inspect/inspection.h"
#include "cli/io/report.h"

#include <gpt2/session.h>
#include <inttypes.h>
#include <string.h>

struct label inspect_token(struct inspect *inspect, int32_t id) {
    size_t n = 0;
    const char *bytes =
        inspect->tokenizer ? gpt2_tokenizer_token(inspect->tokenizer, id, &n) : NULL;
    return bytes ? (struct label){bytes, n} : view_label(&inspect->view, "#%" PRId32, id);
}

const char *inspect_quote(struct inspect *inspect, int32_t id) {
    struct label label = inspect_token(inspect, id);
    char *text = view_alloc(&inspect->view, 4 * label.n + 3, 1), c[ESCAPE_BYTES];
    if (!text)
        return "";
    char *end = text;
    *end++ = '"';
    for (size_t at = 0; label_next(label, &at, c);) {
        size_t n = strlen(c);
        memcpy(end, c, n);
        end += n;
    }
    *end = '"';
    return text;
}

static const struct ablation_name {
    const char *name;
    unsigned bit;
} ablation_names[] = {{"ln-gain", GPT2_ABLATE_LN_GAIN},
                      {"ln-bias", GPT2_ABLATE_LN_BIAS},
                      {"ln-scale", GPT2_ABLATE_LN_SCALE}};

#define N_ABLATIONS (sizeof ablation_names / sizeof *ablation_names)

const char *inspect_ablations(struct view *view, unsigned ablations) {
    const char *text = "";
    for (size_t i = 0; i < N_ABLATIONS; i++)
        if (ablations & ablation_names[i].bit)
            text = view_format(view, "%s%s%s", text, *text ? "," : "", ablation_names[i].name);
    return *text ? text : "nothing";
}

bool inspect_parse_ablations(const char *list, unsigned *ablations, struct gpt2_error *err) {
    for (const char *p = list; p;) {
        size_t n = strcspn(p, ","), i = 0;
        while (i < N_ABLATIONS &&
               !(strlen(ablation_names[i].name) == n && strncmp(p, ablation_names[i].name, n) == 0))
            i++;
        if (i == N_ABLATIONS)
            return usage_error(
                err,
                "--ablate: expected ln-gain, ln-bias, ln-scale, or several with commas, got "
                "\"%.100s\"",
                list);
        *ablations |= ablation_names[i].bit;
        p = p[n] ? p + n + 1 : NULL;
    }
    return true;
}

bool inspect_no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the results");
}
