/* inspect_dump.c - the numbers of the pass as NumPy's arrays: one in a .npy file, several in a
 * .npz. */
#include "base/npy.h"
#include "base/path.h"
#include "cli/inspect/inspection.h"
#include "cli/io/output.h"
#include "cli/io/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What can be asked for. */
enum dump_kind { DUMP_SITE, DUMP_LOGITS, DUMP_ATTENTION, DUMP_LENS };

static const struct dump_source {
    const char *name;
    enum dump_kind kind;
    enum gpt2_site site; /* DUMP_SITE */
} sources[] = {
    {"embedding", DUMP_SITE, GPT2_SITE_EMBEDDING},
    {"ln_1", DUMP_SITE, GPT2_SITE_LN_1},
    {"qkv", DUMP_SITE, GPT2_SITE_QKV},
    {"heads", DUMP_SITE, GPT2_SITE_HEADS},
    {"attn", DUMP_SITE, GPT2_SITE_ATTN},
    {"resid_mid", DUMP_SITE, GPT2_SITE_RESID_MID},
    {"ln_2", DUMP_SITE, GPT2_SITE_LN_2},
    {"mlp_hidden", DUMP_SITE, GPT2_SITE_HIDDEN},
    {"mlp", DUMP_SITE, GPT2_SITE_MLP},
    {"resid", DUMP_SITE, GPT2_SITE_RESID},
    {"ln_f", DUMP_SITE, GPT2_SITE_LN_F},
    {"logits", DUMP_LOGITS, 0},
    {"attention", DUMP_ATTENTION, 0},
    {"lens", DUMP_LENS, 0}, // by --lens
};
enum { N_SOURCES = sizeof sources / sizeof *sources, LENS = N_SOURCES - 1 };

/* The arrays of one source, one after the other: [n][shape...]. */
struct dump_block {
    const struct dump_source *source;
    int n, first;           /* arrays; the layer of the first, -1: the embedding's */
    bool layered;           /* they are of layers */
    size_t shape[NPY_RANK]; /* of one array */
    int rank;
    size_t n_floats; /* of one array */
    float *data;     /* owned */
};

struct dump {
    struct inspect *inspect;
    struct dump_block blocks[N_SOURCES];
    int n_blocks;
    struct output out;
};

/* ---- what is asked for ---- */

static bool unknown_site(const char *name, size_t n, struct gpt2_error *err) {
    struct buffer names = {0};
    for (int i = 0; i < LENS; i++)
        buffer_format(&names, i ? ", %s" : "%s", sources[i].name);
    if (names.failed)
        inspect_no_memory(err);
    else
        usage_error(err, "--sites: expected a list of %s; got \"%.*s\"", names.data,
                    n < 100 ? (int)n : 100, name);
    buffer_free(&names);
    return false;
}

static bool add_block(struct dump *dump, int source, struct gpt2_error *err) {
    for (int i = 0; i < dump->n_blocks; i++)
        if (dump->blocks[i].source == &sources[source])
            return usage_error(err, "--sites: %s is given twice", sources[source].name);
    dump->blocks[dump->n_blocks++].source = &sources[source];
    return true;
}

static bool parse_sites(struct dump *dump, const struct dump_options *options,
                        struct gpt2_error *err) {
    const char *list = options->sites ? options->sites : options->lens ? NULL : "resid";
    for (const char *at = list; at;) {
        const size_t n = strcspn(at, ",");
        int found = -1;
        for (int i = 0; i < LENS; i++)
            if (strlen(sources[i].name) == n && !memcmp(sources[i].name, at, n))
                found = i;
        if (found < 0)
            return unknown_site(at, n, err);
        if (!add_block(dump, found, err))
            return false;
        at = at[n] ? at + n + 1 : NULL;
    }
    return !options->lens || add_block(dump, LENS, err);
}

