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
        "the data. The header's __metadata__ has format \"gpt2-packed\" and a version; another\n"
        "version is refused. The data begins at a multiple of 4096 bytes, each tensor at a\n"
        "multiple of 64.\n"
        "\n"
        "  checksums    I64: first that of all bytes in front of the data, then one for each 256\n"
        "               KiB of what follows\n"
        "  config.json  U8, the configuration's text\n"
        "  tokenizer    U8, the tokenizer's tables; may be missing\n"
        "  weights      in the order in which a pass reads them, as the kernels read them\n"
        "  padding.K    zeros, for the format allows no holes\n",
};
