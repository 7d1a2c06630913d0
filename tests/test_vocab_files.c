/* test_vocab_files.c - a tokenizer's files: what is read of them, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/json.h"
#include "testtokenizer.h"

/* A tiny vocabulary: a b ab abb 'Ġ', and <|endoftext|>; no other bytes. */
#define TOKENS "{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3,\"\xC4\xA0\":4,\"<|endoftext|>\":5}"
#define MERGES "#version: 0.2\na b\nab b\n"

struct files {
    const char *tokens, *merges, *tokenizer, *added, *specials, *config;
};

static struct vocab *parse(const struct files *f, struct gpt2_error *err) {
    const char *texts[VOCAB_N_FILES] = {f->tokens, f->merges,   f->tokenizer,
                                        f->added,  f->specials, f->config};
    static const char *const names[VOCAB_N_FILES] = {"d/vocab.json",
                                                     "d/merges.txt",
                                                     "d/tokenizer.json",
                                                     "d/added_tokens.json",
                                                     "d/special_tokens_map.json",
                                                     "d/tokenizer_config.json"};
    struct vocab_source sources[VOCAB_N_FILES] = {{0}};
    for (int i = 0; i < VOCAB_N_FILES; i++)
        if (texts[i])
            sources[i] = (struct vocab_source){names[i], texts[i], strlen(texts[i])};
    return vocab_parse(sources, err);
}

static struct gpt2_tokenizer *open_files(struct files f) {
    struct gpt2_error err;
    struct vocab *vocab = parse(&f, &err);
    if (!vocab)
        fail_msg("%s", err.message);
    struct gpt2_tokenizer *t = tokenizer_create(vocab, &err);
    assert_non_null(t);
    return t;
}

static void a_tiny_vocabulary_works(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){.tokens = TOKENS, .merges = MERGES});
    size_t n;
    check_ids(t, TEXT("abbab b"), GPT2_ENCODE_TEXT, IDS(3, 2, 4, 1));
    check_ids(t, TEXT("ab<|endoftext|>b"), GPT2_ENCODE_SPECIAL, IDS(2, 5, 1));
    assert_memory_equal(gpt2_tokenizer_token(t, 4, &n), " ", 1);
    assert_int_equal(n, 1);
    assert_int_equal(gpt2_tokenizer_size(t), 6);
    assert_int_equal(gpt2_tokenizer_find(t, "abb", 3), 3);
    assert_int_equal(gpt2_tokenizer_find(t, "bb", 2), -1);
    assert_int_equal(gpt2_tokenizer_find(t, "", 0), -1);
    assert_null(gpt2_tokenizer_token(t, 6, &n));
    assert_int_equal(n, 0);
    assert_null(gpt2_tokenizer_token(t, -1, &n));
    assert_null(gpt2_tokenizer_token(t, INT32_MAX, &n));
    assert_false(gpt2_tokenizer_is_special(t, 6));
    assert_false(gpt2_tokenizer_is_special(t, -1));
    assert_true(gpt2_tokenizer_is_special(t, 5));
    gpt2_tokenizer_close(t);
}

static void a_byte_without_a_token_is_an_error_and_leaves_the_list_as_it_was(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){.tokens = TOKENS, .merges = MERGES});
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    char text[200];
    memset(text, 'a', sizeof text);
    assert_true(gpt2_ids_push(&ids, 9, NULL));
    for (size_t at = 0; at < sizeof text; at += 199) { // in a long piece, in a short one
        text[at] = 'c';
        assert_false(gpt2_tokenizer_encode(t, text, at ? sizeof text : 3, 0, &ids, &err));
        assert_int_equal(err.status, GPT2_ERR_INPUT);
        assert_string_equal(err.message,
                            "the vocabulary has no token for the byte 0x63 of the text");
        assert_int_equal(ids.len, 1);
        assert_int_equal(ids.data[0], 9);
        text[at] = 'a';
    }
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
}

