/* vocab_parse.c - from the files' entries to the vocabulary.
 *
 * Two passes, so that all memory is taken at once: the first collects the added tokens and
 * measures the entries, the second adds them. What Hugging Face's library would skip in silence is
 * an error here: a wrong tokenizer gives plausible text that is wrong. */
#include "text/vocab_parse.h"
#include "base/encoding.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/os.h"
#include "text/added_tokens.h"
#include "text/alphabet.h"
#include "text/component.h"
#include "text/pipeline.h"
#include "text/tokenizer_json.h"
#include "text/vocab_entry.h"

#include <stdlib.h>
#include <string.h>

static const char end_of_text[] = "<|endoftext|>";

struct vocab_parser {
    const struct vocab_source *files;
    struct json *roots[VOCAB_N_FILES];
    struct tokenizer_json whole; /* tokenizer.json, its root apart             */
    struct vocab_map map;        /* {token: id}                                */
    const struct json *tokens;   /* the object, if it has been made a tree     */
    const char *tokens_name;     /* and the file it is in                      */
    const struct json *merges;   /* an array; NULL: `whole.merges`, or lines   */
    struct vocab_source lines;   /* or the file that has them                  */
    const char *merges_name;
    bool split, add_prefix_space, ignore_merges;
    bool may_prefix;          /* tokenizer_config.json has a say in add_prefix_space          */
    struct text_rules *rules; /* NULL: none                                                   */
    const char *ends[2];      /* the tokens that add_bos_token and add_eos_token mean; NULL:
                                 not said                                                     */
    bool adds[2];             /* ... put before each text, and after it                       */

    struct added_tokens added;
    unsigned char *scratch; /* as large as the largest file */
    int32_t byte_ids[256];  /* the tokens of one byte, or -1: half of what merges look for */
    struct vocab *vocab;
    struct gpt2_error *err;
};

/* The settings of a text's ends, and of the tokens there. */
static const char *const add_keys[2] = {"add_bos_token", "add_eos_token"};
static const char *const end_keys[2] = {"bos_token", "eos_token"};

/* tokenizer_config.json: the settings that change ids. add_bos_token and add_eos_token hold beside
 * a tokenizer.json too (gpt2/tokenizer.h), whose post_processor may say the same. add_prefix_space
 * has been made a part of its pre_tokenizer, unless that is a Sequence, which Hugging Face's
 * library leaves as it is. */
static bool read_config(struct vocab_parser *p, const struct json *config, const char *file) {
    const struct json *node = json_get(config, "add_prefix_space");
    bool on = p->add_prefix_space;
    if (node && json_kind(node) != JSON_NULL && !json_bool(node, &on))
        return error_set(p->err, GPT2_ERR_MODEL,
                         "%s: add_prefix_space: expected true or false, found %s", file,
                         json_kind_name(node));
    if (p->may_prefix)
        p->add_prefix_space = on;
    for (int i = 0; i < 2; i++) {
        if (!component_bool(&p->adds[i], false, config, add_keys[i], "the settings", file, p->err))
            return false;
        const char *token = added_tokens_name(config, end_keys[i]);
        p->ends[i] = token ? token : p->ends[i];
    }
    return added_tokens_read_decoder(&p->added, json_get(config, "added_tokens_decoder"), file) &&
           added_tokens_read_names(&p->added, config, file);
}

/* ---- tokens ---- */

/* The error for an id that is to stand for two texts. */
static bool refuse_id(struct vocab_parser *p, const char *file, int64_t id, const char *text) {
    struct vocab_token token = p->vocab->tokens[id];
    const char *other = (const char *)p->vocab->bytes + token.offset;
    return error_set(
        p->err, GPT2_ERR_MODEL, "%s: id %d: expected one token, found two: \"%.*s\" and \"%.*s\"",
        file, (int)id, vocab_shown(other, token.len), other, vocab_shown(text, strlen(text)), text);
}

