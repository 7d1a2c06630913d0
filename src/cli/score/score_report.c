/* score_report.c - prints scored tokens, words and texts. */
#include "cli/score/score_report.h"
#include "cli/io/line_errors.h"
#include "cli/io/report.h"
#include "cli/score/score_fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LN2 0x1.62e42fefa39efp-1

/* The word that is being read. */
struct word {
    char *bytes;
    size_t len, cap;
    uint64_t begin;
    struct score_totals totals;
    double divisor;     /* log p(B | before), or log p(not B | before): score_report.h */
    bool is_blank;      /* only white space so far                         */
    bool is_special;    /* a special token, which is a word of its own     */
    bool is_unfinished; /* one of its tokens has no probability            */
};

struct score_text {
    uint64_t line, offset; /* offset: of the next token */
    struct score_totals totals;
    struct word word;
    char *bytes; /* the line, or NULL */
    size_t len;
    size_t n_context; /* tokens that are read before it */
    char *id;         /* of a record, JSON; or NULL */
    bool is_greedy;   /* each token so far is the likeliest at its place */
};

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory while scoring");
}

void score_text_free(void *data) {
    struct score_text *text = data;
    free(text->word.bytes);
    free(text->bytes);
    free(text->id);
    free(text);
}

struct score_text *score_text_create(const struct score_report *report, uint64_t line,
                                     uint64_t offset, const char *bytes, size_t n,
                                     struct gpt2_error *err) {
    struct score_text *text = calloc(1, sizeof *text);
    if (!text) {
        no_memory(err);
        return NULL;
    }
    text->line = line;
    text->offset = offset;
    text->is_greedy = true;
    if (!report->filter)
        return text;
    text->bytes = malloc(n + 1);
    if (!text->bytes) {
        score_text_free(text);
        no_memory(err);
        return NULL;
    }
    if (n)
        memcpy(text->bytes, bytes, n);
    text->len = n;
    return text;
}

void score_text_context(struct score_text *text, size_t n_tokens) {
    text->n_context = n_tokens;
}

bool score_text_record(struct score_text *text, const char *id, struct gpt2_error *err) {
    text->id = strdup(id);
    return text->id || no_memory(err);
}

/* ---- results ---- */

static const char *token_bytes(const struct score_report *r, int32_t id, size_t *n) {
    *n = 0;
    const char *bytes = r->tokenizer ? gpt2_tokenizer_token(r->tokenizer, id, n) : NULL;
    return bytes ? bytes : "";
}

static void put_top(const struct score_report *r, struct score_fields *fields,
                    const struct gpt2_alternative *top) {
    char name[40];
    size_t n;
    if (r->format != SCORE_TSV && r->n_top) {
        score_fields_name(fields, "top");
        fields->ok = fields->ok && output_string(fields->out, "[", fields->err);
    }
    for (int i = 0; i < r->n_top; i++) {
        const char *bytes = top ? token_bytes(r, top[i].id, &n) : NULL;
        if (r->format != SCORE_TSV) {
            if (!top)
                break;
            fields->ok = fields->ok && output_string(fields->out, i ? ", " : "", fields->err);
            struct score_fields item = {fields->out, fields->json, fields->err, 0, fields->ok};
            score_fields_count(&item, "id", (uint64_t)top[i].id);
            score_fields_text(&item, "token", bytes, n);
            score_fields_number(&item, "logprob", top[i].logprob);
            fields->ok = item.ok && output_string(fields->out, "}", fields->err);
            continue;
        }
        snprintf(name, sizeof name, "top%d", i + 1);
        if (top && r->tokenizer)
            score_fields_text(fields, name, bytes, n);
        else if (top)
            score_fields_count(fields, name, (uint64_t)top[i].id);
        else
            score_fields_number(fields, name, NAN);
        score_fields_number(fields, name, top ? top[i].logprob : NAN);
    }
    if (r->format != SCORE_TSV && r->n_top)
        fields->ok = fields->ok && output_string(fields->out, "]", fields->err);
}

static struct score_fields fields_begin(struct score_report *r, const struct score_text *text,
                                        struct gpt2_error *err) {
    struct score_fields fields = {&r->out, r->format != SCORE_TSV, err, 0, true};
    if (r->format == SCORE_JSON)
        fields.ok = output_string(&r->out, r->n_printed ? ",\n" : "\n", err);
    r->n_printed++;
    if (text->id) {
        score_fields_name(&fields, "id");
        fields.ok = fields.ok && output_string(&r->out, text->id, err);
    } else if (r->lines) {
        score_fields_count(&fields, "line", text->line);
    }
    return fields;
}

