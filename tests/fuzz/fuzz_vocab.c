/* fuzz_vocab.c - a tokenizer's files with anything in them: an error, or a tokenizer that works.
 *
 * The input is a list of files: each starts with a line `=== N`, N being an enum vocab_file; what
 * comes before the first such line is not used. */
#define REPLAY_NAME   "vocab"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "../testtext.h"
#include "base/buffer.h"
#include "mutate.h"

static const char *const names[VOCAB_N_FILES] = {"vocab.json",          "merges.txt",
                                                 "tokenizer.json",      "added_tokens.json",
                                                 "special_tokens.json", "config.json"};

static void split(struct vocab_source files[VOCAB_N_FILES], const char *text, size_t n) {
    int current = -1;
    for (size_t i = 0; i < n; i++) {
        bool head = n - i >= 6 && (i == 0 || text[i - 1] == '\n') && !memcmp(text + i, "=== ", 4) &&
                    text[i + 4] >= '0' && text[i + 4] < '0' + VOCAB_N_FILES && text[i + 5] == '\n';
        if (head) {
            current = text[i + 4] - '0';
            files[current] = (struct vocab_source){names[current], text + i + 6, 0};
            i += 5;
        } else if (current >= 0) {
            files[current].len++;
        }
    }
}

/* A tokenizer with rules of its own may make anything of a text, of ids that it has. */
static void use_rules(struct gpt2_tokenizer *t) {
    static const char *const texts[] = {
        "ab abb  ba<|endoftext|>\n'sa ab", " a,b  12 c-1.\n\n x ",
        "\xC3\xA9 e\xCC\x81 \xEF\xBC\x81\xEF\xB7\xBA A\xC4\xB0 \xFF\xED\xA0\x80 \xEA\xB0\x81", ""};
    for (size_t i = 0; i < 2 * sizeof texts / sizeof *texts; i++) {
        struct gpt2_ids ids = {0};
        struct gpt2_error err = {0};
        const char *text = texts[i / 2];
        if (!gpt2_tokenizer_encode(t, text, strlen(text), i % 2 ? 7 : 0, &ids, &err) &&
            (err.status == GPT2_OK || !err.message[0]))
            abort();
        for (size_t k = 0; k < ids.len; k++)
            if (ids.data[k] < 0 || ids.data[k] >= gpt2_tokenizer_size(t))
                abort();
        gpt2_ids_free(&ids);
    }
}

/* One without must encode what it can spell, and give back the same text. */
static void use(struct gpt2_tokenizer *t, bool add_prefix_space) {
    static const char text[] = "ab abb  ba<|endoftext|>\n'sa ab";
    struct gpt2_error err;
    for (unsigned flags = 0; flags < 2; flags++) {
        struct gpt2_ids ids = {0};
        size_t at = 0;
        bool ok = gpt2_tokenizer_encode(t, text, sizeof text - 1, flags, &ids, &err);
        for (size_t i = 0; i < ids.len; i++) {
            size_t len;
            const char *token = gpt2_tokenizer_token(t, ids.data[i], &len);
            if (!token || ids.data[i] < 0 || ids.data[i] >= gpt2_tokenizer_size(t))
                abort();
            if (add_prefix_space)
                continue;
            if (len > sizeof text - 1 - at || memcmp(token, text + at, len) != 0)
                abort();
            at += len;
        }
        if (!add_prefix_space && at != (ok ? sizeof text - 1 : 0))
            abort();
        gpt2_ids_free(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vocab_source files[VOCAB_N_FILES] = {{0}};
    struct gpt2_error err = {0};
    split(files, (const char *)data, size);
    bool pair = files[VOCAB_TOKENS].text && files[VOCAB_MERGES].text;
    if (!pair) {
        files[VOCAB_TOKENS].text = NULL;
        if (!files[VOCAB_TOKENIZER].text)
            return 0;
    }
    struct vocab *vocab = vocab_parse(files, &err);
    if (!vocab) {
        if (err.status == GPT2_OK || !err.message[0])
            abort(); // refused without a word
        return 0;
    }
    const bool add_prefix_space = vocab->add_prefix_space, has_rules = vocab->rules;
    struct gpt2_tokenizer *t = tokenizer_create(vocab, &err);
    if (!t && (err.status == GPT2_OK || !err.message[0]))
        abort();
    if (t)
        use_rules(t);
    if (t && !has_rules)
        use(t, add_prefix_space);
    gpt2_tokenizer_close(t);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_json(data, size, cap, state);
}

/* ---- seeds: a tokenizer.json for each component that is read ---- */

static const char model[] =
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3,\"\xC4\xA0\":4,"
    "\"<|endoftext|>\":5,\"1\":6,\",\":7,\"e\":8},\"merges\":[\"a b\",\"ab b\"]}";
static const char byte_level[] =
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}";

static void add(const char *kind, int number, const char *normalizer, const char *pre_tokenizer,
                const char *post_processor) {
    struct buffer text = {0};
    struct gpt2_error err = {0};
    char name[40];
    snprintf(name, sizeof name, "%s%d", kind, number);
    buffer_format(&text,
                  "=== 2\n{\"added_tokens\":[{\"id\":5,\"content\":\"<|endoftext|>\","
                  "\"special\":true,\"lstrip\":true,\"rstrip\":true,\"single_word\":true}],");
    if (normalizer)
        buffer_format(&text, "\"normalizer\":{\"type\":%s},", normalizer);
    if (post_processor)
        buffer_format(&text, "\"post_processor\":{\"type\":%s},", post_processor);
    if (pre_tokenizer)
        buffer_format(
            &text,
            "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":%s},%s]},",
            pre_tokenizer, byte_level);
    else
        buffer_format(&text, "\"pre_tokenizer\":%s,", byte_level);
    buffer_format(&text, "%s}\n", model);
    struct vocab_source files[VOCAB_N_FILES] = {{0}};
    if (text.failed)
        abort();
    split(files, text.data, text.len);
    struct vocab *vocab = vocab_parse(files, &err);
    if (!vocab) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        abort();
    }
    vocab_free(vocab);
    replay_seed(name, text.data, text.len);
    buffer_free(&text);
}

