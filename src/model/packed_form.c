/* packed_form.c - prints the form of a quantized tensor, and finds which one a text is. */
#include "model/packed_form.h"
#include "kernels/panels.h"
#include "model/blocks.h"

#include <stdio.h>
#include <string.h>

const char *packed_form_print(char text[PACKED_FORM], enum dtype dtype,
                              const struct ggml_type *blocks) {
    const struct panel_form form = panel_form(dtype);
    const char *scale = form.scale_bytes == PANEL_F16 ? "f16" : "f32";
    snprintf(text, PACKED_FORM, "group=%d bits=%d scale=%s%s%s%s%s", form.group, form.bits, scale,
             form.mins ? " min=" : "", form.mins ? scale : "", blocks ? " blocks=" : "",
             blocks ? blocks->name : "");
    return text;
}

static bool is(const char *text, enum dtype dtype, const struct ggml_type *blocks) {
    char form[PACKED_FORM];
    return strcmp(text, packed_form_print(form, dtype, blocks)) == 0;
}

bool packed_form_find(enum dtype *dtype, const struct ggml_type **blocks, const char *text) {
    *blocks = NULL;
    for (*dtype = DTYPE_Q8; *dtype < DTYPE_COUNT; *dtype = (enum dtype)(*dtype + 1))
        if (!dtype_is_foreign(*dtype) && is(text, *dtype, NULL))
            return true;
    for (size_t i = 0; (*blocks = ggml_type_at(i)); i++)
        if (blocks_find_dtype(dtype, *blocks) && is(text, *dtype, *blocks))
            return true;
    return false;
}
