/* fuzz_arguments.c - any bytes as texts of the command line: --ids, --filter of score, and a whole
 * line of options for each of several commands' settings. Refused with a message, or in range. */
#define REPLAY_NAME  "arguments"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "cli/command/options.h"
#include "cli/generate/settings.h"
#include "cli/io/prompt_source.h"
#include "cli/score/score_filter.h"
#include <gpt2/tokenizer.h>

#include <stdlib.h>
#include <string.h>

static void judge(bool ok, const struct gpt2_error *err) {
    if (!ok && (err->status == GPT2_OK || !err->message[0]))
        abort(); // refused without a word
}

static void read_ids(const char *text, size_t n) {
    struct gpt2_error err = {0};
    struct gpt2_ids ids = {0};
    bool ok = text_parse_ids(text, n, "input", &ids, &err);
    judge(ok, &err);
    for (size_t i = 0; ok && i < ids.len; i++)
        if (ids.data[i] < 0)
            abort();
    gpt2_ids_free(&ids);
}

static void read_filter(const char *text) {
    struct gpt2_error err = {0};
    struct score_filter filter = {0};
    bool ok = score_filter_parse(&filter, text, &err);
    judge(ok, &err);
    if (ok) {
        const struct score_totals totals = {.bytes = 10, .tokens = 3, .scored = 2};
        (void)score_filter_passes(&filter, &totals);
    }
}

/* Lines NAME=VALUE, as records and sessions set options. */
static void read_settings(char *text) {
    struct settings settings = settings_unset();
    struct option table[SETTINGS_MAX + 1];
    int n = settings_table(table, &settings);
    table[n] = (struct option)OPT_END;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        struct gpt2_error err = {0};
        char *value = strchr(line, '=');
        if (value)
            *value++ = 0;
        judge(options_set(table, line, value ? value : "true", &err), &err);
    }
    for (int i = 0; i < n; i++) {
        const struct option *o = &table[i];
        // outside its range only where it is unset
        if (o->type == OPTION_CHOICE && o->name && *o->dest.number > 64)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    read_ids(text, size);
    read_filter(text);
    read_settings(text);
    free(text);
    return 0;
}

/* Every option of drawing, with a value that it takes, by walking the table. */
void replay_seeds(void) {
    static const char *const ids[] = {"1,2,3", "15496 995\n11", "0", "50256,"};
    static const char *const filters[] = {"bits_per_byte<1.5 && tokens>=10", "ppl>3e1",
                                          "bytes==10 && scored!=2", "logprob<=-1 && bits>0",
                                          "scored==2 && logprob<0 && bytes!=1"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        replay_seed("ids", ids[i], strlen(ids[i]));
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct score_filter filter;
        struct gpt2_error err = {0};
        if (!score_filter_parse(&filter, filters[i], &err)) {
            fprintf(stderr, "%s: %s\n", filters[i], err.message);
            abort();
        }
        replay_seed("filter", filters[i], strlen(filters[i]));
    }
    struct settings settings = settings_unset();
    struct option table[SETTINGS_MAX + 1];
    int n = settings_table(table, &settings);
    char text[8192];
    size_t len = 0;
    for (int i = 0; i < n; i++)
        if (option_is_shown(&table[i]) && len + 200 < sizeof text)
            len += (size_t)snprintf(text + len, 200, "%s=%s\n", table[i].name,
                                    table[i].type == OPTION_FLAG     ? "true"
                                    : table[i].type == OPTION_CHOICE ? table[i].choices[0]
                                                                     : "1");
    replay_seed("settings", text, len);
}
