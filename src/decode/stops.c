/* stops.c - building the automaton of Aho and Corasick. */
#include "base/error_internal.h"
#include "base/os.h"
#include "decode/stops_internal.h"

#include <stdlib.h>
#include <string.h>

/* The strings in the order of their bytes; the first of equals first. */
struct sorted_stop {
    const unsigned char *bytes;
    size_t n_bytes;
    int index;
};

static int by_bytes(const void *a, const void *b) {
    const struct sorted_stop *x = a, *y = b;
    size_t n = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
    int order = memcmp(x->bytes, y->bytes, n);
    if (order)
        return order;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* While building: the strings that begin with a node's bytes are a range of the sorted ones. */
struct stop_range {
    size_t from, to;
};

/* Gives a node its children, at the end of the list of nodes. Returns how many nodes there are. */
static uint32_t add_children(struct gpt2_stops *stops, const struct sorted_stop *strings,
                             struct stop_range *ranges, uint32_t at, uint32_t n_nodes) {
    struct stops_node *node = &stops->nodes[at];
    size_t i = ranges[at].from, to = ranges[at].to, depth = node->depth;
    node->stop = -1;
    node->first_edge = n_nodes - 1;
    if (i < to && strings[i].n_bytes == depth)
        node->stop = strings[i].index;
    while (i < to && strings[i].n_bytes == depth)
        i++;
    while (i < to) {
        unsigned char byte = strings[i].bytes[depth];
        ranges[n_nodes].from = i;
        while (i < to && strings[i].bytes[depth] == byte)
            i++;
        ranges[n_nodes].to = i;
        stops->nodes[n_nodes].depth = (uint32_t)depth + 1;
        stops->edge_bytes[n_nodes - 1] = byte;
        stops->edge_nodes[n_nodes - 1] = n_nodes;
        n_nodes++;
        node->n_edges++;
    }
    return n_nodes;
}

/* The child of a node at this byte, or 0. */
static uint32_t child(const struct gpt2_stops *stops, uint32_t at, unsigned char byte) {
    const struct stops_node *node = &stops->nodes[at];
    uint32_t low = node->first_edge, high = low + node->n_edges;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stops->edge_bytes[middle] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < node->first_edge + node->n_edges && stops->edge_bytes[low] == byte;
    return found ? stops->edge_nodes[low] : 0;
}

uint32_t stops_step(const struct gpt2_stops *stops, uint32_t node, unsigned char byte) {
    for (;;) {
        uint32_t next = child(stops, node, byte);
        if (next || node == 0)
            return next;
        node = stops->nodes[node].fail;
    }
}

bool stops_is_empty(const struct gpt2_stops *stops) {
    return stops->until == GPT2_UNTIL_NEVER && stops->nodes[0].n_edges == 0;
}

/* Fail links of a node's children: shorter nodes have theirs already. */
static void link_children(struct gpt2_stops *stops, uint32_t at) {
    const struct stops_node *node = &stops->nodes[at];
    for (uint32_t e = node->first_edge; e < node->first_edge + node->n_edges; e++) {
        struct stops_node *next = &stops->nodes[stops->edge_nodes[e]];
        next->fail = at ? stops_step(stops, node->fail, stops->edge_bytes[e]) : 0;
        if (next->stop < 0)
            next->stop = stops->nodes[next->fail].stop;
    }
}

static bool build(struct gpt2_stops *stops, struct sorted_stop *strings, size_t n, size_t total,
                  struct gpt2_error *err) {
    stops->nodes = os_alloc(total + 1, sizeof *stops->nodes, "the stop strings", err);
    stops->edge_bytes = os_alloc(total, 1, "the stop strings", err);
    stops->edge_nodes = os_alloc(total, sizeof *stops->edge_nodes, "the stop strings", err);
    struct stop_range *ranges = os_alloc(total + 1, sizeof *ranges, "the stop strings", err);
    bool ok = stops->nodes && stops->edge_bytes && stops->edge_nodes && ranges;
    if (ok) {
        qsort(strings, n, sizeof *strings, by_bytes);
        ranges[0] = (struct stop_range){0, n};
        uint32_t n_nodes = 1;
        for (uint32_t at = 0; at < n_nodes; at++)
            n_nodes = add_children(stops, strings, ranges, at, n_nodes);
        for (uint32_t at = 0; at < n_nodes; at++)
            link_children(stops, at);
    }
    os_free(ranges);
    return ok;
}

/* Fills `strings` and the lengths; *total is the sum of the lengths. */
static bool read_strings(struct gpt2_stops *stops, const struct gpt2_stops_options *options,
                         struct sorted_stop *strings, size_t *total, struct gpt2_error *err) {
    *total = 0;
    for (int i = 0; i < options->n_strings; i++) {
        const struct gpt2_stop *string = &options->strings[i];
        if (string->n_bytes == 0)
            return error_set(err, GPT2_ERR_USAGE, "stop string %d is empty", i + 1);
        if (string->n_bytes > INT32_MAX - *total)
            return error_set(err, GPT2_ERR_USAGE, "stop strings: expected less than %d bytes",
                             INT32_MAX);
        *total += string->n_bytes;
        stops->lengths[i] = string->n_bytes;
        strings[i] = (struct sorted_stop){(const unsigned char *)string->bytes, string->n_bytes, i};
    }
    return true;
}

struct gpt2_stops *gpt2_stops_create(const struct gpt2_stops_options *options,
                                     struct gpt2_error *err) {
    if (!error_reserved(options->reserved, "gpt2_stops_options", err))
        return NULL;
    if ((int)options->until < 0 || options->until > GPT2_UNTIL_PARAGRAPH) {
        error_set(err, GPT2_ERR_USAGE, "until: expected %d to %d, got %d", GPT2_UNTIL_NEVER,
                  GPT2_UNTIL_PARAGRAPH, (int)options->until);
        return NULL;
    }
    if (options->n_strings < 0) {
        error_set(err, GPT2_ERR_USAGE, "stops: expected 0 or more strings, got %d",
                  options->n_strings);
        return NULL;
    }
    size_t n = (size_t)options->n_strings, total;
    struct gpt2_stops *stops = os_alloc(1, sizeof *stops, "the stop strings", err);
    struct sorted_stop *strings = os_alloc(n, sizeof *strings, "the stop strings", err);
    if (!stops || !strings)
        goto fail;
    stops->until = options->until;
    stops->until_tokens = options->until_tokens;
    stops->include = options->include;
    stops->lengths = os_alloc(n, sizeof *stops->lengths, "the stop strings", err);
    if (!stops->lengths || !read_strings(stops, options, strings, &total, err) ||
        !build(stops, strings, n, total, err))
        goto fail;
    os_free(strings);
    return stops;
fail:
    os_free(strings);
    gpt2_stops_free(stops);
    return NULL;
}

void gpt2_stops_free(struct gpt2_stops *stops) {
    if (!stops)
        return;
    os_free(stops->lengths);
    os_free(stops->edge_nodes);
    os_free(stops->edge_bytes);
    os_free(stops->nodes);
    os_free(stops);
}
