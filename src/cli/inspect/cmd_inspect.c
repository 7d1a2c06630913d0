/* cmd_inspect.c - `gpt2 inspect`: reads texts, runs an inspection and shows its view or writes its
 * arrays. */
#include "base/error_internal.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/inspect/inspection.h"
#include "cli/io/find_model.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"
#include "cli/io/suggest.h"
#include "cli/io/terminal.h"

#include <gpt2/session.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct inspect_kind {
    const char *name;
    bool (*fill)(struct inspect *inspect, struct gpt2_error *err); /* NULL: writes arrays */
    int least_texts, most_texts;
} kinds[] = {
    {"layernorm", inspect_layernorm, 1, 1}, {"compare", inspect_compare, 2, INSPECT_TEXTS},
    {"lens", inspect_lens, 1, 1},           {"attention", inspect_attention, 1, 1},
    {"residual", inspect_residual, 1, 1},   {"dump", NULL, 1, 1},
};

struct inspect_arguments {
    struct string_list prompts;
    struct model_options opening;
    const char *file, *ids, *model, *cpu, *ablate, *token;
    struct view_form form;
    struct sandbox sandbox;
    struct dump_options dump;
    bool special, bos, no_bos, escape;
    int threads, layer, head;
};

/* Everything that is allocated; freed by close_all. */
struct inspect_run {
    struct inspect_arguments args;
    const struct inspect_kind *kind;
    char *path;
    struct gpt2_model *model;
    struct gpt2_tokenizer *tokenizer;
    struct gpt2_runtime *runtime;
    struct inspect inspect;
};

/* ---- what was asked ---- */

static bool find_kind(struct inspect_run *run, const char *word, struct gpt2_error *err) {
    struct suggestion nearest = {.distance = 3};
    for (size_t i = 0; word && i < sizeof kinds / sizeof *kinds; i++) {
        if (!strcmp(kinds[i].name, word))
            run->kind = &kinds[i];
        suggest(&nearest, word, strlen(word), kinds[i].name);
    }
    if (run->kind)
        return true;
    const char *expected = "layernorm, compare, lens, attention, residual, dump";
    if (!word)
        return command_error(err, GPT2_ERR_USAGE, "for example: gpt2 inspect layernorm \"Once\"",
                             "inspect: expected one of %s, got nothing", expected);
    usage_error(err, "inspect: expected one of %s, got \"%.100s\"", expected, word);
    if (nearest.name)
        error_hint(err, "did you mean %s?", nearest.name);
    else
        error_hint(err, "the first word says what to look at: gpt2 inspect layernorm \"Once\"");
    return false;
}

/* ---- texts ---- */

/* `n_all`: tokens that the text has; ids are all of them, or as many as are too many. */
static bool check_text(struct inspect_run *run, struct gpt2_ids *ids, size_t n_all,
                       struct gpt2_error *err) {
    const struct gpt2_config *config = run->inspect.config;
    for (size_t i = 0; i < ids->len; i++)
        if (ids->data[i] >= config->n_vocab)
            return command_error(err, run->args.ids ? GPT2_ERR_USAGE : GPT2_ERR_MODEL, NULL,
                                 "token id %" PRId32 " is not in the vocabulary (0 to %d)",
                                 ids->data[i], config->n_vocab - 1);
    if (ids->len == 0)
        return command_error(err, GPT2_ERR_INPUT, "give a prompt",
                             "the text is empty and the model has no token to start from");
    if (n_all > (size_t)config->n_ctx)
        return command_error(err, GPT2_ERR_INPUT, "shorten the text",
                             "the text has %zu tokens, the model's context holds %d", n_all,
                             config->n_ctx);
    return true;
}

/* An empty text is one to the model, but seldom what was meant. */
static void note_start(const struct inspect_run *run, int32_t bos) {
    size_t n = 0;
    const char *bytes = run->tokenizer ? gpt2_tokenizer_token(run->tokenizer, bos, &n) : NULL;
    if (bytes)
        report_note("the text is empty: what is shown is %.*s, the token that starts texts", (int)n,
                    bytes);
    else
        report_note("the text is empty: what is shown is token %" PRId32 ", which starts texts",
                    bos);
}

