/* topic_packed.c - gpt2-packed(5): the file that quantize writes. */
#include "cli/command/topics.h"

const struct topic topic_packed = {
    .name = "packed",
    .section = 5,
    .summary = "the layout of the files that gpt2 quantize writes",
    .users = "quantize convert",
    .text =
        "    gpt2 quantize gpt2 -o gpt2.q8\n"
        "\n"
        "The container is safetensors: 8 bytes with the length of the header, the header as JSON,\n"
        "the data. The header's __metadata__ has format \"gpt2-packed\" and a version. This\n"
        "program writes version 3 and reads versions 2 and 3; others are refused, and `gpt2\n"
        "convert OLD --to packed -o NEW` makes 3 of 2. The data begins at a multiple of 4096\n"
        "bytes, each tensor at a multiple of 64.\n"
        "\n"
        "  checksums    I64: first that of all bytes in front of the data, then one for each 256\n"
        "               KiB of what follows\n"
        "  config.json  U8, the configuration's text\n"
        "  tokenizer    U8, the tokenizer's tables; may be missing\n"
        "  weights      in the order in which a pass reads them, as the kernels read them\n"
        "  padding.K    zeros, for the format allows no holes\n"
        "\n"
        "QUANTIZED WEIGHTS\n"
        "\n"
        "They are U8 [panels, groups, bytes of a group]: 16 outputs are a panel, and a group of\n"
        "inputs shares a scale, perhaps a least value too. __metadata__ has a form of each\n"
        "tensor, under its name:\n"
        "\n"
        "  q8    group=64 bits=8 scale=f16\n"
        "  q4    group=64 bits=4 scale=f16 min=f16\n"
        "  Q4_K  group=32 bits=4 scale=f32 min=f32 blocks=Q4_K: the integers that a GGUF file had "
        "in\n"
        "        blocks of that type, and so of each of its types\n"
        "\n"
        "A group has the 16 scales, the 16 least values, and the integers: 8 bits have 128 added\n"
        "and four inputs of an output side by side; of 4 bits, the low halves of the bytes are\n"
        "the first half of the group. Integers of 5 and 6 bits take 8, those of 2 and 3 take 4,\n"
        "so the packed file is the larger one. Version 2 has no forms, and only q8 and q4.\n"
        "\n"
        "    gpt2 quantize gpt2.q4_0.gguf -o gpt2.q4_0\n"
        "\n"
        "A file of such integers gives the bits of the GGUF file that it was made of, runs with\n"
        "--expand as that does, and `gpt2 convert` makes GGUF of it again.\n",
};
