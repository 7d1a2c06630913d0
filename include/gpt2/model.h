/* model.h - the immutable half: configuration and weights of one GPT-2.
 *
 * A model is read-only after gpt2_model_open and may be shared by any number of threads, batches
 * and sessions. It owns the file mapping and everything that was converted from it. */
#ifndef GPT2_MODEL_H
#define GPT2_MODEL_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_model;

#define GPT2_MAX_EOS 8

#define GPT2_UNSAID INT32_MIN

/* What the model's files recommend for drawing text from it: the keys of Hugging Face's
 * generation_config.json, or of a GGUF file ("general.sampling."). A float that they do not say is
 * NAN, an int GPT2_UNSAID. gpt2_completion_defaults (completion.h) makes sampler options of it. */
struct gpt2_generation_config {
    int do_sample;            /* 0: greedy, 1: drawn; unsaid: drawn                        */
    float temperature;        /* >= 0; 0 is greedy                                         */
    int top_k;                /* 0: off                                                    */
    float top_p;              /* 0..1; 1: off                                              */
    float min_p;              /* 0..1; 0: off                                              */
    float typical_p;          /* 0..1; 1: off                                              */
    float repetition_penalty; /* > 0; 1: off                                               */
    int repeat_last_n;        /* how far it looks back, -1: at all tokens (Hugging Face's
                                 meaning, where a JSON file says a penalty and no window)  */
    int no_repeat_ngram_size; /* 0: off                                                    */
    int max_new_tokens;       /* > 0: the length of a text                                 */
};

/* Every key of config.json that changes the arithmetic, in the field's own names, and what is
 * recommended for drawing text. */
struct gpt2_config {
    int n_vocab;              /* rows of wte                              (vocab_size)  */
    int n_ctx;                /* rows of wpe: the longest sequence        (n_positions) */
    int n_embd;               /* features of a token; what layer norm runs over         */
    int n_layer;              /* blocks                                                 */
    int n_head;               /* attention heads; divides n_embd                        */
    int n_inner;              /* width of the MLP; 4 * n_embd where config says null    */
    const char *activation;   /* its Hugging Face name, "gelu_new" unless config says   */
    float layer_norm_epsilon; /* added to the variance, inside the root                 */
    bool scale_attn_weights;  /* scores are divided by sqrt(head size)                  */
    bool scale_attn_by_inverse_layer_idx; /* ... and by (layer + 1) */
    int n_eos;                     /* how many tokens end a text (0..GPT2_MAX_EOS)           */
    int32_t eos_ids[GPT2_MAX_EOS]; /* their ids                                              */
    int32_t bos_id;                /* the token an empty prompt starts from, or -1           */
    struct gpt2_generation_config generation; /* changes no number: how to draw, by default  */
};

/* Opens a Hugging Face directory (config.json and model.safetensors, or its shards and their
 * index), a file of weights inside one, a GGUF file of architecture gpt2, or a packed file
 * (gpt2/quantize.h), all of which is checked. A file that is named is the one that is opened, or
 * the call fails; only config.json and the tokenizer's files stand for the directory that they are
 * in. Weight matrices in F32, F16 and BF16 are used where they lie in the mapping, also
 * those that a GGUF or llm.c file has [out, in]; biases, layer-norm gains and biases are converted
 * to F32. PyTorch's [out, in] is converted: this takes memory, but changes no number. What a GGUF
 * file has quantized keeps its integers: they are brought into the order in which products read
 * them, and products round their inputs to integers too, by the groups of the file (README,
 * "The same bits"). Types whose integers no product reads become F32. Fails with
 * GPT2_ERR_MODEL and names what is wrong. The file must not be changed while the model is open. */
struct gpt2_model *gpt2_model_open(const char *path, struct gpt2_error *err);

/* The same, but what a GGUF file has quantized becomes F32, which takes up to eight times the
 * file's size: the bits are those of a file that has these numbers as F32. So it is with a packed
 * file that keeps the integers of a GGUF file; Q8 and Q4 of ours stay what they are. */
struct gpt2_model *gpt2_model_open_expanded(const char *path, struct gpt2_error *err);

/* The same for a program that wants its first token soon: the data of a packed file is compared
 * with its checksums not here, but by the first gpt2_batch_run, which then fails with
 * GPT2_ERR_MODEL where the file is damaged. What reads weights otherwise than by a run (saving,
 * quantizing) does not look at them. */
struct gpt2_model *gpt2_model_open_lazy(const char *path, struct gpt2_error *err);

/* Sets *what to what the weights at `path` are, by a look at names and first bytes: "a GGUF file";
 * static. The path is a file of weights or a directory that has some. *what is NULL where there are
 * none of a format that is read. Opening them may still fail. Fails where that cannot be
 * said: with GPT2_ERR_MODEL where the path may not be read. */
