/* task.c - records of LAMBADA and HellaSwag to texts (contract: gpt2/task.h). */
#include "base/error_internal.h"
#include "base/json.h"

#include <gpt2/task.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory(struct gpt2_error *err) {
    return error_set(err, GPT2_ERR_MEMORY, "out of memory while reading a record");
}

static bool get_string(const char **value, const struct json *record, const char *name,
                       const char *what, struct gpt2_error *err) {
    const struct json *node = json_get(record, name);
    if (json_string(node, value))
        return true;
    return error_set(err, GPT2_ERR_INPUT, "%s: \"%s\": expected a string, found %s", what, name,
                     node ? json_kind_name(node) : "nothing");
}

/* a + b + c in new memory; NULL: out of memory. */
static char *join(const char *a, const char *b, const char *c) {
    size_t n = strlen(a), m = strlen(b), k = strlen(c);
    char *joined = malloc(n + m + k + 1);
    if (joined) {
        memcpy(joined, a, n);
        memcpy(joined + n, b, m);
        memcpy(joined + n + m, c, k + 1);
    }
    return joined;
}

/* ---- LAMBADA ---- */

static bool parse_lambada(struct gpt2_task_item *item, const struct json *record, const char *what,
                          struct gpt2_error *err) {
    const char *text;
    if (!get_string(&text, record, "text", what, err))
        return false;
    const char *space = strrchr(text, ' ');
    if (!space || space == text)
        return error_set(err, GPT2_ERR_INPUT,
                         "%s: \"text\": expected words separated by spaces, found one", what);
    item->context = join(text, "", "");
    item->choices[0] = join(space, "", "");
    item->n_choices = 1;
    if (!item->context || !item->choices[0])
        return no_memory(err);
    item->context[space - text] = 0;
    return true;
}

/* ---- HellaSwag ---- */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Replaces every `from` by `to`, which is not longer, left to right, in place. */
static void replace(char *text, const char *from, const char *to) {
    size_t n = strlen(from), m = strlen(to);
    char *out = text;
    while (*text) {
        if (strncmp(text, from, n)) {
            *out++ = *text++;
        } else {
            memcpy(out, to, m);
            out += m;
            text += n;
        }
    }
    *out = 0;
}

/* Removes "[...]", which are artifacts of WikiHow's part of the data. A bracket that is not closed
 * on its line stays, as with the regular expression \[.*?\]. */
static void remove_brackets(char *text) {
    char *out = text;
    while (*text) {
        size_t n = *text == '[' ? strcspn(text, "]\n") : 0;
        if (n && text[n] == ']')
            text += n + 1;
        else
            *out++ = *text++;
    }
    *out = 0;
}

/* strip, " [title]" to ". ", brackets away, two spaces to one. */
static void clean(char *text) {
    size_t start = 0, len = strlen(text);
    while (is_space(text[start]))
        start++;
    while (len > start && is_space(text[len - 1]))
        len--;
    memmove(text, text + start, len - start);
    text[len - start] = 0;
    replace(text, " [title]", ". ");
    remove_brackets(text);
    replace(text, "  ", " ");
}

/* As Python's str.capitalize, for ASCII: the first letter large, all others small. */
static void capitalize(char *text) {
    for (size_t i = 0; text[i]; i++) {
        if (i == 0 && text[i] >= 'a' && text[i] <= 'z')
            text[i] -= 'a' - 'A';
        if (i > 0 && text[i] >= 'A' && text[i] <= 'Z')
            text[i] += 'a' - 'A';
    }
}

/* "activity: a B", cleaned; NULL: out of memory. */
static char *lm_eval_context(const char *activity, const char *a, const char *b) {
    char *second = join(b, "", "");
    if (second)
        capitalize(second);
    char *head = join(activity, ": ", a);
    char *context = head && second ? join(head, " ", second) : NULL;
    if (context)
        clean(context);
    free(head);
    free(second);
    return context;
}

