/* bulk_record.c - reads a record: its id, its prompts and its own options. */
#include "cli/generate/bulk_record.h"
#include "base/fnv.h"
#include "cli/io/prompt_source.h"
#include "cli/io/record_id.h"
#include "cli/io/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bulk_record_free(struct bulk_record *record) {
    gpt2_record_free(record->json);
    buffer_free(&record->id);
    buffer_free(&record->ignored);
    for (int i = 0; i < record->n_prompts; i++)
        gpt2_ids_free(&record->prompts[i]);
    free(record->prompts);
    free(record->biases);
    *record = (struct bulk_record){0};
}

size_t bulk_record_bytes(const struct bulk_record *record) {
    size_t n = gpt2_record_bytes(record->json) + record->id.cap + record->ignored.cap +
               (size_t)record->n_prompts * sizeof *record->prompts;
    for (int i = 0; i < record->n_prompts; i++)
        n += record->prompts[i].cap * sizeof *record->prompts[i].data;
    return n;
}

static uint64_t hash(const char *text) {
    uint64_t h = fnv_bytes(FNV_START, text, strlen(text));
    return h ^ h >> 32;
}

static bool read_id(struct bulk_record *record, const struct gpt2_field *field,
                    struct gpt2_error *err) {
    if (!record_id_take(&record->id, field, err))
        return false;
    record->has_id = true;
    record->key = field->kind == GPT2_FIELD_STRING ? hash(field->text)
                                                   : (uint64_t)strtoll(field->text, NULL, 10);
    return true;
}

static bool add_prompts(struct bulk_record *record, int n, struct gpt2_error *err) {
    record->prompts = calloc((size_t)n, sizeof *record->prompts);
    record->n_prompts = record->prompts ? n : 0;
    return record->prompts ||
           command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
}

static bool read_text(struct bulk_record *record, int i, const char *text, size_t n,
                      const struct prompt_encoder *encoder, struct gpt2_error *err) {
    return settings_encode(&record->settings, encoder->n_ctx, encoder->tokenizer, text, n,
                           &record->prompts[i], err);
}

/* The i-th prompt from the list of ids at a field. */
static bool read_ids(struct bulk_record *record, int i, int at, struct gpt2_error *err) {
    const struct gpt2_field *list = gpt2_record_field(record->json, at);
    for (int k = 1; k <= list->n_inside; k++) {
        const struct gpt2_field *field = gpt2_record_field(record->json, at + k);
        if (field->kind != GPT2_FIELD_NUMBER)
            return command_error(err, GPT2_ERR_INPUT, NULL, "prompt: expected token ids, got %s",
                                 gpt2_field_kind_name(field->kind));
        if (!text_parse_ids(field->text, strlen(field->text), "prompt", &record->prompts[i], err)) {
            err->status = err->status == GPT2_ERR_USAGE ? GPT2_ERR_INPUT : err->status;
            return false;
        }
    }
    return true;
}