void replay_seeds(void) {
    static const char *const normalizers[] = {
        "\"NFC\"",
        "\"NFD\"",
        "\"NFKC\"",
        "\"NFKD\"",
        "\"Lowercase\"",
        "\"StripAccents\"",
        "\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"bb\"",
        "\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"",
        "\"Prepend\",\"prepend\":\"a\"",
        "\"Strip\",\"strip_left\":true,\"strip_right\":true",
        "\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"StripAccents\"}]"};
    static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious",
                                            "MergedWithNext", "Contiguous"};
    static const char *const pre_tokenizers[] = {
        "\"Digits\",\"individual_digits\":true",
        "\"Digits\",\"individual_digits\":false",
        "\"Whitespace\"",
        "\"WhitespaceSplit\"",
        "\"Punctuation\",\"behavior\":\"Isolated\"",
        "\"Split\",\"pattern\":{\"String\":\"b\"},\"behavior\":\"Removed\",\"invert\":true",
        "\"Split\",\"pattern\":{\"Regex\":\"\\\\w+|[^\\\\w\\\\s]+\"},\"behavior\":\"Isolated\"",
        "\"Split\",\"pattern\":{\"Regex\":\"[0-9]\"},\"behavior\":\"Isolated\"",
        "\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+\"},\"behavior\":\"Isolated\"",
        "\"Split\",\"pattern\":{\"Regex\":\" +\"},\"behavior\":\"MergedWithNext\""};
    static const char *const post_processors[] = {
        "\"ByteLevel\",\"trim_offsets\":true",
        ("\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"x\"}}],"
         "\"special_tokens\":{\"x\":{\"id\":\"x\",\"ids\":[5,1],\"tokens\":[\"x\"]}}"),
        "\"RobertaProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\",1]",
        "\"BertProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\",1]",
        "\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"}]"};
    for (size_t i = 0; i < sizeof normalizers / sizeof *normalizers; i++)
        add("normalizer", (int)i, normalizers[i], NULL, NULL);
    for (size_t i = 0; i < sizeof pre_tokenizers / sizeof *pre_tokenizers; i++)
        add("pre_tokenizer", (int)i, NULL, pre_tokenizers[i], NULL);
    for (size_t i = 0; i < 2 * sizeof behaviors / sizeof *behaviors; i++) {
        char text[120];
        snprintf(text, sizeof text,
                 "\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"%s\",\"invert\":%s",
                 behaviors[i / 2], i % 2 ? "true" : "false");
        add("behavior", (int)i, NULL, text, NULL);
    }
    static const char *const refused[] = {
        "\"normalizer\":{\"type\":\"Sequence\"}",
        "\"normalizer\":{\"type\":\"Nmt\"}",
        "\"normalizer\":{\"type\":\"Prepend\"}",
        ("\"normalizer\":{\"type\":\"Replace\",\"content\":\"\",\"pattern\":{\"Regex\":"
         "\"\\\\w+|[^\\\\w\\\\s]+\"}}"),
        "\"post_processor\":{\"type\":\"Sequence\"}",
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"x\":1}]}",
        "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0]}"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char name[20], text[600];
        snprintf(name, sizeof name, "refused%zu", i);
        const int n = snprintf(text, sizeof text, "=== 2\n{%s,\"pre_tokenizer\":%s,%s}\n",
                               refused[i], byte_level, model);
        replay_seed(name, text, (size_t)n);
    }
    struct buffer many = {0}; // each step doubles the text
    buffer_text(&many, "\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 30; i++)
        buffer_format(&many, "%s{\"type\":%s}", i ? "," : "",
                      "\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"");
    buffer_format(&many, "]");
    add("doubled", 0, many.data, NULL, NULL);
    buffer_free(&many);
    for (size_t i = 0; i < sizeof post_processors / sizeof *post_processors; i++)
        add("post_processor", (int)i, NULL, NULL, post_processors[i]);
}