static void line_ends_headers_and_gaps_are_accepted(void **state) {
    static const char *const merges[] = {
        "#version: 0.2\r\na b\r\nab b\r\n",
        "a b\nab b",
        "#version: 0.2 - Trained by `huggingface/tokenizers`\na b\nab b\n\n",
    };
    for (size_t i = 0; i < 3; i++) {
        struct gpt2_tokenizer *t =
            open_files((struct files){.tokens = TOKENS, .merges = merges[i]});
        check_ids(t, TEXT("abbab"), GPT2_ENCODE_TEXT, IDS(3, 2));
        gpt2_tokenizer_close(t);
    }
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokens = "{\"#\":7,\"##\":900,\"\\u0120\":3}", .merges = "#version: 0.2\n# #\n"});
    check_ids(t, TEXT("## #"), GPT2_ENCODE_TEXT, IDS(900, 3, 7));
    assert_int_equal(gpt2_tokenizer_size(t), 901);
    size_t n;
    assert_null(gpt2_tokenizer_token(t, 8, &n));
    gpt2_tokenizer_close(t);
}

static void the_last_of_two_equal_merges_counts(void **state) {
    // "bc" would go before "ab", were "ab" not listed again at the end... as HF and OpenAI have it.
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokens = "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4}", .merges = "a b\nb c\na b\n"});
    check_ids(t, TEXT("abc"), GPT2_ENCODE_TEXT, IDS(0, 4));
    gpt2_tokenizer_close(t);
}

static void special_tokens_come_from_every_file_that_names_them(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokens = "{\"a\":0,\"b\":1,\"\xEF\xBD\x9Cx\":2,\"!\":3,\"\xC4\xA0\":4}",
        .merges = "",
        .added = "{\"<pad>\":7,\"  \":8}",
        .specials = "{\"pad_token\":\"!\",\"eos_token\":{\"content\":\"\xEF\xBD\x9Cx\"},"
                    "\"unk_token\":\"nowhere\",\"bos_token\":\"\","
                    "\"additional_special_tokens\":[\"<pad>\"]}",
        .config = "{\"added_tokens_decoder\":{\"9\":{\"content\":\"<p\",\"special\":true}},"
                  "\"add_bos_token\":false,\"model_max_length\":1e30}"});
    // Leftmost, longest; also where an added token is the end of nothing else.
    check_ids(t, TEXT("a<pad>  <pb!\xEF\xBD\x9Cx   "), GPT2_ENCODE_SPECIAL,
              IDS(0, 7, 8, 9, 1, 3, 2, 8, 4));
    assert_int_equal(gpt2_tokenizer_size(t), 10);
    for (int32_t id = 0; id < 10; id++)
        assert_int_equal(gpt2_tokenizer_is_special(t, id),
                         id == 2 || id == 3 || id == 7 || id == 9);
    assert_int_equal(gpt2_tokenizer_find(t, "nowhere", 7), -1);
    check_ids(t, TEXT("a!"), GPT2_ENCODE_TEXT, IDS(0, 3));
    // Nothing says that two spaces are special: they are cut out of any text.
    check_ids(t, TEXT("a   "), GPT2_ENCODE_TEXT, IDS(0, 8, 4));
    gpt2_tokenizer_close(t);
}

#define MODEL(more)                                                             \
    "\"model\":{\"type\":\"BPE\"," more "\"vocab\":" TOKENS ",\"merges\":[\"a " \
    "b\",[\"ab\",\"b\"]]}"
#define BYTELEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":"
#define PATTERN                                                                                    \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|" \
    "\\\\s+"

static void added_tokens_take_white_space_and_stand_alone_as_they_say(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"added_tokens\":["
                     "{\"id\":6,\"content\":\"<l>\",\"special\":true,\"lstrip\":true},"
                     "{\"id\":7,\"content\":\"<r>\",\"special\":true,\"rstrip\":true},"
                     "{\"id\":8,\"content\":\"ab\",\"special\":false,\"single_word\":true}]," MODEL(
                         "") "}"});
    check_ids(t, TEXT("a  <l>  a  <r>\t b"), GPT2_ENCODE_SPECIAL, IDS(0, 6, 4, 4, 0, 4, 4, 7, 1));
    check_ids(t, TEXT("<r> <l> <l>"), GPT2_ENCODE_SPECIAL, IDS(7, 6, 6));
    check_ids(t, TEXT("ab abb bab ab"), GPT2_ENCODE_TEXT, IDS(8, 4, 3, 4, 1, 2, 4, 8));
    assert_int_equal(gpt2_tokenizer_cut(t, "a a a", 5, GPT2_ENCODE_TEXT), 0);
    gpt2_tokenizer_close(t);
}

