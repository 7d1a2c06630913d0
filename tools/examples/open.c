// Opens a model. Build: cc open.c $(pkg-config --cflags --libs gpt2)
#include <gpt2/model.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct gpt2_error err;
    struct gpt2_model *model = gpt2_model_open(argc > 1 ? argv[1] : ".", &err);
    if (!model)
        return fprintf(stderr, "%s\n", err.message), (int)err.status;
    printf("%d layers, %d features\n", gpt2_model_config(model)->n_layer,
           gpt2_model_config(model)->n_embd);
    gpt2_model_close(model);
    return 0;
}
