/* topic_session.c - gpt2-session(5): the file of a saved session. */
#include "cli/command/topics.h"

const struct topic topic_session = {
    .name = "session",
    .section = 5,
    .summary = "the layout of saved sessions",
    .users = "--save-session",
    .text =
        "    gpt2 generate -f story.txt -n 0 --save-session story.session\n"
        "    gpt2 generate -f story.txt -n 20 --load-session story.session\n"
        "\n"
        "Written by --save-session of generate, score and choose, by --prompt-cache, and by\n"
        "/save-session in a session; read by --load-session, --prompt-cache and /load-session.\n"
        "Numbers are little-endian, and the bytes are the same on every machine. Tokens are "
        "whole:\n"
        "where --stop or --until cuts a text, the tokens that reached the cut are in the file, "
        "and\n"
        "what goes on from it goes on after them.\n"
        "\n"
        "  byte 0  \"gpt2kv\\r\\n\"\n"
        "  8       u32 version, 1; u32 type of the KV cache: 1 f32, 2 f16, 3 q8\n"
        "  16      u32 layers, heads, features of a head, vocabulary\n"
        "  32      u32 tokens; how many of them are a prompt; of how many there are keys and\n"
        "          values; 0\n"
        "  48      u64 bytes of a page, the keys and values of 64 positions\n"
        "  56      u64 FNV-1a of the logits after the last of these, as f32: what a model has to\n"
        "          compute to go on\n"
        "  64      u64 bytes of the file\n"
        "  72      u64 checksum of all that follows the first 128 bytes\n"
        "  80      zeros\n"
        "  120     u64 checksum of the first 120 bytes\n"
        "  128     i32 tokens, then the pages, each at a multiple of 4096; cells that no token "
        "has\n"
        "          are 0\n"
        "\n"
        "A file is there whole or not at all, with mode 0600, as it holds the text. Checksums are\n"
        "against damage, not against forgers.\n",
};
