/* unread.c - formats in which GPT-2 is found and that are not read: how they are known, and what to
 * do instead. */
#include "weights/containers.h"

#include <string.h>

const struct container container_tensorflow_h5 = {
    .what = "TensorFlow weights",
    .names = CONTAINER_NAMES("tf_model.h5"),
    .hint = "convert them: GPT2LMHeadModel.from_pretrained(dir, from_tf=True) and save_pretrained",
};

const struct container container_flax = {
    .what = "Flax weights",
    .names = CONTAINER_NAMES("flax_model.msgpack"),
    .hint =
        "convert them: GPT2LMHeadModel.from_pretrained(dir, from_flax=True) and save_pretrained",
};

const struct container container_rust = {
    .what = "Rust weights",
    .names = CONTAINER_NAMES("rust_model.ot"),
    .hint = "use the model.safetensors that is published beside it",
};

const struct container container_onnx = {
    .what = "an ONNX graph",
    .names = CONTAINER_NAMES("*.onnx"),
    .hint = "use the Hugging Face directory that it was made from",
};

const struct container container_tflite = {
    .what = "a TensorFlow Lite graph",
    .names = CONTAINER_NAMES("*.tflite"),
    .hint = "use the Hugging Face directory that it was made from",
};

static bool ggml_recognise(const unsigned char *head, size_t n) {
    static const char *const magics[] = {"lmgg", "fmgg", "tjgg", "algg"}; // ggml, ggmf, ggjt, ggla
    for (size_t i = 0; n >= 4 && i < sizeof magics / sizeof *magics; i++)
        if (memcmp(head, magics[i], 4) == 0)
            return true;
    return false;
}

const struct container container_ggml = {
    .what = "a legacy ggml file",
    .names = CONTAINER_NAMES("*.ggml"),
    .recognise = ggml_recognise,
    .hint = "such files precede GGUF and say too little of the model: use a GGUF file or the "
            "Hugging Face directory",
};