/* Puts the bos token before the text if that is asked for, or if the text is empty. */
static bool start_text(struct inspect_run *run, struct gpt2_ids *ids, bool empty,
                       struct gpt2_error *err) {
    const struct inspect_arguments *a = &run->args;
    bool wanted = a->bos || (!a->no_bos && run->kind->fill == inspect_compare);
    int32_t bos = run->inspect.config->bos_id;
    if (a->bos && bos < 0)
        return usage_error(err, "--bos: the model names no token that starts a text");
    if (bos < 0 || !(wanted || empty))
        return true;
    if (empty && !a->bos)
        note_start(run, bos);
    run->inspect.bos = run->inspect.bos || wanted;
    return gpt2_ids_push(ids, bos, err);
}

static bool add_text(struct inspect_run *run, const struct text_source *source,
                     struct gpt2_error *err) {
    struct gpt2_ids *ids = &run->inspect.texts[run->inspect.n_texts++];
    struct text text = {0};
    unsigned flags = run->args.special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
    bool ok = text_read(&text, source, err) && start_text(run, ids, text.len == 0, err);
    const size_t n_start = ids->len;
    size_t n_text = 0;
    ok = ok &&
         gpt2_tokenizer_encode_some(run->tokenizer, text.data, text.len, flags,
                                    (size_t)run->inspect.config->n_ctx + 1, false, ids, &n_text,
                                    err) &&
         check_text(run, ids, n_start + n_text, err);
    text_free(&text);
    return ok;
}

static bool add_ids(struct inspect_run *run, struct gpt2_error *err) {
    struct gpt2_ids *ids = &run->inspect.texts[run->inspect.n_texts++];
    const char *list = run->args.ids;
    bool empty = !list[strspn(list, ", \t\r\n")];
    return start_text(run, ids, empty, err) &&
           text_parse_ids(list, strlen(list), "--ids", ids, err) &&
           check_text(run, ids, ids->len, err);
}

/* Reads the texts: those of -p and then the plain words; or --file, which may precede one text;
 * --ids, or standard input. */
static bool read_texts(struct inspect_run *run, char **words, int n_words, struct gpt2_error *err) {
    const struct inspect_arguments *a = &run->args;
    int given = a->prompts.n + n_words;
    bool joined = a->file && given == 1 && run->kind->most_texts == 1;
    int other = joined ? 0 : !!a->file + !!a->ids;
    if (other && given)
        return usage_error(err, "the text is given more than once: expected --prompt, --file or "
                                "--ids");
    int n = given + other;
    if (n == 0 && run->kind->least_texts == 1)
        n = 1; // standard input
    if (n < run->kind->least_texts || n > run->kind->most_texts)
        return run->kind->most_texts == 1
                   ? command_error(err, GPT2_ERR_USAGE, "put a text with spaces in quotes",
                                   "expected one text, got %d", n)
                   : command_error(
                         err, GPT2_ERR_USAGE, "give each with -p, or in quotes of its own",
                         "%s: expected %d to %d texts (-p \"ok\" -p \"hatred\"), got "
                         "%d",
                         run->kind->name, run->kind->least_texts, run->kind->most_texts, n);
    if (a->ids)
        return add_ids(run, err);
    if (given == 0)
        return add_text(run, &(struct text_source){.file = a->file}, err);
    for (int i = 0; i < given; i++) {
        bool option = i < a->prompts.n;
        struct text_source source = {.option = option ? a->prompts.items[i] : NULL,
                                     .word = option ? NULL : words[i - a->prompts.n],
                                     .file = joined ? a->file : NULL,
                                     .escape = a->escape};
        if (!add_text(run, &source, err))
            return false;
    }
    return true;
}

/* Finds the token that --token names. */
static bool find_token(struct inspect_run *run, struct gpt2_error *err) {
    const char *text = run->args.token;
    run->inspect.token = -1;
    if (!text)
        return true;
    if (!run->tokenizer)
        return usage_error(err, "--token: the model's tokenizer cannot be used");
    run->inspect.token = gpt2_tokenizer_find(run->tokenizer, text, strlen(text));
    if (run->inspect.token < 0)
        return command_error(err, GPT2_ERR_USAGE, "most words begin with a space: --token ' king'",
                             "--token: \"%.100s\" is not one token of this vocabulary", text);
    if (run->inspect.token >= run->inspect.config->n_vocab)
        return usage_error(err, "--token: the model has no row for token %" PRId32,
                           run->inspect.token);
    return true;
}

