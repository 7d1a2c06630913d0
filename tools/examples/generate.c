// Tells a tale. Build: cc generate.c $(pkg-config --cflags --libs gpt2)
#include <gpt2/completion.h>
#include <stdio.h>

static bool print(void *user, const struct gpt2_piece *piece, struct gpt2_error *err) {
    (void)user, (void)err;
    return fwrite(piece->bytes, 1, piece->n_bytes, stdout) == piece->n_bytes;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : ".";
    struct gpt2_prompt prompt = {argc > 2 ? argv[2] : "Once upon a time", 0, NULL, 0};
    struct gpt2_completion_options options = {256};
    options.show = print;
    struct gpt2_error err;
    struct gpt2_model *model = gpt2_model_open(path, &err);
    struct gpt2_tokenizer *tokenizer = model ? gpt2_tokenizer_open(path, &err) : NULL;
    bool ok = tokenizer && gpt2_complete(model, tokenizer, NULL, &prompt, &options, &err);
    puts("");
    gpt2_tokenizer_close(tokenizer);
    gpt2_model_close(model);
    return ok ? 0 : (fprintf(stderr, "%s\n", err.message), (int)err.status);
}