/* Says how many arrays a block has, and their shape. */
static void measure(const struct inspect *inspect, struct dump_block *block) {
    const struct gpt2_config *config = inspect->config;
    const enum dump_kind kind = block->source->kind;
    const size_t n = inspect->texts[0].len;
    block->layered =
        kind == DUMP_SITE ? gpt2_site_has_layers(block->source->site) : kind != DUMP_LOGITS;
    const bool one = !block->layered || inspect->layer >= 0;
    block->first = !one && kind == DUMP_LENS ? -1 : inspect->layer >= 0 ? inspect->layer : 0;
    block->n = one ? 1 : config->n_layer - block->first;
    block->rank = 0;
    if (kind == DUMP_ATTENTION)
        block->shape[block->rank++] = (size_t)config->n_head;
    block->shape[block->rank++] = n;
    block->shape[block->rank++] = kind == DUMP_SITE
                                      ? (size_t)gpt2_site_width(inspect->model, block->source->site)
                                  : kind == DUMP_ATTENTION ? n
                                                           : (size_t)config->n_vocab;
    block->n_floats = 1;
    for (int i = 0; i < block->rank; i++)
        block->n_floats *= block->shape[i];
}

static bool make_blocks(struct dump *dump, struct gpt2_error *err) {
    const struct inspect *in = dump->inspect;
    bool layered = false;
    for (int i = 0; i < dump->n_blocks; i++) {
        measure(in, &dump->blocks[i]);
        layered = layered || dump->blocks[i].layered;
    }
    if (in->layer >= in->config->n_layer)
        return usage_error(err, "--layer: expected 0 to %d, the model's blocks, got %d",
                           in->config->n_layer - 1, in->layer);
    if (in->layer >= 0 && !layered)
        return usage_error(err, "--layer has no effect: none of these sites has layers");
    for (int i = 0; i < dump->n_blocks; i++) {
        struct dump_block *block = &dump->blocks[i];
        block->data = calloc((size_t)block->n, block->n_floats * sizeof(float));
        if (!block->data)
            return command_error(err, GPT2_ERR_MEMORY, "shorten the text, or choose with --layer",
                                 "out of memory for %d x %zu numbers of %s", block->n,
                                 block->n_floats, block->source->name);
    }
    return true;
}

/* ---- reading ---- */

/* The sites and logits, in one reading. */
static bool capture(struct dump *dump, struct gpt2_error *err) {
    const struct inspect *in = dump->inspect;
    int n_captures = 0;
    float *logits = NULL;
    struct gpt2_capture *captures =
        calloc((size_t)N_SOURCES * (size_t)in->config->n_layer, sizeof *captures);
    if (!captures)
        return inspect_no_memory(err);
    for (int i = 0; i < dump->n_blocks; i++) {
        const struct dump_block *block = &dump->blocks[i];
        if (block->source->kind == DUMP_LOGITS)
            logits = block->data;
        for (int k = 0; block->source->kind == DUMP_SITE && k < block->n; k++)
            captures[n_captures++] = (struct gpt2_capture){
                block->source->site, block->first + k, block->data + (size_t)k * block->n_floats};
    }
    const bool ok = (!n_captures && !logits) ||
                    gpt2_inspect_capture(in->inspector, in->texts[0].data, (int)in->texts[0].len,
                                         captures, n_captures, logits, err);
    free(captures);
    return ok;
}

/* The logits of the stream after each layer: the streams first, in one reading. */
static bool read_lens(struct dump *dump, const struct dump_block *block, struct gpt2_error *err) {
    const struct inspect *in = dump->inspect;
    const size_t n = in->texts[0].len, n_stream = n * (size_t)in->config->n_embd;
    float *streams = calloc((size_t)block->n, n_stream * sizeof *streams);
    struct gpt2_capture *captures = calloc((size_t)block->n, sizeof *captures);
    bool ok = (streams && captures) || inspect_no_memory(err);
    for (int k = 0; ok && k < block->n; k++) {
        const int layer = block->first + k;
        captures[k] = (struct gpt2_capture){layer < 0 ? GPT2_SITE_EMBEDDING : GPT2_SITE_RESID,
                                            layer, streams + (size_t)k * n_stream};
    }
    ok = ok && gpt2_inspect_capture(in->inspector, in->texts[0].data, (int)n, captures, block->n,
                                    NULL, err);
    for (int k = 0; ok && k < block->n; k++)
        ok = gpt2_inspect_unembed(in->inspector, captures[k].data, (int)n,
                                  block->data + (size_t)k * block->n_floats, err);
    free(captures);
    free(streams);
    return ok;
}