/* ---- running and showing ---- */

static bool open_all(struct inspect_run *run, struct gpt2_error *err) {
    const struct inspect_arguments *a = &run->args;
    struct inspect *in = &run->inspect;
    run->path = find_model(a->model, err);
    run->model = run->path ? model_options_open(run->path, &a->opening, NULL, err) : NULL;
    if (!run->model)
        return false;
    if (a->ids ? !gpt2_tokenizer_open_if_any(&run->tokenizer, run->path, err)
               : !(run->tokenizer = gpt2_tokenizer_open(run->path, err)))
        return false;
    run->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = a->threads, .cpu = a->cpu}, err);
    if (!run->runtime || !inspect_parse_ablations(a->ablate, &in->ablations, err))
        return false;
    in->model = run->model;
    in->config = gpt2_model_config(run->model);
    in->tokenizer = run->tokenizer;
    in->runtime = run->runtime;
    in->layer = a->layer;
    in->head = a->head;
    in->view.what = run->kind->name;
    in->view.model = strrchr(run->path, '/') ? strrchr(run->path, '/') + 1 : run->path;
    return find_token(run, err);
}

/* For ln-scale: computes what each site divides by instead of a token's own deviation, the mean
 * deviation over the texts' tokens without position 0. */
static bool find_deviations(struct inspect_run *run, struct gpt2_error *err) {
    struct inspect *in = &run->inspect;
    size_t sites = (size_t)gpt2_norm_sites(run->model), count = 0;
    double *sums = view_alloc(&in->view, sites, sizeof *sums);
    in->deviations = view_alloc(&in->view, sites, sizeof *in->deviations);
    struct gpt2_inspector *plain = gpt2_inspector_create(run->model, run->runtime, 0, NULL, err);
    bool ok = plain != NULL;
    for (int i = 0; ok && i < in->n_texts; i++) {
        size_t n = in->texts[i].len, first = n > 1;
        struct gpt2_norm *norms = view_alloc(&in->view, sites * n, sizeof *norms);
        ok = norms && sums && in->deviations
                 ? gpt2_inspect_norms(plain, in->texts[i].data, (int)n, norms, err)
                 : inspect_no_memory(err);
        for (size_t t = first; ok && t < n; t++, count++)
            for (size_t s = 0; s < sites; s++)
                sums[s] += norms[s * n + t].stream.deviation;
    }
    for (size_t s = 0; ok && s < sites; s++)
        in->deviations[s] = sums[s] > 0 ? (float)(sums[s] / (double)count) : 1;
    gpt2_inspector_free(plain);
    return ok;
}

/* Of compare two inspectors are there at a time. What is shown of a text grows with its tokens, and
 * with their squares where it is about attention. */
static bool check_memory(const struct inspect_run *run, struct gpt2_error *err) {
    const struct inspect *in = &run->inspect;
    const struct gpt2_config *config = in->config;
    uint64_t n = 0;
    for (int i = 0; i < in->n_texts; i++)
        n += in->texts[i].len;
    const bool compares = run->kind->fill == inspect_compare;
    const uint64_t sites = (uint64_t)gpt2_norm_sites(in->model), n_heads = (uint64_t)config->n_head;
    struct memory_use use = {0};
    memory_model(&use, in->model);
    use.batch = (compares ? 2 : 1) * gpt2_inspector_bytes(in->model, in->runtime);
    use.other = sites * n * (sizeof(struct gpt2_norm) + 400);
    if (compares)
        use.other += 8 * n * (uint64_t)config->n_vocab * sizeof(double);
    if (run->kind->fill == inspect_attention)
        use.other += n * n * (2 * sizeof(double) + 200);
    if (!run->kind->fill)
        use.other += n * (n * n_heads + 12 * (uint64_t)config->n_embd + (uint64_t)config->n_vocab) *
                     (uint64_t)(config->n_layer + 1) * sizeof(float);
    return memory_check(&use, run->args.opening.max_memory, err);
}

