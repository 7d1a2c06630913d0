/* vocab_entry.c - reading one entry's id. */
#include "text/vocab_entry.h"
#include "base/error_internal.h"
#include "text/vocab.h"

#include <gpt2/tokenizer.h>
#include <string.h>

int vocab_shown(const char *text, size_t len) {
    return (int)gpt2_utf8_whole(text, len < 60 ? len : 60);
}

bool vocab_read_id(int64_t *id, const struct json *node, const char *file, size_t entry,
                   const char *text, struct gpt2_error *err) {
    if (json_integer(node, 0, VOCAB_MAX_ID, id))
        return true;
    double value;
    if (node && json_number(node, &value))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: entry %zu \"%.*s\": expected an id from 0 to %d, found %.17g", file,
                         entry, vocab_shown(text, strlen(text)), text, VOCAB_MAX_ID, value);
    return error_set(err, GPT2_ERR_MODEL,
                     "%s: entry %zu \"%.*s\": expected an id from 0 to %d, found %s", file, entry,
                     vocab_shown(text, strlen(text)), text, VOCAB_MAX_ID,
                     node ? json_kind_name(node) : "none");
}
