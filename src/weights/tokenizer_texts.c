/* tokenizer_texts.c - frees the texts of a tokenizer. */
#include "weights/tokenizer_texts.h"

#include <stdlib.h>

void tokenizer_texts_free(struct tokenizer_texts *texts) {
    for (int i = 0; i < TOKENIZER_N_TEXTS; i++)
        free(texts->items[i].text);
    *texts = (struct tokenizer_texts){0};
}