static bool create_inspector(struct inspect_run *run, struct gpt2_error *err) {
    struct inspect *in = &run->inspect;
    bool scale = in->ablations & GPT2_ABLATE_LN_SCALE || run->kind->fill == inspect_compare;
    if (scale && !find_deviations(run, err))
        return false;
    in->inspector =
        gpt2_inspector_create(run->model, run->runtime, in->ablations, in->deviations, err);
    return in->inspector != NULL;
}

static void close_all(struct inspect_run *run) {
    view_free(&run->inspect.view);
    for (int i = 0; i < INSPECT_TEXTS; i++)
        gpt2_ids_free(&run->inspect.texts[i]);
    gpt2_inspector_free(run->inspect.inspector);
    gpt2_runtime_free(run->runtime);
    gpt2_tokenizer_close(run->tokenizer);
    gpt2_model_close(run->model);
    free(run->path);
}

static int execute(struct inspect_run *run, char **words, int n_words) {
    struct gpt2_error err;
    const char *const outputs[] = {run->args.form.output, run->args.form.svg};
    sandbox_begin(&run->args.sandbox, outputs, sizeof outputs / sizeof *outputs);
    bool ok = find_kind(run, n_words ? words[0] : NULL, &err) && open_all(run, &err) &&
              read_texts(run, words + 1, n_words - 1, &err);
    if (ok)
        sandbox_enter(&run->args.sandbox, 0);
    ok = ok && check_memory(run, &err) && create_inspector(run, &err);
    if (ok && !run->kind->fill)
        return inspect_dump(&run->inspect, &run->args.dump, run->args.form.output);
    ok = ok && run->kind->fill(&run->inspect, &err);
    if (ok && run->inspect.view.failed)
        ok = inspect_no_memory(&err);
    if (!ok)
        return report(&err);
    return view_show(&run->inspect.view, &run->args.form);
}