static bool fields_end(const struct score_report *r, struct score_fields *fields) {
    static const char *const ends[] = {
        [SCORE_TSV] = "\n", [SCORE_JSON] = "}", [SCORE_JSONL] = "}\n"};
    return fields->ok && output_string(fields->out, ends[r->format], fields->err);
}

/* ---- header ---- */

static const char *const unit_names[] = {"token", "word", "line", "doc"};
static const char *const columns[] = {
    "begin\tend\tid\ttoken\tlogprob\tbits\trank\tentropy",
    "begin\tend\ttokens\tword\tlogprob\tbits\tuncorrected_bits",
    "bytes\ttokens\tscored\twindows\tlogprob\tbits\tbits_per_byte\tppl",
    "bytes\ttokens\tscored\twindows\tlogprob\tbits\tbits_per_byte\tppl",
};

bool score_report_header(struct score_report *r, struct gpt2_error *err) {
    struct output *out = &r->out;
    if (!r->header || r->filter || r->tint)
        return true;
    if (r->format != SCORE_TSV) {
        struct score_fields fields = {&r->out, true, err, 0, true};
        score_fields_text(&fields, "protocol", r->protocol, strlen(r->protocol));
        score_fields_count(&fields, "context", (uint64_t)r->n_ctx);
        score_fields_name(&fields, "bos");
        fields.ok = fields.ok && output_string(out, r->bos ? "true" : "false", err);
        score_fields_text(&fields, "by", unit_names[r->by], strlen(unit_names[r->by]));
        score_fields_text(&fields, "model", r->model, strlen(r->model));
        if (r->format == SCORE_JSON)
            return fields.ok && output_string(out, ", \"rows\": [", err);
        return fields_end(r, &fields);
    }
    bool ok =
        output_format(out, err, "# gpt2 score: protocol %s, context %d, bos %s, by %s, model ",
                      r->protocol, r->n_ctx, r->bos ? "yes" : "no", unit_names[r->by]) &&
        score_escaped(out, r->model, strlen(r->model), err) &&
        output_format(out, err, "\n%s%s", r->lines ? "line\t" : "", columns[r->by]);
    for (int i = 1; ok && r->by == SCORE_TOKEN && i <= r->n_top; i++)
        ok = output_format(out, err, "\ttop%d\ttop%d_logprob", i, i);
    return ok && output_string(out, "\n", err);
}

bool score_report_footer(struct score_report *r, struct gpt2_error *err) {
    if (r->tint && !r->plain)
        return (r->tint == SCORE_RANK ? color_rank_legend : color_surprisal_legend)(&r->out, err);
    return r->format != SCORE_JSON || output_string(&r->out, r->n_printed ? "\n]}\n" : "]}\n", err);
}

/* ---- tokens ---- */

static bool print_token(struct score_report *r, const struct score_text *text,
                        const struct scored_token *token, const char *bytes, size_t n,
                        struct gpt2_error *err) {
    const struct gpt2_score *score = token->score;
    struct score_fields fields = fields_begin(r, text, err);
    score_fields_count(&fields, "begin", text->offset);
    score_fields_count(&fields, "end", text->offset + n);
    score_fields_count(&fields, "id", (uint64_t)token->id);
    score_fields_text(&fields, "token", bytes, n);
    score_fields_number(&fields, "logprob", score ? score->logprob : NAN);
    score_fields_number(&fields, "bits", score ? -score->logprob / LN2 : NAN);
    if (score)
        score_fields_count(&fields, "rank", (uint64_t)score->rank);
    else
        score_fields_number(&fields, "rank", NAN);
    score_fields_number(&fields, "entropy", score ? score->entropy / LN2 : NAN);
    put_top(r, &fields, score ? token->top : NULL);
    return fields_end(r, &fields);
}

/* The colours of GLTR (Gehrmann, Strobelt and Rush 2019, arXiv:1906.04043): green for the 10
 * likeliest tokens, yellow up to 100, red up to 1000, violet for all others. */
static const char *color_of_rank(int rank) {
    return rank < 10     ? COLOR_GREEN
           : rank < 100  ? COLOR_YELLOW
           : rank < 1000 ? COLOR_RED
                         : COLOR_VIOLET;
}