static bool read_blocks(struct dump *dump, struct gpt2_error *err) {
    const struct inspect *in = dump->inspect;
    bool ok = capture(dump, err);
    for (int i = 0; ok && i < dump->n_blocks; i++) {
        const struct dump_block *block = &dump->blocks[i];
        if (block->source->kind == DUMP_ATTENTION)
            ok = gpt2_inspect_weights(in->inspector, in->texts[0].data, (int)in->texts[0].len,
                                      in->layer, block->data, err);
        else if (block->source->kind == DUMP_LENS)
            ok = read_lens(dump, block, err);
    }
    return ok;
}

/* ---- writing ---- */

/* Writes what `head` has and empties it, then n floats. */
static bool write_part(struct dump *dump, struct buffer *head, const float *data, size_t n,
                       struct gpt2_error *err) {
    const bool ok =
        head->failed
            ? inspect_no_memory(err)
            : output_bytes(&dump->out, head->data, head->len, err) &&
                  (!n || output_bytes(&dump->out, (const char *)data, n * sizeof *data, err));
    buffer_free(head);
    return ok;
}

/* All arrays of a block as one. */
static bool write_npy(struct dump *dump, struct gpt2_error *err) {
    const struct dump_block *block = &dump->blocks[0];
    struct buffer head = {0};
    size_t shape[NPY_RANK];
    const int more = block->layered && dump->inspect->layer < 0;
    shape[0] = (size_t)block->n;
    memcpy(shape + more, block->shape, (size_t)block->rank * sizeof *shape);
    npy_header(&head, shape, block->rank + more);
    return write_part(dump, &head, block->data, (size_t)block->n * block->n_floats, err);
}

static void name_array(const struct dump_block *block, int layer, char name[64]) {
    if (!block->layered)
        snprintf(name, 64, "%s", block->source->name);
    else if (layer < 0)
        snprintf(name, 64, "%s.embedding", block->source->name);
    else
        snprintf(name, 64, "%s.%d", block->source->name, layer);
}

static bool write_npz(struct dump *dump, struct gpt2_error *err) {
    struct npy_zip npz = {0};
    struct buffer head = {0};
    bool ok = true;
    for (int i = 0; ok && i < dump->n_blocks; i++) {
        const struct dump_block *block = &dump->blocks[i];
        for (int k = 0; ok && k < block->n; k++) {
            const float *data = block->data + (size_t)k * block->n_floats;
            char name[64];
            name_array(block, block->first + k, name);
            npy_zip_entry(&npz, &head, name, block->shape, block->rank, data);
            ok = write_part(dump, &head, data, block->n_floats, err);
        }
    }
    npy_zip_end(&npz, &head);
    ok = ok && write_part(dump, &head, NULL, 0, err);
    buffer_free(&head);
    return ok;
}

/* Whether the file has one array, by what is asked for and the name's end. */
static bool choose_form(const struct dump *dump, const char *path, bool *single,
                        struct gpt2_error *err) {
    *single = dump->n_blocks == 1 && !path_ends_in(path, ".npz");
    if (path_ends_in(path, ".npy") && !*single)
        return command_error(err, GPT2_ERR_USAGE, "name it .npz, which has several",
                             "%.200s: a .npy file has one array, and %d sites are asked for", path,
                             dump->n_blocks);
    if (!output_is_file(path) && isatty(STDOUT_FILENO))
        return command_error(err, GPT2_ERR_USAGE, "give -o FILE.npz",
                             "dump: arrays are not written to a terminal");
    return true;
}

int inspect_dump(struct inspect *inspect, const struct dump_options *options, const char *path) {
    struct dump dump = {.inspect = inspect};
    struct gpt2_error err;
    bool single;
    const bool ok = parse_sites(&dump, options, &err) && choose_form(&dump, path, &single, &err) &&
                    make_blocks(&dump, &err) && output_begin(&dump.out, path, &err) &&
                    read_blocks(&dump, &err) &&
                    (single ? write_npy(&dump, &err) : write_npz(&dump, &err)) &&
                    output_end(&dump.out, &err);
    output_discard(&dump.out);
    for (int i = 0; i < dump.n_blocks; i++)
        free(dump.blocks[i].data);
    return ok ? 0 : output_failed(&dump.out, &err);
}