/* The error for a value that is no id; only a tree can have one. */
static bool refuse_value(struct vocab_parser *p, size_t entry, const char *text) {
    const struct json *node = json_first(p->tokens);
    int64_t id;
    for (size_t i = 1; i < entry; i++)
        node = json_next(node);
    return vocab_read_id(&id, node, p->tokens_name, entry, text, p->err);
}

static bool add_tokens(struct vocab_parser *p) {
    for (size_t entry = 1; entry <= p->map.n; entry++) {
        const char *text = p->map.entries[entry - 1].text;
        size_t len = p->map.entries[entry - 1].len, n_bytes;
        int64_t id = p->map.entries[entry - 1].id;
        if (id < 0)
            return refuse_value(p, entry, text);
        if (len == 0)
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: entry %zu: expected a token, found an empty string",
                             p->tokens_name, entry);
        struct added_token *token = added_tokens_find_wide(&p->added, text);
        if (token) { // its text is meant as it stands, not in the byte alphabet
            if (token->id < 0)
                token->id = id;
            if (token->id == id)
                continue;
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: entry %zu \"%.*s\": expected the id %d that %s gives, found %d",
                             p->tokens_name, entry, vocab_shown(text, len), text, (int)token->id,
                             token->file, (int)id);
        }
        if (len > VOCAB_MAX_TOKEN)
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: entry %zu: expected a token of at most %d bytes, found %zu",
                             p->tokens_name, entry, VOCAB_MAX_TOKEN, len);
        if (!alphabet_decode(p->scratch, &n_bytes, text, len))
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: entry %zu: expected a token in GPT-2's byte alphabet, found "
                             "\"%.*s\"",
                             p->tokens_name, entry, vocab_shown(text, len), text);
        if (vocab_has(p->vocab, id))
            return refuse_id(p, p->tokens_name, id, text);
        int32_t other = vocab_add(p->vocab, (int32_t)id, p->scratch, n_bytes);
        if (other >= 0)
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: entry %zu \"%.*s\": expected every token once, found it with the "
                             "ids %d and %d",
                             p->tokens_name, entry, vocab_shown(text, len), text, (int)other,
                             (int)id);
    }
    return true;
}

/* How added tokens are matched: as the first file with switches says, else special ones before the
 * text is normalized and others after that. */
static void set_switches(struct vocab_parser *p) {
    struct vocab *vocab = p->vocab;
    size_t n_normalized = 0;
    for (size_t i = 0; i < vocab->n_added; i++)
        vocab->tokens[vocab->added[i]].normalized = !vocab->tokens[vocab->added[i]].special;
    for (size_t i = p->added.n; i-- > 0;) {
        const struct added_token *added = &p->added.items[i];
        if (added->id < 0 || !added->has_switches)
            continue;
        struct vocab_token *token = &vocab->tokens[added->id];
        token->lstrip = added->lstrip;
        token->rstrip = added->rstrip;
        token->single_word = added->single_word;
        token->normalized = added->normalized;
    }
    for (size_t i = 0; i < vocab->n_added; i++)
        n_normalized += vocab->tokens[vocab->added[i]].normalized;
    // Where text is not normalized it only matters if some are looked for before the others.
    if (n_normalized == vocab->n_added && !(p->rules && p->rules->normalizer))
        for (size_t i = 0; i < vocab->n_added; i++)
            vocab->tokens[vocab->added[i]].normalized = 0;
}