/* The label is a number, or a number as a string; -1 where there is none. */
static int get_label(const struct json *record) {
    const struct json *node = json_get(record, "label");
    const char *text;
    int64_t number;
    if (json_integer(node, 0, GPT2_MAX_CHOICES - 1, &number))
        return (int)number;
    if (json_string(node, &text) && text[0] >= '0' && text[0] <= '9' && !text[1])
        return text[0] - '0';
    return -1;
}

static bool add_endings(struct gpt2_task_item *item, const struct json *endings,
                        enum gpt2_task_form form, const char *what, struct gpt2_error *err) {
    for (const struct json *node = json_first(endings); node; node = json_next(node)) {
        const char *text;
        if (item->n_choices == GPT2_MAX_CHOICES || !json_string(node, &text))
            return error_set(err, GPT2_ERR_INPUT, "%s: \"endings\": expected at most %d strings",
                             what, GPT2_MAX_CHOICES);
        char *ending = join(text, "", "");
        if (ending && form == GPT2_FORM_LM_EVAL)
            clean(ending);
        item->choices[item->n_choices] = ending ? join(" ", ending, "") : NULL;
        free(ending);
        if (!item->choices[item->n_choices++])
            return no_memory(err);
    }
    return true;
}

static bool parse_hellaswag(struct gpt2_task_item *item, enum gpt2_task_form form,
                            const struct json *record, const char *what, struct gpt2_error *err) {
    const char *a, *b, *activity;
    if (form == GPT2_FORM_LLM_C) {
        if (!get_string(&a, record, "ctx", what, err))
            return false;
        item->context = join(a, "", "");
    } else {
        if (!get_string(&a, record, "ctx_a", what, err) ||
            !get_string(&b, record, "ctx_b", what, err) ||
            !get_string(&activity, record, "activity_label", what, err))
            return false;
        item->context = lm_eval_context(activity, a, b);
    }
    if (!item->context)
        return no_memory(err);
    const struct json *endings = json_get(record, "endings");
    if (!endings || json_kind(endings) != JSON_ARRAY)
        return error_set(err, GPT2_ERR_INPUT, "%s: \"endings\": expected an array, found %s", what,
                         endings ? json_kind_name(endings) : "nothing");
    if (!add_endings(item, endings, form, what, err))
        return false;
    item->label = get_label(record);
    if (item->label < 0 || item->label >= item->n_choices)
        return error_set(err, GPT2_ERR_INPUT,
                         "%s: \"label\": expected the number of one of %d endings, from 0", what,
                         item->n_choices);
    return true;
}

bool gpt2_task_parse(struct gpt2_task_item *item, enum gpt2_task task, enum gpt2_task_form form,
                     const char *line, size_t len, const char *what, struct gpt2_error *err) {
    *item = (struct gpt2_task_item){0};
    if (task == GPT2_TASK_LAMBADA && form == GPT2_FORM_LLM_C)
        return error_set(err, GPT2_ERR_USAGE, "llm.c has no form of LAMBADA: expected lm-eval");
    struct json *record = json_parse(line, len, what, GPT2_ERR_INPUT, err);
    if (!record)
        return false;
    bool ok;
    if (json_kind(record) != JSON_OBJECT)
        ok = error_set(err, GPT2_ERR_INPUT, "%s: expected an object, found %s", what,
                       json_kind_name(record));
    else if (task == GPT2_TASK_LAMBADA)
        ok = parse_lambada(item, record, what, err);
    else
        ok = parse_hellaswag(item, form, record, what, err);
    json_free(record);
    if (!ok)
        gpt2_task_free(item);
    return ok;
}

void gpt2_task_free(struct gpt2_task_item *item) {
    free(item->context);
    for (int i = 0; i < item->n_choices; i++)
        free(item->choices[i]);
    *item = (struct gpt2_task_item){0};
}
