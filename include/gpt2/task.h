/* task.h - the items of two benchmarks on which GPT-2 has published figures, as texts to score.
 *
 * An item is a context and some continuations; what is scored is each continuation after the
 * context. The rules by which a file's records become such texts decide the figures, so each form
 * follows the program that published them:
 *
 *   LAMBADA    {"text": ...}: the context ends before the text's last space, the continuation is
 *              the rest, the space included (lm-evaluation-harness, lambada_openai)
 *   HellaSwag  {"ctx_a", "ctx_b", "activity_label", "endings", "label"}: the context is "activity:
 *              ctx_a Ctx_b", brackets removed (lm-evaluation-harness, hellaswag); or
 *              {"ctx", "endings", "label"} as they are (llm.c, dev/data/hellaswag.py) */
#ifndef GPT2_TASK_H
#define GPT2_TASK_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum gpt2_task { GPT2_TASK_LAMBADA, GPT2_TASK_HELLASWAG };
enum gpt2_task_form { GPT2_FORM_LM_EVAL, GPT2_FORM_LLM_C };

#define GPT2_MAX_CHOICES 16

struct gpt2_task_item {
    char *context;                   /* owned, as are the choices; NUL-ended            */
    char *choices[GPT2_MAX_CHOICES]; /* [n_choices] with the space before them          */
    int n_choices;
    int label; /* the right one; 0 for LAMBADA                       */
};

/* Parses one record, line[0..len). Fails with GPT2_ERR_INPUT, `what` naming the record; and with
 * GPT2_ERR_USAGE for LAMBADA in the llm.c form, which does not exist. */
bool gpt2_task_parse(struct gpt2_task_item *item, enum gpt2_task task, enum gpt2_task_form form,
                     const char *line, size_t len, const char *what, struct gpt2_error *err);
void gpt2_task_free(struct gpt2_task_item *item); /* a zeroed struct is allowed */

#ifdef __cplusplus
}
#endif
#endif
