/* containers.c - the table of formats. */
#include "weights/containers.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/path.h"
#include "weights/gguf/gguf_model.h"
#include "weights/llmc/llmc.h"
#include "weights/packed.h"
#include "weights/safetensors.h"
#include "weights/shards.h"
#include "weights/tensorflow/tensorflow.h"
#include "weights/torch/torch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES(...)          \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }

static bool is_legacy_ggml(const unsigned char *head, size_t n) {
    static const char *const magics[] = {"lmgg", "fmgg", "tjgg", "algg"}; // ggml, ggmf, ggjt, ggla
    for (size_t i = 0; n >= 4 && i < sizeof magics / sizeof *magics; i++)
        if (memcmp(head, magics[i], 4) == 0)
            return true;
    return false;
}

/* Of a directory that holds several the first row counts. Rows without `open` are formats in which
 * GPT-2 is found and that are not read. */
static const struct container containers[] = {
    {.what = "a safetensors file",
     .names = NAMES("model.safetensors", "*.safetensors"),
     .open = safetensors_open},
    {.what = "an index of safetensors files",
     .names = NAMES("model.safetensors.index.json", "*.safetensors.index.json"),
     .open = shards_open_safetensors},
    {.what = "PyTorch weights",
     .names = NAMES("pytorch_model.bin", "ckpt.pt", "*.pt", "*.pth"),
     .config = CONFIG_EITHER,
     .recognise = torch_recognise,
     .open = torch_open},
    {.what = "an index of PyTorch files",
     .names = NAMES("pytorch_model.bin.index.json", "*.bin.index.json"),
     .open = shards_open_torch},
    {.what = "a GGUF file",
     .names = NAMES("*.gguf"),
     .config = CONFIG_INSIDE,
     .recognise = gguf_model_recognise,
     .open = gguf_model_open,
     .tokenizer = gguf_model_tokenizer},
    {.what = "TensorFlow weights",
     .names = NAMES("tf_model.h5"),
     .hint = "convert them: GPT2LMHeadModel.from_pretrained(dir, from_tf=True) and "
             "save_pretrained"},
    {.what = "Flax weights",
     .names = NAMES("flax_model.msgpack"),
     .hint = "convert them: GPT2LMHeadModel.from_pretrained(dir, from_flax=True) and "
             "save_pretrained"},
    {.what = "OpenAI's TensorFlow checkpoint",
     .names = NAMES("model.ckpt.index", "*.index"),
     .config = CONFIG_EITHER,
     .open = tensorflow_open},
    {.what = "a model of llm.c",
     .names = NAMES("gpt2_124M.bin", "gpt2_124M_bf16.bin"),
     .config = CONFIG_INSIDE,
     .recognise = llmc_recognise,
     .open = llmc_open,
     .tokenizer = llmc_tokenizer},
    {.what = "Rust weights",
     .names = NAMES("rust_model.ot"),
     .hint = "use the model.safetensors that is published beside it"},
    {.what = "an ONNX graph",
     .names = NAMES("*.onnx"),
     .hint = "use the Hugging Face directory that it was made from"},
    {.what = "a TensorFlow Lite graph",
     .names = NAMES("*.tflite"),
     .hint = "use the Hugging Face directory that it was made from"},
    {.what = "a legacy ggml file",
     .names = NAMES("*.ggml"),
     .recognise = is_legacy_ggml,
     .hint = "such files precede GGUF and say too little of the model: use a GGUF file or the "
             "Hugging Face directory"},
};

#define N_CONTAINERS (sizeof containers / sizeof *containers)

/* What a model's directory is made of, beside weights. */
static const char *const parts[] = {
    "config.json",
    "generation_config.json",
    "hparams.json",
    "vocab.json",
    "merges.txt",
    "encoder.json",
    "vocab.bpe",
    "tokenizer.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
};

#define N_PARTS (sizeof parts / sizeof *parts)

const char *containers_list(void) {
    return "safetensors, GGUF, PyTorch, nanoGPT, TensorFlow (OpenAI's) and llm.c";
}

void tokenizer_texts_free(struct tokenizer_texts *texts) {
    for (int i = 0; i < TOKENIZER_N_TEXTS; i++)
        free(texts->items[i].text);
    *texts = (struct tokenizer_texts){0};
}

/* How a name matches a row: 0 not at all, else 1 + its place in the row's list. */
static size_t match(const struct container *c, const char *name) {
    for (size_t i = 0; c->names[i]; i++)
        if (path_matches(name, c->names[i]))
            return i + 1;
    return 0;
}