/* add_bos_token of the pair: tokens of one text, and of a part of one. */
static void a_bos_token_goes_before_a_text_where_the_files_say_so(void **state) {
    struct gpt2_error err;
    struct gpt2_ids ids = {0};
    struct gpt2_extent *extents;
    struct gpt2_tokenizer *t = open_files(
        (struct files){.tokens = TOKENS,
                       .merges = MERGES,
                       .added = "{\"<s>\":7}",
                       .config = "{\"add_bos_token\":true,\"bos_token\":{\"content\":\"<s>\"}}"});
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(7, 3));
    check_ids(t, TEXT(""), GPT2_ENCODE_TEXT, IDS(7));
    check_ids(t, TEXT("abb"), GPT2_ENCODE_PART, IDS(3));
    assert_int_equal(gpt2_tokenizer_cut(t, "a a a", 5, GPT2_ENCODE_TEXT), 0);
    assert_true(gpt2_tokenizer_encode_extents(t, "abb b", 5, 0, &ids, &extents, &err));
    assert_int_equal(ids.len, 4);
    static const size_t want[4][2] = {{0, 0}, {0, 3}, {3, 4}, {4, 5}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(extents[i].begin, want[i][0]);
        assert_int_equal(extents[i].end, want[i][1]);
    }
    free(extents);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);

    t = open_files(
        (struct files){.tokens = TOKENS, .merges = MERGES, .config = "{\"add_bos_token\":true}"});
    check_ids(t, TEXT("a"), GPT2_ENCODE_TEXT, IDS(5, 0)); // <|endoftext|>, as GPT2Tokenizer has it
    gpt2_tokenizer_close(t);

    t = open_files((struct files){
        .tokens = TOKENS,
        .merges = MERGES,
        .added = "{\"<s>\":7}",
        .config = "{\"add_bos_token\":true,\"add_eos_token\":true,\"eos_token\":\"<s>\"}"});
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(5, 3, 7));
    check_ids(t, TEXT("abb"), GPT2_ENCODE_PART, IDS(3));
    gpt2_tokenizer_close(t);
}

static void unknown_bytes_are_dropped_where_asked_for(void **state) {
    struct gpt2_error err;
    struct gpt2_ids ids = {0};
    struct gpt2_extent *extents;
    struct gpt2_tokenizer *t = open_files((struct files){.tokens = TOKENS, .merges = MERGES});
    // What is left of a piece merges, as in Hugging Face's library.
    check_ids(t, TEXT("axxb b"), GPT2_ENCODE_DROP_UNKNOWN, IDS(2, 4, 1));
    check_ids(t, TEXT("xyz"), GPT2_ENCODE_DROP_UNKNOWN, NULL, 0);
    assert_true(gpt2_tokenizer_encode_extents(t, "xaxb b", 6, GPT2_ENCODE_DROP_UNKNOWN, &ids,
                                              &extents, &err));
    assert_int_equal(ids.len, 3);
    static const size_t want[3][2] = {{1, 4}, {4, 5}, {5, 6}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(extents[i].begin, want[i][0]);
        assert_int_equal(extents[i].end, want[i][1]);
    }
    free(extents);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
}

