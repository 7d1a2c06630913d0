/* lora.h - LoRA adapters: small folders of PEFT's that change some weights of a model (Hu et
 * al. 2021, arXiv:2106.09685).
 *
 * An adapter is merged: the model is then one of plain weights, as fast as without, and everything
 * works as with the directory that gpt2_model_save writes of it. */
#ifndef GPT2_LORA_H
#define GPT2_LORA_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Merges the adapter of the folder `path` (adapter_config.json with adapter_model.safetensors or
 * adapter_model.bin) into the model. Every pair A [r, in], B [out, r] changes one matrix; with W
 * [in, out], element (k, i) becomes
 *
 *     (float)((double)W[k, i] + c * s)       s = sum over j of B[i, j] * A[j, k]
 *
 * where s is summed in double from j = 0 up, each product and sum rounded, and
 * c = scale * lora_alpha / r in double (/ sqrt(r) with use_rslora; lora_alpha and r of the matrix
 * by alpha_pattern and rank_pattern). fan_in_fan_out changes nothing: A and B say themselves which
 * side is in. An embedding's rows take A's place of inputs. The bias of a lora_B is added to the
 * layer's in the same way. What the adapter has whole (modules_to_save, biases) takes the place of
 * the model's, whatever `scale`. Matrices that are changed become F32. The same bits for any number
 * of threads.
 *
 * Where the head is wte, an adapter of one of them leaves the other as it was, as in training: the
 * model then has a head of its own, and a warning says so.
 *
 * Before the first run, session or move; the calling thread has the model for itself. Several
 * adapters are merged one after the other. NULL runtime: in this thread alone. Fails with
 * GPT2_ERR_MODEL where the files are not an adapter of such a model, where one of their settings
 * asks for something else (DoRA ...), and where a matrix that would change is quantized; with
 * GPT2_ERR_USAGE where `scale` is not finite or the weights are moved; with GPT2_ERR_MEMORY. The
 * model is then as it was. */
bool gpt2_model_adapt(struct gpt2_model *model, const char *path, double scale,
                      struct gpt2_runtime *runtime, struct gpt2_error *err);

/* An adapter that was merged. */
struct gpt2_adapter_info {
    const char *path; /* as given; borrowed from the model                          */
    double scale;     /* as given                                                   */
    int max_rank;     /* the largest r; 0: no pairs                                 */
    size_t n_pairs;   /* matrices that a pair has changed                           */
    size_t n_whole;   /* matrices and vectors that the adapter had whole            */
};

/* The i-th adapter in the order in which they were merged, false past the last one. */
bool gpt2_model_adapter(const struct gpt2_model *model, size_t i, struct gpt2_adapter_info *info);

#ifdef __cplusplus
}
#endif
#endif
