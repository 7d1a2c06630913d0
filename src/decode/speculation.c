/* speculation.c - guesses by lookup or by a model, how many, and what became of them. */
#include <gpt2/speculation.h>

#include "base/error_internal.h"
#include "base/os.h"
#include "decode/speculation_internal.h"

#include <string.h>

#define DEFAULT_DRAFT 16
#define OWN_GRAM      2  /* tokens of the shortest match in the text, */
#define CORPUS_GRAM   3  /* and in a corpus, where two are often chance */
#define RETRY         64 /* passes after which a model that did not pay is tried again, */
#define RETRY_DRAFT   4  /* with so many guesses */
#define MODEL_PRIOR   0.8

static bool check(const struct gpt2_speculation_options *o, struct gpt2_error *err) {
    if (!error_reserved(o->reserved, "gpt2_speculation_options", err))
        return false;
    if (o->lookup == (o->model != NULL) || (o->n_corpus > 0 && !o->lookup) ||
        (o->model && !o->runtime))
        return error_set(
            err, GPT2_ERR_USAGE,
            "speculation: expected either lookup, with or without a corpus, or a model "
            "with a runtime");
    if ((int)o->kv < 0 || o->kv > GPT2_KV_Q8)
        return error_set(err, GPT2_ERR_USAGE, "speculation: kv %d: expected %d to %d", (int)o->kv,
                         GPT2_KV_AUTO, GPT2_KV_Q8);
    if (o->max_draft < 0 || o->max_draft > GPT2_MAX_DRAFT)
        return error_set(err, GPT2_ERR_USAGE,
                         "speculation: expected drafts of 1 to %d tokens, or 0, got %d",
                         GPT2_MAX_DRAFT, o->max_draft);
    return true;
}

struct gpt2_speculation *gpt2_speculation_create(const struct gpt2_speculation_options *options,
                                                 struct gpt2_error *err) {
    static const double by_length[LENGTH_CLASSES] = {0.3, 0.5, 0.7, 0.8, 0.9};
    if (!check(options, err))
        return NULL;
    struct gpt2_speculation *s = os_alloc(1, sizeof *s, "speculation", err);
    if (!s)
        return NULL;
    s->options = *options;
    if (!s->options.max_draft)
        s->options.max_draft = DEFAULT_DRAFT;
    s->corpus.gram = CORPUS_GRAM;
    s->by_model = draft_policy_odds_of(MODEL_PRIOR);
    for (int i = 0; i < LENGTH_CLASSES; i++)
        s->by_length[i] = draft_policy_odds_of(by_length[i]);
    if (draft_lookup_push(&s->corpus, options->corpus, options->n_corpus, err) &&
        (!options->model ||
         draft_model_create(&s->model, options->model, options->runtime, options->kv, err)))
        return s;
    gpt2_speculation_free(s);
    return NULL;
}

void gpt2_speculation_free(struct gpt2_speculation *s) {
    if (!s)
        return;
    for (int i = 0; i < s->n_texts; i++) {
        draft_lookup_free(&s->texts[i].own);
        draft_model_forget(&s->texts[i].reader);
    }
    draft_model_free(&s->model);
    draft_lookup_free(&s->corpus);
    os_free(s->texts);
    os_free(s);
}

int gpt2_speculation_max_draft(const struct gpt2_speculation *s) {
    return s->options.max_draft;
}

struct gpt2_speculation_counts gpt2_speculation_counts(const struct gpt2_speculation *s) {
    return s->counts;
}

const struct gpt2_error *gpt2_speculation_error(const struct gpt2_speculation *s) {
    return s->err.status == GPT2_OK ? NULL : &s->err;
}

/* The text of a sample; NULL: memory is out. */
static struct draft_text *text_of(struct gpt2_speculation *s, int sample) {
    if (sample >= s->n_texts) {
        const int n = sample < 8 ? 8 : 2 * sample;
        struct draft_text *texts = os_alloc((size_t)n, sizeof *texts, "drafts", &s->err);
        if (!texts)
            return NULL;
        if (s->n_texts)
            memcpy(texts, s->texts, (size_t)s->n_texts * sizeof *texts);
        for (int i = s->n_texts; i < n; i++)
            texts[i].own.gram = OWN_GRAM;
        os_free(s->texts);
        s->texts = texts;
        s->n_texts = n;
    }
    return &s->texts[sample];
}

/* The odds of the guess that follows a match of so many tokens. */
static struct draft_odds *odds_of(struct gpt2_speculation *s, int length) {
    if (s->options.model)
        return &s->by_model;
    int class = 0;
    for (int most = 2; most < length && class < LENGTH_CLASSES - 1; most *= 2)
        class ++;
    return &s->by_length[class];
}