/* Whatever form they are kept in: files, and the tables of a packed file. */
static void added_tokens_that_are_not_special_are_always_cut_out(void **state) {
    struct gpt2_error err;
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"added_tokens\":["
                     "{\"id\":6,\"content\":\"ab \",\"special\":false},"
                     "{\"id\":7,\"content\":\"ab <\",\"special\":true},"
                     "{\"id\":8,\"content\":\"b\",\"special\":false}]," MODEL("") "}"});
    unsigned char *bytes;
    size_t n;
    assert_true(gpt2_tokenizer_pack(t, &bytes, &n, &err));
    struct gpt2_tokenizer *packed = tokenizer_unpack(bytes, n, "tables", &err);
    assert_non_null(packed);
    for (int i = 0; i < 2; i++) {
        struct gpt2_tokenizer *each = i ? packed : t;
        check_ids(each, TEXT("aab a"), GPT2_ENCODE_TEXT, IDS(0, 6, 0));
        check_ids(each, TEXT("ab"), GPT2_ENCODE_TEXT, IDS(0, 8)); // goes before merging
        check_ids(each, TEXT("ab <"), GPT2_ENCODE_SPECIAL, IDS(7));
        assert_false(gpt2_tokenizer_is_special(each, 6));
        assert_true(gpt2_tokenizer_is_special(each, 7));
        // No cut where a token that is cut out might begin.
        assert_int_equal(gpt2_tokenizer_cut(each, "a a ab", 6, GPT2_ENCODE_TEXT), 3);
    }
    gpt2_tokenizer_close(packed);
    free(bytes);
    gpt2_tokenizer_close(t);
}

static void the_forms_of_tokenizer_json_are_read(void **state) {
    static const char *const files[] = {
        "{\"version\":\"1.0\",\"normalizer\":null,\"pre_tokenizer\":" BYTELEVEL "true},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":\"ByteLevel\"},"
        "\"added_tokens\":[{\"id\":5,\"content\":\"<|endoftext|>\",\"lstrip\":false}]," MODEL(
            "") "}",
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}," MODEL(
            "\"dropout\":null,\"continuing_subword_prefix\":\"\",\"byte_fallback\":false,") "}",
        "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"" PATTERN
        "\"},\"behavior\":\"Isolated\",\"invert\":false}," BYTELEVEL "false}]}," MODEL("") "}",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct gpt2_tokenizer *t = open_files((struct files){.tokenizer = files[i]});
        check_ids(t, TEXT("abb abb b  b"), GPT2_ENCODE_TEXT, IDS(3, 4, 3, 4, 1, 4, 4, 1));
        assert_true(gpt2_tokenizer_is_special(t, 5));
        gpt2_tokenizer_close(t);
    }
}

static void settings_of_tokenizer_json_are_honoured(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokenizer = "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}," MODEL(
            "") "}"});
    check_ids(t, TEXT("ab"), GPT2_ENCODE_TEXT, IDS(4, 2));
    check_ids(t, TEXT(" ab"), GPT2_ENCODE_TEXT, IDS(4, 2));
    check_ids(t, TEXT(""), GPT2_ENCODE_TEXT, NULL, 0);
    check_ids(t, TEXT("<|endoftext|>b"), GPT2_ENCODE_SPECIAL, IDS(5, 4, 1));
    gpt2_tokenizer_close(t);

    // tokenizer_config.json has the last word.
    t = open_files((struct files){
        .tokenizer =
            "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}," MODEL("") "}",
        .config = "{\"add_prefix_space\":false}"});
    check_ids(t, TEXT("ab"), GPT2_ENCODE_TEXT, IDS(2));
    gpt2_tokenizer_close(t);

    // Without the regular expression the whole text is one piece: the merge crosses the space.
    static const char *const whole = "\"model\":{\"vocab\":{\"a\":0,\"\xC4\xA0\":1,\"a\xC4\xA0\":2}"
                                     ",\"merges\":[\"a \xC4\xA0\"]}}";
    for (int regex = 0; regex < 2; regex++) {
        char file[512];
        snprintf(file, sizeof file, "{\"pre_tokenizer\":" BYTELEVEL "%s},%s",
                 regex ? "true" : "false", whole);
        t = open_files((struct files){.tokenizer = file});
        if (regex)
            check_ids(t, TEXT("a a"), GPT2_ENCODE_TEXT, IDS(0, 1, 0));
        else
            check_ids(t, TEXT("a a"), GPT2_ENCODE_TEXT, IDS(2, 0));
        gpt2_tokenizer_close(t);
    }

    // A token that no merge makes: taken whole with ignore_merges only; short and long ones.
    for (int ignore = 0; ignore < 2; ignore++) {
        char file[512];
        snprintf(file, sizeof file,
                 "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"ignore_merges\":%s,\"vocab\":"
                 "{\"a\":0,\"aaa\":1,\"aaaaaaaaaaaaaaaaaaaa\":2},\"merges\":[]}}",
                 ignore ? "true" : "false");
        t = open_files((struct files){.tokenizer = file});
        if (ignore) {
            check_ids(t, TEXT("aaa"), GPT2_ENCODE_TEXT, IDS(1));
            check_ids(t, TEXT("aaaaaaaaaaaaaaaaaaaa"), GPT2_ENCODE_TEXT, IDS(2));
            check_ids(t, TEXT("aa"), GPT2_ENCODE_TEXT, IDS(0, 0));
        } else {
            check_ids(t, TEXT("aaa"), GPT2_ENCODE_TEXT, IDS(0, 0, 0));
        }
        gpt2_tokenizer_close(t);
    }
}