static int run_inspect(int argc, char **argv) {
    struct inspect_run *run = calloc(1, sizeof *run);
    struct gpt2_error err;
    if (!run) {
        inspect_no_memory(&err);
        return report(&err);
    }
    struct inspect_arguments *a = &run->args;
    a->layer = a->head = -1;
    static const char *const formats[] = {"text", "tsv", "json", "words", NULL};
    const struct option table[] = {
        OPT_SECTION("Text"),
        OPT_STRINGS("prompt", 'p', &a->prompts, "TEXT",
                    "the text to look at (also as a plain argument, where\n"
                    "\"-\", or a pipe if nothing is given, is standard input;\n"
                    "-p - is a text); compare takes 2 to 4",
                    .not_with = "ids"),
        OPT_STRING("file", 'f', &a->file, "FILE",
                   "read it from a file, without one newline at its end;\n"
                   "a text that is given, too, follows it",
                   .flags = OPTION_READS),
        OPT_FLAG("escape", 'e', &a->escape,
                 "\\n, \\r, \\t, \\\\ and \\xHH in the texts are those bytes", .not_with = "ids"),
        OPT_STRING("ids", 0, &a->ids, "1,2,3", "the text as token ids", .not_with = "file"),
        OPT_FLAG("special", 0, &a->special, "<|endoftext|> in the text is the special token",
                 .not_with = "ids"),
        OPT_FLAG("bos", 0, &a->bos,
                 "put the token that starts texts in front (default for\n"
                 "compare)",
                 .not_with = "no-bos"),
        OPT_FLAG("no-bos", 0, &a->no_bos, "do not (default for the others)"),
        OPT_SECTION("What"),
        OPT_STRING("ablate", 0, &a->ablate, "LIST",
                   "run without parts of every layer norm: ln-gain,\n"
                   "ln-bias, ln-scale (all tokens divided by the site's\n"
                   "mean deviation, none by its own). compare shows\n"
                   "what that changes; default there: each"),
        OPT_INT("layer", 'l', &a->layer, 0, 1e6, "L",
                "attention: with --head, the weights of one head of this\n"
                "layer; dump: of this layer alone (default: each)",
                .needs = "@attention+head @dump"),
        OPT_INT("head", 0, &a->head, 0, 1e6, "H",
                "attention: with --layer, the weights of this head\n"
                "(default: figures of all heads)",
                .needs = "@attention+layer"),
        OPT_STRING("token", 0, &a->token, "TEXT",
                   "residual: the next token whose logit is taken apart\n"
                   "(default: the likeliest)",
                   .needs = "@residual"),
        OPT_STRING("sites", 0, &a->dump.sites, "LIST",
                   "dump: what to write, separated by commas: embedding,\n"
                   "ln_1, qkv, heads, attn, resid_mid, ln_2, mlp_hidden,\n"
                   "mlp, resid, ln_f, logits, attention (default: resid,\n"
                   "unless there is --lens)",
                   .needs = "@dump"),
        OPT_FLAG("lens", 0, &a->dump.lens,
                 "dump: also the logits if the model ended after each layer", .needs = "@dump"),
        OPT_SECTION("Output"),
        OPT_OUTPUT(&a->form.output),
        OPT_CHOICE("format", 0, &a->form.format, formats, "text|tsv|json|words",
                   "text (default); all numbers as tab-separated values;\n"
                   "all numbers and the summary as one JSON object; or\n"
                   "the summary alone, without the tables",
                   .not_with = "svg=- @dump"),
        OPT_VALUE("tsv", &a->form.format, formats, "tsv", "short for --format tsv"),
        OPT_VALUE("json", &a->form.format, formats, "json", "short for --format json"),
        OPT_VALUE("words", &a->form.format, formats, "words", "short for --format words"),
        OPT_STRING("svg", 0, &a->form.svg, "FILE",
                   "write a picture, too; \"-\": only that, to standard\n"
                   "output",
                   .flags = OPTION_WRITES, .not_with = "@dump"),
        OPT_COLOR(&a->form.color, .hint = NULL),
        OPT_SECTION("Model"),
        OPT_MODEL(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_SANDBOX(&a->sandbox),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_inspect, table, argc, argv, argc, &n_words, &code))
        code = execute(run, argv, n_words);
    close_all(run);
    free(run);
    return code;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "look inside: layer norm, logit lens, attention, arrays",
    .usage = "layernorm|compare|lens|attention|residual|dump [OPTIONS] [TEXT]",
    .details =
        "  layernorm   each token at each site: mean, deviation, norm, spikes; before, "
        "normalized,\n"
        "              after gain and bias; and whether anything is shared between tokens\n"
        "  compare     the last tokens of two to four texts, side by side, and what the next "
        "token\n"
        "              owes to each part of layer norm\n"
        "  lens        the likeliest next tokens if the model ended after each layer\n"
        "  attention   where the heads look\n"
        "  residual    what the embedding and each branch add to a logit\n"
        "  dump        the numbers themselves, as arrays of NumPy's (below)\n\n"
        "Keys and values are kept in f32. Numbers are of the pass itself, their statistics in\n"
        "double precision.\n\n"
        "dump writes f32, little-endian. One array is a .npy file: [n_layer, tokens, width], or\n"
        "[tokens, width] of a site that has no layers (embedding, ln_f, logits) or with --layer.\n"
        "Several, or -o FILE.npz, are a .npz file of arrays named resid.0, resid.1, ...; ln_f,\n"
        "embedding, logits. width is n_embd; 3 n_embd for qkv (query, key, value), n_inner for\n"
        "mlp_hidden, n_vocab for logits and lens. attention.L is [n_head, tokens, tokens]: row t "
        "has\n"
        "the weights of token t. lens.L is of the stream after block L, lens.embedding of the\n"
        "embedding; in a .npy file [n_layer + 1, tokens, n_vocab]. resid is the stream after the\n"
        "block, attn and mlp are what the branches add to it, heads is what c_proj gets.\n",
    .examples = EXAMPLES(
        {"gpt2 inspect layernorm \"war violence hate fear\"", "each token at each layer norm"},
        {"gpt2 inspect lens \"Once upon a\"",
         "the next token, if the model ended after each layer"},
        {"gpt2 inspect layernorm --words \"ok\"", "the account in words alone"},
        {"gpt2 inspect compare -p \" good\" -p \" hate\" --svg compare.svg",
         "two tokens side by side, with a picture"},
        {"gpt2 inspect attention \"Once upon a time\" --layer 2 --head 1", "where one head looks"},
        {"gpt2 inspect dump \"ok\" --sites resid,logits -o ok.npz",
         "the numbers of the pass, for NumPy"}),
    .common = "prompt file model words layer head ablate json svg output",
    .related = "embed score",
    .run = run_inspect,
};
