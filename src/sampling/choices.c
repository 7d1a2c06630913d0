/* choices.c - a trie over token ids, built from the sorted choices.
 *
 * Nodes are numbered breadth first; the edges of a node lie together in the order of their ids, so
 * that they are the list of allowed ids as they stand. */
#include <gpt2/choices.h>

#include "base/error_internal.h"
#include "base/os.h"

#include <stdlib.h>

struct node {
    size_t first_edge;
    int n_edges;
    int made;        /* index of the choice that is complete here, or -1 */
    size_t from, to; /* while building: the sorted choices that pass here */
    int depth;
};

struct gpt2_choices {
    struct node *nodes; /* [n_nodes] the root first             */
    int32_t *edge_ids;  /* [n_edges]                            */
    int *edge_nodes;    /* [n_edges] where they lead            */
};

struct sorted_choice {
    const int32_t *ids;
    int n_ids, index;
};

/* Shorter ones first where one continues another. */
static int by_ids(const void *a, const void *b) {
    const struct sorted_choice *x = a, *y = b;
    int n = x->n_ids < y->n_ids ? x->n_ids : y->n_ids;
    for (int i = 0; i < n; i++)
        if (x->ids[i] != y->ids[i])
            return x->ids[i] < y->ids[i] ? -1 : 1;
    return x->n_ids != y->n_ids ? (x->n_ids < y->n_ids ? -1 : 1) : x->index - y->index;
}

static bool is_beginning(const struct sorted_choice *a, const struct sorted_choice *b) {
    for (int i = 0; i < a->n_ids; i++)
        if (i == b->n_ids || a->ids[i] != b->ids[i])
            return false;
    return true;
}

static bool check(const struct gpt2_choice *list, int n, int32_t end_id, struct gpt2_error *err) {
    if (n < 1)
        return error_set(err, GPT2_ERR_USAGE, "choices: expected at least one, got %d", n);
    for (int i = 0; i < n; i++) {
        if (list[i].n_ids < 1)
            return error_set(err, GPT2_ERR_USAGE, "choice %d is empty", i + 1);
        for (int k = 0; k < list[i].n_ids; k++)
            if (list[i].ids[k] < 0 || list[i].ids[k] == end_id)
                return error_set(err, GPT2_ERR_USAGE, "choice %d: id %d cannot be part of one",
                                 i + 1, (int)list[i].ids[k]);
    }
    return true;
}

/* Neighbours in the sorted list: none the same, none a beginning unless an end id tells. */
static bool check_sorted(const struct sorted_choice *sorted, int n, int32_t end_id,
                         struct gpt2_error *err) {
    for (int i = 0; i + 1 < n; i++) {
        const struct sorted_choice *a = &sorted[i], *b = &sorted[i + 1];
        if (!is_beginning(a, b))
            continue;
        if (a->n_ids == b->n_ids)
            return error_set(err, GPT2_ERR_USAGE, "choices %d and %d are the same", a->index + 1,
                             b->index + 1);
        if (end_id < 0)
            return error_set(err, GPT2_ERR_USAGE,
                             "choice %d begins with choice %d, and the model has no end of text "
                             "to tell them apart",
                             b->index + 1, a->index + 1);
    }
    return true;
}

/* Opens a node at the end of an edge. Edge e leads to node e + 1: both are made in one order. */
static void add_edge(struct gpt2_choices *choices, size_t *n_edges, struct node *node, int32_t id,
                     struct node to) {
    size_t edge = (*n_edges)++;
    choices->edge_ids[edge] = id;
    choices->edge_nodes[edge] = (int)edge + 1;
    choices->nodes[edge + 1] = to;
    node->n_edges++;
}

static void add_children(struct gpt2_choices *choices, size_t *n_edges, struct node *node,
                         const struct sorted_choice *sorted, int32_t end_id) {
    size_t i = node->from, to = node->to;
    int depth = node->depth;
    node->first_edge = *n_edges;
    if (i < to && sorted[i].n_ids == depth)
        node->made = sorted[i++].index;
    bool ends = node->made >= 0 && i < to; // the end id comes in its place among the others
    struct node end = {.made = node->made};
    while (i < to) {
        struct node child = {.made = -1, .from = i, .depth = depth + 1};
        int32_t id = sorted[i].ids[depth];
        while (i < to && sorted[i].ids[depth] == id)
            i++;
        child.to = i;
        if (ends && end_id < id) {
            add_edge(choices, n_edges, node, end_id, end);
            ends = false;
        }
        add_edge(choices, n_edges, node, id, child);
    }
    if (ends)
        add_edge(choices, n_edges, node, end_id, end);
}

static bool build(struct gpt2_choices *choices, const struct sorted_choice *sorted, int n,
                  int32_t end_id, struct gpt2_error *err) {
    size_t most = (size_t)n; // an end id for each, and every id a node
    for (int i = 0; i < n; i++)
        most += (size_t)sorted[i].n_ids;
    if (most >= INT32_MAX)
        return error_set(err, GPT2_ERR_USAGE, "choices: expected less than %d ids", INT32_MAX);
    choices->nodes = os_alloc(most + 1, sizeof *choices->nodes, "the choices", err);
    choices->edge_ids = os_alloc(most, sizeof *choices->edge_ids, "the choices", err);
    choices->edge_nodes = os_alloc(most, sizeof *choices->edge_nodes, "the choices", err);
    if (!choices->nodes || !choices->edge_ids || !choices->edge_nodes)
        return false;
    size_t n_edges = 0;
    choices->nodes[0] = (struct node){.made = -1, .to = (size_t)n};
    for (size_t at = 0; at < n_edges + 1; at++)
        if (choices->nodes[at].to > choices->nodes[at].from) // not after an end id
            add_children(choices, &n_edges, &choices->nodes[at], sorted, end_id);
    return true;
}

struct gpt2_choices *gpt2_choices_create(const struct gpt2_choice *list, int n, int32_t end_id,
                                         struct gpt2_error *err) {
    if (!check(list, n, end_id, err))
        return NULL;
    struct gpt2_choices *choices = os_alloc(1, sizeof *choices, "the choices", err);
    struct sorted_choice *sorted = os_alloc((size_t)n, sizeof *sorted, "the choices", err);
    bool ok = choices && sorted;
    if (ok) {
        for (int i = 0; i < n; i++)
            sorted[i] = (struct sorted_choice){list[i].ids, list[i].n_ids, i};
        qsort(sorted, (size_t)n, sizeof *sorted, by_ids);
        ok = check_sorted(sorted, n, end_id, err) && build(choices, sorted, n, end_id, err);
    }
    os_free(sorted);
    if (ok)
        return choices;
    gpt2_choices_free(choices);
    return NULL;
}

void gpt2_choices_free(struct gpt2_choices *choices) {
    if (!choices)
        return;
    os_free(choices->edge_nodes);
    os_free(choices->edge_ids);
    os_free(choices->nodes);
    os_free(choices);
}

const int32_t *gpt2_choices_allowed(const struct gpt2_choices *choices, int at, int *n) {
    const struct node *node = &choices->nodes[at];
    *n = node->n_edges;
    return node->n_edges ? &choices->edge_ids[node->first_edge] : NULL;
}

int gpt2_choices_step(const struct gpt2_choices *choices, int at, int32_t id) {
    const struct node *node = &choices->nodes[at];
    size_t low = node->first_edge, end = low + (size_t)node->n_edges, high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (choices->edge_ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && choices->edge_ids[low] == id ? choices->edge_nodes[low] : -1;
}

int gpt2_choices_made(const struct gpt2_choices *choices, int at) {
    return choices->nodes[at].made;
}