static bool add_added(struct vocab_parser *p) {
    struct vocab *vocab = p->vocab;
    for (size_t i = 0; i < p->added.n; i++) {
        struct added_token *added = &p->added.items[i];
        size_t len = strlen(added->text);
        int64_t id = added->id;
        if (len > VOCAB_MAX_TOKEN)
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: expected an added token of at most %d bytes, found %zu",
                             added->file, VOCAB_MAX_TOKEN, len);
        if (id < 0) // named only; without an id anywhere it can mean nothing
            id = vocab_find_added(vocab, added->text, len);
        if (id < 0)
            id = vocab_find(vocab, added->text, len);
        if (id < 0)
            continue;
        struct vocab_token *token = &vocab->tokens[id];
        if (token->len &&
            (token->len != len || memcmp(vocab->bytes + token->offset, added->text, len)))
            return refuse_id(p, added->file, id, added->text);
        added->id = id;
        int32_t other = vocab_add_added(vocab, (int32_t)id, added->text, len, added->special);
        if (other >= 0)
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: added token \"%.*s\": expected one id, found %d and %d",
                             added->file, vocab_shown(added->text, len), added->text, (int)other,
                             (int)id);
    }
    int32_t id = vocab_find_added(vocab, end_of_text, sizeof end_of_text - 1);
    if (id < 0)
        id = vocab_find(vocab, end_of_text, sizeof end_of_text - 1);
    if (id >= 0)
        vocab_add_added(vocab, id, end_of_text, sizeof end_of_text - 1, true);
    set_switches(p);
    return true;
}

/* ---- merges ---- */

/* The token of one half. */
static int32_t find_half(const struct vocab_parser *p, const unsigned char *bytes, size_t n) {
    return n == 1 ? p->byte_ids[*bytes] : vocab_find(p->vocab, bytes, n);
}

/* The token that both halves together are. Training numbers tokens in the order of the merges that
 * make them, so it is mostly the one after that of the merge before. */
static int32_t find_result(const struct vocab_parser *p, const unsigned char *bytes, size_t n) {
    const struct vocab *vocab = p->vocab;
    int32_t next = vocab->n_merges ? vocab->merges[vocab->n_merges - 1].result + 1 : 256;
    if (vocab_has(vocab, next) && !vocab->tokens[next].special && !vocab->tokens[next].added &&
        vocab->tokens[next].len == n &&
        !memcmp(vocab->bytes + vocab->tokens[next].offset, bytes, n))
        return next;
    return vocab_find(vocab, bytes, n);
}

/* Adds the merge of bytes[0..n_left) and the n_right bytes after them. False: one of its three
 * tokens is not there, *what says which. */
static bool add_merge_bytes(struct vocab_parser *p, const unsigned char *bytes, size_t n_left,
                            size_t n_right, const char **what) {
    struct vocab_merge merge;
    merge.left = find_half(p, bytes, n_left);
    merge.right = merge.left < 0 ? -1 : find_half(p, bytes + n_left, n_right);
    merge.result = merge.right < 0 ? -1 : find_result(p, bytes, n_left + n_right);
    *what = merge.left < 0 ? "its left half" : merge.right < 0 ? "its right half" : "its result";
    if (merge.result < 0)
        return false;
    p->vocab->merges[p->vocab->n_merges++] = merge;
    return true;
}

/* `unit` and `number` say where in the file: line 17, entry 16. */
static bool add_merge(struct vocab_parser *p, const char *unit, size_t number, const char *left,
                      size_t len_left, const char *right, size_t len_right) {
    const char *what = "its left half";
    size_t n_left, n_right;
    if (alphabet_decode(p->scratch, &n_left, left, len_left)) {
        what = "its right half";
        if (alphabet_decode(p->scratch + n_left, &n_right, right, len_right) &&
            add_merge_bytes(p, p->scratch, n_left, n_right, &what))
            return true;
    }
    return error_set(p->err, GPT2_ERR_MODEL,
                     "%s: %s %zu: merge of \"%.*s\" and \"%.*s\": expected %s to be a token of %s, "
                     "found none such",
                     p->merges_name, unit, number, vocab_shown(left, len_left), left,
                     vocab_shown(right, len_right), right, what, p->tokens_name);
}

/* "left right": exactly one space, both halves there. */
static bool add_merge_text(struct vocab_parser *p, const char *unit, size_t number,
                           const char *text, size_t len) {
    const char *space = memchr(text, ' ', len);
    size_t n_left = space ? (size_t)(space - text) : 0;
    size_t n_right = space ? len - n_left - 1 : 0;
    if (!n_left || !n_right || memchr(space + 1, ' ', n_right))
        return error_set(p->err, GPT2_ERR_MODEL,
                         "%s: %s %zu: expected two tokens with one space between them, found "
                         "\"%.*s\"",
                         p->merges_name, unit, number, vocab_shown(text, len), text);
    return add_merge(p, unit, number, text, n_left, space + 1, n_right);
}