/* As OpenAI has it: a text, a list of texts, a list of token ids, a list of such lists. */
static bool read_prompts(struct bulk_record *record, int at, const struct prompt_encoder *encoder,
                         struct gpt2_error *err) {
    const struct gpt2_field *field = gpt2_record_field(record->json, at);
    if (field->kind == GPT2_FIELD_STRING)
        return add_prompts(record, 1, err) &&
               read_text(record, 0, field->text, strlen(field->text), encoder, err);
    if (field->kind != GPT2_FIELD_LIST)
        return command_error(err, GPT2_ERR_INPUT, NULL,
                             "%s: expected a text, token ids, or a list of these, got %s",
                             field->name, gpt2_field_kind_name(field->kind));
    const struct gpt2_field *first = gpt2_record_field(record->json, at + 1);
    if (field->n_inside == 0 || first->kind == GPT2_FIELD_NUMBER)
        return add_prompts(record, 1, err) && read_ids(record, 0, at, err);
    int n = 0, end = at + 1 + field->n_inside;
    for (int i = at + 1; i < end; i += 1 + gpt2_record_field(record->json, i)->n_inside)
        n++;
    if (n > MAX_PROMPTS)
        return command_error(err, GPT2_ERR_INPUT, "make several records of it",
                             "%s: expected at most %d prompts, got %d", field->name, MAX_PROMPTS,
                             n);
    if (!add_prompts(record, n, err))
        return false;
    for (int i = at + 1, k = 0; i < end; k++) {
        const struct gpt2_field *item = gpt2_record_field(record->json, i);
        if (item->kind != first->kind ||
            (item->kind != GPT2_FIELD_STRING && item->kind != GPT2_FIELD_LIST))
            return command_error(err, GPT2_ERR_INPUT, NULL,
                                 "%s: expected texts, token ids or lists of token ids and nothing "
                                 "else, got %s at place %d",
                                 field->name, gpt2_field_kind_name(item->kind), k);
        if (!(item->kind == GPT2_FIELD_STRING
                  ? read_text(record, k, item->text, strlen(item->text), encoder, err)
                  : read_ids(record, k, i, err)))
            return false;
        i += 1 + item->n_inside;
    }
    return true;
}

/* Whether the prompts at a field are texts, and not token ids. */
static bool is_text(const struct bulk_record *record, int at) {
    const struct gpt2_field *field = gpt2_record_field(record->json, at);
    if (field->kind == GPT2_FIELD_LIST && field->n_inside > 0)
        field = gpt2_record_field(record->json, at + 1);
    return field->kind == GPT2_FIELD_STRING;
}

/* {"262": -5}, as OpenAI has it, becomes "262-5". */
static bool read_bias(struct bulk_record *record, const struct option *table, int at,
                      struct gpt2_error *err) {
    const struct gpt2_field *object = gpt2_record_field(record->json, at);
    if (object->n_inside > 64)
        return usage_error(err, "%s: expected at most 64 tokens", object->name);
    record->biases = calloc((size_t)object->n_inside + 1, sizeof *record->biases);
    if (!record->biases)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    for (int i = 0; i < object->n_inside; i++) {
        const struct gpt2_field *field = gpt2_record_field(record->json, at + 1 + i);
        if (field->kind != GPT2_FIELD_NUMBER || strlen(field->name) > 20)
            return usage_error(err, "%s: expected numbers by token id", object->name);
        snprintf(record->biases[i], sizeof record->biases[i], "%s%s%s", field->name,
                 field->text[0] == '-' ? "" : "+", field->text);
        if (!options_set(table, object->name, record->biases[i], err))
            return false;
    }
    return true;
}

/* Past 2^53 a number of JSON may be another than was meant: most readers round it. */
static bool check_seed(const struct gpt2_field *field, struct gpt2_error *err) {
    char limit[24];
    snprintf(limit, sizeof limit, "%" PRIu64, SEED_MAX_NUMBER);
    if (field->kind != GPT2_FIELD_NUMBER || !strcmp(field->text, limit) ||
        strtod(field->text, NULL) < (double)SEED_MAX_NUMBER)
        return true;
    return usage_error(err,
                       "%s: expected a whole number up to %s, or a larger one as a string, got %s",
                       field->name, limit, field->text);
}

/* JSON says what a value is: "8" is no number, and 5 no text. */
static bool check_kind(const struct option *option, const struct gpt2_field *field,
                       struct gpt2_error *err) {
    static const enum gpt2_field_kind kinds[] = {
        [OPTION_FLAG] = GPT2_FIELD_BOOL,     [OPTION_VALUE] = GPT2_FIELD_BOOL,
        [OPTION_INT] = GPT2_FIELD_NUMBER,    [OPTION_FLOAT] = GPT2_FIELD_NUMBER,
        [OPTION_STRING] = GPT2_FIELD_STRING, [OPTION_STRINGS] = GPT2_FIELD_STRING,
        [OPTION_CHOICE] = GPT2_FIELD_STRING, [OPTION_SEED] = GPT2_FIELD_NULL, // any
        [OPTION_RENAMED] = GPT2_FIELD_NULL,
    };
    const enum gpt2_field_kind expected = kinds[option->type];
    return expected == GPT2_FIELD_NULL || expected == field->kind ||
           usage_error(err, "%s: expected %s, got %s", field->name, gpt2_field_kind_name(expected),
                       gpt2_field_kind_name(field->kind));
}