static const struct container *by_head(const unsigned char *head, size_t n) {
    for (size_t i = 0; i < N_CONTAINERS; i++)
        if (containers[i].recognise && containers[i].recognise(head, n))
            return &containers[i];
    return NULL;
}

static const struct container *by_name(const char *name) {
    for (size_t i = 0; i < N_CONTAINERS; i++)
        if (match(&containers[i], name))
            return &containers[i];
    return NULL;
}

static bool is_part(const char *name) {
    for (size_t i = 0; i < N_PARTS; i++)
        if (strcmp(name, parts[i]) == 0)
            return true;
    return false;
}

static bool refuse_stranger(const char *path, size_t n_bytes, struct gpt2_error *err) {
    error_set(err, GPT2_ERR_MODEL, "%s: expected a model (packed, %s), found %s", path,
              containers_list(), n_bytes ? "a file that begins as none of them" : "it empty");
    return error_hint(err, "a file that was damaged on its way here has to be copied again; to use "
                           "the model of a directory, name the directory");
}

bool containers_identify(struct given *out, const char *path, struct gpt2_error *err) {
    struct os_file file;
    const char *name = path_name(path);
    *out = (struct given){GIVEN_DIRECTORY, NULL};
    if (!os_exists(path))
        return error_set(err, GPT2_ERR_MODEL, "%s: no such file or directory",
                         *path ? path : "\"\"");
    if (os_is_directory(path))
        return true;
    if (!os_map(&file, path, GPT2_ERR_MODEL, err))
        return false;
    const size_t n_bytes = file.size, n = n_bytes < CONTAINER_HEAD ? n_bytes : CONTAINER_HEAD;
    const bool packed = packed_recognise(file.data, n);
    out->format = packed ? NULL : by_head(file.data, n);
    os_unmap(&file);
    if (!packed && !out->format)
        out->format = by_name(name);
    out->kind = packed ? GIVEN_PACKED : out->format ? GIVEN_WEIGHTS : GIVEN_PART;
    return out->kind != GIVEN_PART || (n_bytes && is_part(name)) ||
           refuse_stranger(path, n_bytes, err);
}

/* The best so far of a directory: an earlier row, then an earlier name of its list. */
struct best {
    const struct container *container;
    size_t place; /* as match() says */
    char *name;   /* owned */
    bool several; /* files that match the same pattern */
};

/* In a directory a pattern counts where it is the first of its row: model.safetensors is the
 * weights, any other *.safetensors may be an adapter or one part of several. */
static bool counts(const struct container *c, size_t place) {
    return c->names[place - 1][0] != '*' || place == 1;
}

static bool consider(struct best *best, const struct container *c, const char *name,
                     struct gpt2_error *err) {
    const size_t place = match(c, name);
    if (!place || !counts(c, place))
        return true;
    const bool better = !best->container || (c->open && !best->container->open) ||
                        (!c->open == !best->container->open &&
                         (c < best->container || (c == best->container && place < best->place)));
    const bool equal = c == best->container && place == best->place;
    if (!better && (!equal || strcmp(name, best->name) > 0)) {
        best->several |= equal;
        return true;
    }
    char *copy = strdup(name);
    if (!copy)
        return error_memory(err, "a path", strlen(name) + 1);
    free(best->name);
    *best = (struct best){c, place, copy, equal};
    return true;
}

bool containers_in_directory(const struct container **found, char **file, const char *dir,
                             struct gpt2_error *err) {
    struct best best = {0};
    bool ok = true;
    *found = NULL;
    *file = NULL;
    DIR *folder = opendir(dir);
    if (!folder)
        return error_set(err, GPT2_ERR_MODEL, "%s: cannot list: %s", dir, strerror(errno));
    for (struct dirent *entry; ok && (entry = readdir(folder)) != NULL;)
        for (size_t i = 0; ok && i < N_CONTAINERS; i++)
            ok = consider(&best, &containers[i], entry->d_name, err);
    closedir(folder);
    if (ok && best.several && best.container->open) {
        ok = error_set(err, GPT2_ERR_MODEL, "%s: expected one file like %s, found several", dir,
                       best.container->names[best.place - 1]);
        error_hint(err, "say which: -m %s/%s", dir, best.name);
    }
    if (ok && best.container) {
        *file = path_join(dir, best.name, err);
        *found = best.container;
        ok = *file != NULL;
    }
    free(best.name);
    return ok && best.container;
}