/* Merges that have been read as bytes. One that is refused is spelled out for the message. */
static bool add_quick_merges(struct vocab_parser *p) {
    const struct vocab_pairs *merges = &p->whole.merges;
    const unsigned char *bytes = (const unsigned char *)merges->bytes;
    const char *what;
    for (size_t i = 0; i < merges->n; i++) {
        const struct vocab_pair pair = merges->pairs[i];
        if (!add_merge_bytes(p, bytes, pair.n_left, pair.n_right, &what)) {
            char *text = os_alloc((size_t)pair.n_left + pair.n_right, 2, "a merge", p->err);
            if (!text)
                return false;
            const size_t n_left = alphabet_encode(text, bytes, pair.n_left);
            const size_t n_right =
                alphabet_encode(text + n_left, bytes + pair.n_left, pair.n_right);
            add_merge(p, "merge", i + 1, text, n_left, text + n_left, n_right);
            os_free(text);
            return false;
        }
        bytes += pair.n_left + pair.n_right;
    }
    return true;
}

static bool add_merge_lines(struct vocab_parser *p) {
    const char *text = p->lines.text, *end = text + p->lines.len;
    size_t mark;
    const char *foreign =
        encoding_foreign((const unsigned char *)text, (size_t)(end - text), &mark);
    if (foreign)
        return error_set(p->err, GPT2_ERR_MODEL, "%s: expected UTF-8, found %s", p->merges_name,
                         foreign);
    text += mark;
    while (end > text && (end[-1] == '\n' || end[-1] == '\r'))
        end--; // empty lines at the end are no mistake
    for (size_t number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        size_t len = (size_t)(stop - text);
        if (len && text[len - 1] == '\r')
            len--;
        // Only the first line of a file can be a header: merges of '#' exist.
        bool header = number == 1 && len >= 8 && !memcmp(text, "#version", 8);
        if (!header && !add_merge_text(p, "line", number, text, len))
            return false;
        text = newline ? newline + 1 : end;
    }
    return true;
}

static bool add_merge_array(struct vocab_parser *p) {
    size_t number = 0;
    for (const struct json *node = json_first(p->merges); node; node = json_next(node)) {
        const char *left, *right;
        const struct json *first = json_kind(node) == JSON_ARRAY ? json_first(node) : NULL;
        const struct json *second = first ? json_next(first) : NULL;
        number++;
        if (json_string(node, &left)) {
            if (!add_merge_text(p, "merge", number, left, strlen(left)))
                return false;
        } else if (second && !json_next(second) && json_string(first, &left) &&
                   json_string(second, &right)) {
            if (!add_merge(p, "merge", number, left, strlen(left), right, strlen(right)))
                return false;
        } else {
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: merge %zu: expected \"left right\" or [\"left\", \"right\"], "
                             "found %s",
                             p->merges_name, number, json_kind_name(node));
        }
    }
    return true;
}

static bool add_merges(struct vocab_parser *p) {
    for (int byte = 0; byte < 256; byte++)
        p->byte_ids[byte] = vocab_find(p->vocab, &(unsigned char){(unsigned char)byte}, 1);
    return p->merges        ? add_merge_array(p)
           : p->whole.quick ? add_quick_merges(p)
                            : add_merge_lines(p);
}

/* ---- rules ---- */

/* Makes the rules put the token of end_keys[i] there. */
static bool add_end(struct vocab_parser *p, int i) {
    struct vocab *vocab = p->vocab;
    const char *token = p->ends[i] ? p->ends[i] : end_of_text, *name = p->files[VOCAB_CONFIG].name;
    int32_t id = vocab_find_added(vocab, token, strlen(token));
    if (id < 0)
        id = vocab_find(vocab, token, strlen(token));
    if (id < 0)
        return error_set(p->err, GPT2_ERR_MODEL,
                         "%s: %s: expected \"%s\" to be a token, found \"%.*s\"", name, add_keys[i],
                         end_keys[i], vocab_shown(token, strlen(token)), token);
    return text_rules_add(&vocab->rules, p->roots[VOCAB_TOKENIZER], i == 1, id, name, p->err);
}