static bool set_option(struct bulk_record *record, const struct option *table, int at,
                       struct gpt2_error *err) {
    const struct gpt2_field *field = gpt2_record_field(record->json, at);
    const struct option *option = options_find(table, field->name);
    if (!option)
        return usage_error(err, "unknown option \"%.100s\"", field->name);
    if (field->kind == GPT2_FIELD_NULL)
        return true; // as if it were not there
    const uint64_t bit = UINT64_C(1) << (option - table);
    if (record->given & bit) // by another of its names, or beside a batch line's body
        return usage_error(err, "%s: the option is there twice", field->name);
    record->given |= bit;
    record->has_settings = true;
    if (option->type == OPTION_STRINGS) {
        option->dest.strings->n = 0;
        option->dest.strings->whole = 0;
        if (field->kind == GPT2_FIELD_OBJECT && option->dest.strings == &record->settings.bias)
            return read_bias(record, table, at, err);
        for (int i = 1; field->kind == GPT2_FIELD_LIST && i <= field->n_inside; i++) {
            const struct gpt2_field *item = gpt2_record_field(record->json, at + i);
            if (item->kind != GPT2_FIELD_STRING)
                return usage_error(err, "%s: expected strings, got %s", field->name,
                                   gpt2_field_kind_name(item->kind));
            if (!(option->flags & OPTION_LIST ? options_add_text(option, item->text, err)
                                              : options_set(table, field->name, item->text, err)))
                return false;
        }
        if (field->kind == GPT2_FIELD_LIST)
            return true;
    }
    if (field->kind == GPT2_FIELD_LIST || field->kind == GPT2_FIELD_OBJECT)
        return usage_error(err, "%s: expected one value, got %s", field->name,
                           gpt2_field_kind_name(field->kind));
    if (!check_kind(option, field, err) ||
        (option->type == OPTION_SEED && !check_seed(field, err)) ||
        !options_set(table, field->name, field->text, err))
        return false;
    record->says_special |= option->dest.flag == &record->settings.special;
    return true;
}

/* Whether a member is none of the record's own: of a batch line what the API has beside, of a
 * request what its caller looks at, or an unknown name. */
static bool is_foreign(struct bulk_record *record, const struct option *table,
                       const char *const *others, const char *name) {
    static const char *const batch[] = {"id",  "custom_id", "model",  "user", "method",
                                        "url", "suffix",    "stream", "body", NULL};
    static const char *const line[] = {"id", "custom_id", NULL};
    const char *const *names = record->is_request ? others : record->is_batch ? batch : line;
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    if (!record->is_request || options_find(table, name))
        return false;
    if (record->ignored.len)
        buffer_byte(&record->ignored, ',');
    buffer_json(&record->ignored, name, strlen(name));
    return true;
}

_Static_assert(SETTINGS_MAX <= 64, "record->given has a bit for each");

/* Members [from, to) of the record or of its body. *prompt becomes the field that has the prompts:
 * how they are read may depend on what follows. */
static bool read_members(struct bulk_record *record, const struct option *table,
                         const char *const *others, int from, int to, int *prompt,
                         struct gpt2_error *err) {
    for (int i = from; i < to;) {
        const struct gpt2_field *field = gpt2_record_field(record->json, i);
        if (!strcmp(field->name, "prompt") || !strcmp(field->name, "ids")) {
            if (*prompt >= 0)
                return command_error(err, GPT2_ERR_INPUT, NULL,
                                     "expected one of \"prompt\" and \"ids\", got two");
            *prompt = i;
        } else if (!is_foreign(record, table, others, field->name) &&
                   !set_option(record, table, i, err)) {
            return false;
        }
        i += 1 + field->n_inside;
    }
    return true;
}