static bool print_coloured(struct score_report *r, const struct scored_token *token,
                           const char *bytes, size_t n, struct gpt2_error *err) {
    if (r->plain)
        return color_part(&r->color_text, &r->out, bytes, n, err);
    char shade[32];
    const char *style = NULL;
    if (token->score && r->tint == SCORE_RANK)
        style = color_of_rank(token->score->rank);
    else if (token->score && color_of_surprisal(-token->score->logprob / LN2, shade))
        style = shade;
    return color_bytes(&r->color_text, &r->out, style, bytes, n, err);
}

/* ---- words ---- */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_blank(const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_space(bytes[i]))
            return false;
    return n > 0;
}

/* `next` is the token after the word; NULL if it has no probability. */
static bool print_word(struct score_report *r, struct score_text *text,
                       const struct gpt2_score *next, struct gpt2_error *err) {
    struct word *word = &text->word;
    double logprob = word->totals.logprob;
    if (!word->is_special)
        logprob += (next ? next->marked : NAN) - word->divisor;
    if (word->is_unfinished)
        logprob = NAN;
    struct score_fields fields = fields_begin(r, text, err);
    score_fields_count(&fields, "begin", word->begin);
    score_fields_count(&fields, "end", word->begin + word->len);
    score_fields_count(&fields, "tokens", word->totals.tokens);
    score_fields_text(&fields, "word", word->bytes ? word->bytes : "", word->len);
    score_fields_number(&fields, "logprob", logprob);
    score_fields_number(&fields, "bits", -logprob / LN2);
    score_fields_number(&fields, "uncorrected_bits",
                        word->is_unfinished ? NAN : -word->totals.logprob / LN2);
    word->len = 0;
    word->totals = (struct score_totals){0};
    return fields_end(r, &fields);
}

static bool add_to_word(struct word *word, const char *bytes, size_t n, struct gpt2_error *err) {
    if (word->len + n > word->cap) {
        size_t cap = 2 * (word->len + n) + 64;
        char *grown = realloc(word->bytes, cap);
        if (!grown)
            return no_memory(err);
        word->bytes = grown;
        word->cap = cap;
    }
    if (n)
        memcpy(word->bytes + word->len, bytes, n);
    word->len += n;
    return true;
}

static bool take_word_token(struct score_report *r, struct score_text *text,
                            const struct scored_token *token, const char *bytes, size_t n,
                            struct gpt2_error *err) {
    struct word *word = &text->word;
    const struct gpt2_score *score = token->score;
    bool special = r->tokenizer && gpt2_tokenizer_is_special(r->tokenizer, token->id);
    bool spaced = n > 0 && is_space(bytes[0]);
    bool begins = word->totals.tokens == 0 || token->is_end || special || word->is_special ||
                  (spaced && !word->is_blank);
    if (begins && word->totals.tokens > 0 && !print_word(r, text, score, err))
        return false;
    if (token->is_end)
        return true;
    if (begins) {
        word->begin = text->offset;
        word->divisor = !score ? NAN : spaced ? score->marked : score->unmarked;
        word->is_special = special;
        word->is_blank = true;
        word->is_unfinished = false;
    }
    word->is_blank = word->is_blank && is_blank(bytes, n);
    word->is_unfinished = word->is_unfinished || !score;
    word->totals.tokens++;
    word->totals.logprob += score ? score->logprob : 0;
    return add_to_word(word, bytes, n, err);
}

/* ---- texts ---- */

bool score_report_token(void *user, void *data, const struct scored_token *token,
                        struct gpt2_error *err) {
    struct score_report *r = user;
    struct score_text *text = data;
    size_t n;
    const char *bytes = token_bytes(r, token->id, &n);
    bool ok = true;
    if (r->filter) // the filter looks at totals only
        ok = true;
    else if (r->tint)
        ok = print_coloured(r, token, bytes, n, err);
    else if (r->by == SCORE_TOKEN)
        ok = print_token(r, text, token, bytes, n, err);
    else if (r->by == SCORE_WORD)
        ok = take_word_token(r, text, token, bytes, n, err);
    if (token->is_end)
        return ok;
    text->offset += n;
    text->totals.bytes += n;
    text->totals.tokens++;
    if (token->score) {
        text->totals.scored++;
        text->totals.scored_bytes += n;
        text->totals.logprob += token->score->logprob;
        text->is_greedy &= token->score->rank == 0;
    }
    return ok;
}

