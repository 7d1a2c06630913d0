/* topic_formats.c - gpt2-formats(5): which files are read and written. */
#include "cli/command/topics.h"

const struct topic topic_formats = {
    .name = "formats",
    .section = 5,
    .summary = "which files of weights are read and written",
    .users = "--model convert quantize verify pull",
    .text =
        "The same weights give the same bits from each of these. A format is recognised by\n"
        "the file's bytes, not by its name.\n"
        "\n"
        "READ\n"
        "\n"
        "  Hugging Face  a directory with config.json, model.safetensors (sharded too) and a\n"
        "                tokenizer: gpt2, -medium, -large, -xl, distilgpt2, DialoGPT, "
        "Cerebras-GPT,\n"
        "                and what was fine-tuned from them. F32, F16 and BF16 are used where they\n"
        "                lie in the file\n"
        "  GGUF          versions 2 and 3, architecture gpt2, with the tokenizer inside: F32, "
        "F16,\n"
        "                BF16, F64, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K.\n"
        "                Quantized types run from the file's integers, with --expand as F32\n"
        "  PyTorch       pytorch_model.bin (sharded too) and nanoGPT's ckpt.pt, read as data:\n"
        "                nothing in the pickle is called\n"
        "  TensorFlow    OpenAI's checkpoint: model.ckpt.*, hparams.json, encoder.json, "
        "vocab.bpe;\n"
        "                its checksums are verified\n"
        "  llm.c         .bin of version 3 and 5, with gpt2_tokenizer.bin\n"
        "  packed        what `gpt2 quantize` writes: gpt2-packed(5)\n"
        "\n"
        "WRITTEN\n"
        "\n"
        "    gpt2 convert gpt2 -o gpt2.gguf\n"
        "    gpt2 convert gpt2 --to safetensors -o gpt2-hf\n"
        "    gpt2 quantize gpt2 -o gpt2.q8\n"
        "\n"
        "convert rounds no number unless --type asks for it, and `gpt2 verify` prints the same\n"
        "fingerprint before and after. quantize makes Q8 or Q4 for this program alone; keep what\n"
        "it was made from. Of a GGUF file that is quantized both keep the integers: the packed\n"
        "file gives the same bits, and convert makes GGUF of it again. --expand makes F32 first.\n"
        "What quantizing costs on a text of yours:\n"
        "\n"
        "    gpt2 compare gpt2 gpt2.q8 -f story.txt\n",
};