/* Every refusal names the file, the place, what was expected and what was found. */
static void malformed_files_are_refused_by_name(void **state) {
    static const struct {
        struct files files;
        const char *says;
    } cases[] = {
        {{.tokens = "[]", .merges = ""}, "d/vocab.json: expected an object, found an array"},
        {{.tokens = "{\"a\":0", .merges = ""}, "d/vocab.json: not valid JSON"},
        {{.tokens = "{}", .merges = ""}, "d/vocab.json: expected tokens with ids, found none"},
        {{.tokens = "{\"a\":0,\"b\":1.5}", .merges = ""},
         "d/vocab.json: entry 2 \"b\": expected an id from 0 to 9999999, found 1.5"},
        {{.tokens = "{\"a\":0,\"b\":-1}", .merges = ""},
         "entry 2 \"b\": expected an id from 0 to 9999999, found -1"},
        {{.tokens = "{\"a\":0,\"b\":10000000}", .merges = ""}, "found 10000000"},
        {{.tokens = "{\"a\":0,\"b\":1e300}", .merges = ""}, "entry 2 \"b\": expected an id"},
        {{.tokens = "{\"a\":0,\"b\":\"1\"}", .merges = ""}, "found a string"},
        {{.tokens = "{\"a\":0,\"b\":1,\"a\":2}", .merges = ""},
         "d/vocab.json: entry 3 \"a\": expected every token once, found it with the ids 0 and 2"},
        {{.tokens = "{\"a\":0,\"b\":0}", .merges = ""},
         "d/vocab.json: id 0: expected one token, found two: \"a\" and \"b\""},
        {{.tokens = "{\"a\":0,\"\":1}", .merges = ""},
         "d/vocab.json: entry 2: expected a token, found an empty"},
        {{.tokens = "{\"a\":0,\"b c\":1}", .merges = ""},
         "d/vocab.json: entry 2: expected a token in GPT-2's byte alphabet, found \"b c\""},
        {{.tokens = "{\"a\":0,\"\xE4\xB8\xAD\":1}", .merges = ""}, "byte alphabet"},
        {{.tokens = TOKENS, .merges = "#version: 0.2\na b\nab\n"},
         "d/merges.txt: line 3: expected two tokens with one space between them, found \"ab\""},
        {{.tokens = TOKENS, .merges = "a b\na  b\n"}, "d/merges.txt: line 2: expected two tokens"},
        {{.tokens = TOKENS, .merges = "a b \n"}, "d/merges.txt: line 1: expected two tokens"},
        {{.tokens = TOKENS, .merges = " a b\n"}, "d/merges.txt: line 1: expected two tokens"},
        {{.tokens = TOKENS, .merges = "a b\n\nab b\n"},
         "d/merges.txt: line 2: expected two tokens"},
        {{.tokens = TOKENS, .merges = "a b\n#version: 0.2\n"}, "d/merges.txt: line 2"},
        {{.tokens = TOKENS, .merges = "x b\n"},
         "d/merges.txt: line 1: merge of \"x\" and \"b\": expected its left half to be a token of "
         "d/vocab.json, found none such"},
        {{.tokens = TOKENS, .merges = "a \xE4\xB8\xAD\n"}, "expected its right half"},
        {{.tokens = TOKENS, .merges = "b b\n"}, "expected its result"},
        {{.tokens = TOKENS, .merges = "\xFF\xFD b\n"}, "d/merges.txt: line 1"},
        {{.tokens = TOKENS,
          .merges = "\xFF\xFE"
                    "a"},
         "d/merges.txt: expected UTF-8, found UTF-16"},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"x\":2}"},
         "d/added_tokens.json: id 2: expected one token, found two: \"ab\" and \"x\""},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"x\":null}"},
         "d/added_tokens.json: entry 1 \"x\": expected an id from 0 to 9999999, found null"},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"x\":7,\"x\":8}"},
         "d/added_tokens.json: added token \"x\": expected one id, found 7 and 8"},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"<|endoftext|>\":7}"}, NULL},
        {{.tokens = "{\"a\":0,\"\xEF\xBD\x9Cx\":2}",
          .merges = "",
          .added = "{\"\xEF\xBD\x9Cx\":7}"},
         "expected the id 7 that d/added_tokens.json gives, found 2"},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .specials = "{\"pad_token\":{\"content\":\"x\",\"lstrip\":1}}"},
         "d/special_tokens_map.json: added token \"x\": lstrip: expected true or false, found"},
        {{.tokens = TOKENS, .merges = MERGES, .specials = "{\"additional_special_tokens\":[1]}"},
         "d/special_tokens_map.json: expected a special token"},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .config = "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}"},
         "d/tokenizer_config.json: added_tokens_decoder: expected an id from 0 to 9999999, found "
         "\"x\""},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .config = "{\"added_tokens_decoder\":{\"10000000\":\"y\"}}"},
         "found \"10000000\""},
        {{.tokens = TOKENS, .merges = MERGES, .config = "{\"add_prefix_space\":1}"},
         "d/tokenizer_config.json: add_prefix_space: expected true or false, found a number"},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .config = "{\"add_eos_token\":true,\"eos_token\":\"</s>\"}"},
         "d/tokenizer_config.json: add_eos_token: expected \"eos_token\" to be a token, found "
         "\"</s>\""},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .config = "{\"add_bos_token\":true,\"bos_token\":\"<s>\"}"},
         "d/tokenizer_config.json: add_bos_token: expected \"bos_token\" to be a token, found "
         "\"<s>\""},
        {{.tokens = TOKENS, .merges = MERGES, .config = "nope"},
         "d/tokenizer_config.json: not valid JSON"},
        {{.tokenizer = "{\"pre_tokenizer\":null," MODEL("") "}"},
         "d/tokenizer.json: pre_tokenizer: expected \"ByteLevel\", found null"},
        {{.tokenizer = "{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL("") "}"},
         "found \"Metaspace\""},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "3}," MODEL("") "}"},
         "d/tokenizer.json: pre_tokenizer.use_regex: expected true or false, found a number"},
        {{.tokenizer =
              "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[]}," MODEL("") "}"},
         "pre_tokenizer: expected"},
        {{.tokenizer =
              "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
              "\"pattern\":{\"Regex\":\"\\\\S\"},\"behavior\":\"Isolated\"}," BYTELEVEL
              "false}]}," MODEL("") "}"},
         "pre_tokenizer Split: expected GPT-2's regular expression or a class of characters, found "
         "\"\\S\""},
        {{.tokenizer = "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" BYTELEVEL
                       "true},{\"type\":\"Digits\"}]}," MODEL("") "}"},
         "d/tokenizer.json: pre_tokenizer: expected nothing after ByteLevel, found \"Digits\""},
        {{.tokenizer = "{\"normalizer\":{\"type\":\"Nmt\"},\"pre_tokenizer\":" BYTELEVEL
                       "true}," MODEL("") "}"},
         "d/tokenizer.json: normalizer: expected a component that this program has (NFC, NFD, "
         "NFKC, "
         "NFKD, Lowercase, StripAccents, Replace, Prepend, Strip, Sequence), found \"Nmt\""},
        {{.tokenizer = "{\"added_tokens\":[{\"id\":0,\"content\":\"a\",\"normalized\":true}],"
                       "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},"
                       "\"content\":\"\"},\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}"},
         "d/tokenizer.json: added token 0, \"a\": expected a text of which the normalizer leaves "
         "something, as \"normalized\" is true"},
        {{.tokenizer = "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a|b\"},"
                       "\"content\":\"\"},\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}"},
         "d/tokenizer.json: normalizer Replace: expected GPT-2's regular expression or a class of "
         "characters, found \"a|b\""},
        {{.tokenizer = "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
                       "\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}]},"
                       "\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}"},
         "d/tokenizer.json: post_processor: expected a special token of the template"},
        {{.tokenizer =
              "{\"post_processor\":{\"type\":\"TemplateProcessing\"},\"pre_tokenizer\":" BYTELEVEL
              "true}," MODEL("") "}"},
         "d/tokenizer.json: post_processor TemplateProcessing: expected the text once in "
         "\"single\", found it 0 times"},
        {{.tokenizer = "{\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0],"
                       "\"sep\":[\"b\",6]},\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}"},
         "d/tokenizer.json: post_processor: expected a token id from 0 to 5, found 6"},
        {{.tokenizer = "{\"decoder\":{\"type\":\"WordPiece\"},\"pre_tokenizer\":" BYTELEVEL
                       "true}," MODEL("") "}"},
         "found \"WordPiece\""},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"type\":\"Unigram\"}}"},
         "d/tokenizer.json: model.type: expected \"BPE\", found \"Unigram\""},
        {{.tokenizer =
              "{\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("\"byte_fallback\":true,") "}"},
         "model.byte_fallback"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("\"dropout\":0.1,") "}"},
         "model.dropout"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL
                       "true}," MODEL("\"end_of_word_suffix\":\"</w>\",") "}"},
         "model.end_of_word_suffix"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true}}"},
         "d/tokenizer.json: expected an object \"model\", found none"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"merges\":[]}}"},
         "model.vocab: expected an object, found none"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"vocab\":" TOKENS
                       ",\"merges\":{}}}"},
         "model.merges: expected an array, found an object"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"vocab\":" TOKENS
                       ",\"merges\":[\"a b\",[\"a\"]]}}"},
         "d/tokenizer.json: merge 2: expected \"left right\" or [\"left\", \"right\"], found an "
         "array"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL
                       "true},\"added_tokens\":[{\"content\":\"x\"}]," MODEL("") "}"},
         "d/tokenizer.json: entry 1 \"added_tokens\": expected an id from 0 to 9999999, found "
         "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        struct vocab *vocab = parse(&cases[i].files, &err);
        if (vocab && !cases[i].says) { // the one that is right
            vocab_free(vocab);
            continue;
        }
        if (vocab || !cases[i].says)
            fail_msg("case %zu: expected %s, found %s", i, cases[i].says ? "an error" : "none",
                     vocab ? "none" : err.message);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: expected \"%s\", found \"%s\"", i, cases[i].says, err.message);
    }
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* Each step doubles the text: 40 of them are a terabyte. */
static void a_normalizer_that_multiplies_a_text_is_refused(void **state) {
    static const char step[] =
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"}";
    struct buffer text = {0};
    struct gpt2_ids ids = {0};
    struct gpt2_error err = {0};
    buffer_text(&text, "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 40; i++)
        buffer_format(&text, "%s%s", i ? "," : "", step);
    buffer_text(&text, "]},\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}");
    assert_false(text.failed);
    struct gpt2_tokenizer *t = open_files((struct files){.tokenizer = text.data});
    check_ids(t, TEXT("b"), GPT2_ENCODE_TEXT, IDS(1));
    assert_false(gpt2_tokenizer_encode(t, "a", 1, GPT2_ENCODE_TEXT, &ids, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_string_equal(err.message, "the tokenizer's normalizer: expected at most 262208 bytes of "
                                     "a text of 1, found more");
    assert_int_equal(ids.len, 0);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
    buffer_free(&text);
}

static void a_directory_or_a_file_in_it_is_opened(void **state) {
    static const char *const names[] = {"encoder.json", "vocab.bpe", "vocab.json", "merges.txt",
                                        "tokenizer.json"};
    const char *tmp = getenv("TMPDIR");
    char folder[2048], path[4096];
    struct gpt2_error err;
    snprintf(folder, sizeof folder, "%s/gpt2-tokenizer-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));

    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, folder));
    assert_non_null(strstr(err.message, "vocab.json and merges.txt"));
    assert_non_null(strstr(err.hint, "--ids"));

    write_file(folder, "tokenizer.json", "{}"); // it decides: a pair beside it is not taken instead
    write_file(folder, "vocab.json", TOKENS);
    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_non_null(strstr(err.message, "tokenizer.json: "));
    assert_string_equal(err.hint, "");

    write_file(folder, "encoder.json", TOKENS);
    write_file(folder, "vocab.bpe", MERGES);
    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_non_null(strstr(err.message, "tokenizer.json: "));
    assert_non_null(strstr(err.hint, "encoder.json uses it with vocab.bpe"));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_int_equal(remove(path), 0);
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(folder, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(3));
    gpt2_tokenizer_close(t);

    write_file(folder, "merges.txt", "a b\n");
    snprintf(path, sizeof path, "%s/encoder.json", folder); // a file that is named is used
    t = gpt2_tokenizer_open(path, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(3));
    gpt2_tokenizer_close(t);
    t = gpt2_tokenizer_open(folder, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(2, 1));
    gpt2_tokenizer_close(t);
    write_file(folder, "notes.txt", "x");
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    assert_null(gpt2_tokenizer_open(path, &err));
    assert_ptr_equal(strstr(err.message, path), err.message);
    remove(path);
    snprintf(path, sizeof path, "%s//", folder);
    t = gpt2_tokenizer_open(path, &err);
    assert_non_null(t);
    gpt2_tokenizer_close(t);

    snprintf(path, sizeof path, "%s/none", folder);
    assert_null(gpt2_tokenizer_open(path, &err));
    assert_non_null(strstr(err.message, "no such file"));
    write_file(folder, "merges.txt", "a c\n");
    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_non_null(strstr(err.message, "merges.txt: line 1"));
    write_file(folder, "tokenizer.json", // what a pair does not say counts
               "{\"added_tokens\":[{\"id\":6,\"content\":\"<bot>\",\"special\":true}],"
               "\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}");
    write_file(folder, "merges.txt", "a b\n");
    t = gpt2_tokenizer_open(folder, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb<bot>"), GPT2_ENCODE_SPECIAL, IDS(3, 6));
    gpt2_tokenizer_close(t);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(remove(folder), 0);
}

static void a_tokenizer_of_another_kind_is_refused_or_read(void **state) {
    struct gpt2_tokenizer *t = open_data("fixtures/not-gpt2");
    check_round_trip(t, (const unsigned char *)"any text", 8, GPT2_ENCODE_TEXT);
    gpt2_tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tiny_vocabulary_works),
        cmocka_unit_test(a_byte_without_a_token_is_an_error_and_leaves_the_list_as_it_was),
        cmocka_unit_test(line_ends_headers_and_gaps_are_accepted),
        cmocka_unit_test(the_last_of_two_equal_merges_counts),
        cmocka_unit_test(special_tokens_come_from_every_file_that_names_them),
        cmocka_unit_test(a_bos_token_goes_before_a_text_where_the_files_say_so),
        cmocka_unit_test(unknown_bytes_are_dropped_where_asked_for),
        cmocka_unit_test(added_tokens_take_white_space_and_stand_alone_as_they_say),
        cmocka_unit_test(added_tokens_that_are_not_special_are_always_cut_out),
        cmocka_unit_test(the_forms_of_tokenizer_json_are_read),
        cmocka_unit_test(settings_of_tokenizer_json_are_honoured),
        cmocka_unit_test(malformed_files_are_refused_by_name),
        cmocka_unit_test(a_normalizer_that_multiplies_a_text_is_refused),
        cmocka_unit_test(a_directory_or_a_file_in_it_is_opened),
        cmocka_unit_test(a_tokenizer_of_another_kind_is_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
