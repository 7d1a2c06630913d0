/* test_settings.c - every option of drawing changes what is drawn, by walking the table.
 *
 * No option is listed here. Each entry of the table of settings that is about drawing (the first
 * two sections, and any other number or flag of struct gpt2_sampler_options) is set to its bounds
 * and some values between them; one of them has to change what is drawn from the same logits. So an
 * option that is read and used nowhere fails, and one whose kind of value is not known here, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cli/generate/settings.h"
#include "testmodel.h"

enum { V = 61, SPACE = 59, END = 60, CTX = 40, N_PROMPT = 24, N_DRAWS = 160 };

static struct {
    struct gpt2_model *model;
    struct gpt2_tokenizer *tokenizer;
    float logits[V];
} world;

static int open_world(void **state) {
    struct gpt2_error err;
    char dir[TESTMODEL_PATH], vocab[16 * V] = "{";
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){
                             .n_vocab = V, .n_ctx = CTX, .config = "\"eos_token_id\": 60"});
    for (int i = 0; i < SPACE; i++)
        snprintf(vocab + strlen(vocab), sizeof vocab - strlen(vocab), "\"%s%c\": %d, ",
                 'A' + i == '\\' ? "\\" : "", 'A' + i, i);
    strcat(vocab, "\"\\u0120\": 59, \"<|endoftext|>\": 60}");
    testmodel_write_file(dir, "vocab.json", vocab, strlen(vocab));
    testmodel_write_file(dir, "merges.txt", "#version: 0.2\n", 14);
    world.model = gpt2_model_open(dir, &err);
    world.tokenizer = gpt2_tokenizer_open(dir, &err);
    testmodel_remove(dir);
    // spread over some units; three are equally likely, and the end of a text is likely
    for (int i = 0; i < V; i++)
        world.logits[i] = 1.5f * (float)((i * 37 + 11) % V) / V - (float)(i % 7) / 2;
    world.logits[3] = world.logits[4] = world.logits[5] = 2;
    world.logits[END] = 2.5f;
    return world.model && world.tokenizer ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_tokenizer_close(world.tokenizer);
    gpt2_model_close(world.model);
    return 0;
}

/* What is drawn for N_DRAWS places after a text whose likely tokens stand in it again and again. */
static void draw(const struct settings *given, int32_t drawn[N_DRAWS]) {
    struct settings settings = *given;
    struct decoding decoding;
    struct gpt2_error err;
    settings_resolve(&settings, gpt2_model_config(world.model));
    if (!decoding_create(&decoding, &settings, world.model, world.tokenizer, &err))
        fail_msg("%s", err.message);
    struct gpt2_history *history = gpt2_history_create(decoding.sampler, &err);
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = i % 6;
    assert_non_null(history);
    assert_true(gpt2_history_push(history, prompt, N_PROMPT, false, &err));
    for (uint32_t i = 0; i < N_DRAWS; i++)
        drawn[i] = gpt2_sampler_next(decoding.sampler, world.logits,
                                     (struct gpt2_draw){.position = i, .history = history});
    gpt2_history_free(history);
    decoding_free(&decoding);
}

/* What the option is tried with; "" for none. */
static void value_of(const struct option *o, int i, char value[64]) {
    static const double between[] = {0.01, 0.3, 1, 2};
    enum { N_BETWEEN = sizeof between / sizeof *between };
    double number = i == 0 ? o->min : i == 1 ? o->max : i < 2 + N_BETWEEN ? between[i - 2] : NAN;
    value[0] = 0;
    switch (o->type) {
    case OPTION_FLOAT:
    case OPTION_INT:
        if (number >= o->min && number <= o->max &&
            (o->type == OPTION_FLOAT || i < 2 || number >= 1))
            snprintf(value, 64, "%.10g", number);
        break;
    case OPTION_FLAG:
        snprintf(value, 64, "%s", i == 0 ? "true" : "");
        break;
    case OPTION_SEED:
        snprintf(value, 64, "%s", i == 0 ? "7" : "");
        break;
    case OPTION_CHOICE:
        for (int k = 0; o->choices[k]; k++)
            if (k == i)
                snprintf(value, 64, "%s", o->choices[k]);
        break;
    case OPTION_STRINGS:
        snprintf(value, 64, "%s",
                 i                              ? ""
                 : !strcmp(o->argument, "ID+F") ? "3-100"
                 : !strcmp(o->argument, "TEXT") ? "D"
                                                : "");
        break;
    default:
        break;
    }
}

