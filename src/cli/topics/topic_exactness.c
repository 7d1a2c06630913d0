/* topic_exactness.c - gpt2-exactness(7): what is the same, bit for bit, and why. */
#include "cli/command/topics.h"

const struct topic topic_exactness = {
    .name = "exactness",
    .section = 7,
    .summary = "what is the same, bit for bit, and why",
    .users = "--threads bench",
    .text =
        "Same model file, same tokens, same options, same seed: the same tokens, bit for bit,\n"
        "whatever the number of threads, the batch, prompt-at-once or token-by-token, and\n"
        "whichever kernels run.\n"
        "\n"
        "WHY IT HOLDS\n"
        "\n"
        "  products    every output of a matrix product is one fixed chain of fused\n"
        "              multiply-adds: vectors run across outputs, and threads divide outputs,\n"
        "              never a sum\n"
        "  sums        sums along a vector use the same 16 partial sums and the same tree\n"
        "  functions   exp and its family are the program's own, not the C library's\n"
        "  randomness  a draw is a race of exponentials keyed by seed, position and token, not a\n"
        "              stream: it does not depend on what was drawn before, or beside it\n"
        "\n"
        "WHAT CHANGES A RESULT\n"
        "\n"
        "The weights and their type: a quantized file is another model, and so is one with "
        "--lora,\n"
        "and a quantized GGUF file with --expand. --kv, the type of keys and values. The options\n"
        "of sampling, --seed and --compat. --max-time, which looks at the clock. Nothing else: "
        "not\n"
        "--threads, --cpu, --parallel, --cache-memory, --speculate, --mmap or --shard. In --json,\n"
        "\"created\" and \"timings\" come from the clock; a job's lines have neither.\n"
        "\n"
        "LOOK FOR YOURSELF\n"
        "\n"
        "--stats prints a hash of all logits; it is the same for any number of threads and any\n"
        "kernels:\n"
        "\n"
        "    gpt2 generate --stats -n 20 -t 1 --cpu generic \"Once\"\n"
        "    gpt2 generate --stats -n 20 \"Once\"\n"
        "\n"
        "`gpt2 verify` prints a fingerprint of a model's numbers, which is the same in every\n"
        "format.\n",
};