bool gpt2_model_recognise(const char *path, const char **what, struct gpt2_error *err);

/* For a thread that has to wait for something else: brings the next part of the model's file into
 * this process's memory, some 100 microseconds of work where the system has it in its cache. Start
 * with *position = 0. False: that is all, or the system does not do it. The first pass is then
 * quicker; nothing else changes. */
bool gpt2_model_prefetch(const struct gpt2_model *model, size_t *position);

/* NULL is allowed. Everything that borrows the model must be gone. */
void gpt2_model_close(struct gpt2_model *model);

struct gpt2_runtime;

/* Moves the weights that every token reads out of the mapped file into memory of our own, where
 * they lie in the order in which decoding reads them, on 2 MiB pages where the system grants them.
 * Needs as much memory again as the weights and pays for itself after some tens of tokens (tools/
 * bench/README.md). Results do not change.
 *
 * With a runtime it is done on return. With NULL each matrix is moved by the first pass that reads
 * it, which costs less, since that pass reads it anyway. Call it once, before the first run of any
 * batch; passes may run in several threads meanwhile. Fails with GPT2_ERR_MEMORY, and the model
 * is as it was; with GPT2_ERR_USAGE where it was called before. */
bool gpt2_model_move(struct gpt2_model *model, struct gpt2_runtime *runtime,
                     struct gpt2_error *err);

/* From how many passes on a move pays, about: few where the file has matrices [out, in] (GGUF,
 * llm.c), which every pass has to turn until they are moved. */
int gpt2_model_move_passes(const struct gpt2_model *model);

/* Bytes of weights moved so far. *huge, if not NULL: bytes of the memory for them that lie on huge
 * pages, 0 where the system does not tell. */
size_t gpt2_model_moved(const struct gpt2_model *model, size_t *huge);

/* Borrowed from the model. */
const struct gpt2_config *gpt2_model_config(const struct gpt2_model *model);

/* The i-th number that the model's files recommend for drawing text, false past the last one:
 * *name is its key in generation_config.json, static ("top_p"); a truth is 1 or 0. */
bool gpt2_model_recommends(const struct gpt2_model *model, size_t i, const char **name,
                           double *value);

/* One tensor as the file has it; strings are borrowed from the model. */
struct gpt2_tensor_info {
    const char *name;  /* GPT-2's own name, without "transformer." */
    const char *dtype; /* "F32", "F16", "BF16", "F64", "Q8", "Q4"; in GGUF "Q8_0", "Q6_K" ... */
    int rank;
    int64_t shape[2]; /* of a vector the second is 1                                  */
    size_t n_bytes;   /* as stored                                                    */
    bool expanded;    /* a matrix of integers in the file that products read as F32   */
    const char *form; /* of a matrix whose integers are those of a GGUF file: as what products read
                         it, "Q8_32" (8 bits, groups of 32) ...; "F32" where expanded; else NULL */
};

/* The i-th bound tensor in the order of the forward pass, false past the last one. */
bool gpt2_model_tensor(const struct gpt2_model *model, size_t i, struct gpt2_tensor_info *info);

/* Number of weights, a tied head counted once. */
uint64_t gpt2_model_parameters(const struct gpt2_model *model);

/* True where the logits use wte, as config.json's tie_word_embeddings and the file have it; false
 * where the file has its own lm_head. */
bool gpt2_model_head_is_tied(const struct gpt2_model *model);

/* What the weights cost where one token is computed. Only matrices count: biases, layer norms and
 * the two rows of the embeddings are a thousandth of it. */
struct gpt2_cost {
    uint64_t bytes; /* read once for any number of tokens of one pass, as they lie in memory */
    uint64_t f32_products;  /* multiply-adds of f32, a token                                   */
    uint64_t int8_products; /* the same where weights are quantized: int8 into int32           */
    const char *type;       /* which most of the bytes have: "F32", "BF16", "Q8"                */
};

/* blocks: of each token. head: of each row of logits that is asked for. */
void gpt2_model_cost(const struct gpt2_model *model, struct gpt2_cost *blocks,
                     struct gpt2_cost *head);

/* Memory that the weights take when all of them have been read: pages of the mapped files, and what
 * was converted from them. Moving them (gpt2_model_move) takes the place of the former. */
uint64_t gpt2_model_bytes(const struct gpt2_model *model);

/* The i-th thing the loader noticed and the user may want to know ("lm_head.weight differs from
 * wte.weight ..."), NULL past the last one. Borrowed. */
const char *gpt2_model_warning(const struct gpt2_model *model, size_t i);

#ifdef __cplusplus
}
#endif
#endif