static void set(struct option *table, const char *name, const char *value) {
    struct gpt2_error err;
    if (!options_set(table, name, value, &err))
        fail_msg("--%s %s: %s", name, value, err.message);
}

/* What is set before the option: nothing, every filter off, or that and a penalty. */
enum start { NOTHING, ALL_OFF, PENALTY, N_STARTS };

/* ... and what the option belongs to. */
static void start(struct settings *settings, struct option *table, enum start form,
                  const struct option *o) {
    *settings = settings_unset();
    settings_table(table, settings);
    if (form == PENALTY)
        set(table, "repeat-penalty", "100");
    if (form != NOTHING) {
        set(table, "temp", "1");
        set(table, "top-k", "0");
        for (size_t i = 0; gpt2_filter_at(i); i++) {
            char off[32];
            snprintf(off, sizeof off, "%.9g", (double)gpt2_filter_at(i)->off);
            set(table, gpt2_filter_at(i)->name, off);
        }
    }
    if (o->needs) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(o->needs, " "), o->needs);
        set(table, name, "100");
    }
}

static bool has_effect(const struct option *o, enum start form) {
    enum { N_VALUES = 8 };
    bool tried = false;
    for (int i = 0; i < N_VALUES; i++) {
        struct settings settings;
        struct option table[SETTINGS_MAX];
        int32_t without[N_DRAWS], with[N_DRAWS];
        char value[64];
        value_of(o, i, value);
        if (!value[0])
            continue;
        tried = true;
        start(&settings, table, form, o);
        draw(&settings, without);
        set(table, o->name, value);
        draw(&settings, with);
        if (memcmp(with, without, sizeof with) != 0)
            return true;
    }
    if (!tried)
        fail_msg("--%s %s: this test does not know a value for it", o->name,
                 o->argument ? o->argument : "");
    return false;
}

static bool is_in_sampler(const struct option *o, const struct settings *settings) {
    const char *at = o->type == OPTION_FLAG    ? (const char *)o->dest.flag
                     : o->type == OPTION_FLOAT ? (const char *)o->dest.real
                                               : (const char *)o->dest.number;
    const char *sampler = (const char *)&settings->sampler;
    return at >= sampler && at < sampler + sizeof settings->sampler;
}

static void options_of_drawing_have_an_effect(void **state) {
    struct settings settings = settings_unset();
    struct option table[SETTINGS_MAX];
    int section = 0, n = 0;
    settings_table(table, &settings);
    for (const struct option *o = table; o->name; o++) {
        section += o->type == OPTION_SECTION;
        if (!option_is_shown(o) || (section > 2 && !is_in_sampler(o, &settings)))
            continue;
        n++;
        // --compat changes what is not said, and so has an effect where nothing is
        bool has = false;
        for (int form = NOTHING; form < N_STARTS && !has; form++)
            has = has_effect(o, (enum start)form);
        if (!has)
            fail_msg("--%s changes nothing", o->name);
    }
    size_t n_filters = 0;
    while (gpt2_filter_at(n_filters))
        n_filters++;
    assert_true(n_filters >= 3 && (size_t)n > n_filters + 8);
}

/* A filter at its value for off, alone and before a list of all ids, drops nothing. */
static void filters_are_off_by_their_own_value(void **state) {
    struct gpt2_sampler_options o = {.temperature = 1};
    for (size_t i = 0; gpt2_filter_at(i); i++) {
        const struct gpt2_filter *f = gpt2_filter_at(i);
        memcpy((char *)&o + f->offset, &f->off, sizeof f->off);
        assert_true(f->off >= f->min && f->off <= f->max);
        assert_true(f->offset + sizeof(float) <= sizeof o);
    }
    struct gpt2_error err;
    struct gpt2_sampler *off = gpt2_sampler_create(&o, V, &err);
    o.top_k = V; // a list of all
    struct gpt2_sampler *all = gpt2_sampler_create(&o, V, &err);
    assert_true(off && all);
    for (uint32_t i = 0; i < N_DRAWS; i++) {
        const struct gpt2_draw draw = {.position = i};
        assert_int_equal(gpt2_sampler_next(off, world.logits, draw),
                         gpt2_sampler_next(all, world.logits, draw));
    }
    gpt2_sampler_free(off);
    gpt2_sampler_free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_drawing_have_an_effect),
        cmocka_unit_test(filters_are_off_by_their_own_value),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
