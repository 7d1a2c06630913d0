/* topic_models.c - gpt2-models(5): where models are, and what a directory of one holds. */
#include "cli/command/topics.h"

const struct topic topic_models = {
    .name = "models",
    .section = 5,
    .summary = "where models are found, fetched and kept",
    .users = "--model models pull rm",
    .text =
        "A MODEL is a path or a name. A path is a directory or a file in any of the formats of\n"
        "gpt2-formats(5).\n"
        "\n"
        "    gpt2 generate -m ./models/tales \"Once upon a time\"\n"
        "    gpt2 generate -m gpt2 \"Once upon a time\"\n"
        "    gpt2 models\n"
        "\n"
        "Without a MODEL it is `$GPT2_MODEL`, else \"tales\", the model that comes along.\n"
        "\n"
        "WHERE A NAME IS LOOKED FOR\n"
        "\n"
        "In this order; the first that is there counts, and `gpt2 models` lists them all:\n"
        "\n"
        "  ./models                    beside where you are\n"
        "  $GPT2_MODELS                folders, separated by colons\n"
        "  models                      beside the program\n"
        "  $XDG_DATA_HOME/gpt2/models  what was pulled; default below ~/.local/share\n"
        "  PREFIX/share/gpt2/models    the installation's\n"
        "  Hugging Face's cache        of what its programs fetched: $HF_HUB_CACHE, else hub in\n"
        "                              $HF_HOME, else hub in ~/.cache/huggingface\n"
        "\n"
        "FETCHING\n"
        "\n"
        "    gpt2 pull gpt2\n"
        "    gpt2 rm gpt2\n"
        "\n"
        "pull knows gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2 and any OWNER/NAME of the\n"
        "hub, each with @REVISION. It writes into the first folder of `$GPT2_MODELS`, else into\n"
        "the data directory. A directory whose name ends in .partial is a fetch that has not\n"
        "ended; pull goes on with it.\n"
        "\n"
        "A DIRECTORY\n"
        "\n"
        "  config.json             the configuration\n"
        "  model.safetensors       the weights, or shards and their index\n"
        "  vocab.json, merges.txt  the tokenizer, or tokenizer.json\n"
        "  generation_config.json  what the model's authors recommend for drawing; may be missing\n"
        "  pulled.json             written by pull: repository, revision, commit, and size and\n"
        "                          digest of each file. Only the files it lists are removed by rm\n"
        "                          and replaced by pull\n",
};