/* Members of the record itself, then its prompts. */
static bool read_settings(struct bulk_record *record, const char *const *others, int n, int body,
                          const struct prompt_encoder *encoder, struct gpt2_error *err) {
    struct option table[SETTINGS_MAX];
    settings_table(table, &record->settings);
    int prompt = -1;
    if (!read_members(record, table, others, 0, n, &prompt, err))
        return false;
    if (record->is_batch && body >= 0 &&
        !read_members(record, table, others, body + 1,
                      body + 1 + gpt2_record_field(record->json, body)->n_inside, &prompt, err))
        return false;
    const bool special = record->settings.special;
    if (record->says_special && !special && record->settings.compat == GPT2_COMPAT_HF)
        return usage_error(err, "special: expected true with compat \"hf\", which always reads "
                                "special tokens, got false");
    if (prompt < 0)
        return command_error(err, GPT2_ERR_INPUT, NULL, "the %s has no \"prompt\" and no \"ids\"",
                             record->is_request ? "request" : "record");
    // requests and batch lines come from clients that send the defaults of all they know
    const bool is_own = !record->is_request && !record->is_batch;
    if (is_own && !settings_check_own(table, record->given, err))
        return false;
    if (is_own && record->says_special && special && !is_text(record, prompt))
        return usage_error(err, "--special has no effect with token ids");
    return read_prompts(record, prompt, encoder, err);
}

static bool read_json(struct bulk_record *record, const char *line, size_t n,
                      const struct prompt_encoder *encoder, struct gpt2_error *err) {
    record->json = gpt2_record_parse(line, n, err);
    if (!record->json)
        return false;
    int end = 0, body = -1;
    const struct gpt2_field *field;
    for (; (field = gpt2_record_field(record->json, end)); end += 1 + field->n_inside) {
        record->is_batch |= !strcmp(field->name, "custom_id");
        if ((!strcmp(field->name, "id") || !strcmp(field->name, "custom_id")) &&
            !read_id(record, field, err))
            return false;
        if (!strcmp(field->name, "body") && field->kind == GPT2_FIELD_OBJECT)
            body = end;
    }
    return read_settings(record, NULL, end, body, encoder, err);
}

bool bulk_record_read_request(struct bulk_record *record, const char *body, size_t n,
                              const char *const *others, const struct settings *defaults,
                              const struct prompt_encoder *encoder, struct gpt2_error *err) {
    *record = (struct bulk_record){.settings = *defaults, .has_settings = true, .is_request = true};
    record->json = gpt2_record_parse(body, n, err);
    if (!record->json)
        return false;
    int end = 0;
    const struct gpt2_field *field;
    while ((field = gpt2_record_field(record->json, end)))
        end += 1 + field->n_inside;
    if (!read_settings(record, others, end, -1, encoder, err))
        return false;
    return !record->ignored.failed ||
           command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
}

const struct gpt2_field *bulk_record_member(const struct bulk_record *record, const char *name) {
    const struct gpt2_field *field;
    for (int i = 0; (field = gpt2_record_field(record->json, i)); i += 1 + field->n_inside)
        if (!strcmp(field->name, name))
            return field;
    return NULL;
}

bool bulk_record_read(struct bulk_record *record, const char *line, size_t n, bool is_json,
                      uint64_t number, const struct settings *defaults,
                      const struct prompt_encoder *encoder, struct gpt2_error *err) {
    *record = (struct bulk_record){.settings = *defaults, .key = number};
    buffer_format(&record->id, "%" PRIu64, number);
    if (is_json)
        return read_json(record, line, n, encoder, err);
    return add_prompts(record, 1, err) && read_text(record, 0, line, n, encoder, err);
}
