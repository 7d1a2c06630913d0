/* unread.c - formats in which GPT-2 is found and that are not read: how they are known, and what to
 * do instead. One entry for each. */
#include "weights/containers.h"

#include <string.h>

static const char from_origin[] = "use the Hugging Face directory that it was made from";

#define UNREAD(name, found, advice, ...)        \
    const struct container container_##name = { \
        .what = found, .names = CONTAINER_NAMES(__VA_ARGS__), .hint = advice}

UNREAD(tensorflow_h5, "TensorFlow weights",
       "convert them: GPT2LMHeadModel.from_pretrained(dir, from_tf=True) and save_pretrained",
       "tf_model.h5", "tf_model.h5.index.json", "*.h5");
UNREAD(flax, "Flax weights",
       "convert them: GPT2LMHeadModel.from_pretrained(dir, from_flax=True) and save_pretrained",
       "*.msgpack", "flax_model.msgpack.index.json");
UNREAD(rust, "Rust weights", "use the model.safetensors that is published beside it", "*.ot");
UNREAD(onnx, "an ONNX graph", from_origin, "*.onnx", "onnx");
UNREAD(openvino, "an OpenVINO graph", from_origin, "openvino_model.xml", "openvino_*.xml");
UNREAD(coreml, "a Core ML graph", from_origin, "*.mlpackage", "*.mlmodel", "*.mlmodelc", "coreml");
UNREAD(tflite, "a TensorFlow Lite graph", from_origin, "*.tflite");
UNREAD(tfjs, "TensorFlow.js weights", from_origin, "group*-shard*of*.bin", "group*-shard*of*");
UNREAD(keras, "a Keras archive", from_origin, "*.keras", "*.weights.h5");
UNREAD(saved_model, "a TensorFlow SavedModel", from_origin, "saved_model.pb", "saved_model");

/* ---- known by how they begin too ---- */

/* A ZIP archive whose first member is an array of NumPy's. PyTorch's archives are ZIP too. */
static bool npz_recognise(const unsigned char *head, size_t n) {
    if (n < 30 || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    const size_t n_name = head[26] | (size_t)head[27] << 8;
    return n_name >= 4 && n_name <= n - 30 && memcmp(head + 30 + n_name - 4, ".npy", 4) == 0;
}

const struct container container_npz = {
    .what = "NumPy arrays (MLX's weights.npz)",
    .names = CONTAINER_NAMES("*.npz"),
    .recognise = npz_recognise,
    .hint = "save them in one call as safetensors, mx.save_safetensors(\"model.safetensors\", "
            "dict(mx.load(\"weights.npz\"))), or use the Hugging Face directory",
};

/* A version from 1 to 9, the length of the name of the kind of model with its NUL, and that name:
 * "TransformerDecoderSpec". */
static bool ctranslate2_recognise(const unsigned char *head, size_t n) {
    static const char ending[] = "Spec";
    if (n < 6 || !head[0] || head[0] > 9 || head[1] || head[2] || head[3])
        return false;
    const size_t n_name = head[4] | (size_t)head[5] << 8;
    return n_name > sizeof ending && n_name <= n - 6 &&
           memcmp(head + 6 + n_name - sizeof ending, ending, sizeof ending) == 0;
}

const struct container container_ctranslate2 = {
    .what = "a CTranslate2 model",
    .recognise = ctranslate2_recognise,
    .hint = from_origin,
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
    .names = CONTAINER_NAMES("*.ggml", "ggml-*.bin"),
    .recognise = ggml_recognise,
    .hint = "such files precede GGUF and say too little of the model: use a GGUF file or the "
            "Hugging Face directory",
};