/* The number of windows as Hugging Face counts them: how many of 0, S, 2S ... are positions of the
 * text. Those after the first window that reaches the end score nothing. */
static uint64_t count_windows(const struct gpt2_plan *plan, uint64_t n_tokens) {
    if (plan->protocol != GPT2_PROTOCOL_STRIDE)
        return (uint64_t)plan->n_windows;
    uint64_t n = n_tokens + plan->bos, stride = (uint64_t)plan->stride;
    return (n + stride - 1) / stride;
}

static bool print_text(struct score_report *r, const struct score_text *text,
                       const struct gpt2_plan *plan, struct gpt2_error *err) {
    const struct score_totals *totals = &text->totals;
    struct score_fields fields = fields_begin(r, text, err);
    score_fields_count(&fields, "bytes", totals->bytes);
    score_fields_count(&fields, "tokens", totals->tokens);
    score_fields_count(&fields, "scored", totals->scored);
    score_fields_count(&fields, "windows", count_windows(plan, totals->tokens + text->n_context));
    score_fields_number(&fields, "logprob", totals->scored ? totals->logprob : NAN);
    score_fields_number(&fields, "bits", score_bits(totals));
    score_fields_number(&fields, "bits_per_byte", score_bits_per_byte(totals));
    score_fields_number(&fields, "ppl", score_perplexity(totals));
    if (text->id) {
        score_fields_name(&fields, "greedy");
        fields.ok = fields.ok && output_string(&r->out, text->is_greedy ? "true" : "false", err);
    }
    return fields_end(r, &fields);
}

bool score_report_length(const struct gpt2_plan *plan, uint64_t n_tokens, struct gpt2_error *err) {
    if (plan->protocol != GPT2_PROTOCOL_LLAMA_CPP || n_tokens >= 2 * (uint64_t)plan->n_ctx)
        return true;
    return command_error(err, GPT2_ERR_INPUT, "--ctx sets the context; other protocols need less",
                         "protocol llama.cpp: expected a text of at least 2 x %d tokens, got "
                         "%" PRIu64,
                         plan->n_ctx, n_tokens);
}

bool score_report_end(void *user, void *data, const struct gpt2_plan *plan,
                      struct gpt2_error *err) {
    struct score_report *r = user;
    struct score_text *text = data;
    bool ok = true;
    if (!score_report_length(plan, text->totals.tokens, err))
        ok = false;
    else if (r->filter)
        ok = !score_filter_passes(r->filter, &text->totals) ||
             color_whole(&r->out, text->bytes, text->len, err);
    else if (r->tint)
        ok = color_end(&r->color_text, &r->out, err) && output_string(&r->out, "\n", err);
    else if (r->by == SCORE_WORD)
        ok = text->word.totals.tokens == 0 || print_word(r, text, NULL, err);
    else if (r->by != SCORE_TOKEN)
        ok = print_text(r, text, plan, err);
    // Rows of a table wait for others (columns.h), until the input is waited for.
    return ok && (!r->lines || r->out.is_table || output_flush(&r->out, err));
}

bool score_report_error(struct score_report *r, uint64_t line, const struct score_record *record,
                        const char *bytes, size_t n, const struct gpt2_error *fault,
                        struct gpt2_error *err) {
    static const char *const unknown[] = {"tokens", "scored",        "windows", "logprob",
                                          "bits",   "bits_per_byte", "ppl"};
    const struct score_text text = {.line = line, .id = record ? record->id.data : NULL};
    const bool totals = r->by == SCORE_LINE || r->by == SCORE_DOC;
    bool ok = true;
    if (r->tint) {
        ok = color_whole(&r->out, bytes, n, err) && output_string(&r->out, "\n", err);
    } else if (!r->filter && (totals || r->format != SCORE_TSV)) {
        struct score_fields fields = fields_begin(r, &text, err);
        if (r->format != SCORE_TSV) {
            score_fields_name(&fields, "error");
            fields.ok = fields.ok && line_errors_output(&r->out, fault,
                                                        record && !record->has_id ? line : 0, err);
        } else {
            score_fields_count(&fields, "bytes", n);
            for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
                score_fields_number(&fields, unknown[i], NAN);
        }
        ok = fields_end(r, &fields);
    }
    return ok && output_flush(&r->out, err);
}