/* What was guessed has been checked as far as the text went on: notes how good it was. */
static void learn(struct gpt2_speculation *s, struct draft_text *text, const int32_t *ids,
                  int n_ids) {
    const int n_new = text->at > 0 && n_ids > text->at ? n_ids - text->at : 0;
    const int n = text->n_guess < n_new ? text->n_guess : n_new;
    int n_right = 0;
    while (n_right < n && text->guess[n_right] == ids[text->at + n_right])
        draft_policy_odds_note(odds_of(s, text->length + n_right++), true);
    if (n_right < n)
        draft_policy_odds_note(odds_of(s, text->length + n_right), false);
    s->counts.n_tokens += (uint64_t)n_new;
    s->counts.n_accepted += (uint64_t)(n_right < text->n_drafted ? n_right : text->n_drafted);
    text->at = text->n_guess = text->n_drafted = 0;
}

void speculation_learn(struct gpt2_speculation *s, int sample, const int32_t *ids, int n_ids) {
    if (sample < s->n_texts)
        learn(s, &s->texts[sample], ids, n_ids);
}

/* What the text and the corpus say comes next. */
static bool look_up(struct gpt2_speculation *s, struct draft_text *text, const int32_t *ids,
                    size_t n_ids) {
    struct draft_lookup *own = &text->own;
    if (own->n > n_ids || (own->n && memcmp(own->ids, ids, own->n * sizeof *ids) != 0))
        draft_lookup_clear(own); // another text
    size_t place = 0, in_corpus = 0;
    int length = 0, length_in_corpus = 0;
    if (!draft_lookup_push(own, ids + own->n, n_ids - own->n, &s->err))
        return false;
    const bool found = draft_lookup_find(own, ids, n_ids, &place, &length);
    const bool elsewhere = draft_lookup_find(&s->corpus, ids, n_ids, &in_corpus, &length_in_corpus);
    if (elsewhere && (!found || length_in_corpus > length)) {
        text->n_guess =
            draft_lookup_copy(&s->corpus, in_corpus, false, text->guess, s->options.max_draft);
        text->length = length_in_corpus;
    } else if (found) {
        text->n_guess = draft_lookup_copy(own, place, true, text->guess, s->options.max_draft);
        text->length = length;
    }
    return true;
}

static int draft_by_lookup(struct gpt2_speculation *s, struct draft_text *text,
                           const struct gpt2_step *step, int max) {
    if (!look_up(s, text, step->ids, (size_t)step->n_ids))
        return 0;
    max = max < text->n_guess ? max : text->n_guess;
    double right[GPT2_MAX_DRAFT];
    for (int i = 0; i < max; i++)
        right[i] = draft_policy_odds(odds_of(s, text->length + i));
    return s->options.always ? max : draft_policy_length(&s->policy, right, max, 0);
}

/* How many tokens the model is to guess. */
static int length_by_model(struct gpt2_speculation *s, int max) {
    double right[GPT2_MAX_DRAFT];
    for (int i = 0; i < max; i++)
        right[i] = draft_policy_odds(&s->by_model);
    if (s->options.always)
        return max;
    int n = draft_policy_length(&s->policy, right, max, s->model.guess_ns);
    s->n_idle = n > 0 ? 0 : s->n_idle + 1;
    if (s->n_idle < RETRY)
        return n;
    s->n_idle = 0;
    return max < RETRY_DRAFT ? max : RETRY_DRAFT;
}

static int draft_by_model(struct gpt2_speculation *s, struct draft_text *text,
                          const struct gpt2_step *step, int n_vocab,
                          const struct draft_chooser *chooser, int max) {
    max = length_by_model(s, max);
    if (!draft_model_guess(&s->model, &text->reader, step->ids, step->n_ids, n_vocab, chooser,
                           text->guess, max, &text->n_guess, &s->err))
        return 0;
    text->length = 0;
    return text->n_guess;
}

int speculation_draft(struct gpt2_speculation *s, const struct gpt2_step *step,
                      const struct gpt2_pass *last, int n_vocab,
                      const struct draft_chooser *chooser, int32_t *draft, int max) {
    struct draft_text *text = text_of(s, step->sample);
    if (!text || s->err.status != GPT2_OK)
        return 0;
    learn(s, text, step->ids, step->n_ids);
    draft_policy_note(&s->policy, last->n_rows, last->ns);
    max = max < s->options.max_draft ? max : s->options.max_draft;
    int n = s->options.model ? draft_by_model(s, text, step, n_vocab, chooser, max)
                             : draft_by_lookup(s, text, step, max);
    if (n > 0)
        memcpy(draft, text->guess, (size_t)n * sizeof *draft);
    text->at = step->n_ids;
    text->n_drafted = n;
    s->counts.n_passes++;
    s->counts.n_drafted += (uint64_t)n;
    return n;
}
