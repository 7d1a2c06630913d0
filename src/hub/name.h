/* name.h - NAME, OWNER/NAME, each with @REVISION: what they mean at the hub and on the disk. */
#ifndef HUB_NAME_H
#define HUB_NAME_H

#include <gpt2/hub.h>

struct hub_name {
    char repo[GPT2_HUB_NAME_MAX];     /* "openai-community/gpt2"; without a slash: as given     */
    char revision[GPT2_HUB_NAME_MAX]; /* "main" unless given                                    */
    char local[GPT2_HUB_NAME_MAX];    /* below a folder of models                               */
    char alias[GPT2_HUB_NAME_MAX];    /* the short name of a famous model; else ""              */
};

/* False where `text` is not of that form. What is accepted is safe as part of a path and a URL:
 * letters, digits, '-', '_', '.'; no part is empty, begins with '.' or '-', or has "..", which
 * neither the hub nor git allows in a name. */
bool name_parse(struct hub_name *name, const char *text);

/* True for a word that may be one part of a path: as above, at most 100 characters. */
bool name_word(const char *text, size_t len);

#endif