/* The vocabulary takes the rules over. */
/* In normalized text an added token is looked for as the normalizer leaves it. One of which nothing
 * is left would be everywhere. */
static bool check_added(const struct vocab_parser *p) {
    const struct vocab *vocab = p->vocab;
    const struct normalizer *normalizer = vocab->rules ? vocab->rules->normalizer : NULL;
    for (size_t i = 0; normalizer && i < vocab->n_added; i++) {
        const struct vocab_token token = vocab->tokens[vocab->added[i]];
        const unsigned char *text = vocab->bytes + token.offset;
        struct normalized normalized = {0};
        if (token.normalized &&
            !normalizer_run(normalizer, text, token.len, false, &normalized, p->err))
            return false;
        const bool nothing = normalized.n == 0;
        normalizer_free_text(&normalized);
        if (token.normalized && nothing)
            return error_set(p->err, GPT2_ERR_MODEL,
                             "%s: added token %d, \"%.*s\": expected a text of which the "
                             "normalizer leaves something, as \"normalized\" is true",
                             p->tokens_name, (int)vocab->added[i], (int)token.len,
                             (const char *)text);
    }
    return true;
}

static bool add_rules(struct vocab_parser *p) {
    struct vocab *vocab = p->vocab;
    vocab->rules = p->rules;
    p->rules = NULL;
    for (int i = 0; i < 2; i++)
        if (p->adds[i] && !add_end(p, i))
            return false;
    return (!vocab->rules || text_rules_check(vocab->rules, vocab->size, p->tokens_name, p->err)) &&
           check_added(p);
}

/* ---- the whole ---- */

static bool parse_file(struct vocab_parser *p, enum vocab_file file) {
    const struct vocab_source *source = &p->files[file];
    if (!source->text)
        return true;
    if (file == VOCAB_TOKENS && vocab_map_read(&p->map, source->text, source->len))
        return true;
    if (file == VOCAB_TOKENIZER) {
        if (!tokenizer_json_read(&p->whole, source->text, source->len, source->name, p->err))
            return false;
        p->roots[file] = p->whole.root;
        p->whole.root = NULL;
    } else if (file == VOCAB_TOKENS) {
        p->roots[file] = json_parse_large(source->text, source->len, TOKENIZER_JSON_VALUES,
                                          source->name, GPT2_ERR_MODEL, p->err);
    } else {
        p->roots[file] =
            json_parse_settings(source->text, source->len, source->name, GPT2_ERR_MODEL, p->err);
    }
    if (!p->roots[file])
        return false;
    if (json_kind(p->roots[file]) != JSON_OBJECT)
        return error_set(p->err, GPT2_ERR_MODEL, "%s: expected an object, found %s", source->name,
                         json_kind_name(p->roots[file]));
    return true;
}

static bool read_tables(struct vocab_parser *p) {
    if (!p->files[VOCAB_TOKENIZER].text) {
        p->tokens = p->roots[VOCAB_TOKENS];
        p->tokens_name = p->files[VOCAB_TOKENS].name;
        p->merges_name = p->files[VOCAB_MERGES].name;
        p->lines = p->files[VOCAB_MERGES];
        p->split = p->may_prefix = true;
        return true;
    }
    const struct json *root = p->roots[VOCAB_TOKENIZER];
    const char *name = p->files[VOCAB_TOKENIZER].name;
    struct pipeline pipeline;
    if (!pipeline_read(&pipeline, root, name, p->err))
        return false;
    if (p->whole.quick) {
        p->map = p->whole.vocab;
        p->whole.vocab = (struct vocab_map){0};
    } else {
        p->tokens = pipeline.vocab;
        p->merges = pipeline.merges;
    }
    p->tokens_name = p->merges_name = name;
    p->rules = pipeline.rules;
    p->may_prefix = pipeline.is_byte_level;
    p->split = pipeline.split;
    p->add_prefix_space = pipeline.add_prefix_space;
    p->ignore_merges = pipeline.ignore_merges;
    return added_tokens_read_list(&p->added, json_get(root, "added_tokens"), name);
}

static bool read_names(struct vocab_parser *p, const struct json *names, const char *file) {
    for (int i = 0; i < 2; i++)
        if (!p->ends[i])
            p->ends[i] = added_tokens_name(names, end_keys[i]);
    return added_tokens_read_names(&p->added, names, file);
}

static bool read_optional(struct vocab_parser *p) {
    const struct json *added = p->roots[VOCAB_ADDED], *names = p->roots[VOCAB_SPECIALS];
    const struct json *config = p->roots[VOCAB_CONFIG];
    return (!added || added_tokens_read_map(&p->added, added, p->files[VOCAB_ADDED].name)) &&
           (!config || read_config(p, config, p->files[VOCAB_CONFIG].name)) &&
           (!names || read_names(p, names, p->files[VOCAB_SPECIALS].name));
}

/* Measures everything, then takes the memory. */
static bool create(struct vocab_parser *p) {
    size_t n_bytes = sizeof end_of_text, n_merges = p->whole.merges.n + 1, longest = 0;
    int64_t last = -1;
    if (p->tokens && !vocab_map_from_json(&p->map, p->tokens, p->err))
        return false;
    for (size_t i = 0; i < p->map.n; i++) {
        n_bytes += p->map.entries[i].len;
        last = p->map.entries[i].id > last ? p->map.entries[i].id : last;
    }
    for (size_t i = 0; i < p->added.n; i++) {
        n_bytes += strlen(p->added.items[i].text);
        last = p->added.items[i].id > last ? p->added.items[i].id : last;
    }
    for (int i = 0; i < VOCAB_N_FILES; i++)
        if (p->files[i].text && p->files[i].len > longest)
            longest = p->files[i].len;
    if (p->merges)
        for (const struct json *node = json_first(p->merges); node; node = json_next(node))
            n_merges++;
    else
        for (size_t i = 0; i < p->lines.len; i++)
            n_merges += p->lines.text[i] == '\n';
    if (last < 0)
        return error_set(p->err, GPT2_ERR_MODEL, "%s: expected tokens with ids, found none",
                         p->tokens_name);
    p->scratch = os_alloc(longest, 1, "the vocabulary's entries", p->err);
    p->vocab = p->scratch ? vocab_create((int32_t)last + 1, p->map.n, p->added.n + 1, n_bytes,
                                         n_merges, p->err)
                          : NULL;
    if (!p->vocab)
        return false;
    p->vocab->split = p->split;
    p->vocab->add_prefix_space = p->add_prefix_space;
    p->vocab->ignore_merges = p->ignore_merges;
    return true;
}

struct vocab *vocab_parse(const struct vocab_source files[VOCAB_N_FILES], struct gpt2_error *err) {
    struct vocab_parser p = {.files = files, .added = {.err = err}, .err = err};
    bool pair = files[VOCAB_TOKENIZER].text == NULL;
    bool ok = parse_file(&p, pair ? VOCAB_TOKENS : VOCAB_TOKENIZER) &&
              parse_file(&p, VOCAB_ADDED) && parse_file(&p, VOCAB_SPECIALS) &&
              parse_file(&p, VOCAB_CONFIG) && read_tables(&p) && read_optional(&p) && create(&p) &&
              add_tokens(&p) && add_added(&p) && add_merges(&p) && add_rules(&p);
    for (int i = 0; i < VOCAB_N_FILES; i++)
        json_free(p.roots[i]);
    tokenizer_json_free(&p.whole);
    text_rules_free(p.rules);
    vocab_map_free(&p.map);
    free(p.added.items);
    os_free(p.scratch);
    if (ok)
        return p.vocab;
    vocab_free(p.vocab);
    return NULL;
}
