/* prefix_node.c - makes, finds and moves the nodes of the tree of prefixes. */
#include "forward/prefix_node.h"
#include "base/os.h"

#include <string.h>

/* How many ids two lists begin with together. */
static int common(const int32_t *a, int n_a, const int32_t *b, int n_b) {
    int n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* Where a node with these ids is in the list, or would be. */
static int place_of(const struct prefix_list *list, const int32_t *ids, int n_ids) {
    int low = 0, high = list->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        const struct prefix_node *node = list->nodes[middle];
        int n = common(node->ids, node->n_ids, ids, n_ids);
        bool before = n < node->n_ids && n < n_ids ? node->ids[n] < ids[n] : node->n_ids < n_ids;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes room for n nodes. */
static bool reserve(struct prefix_list *list, int n, struct gpt2_error *err) {
    if (n <= list->cap)
        return true;
    int cap = 2 * list->cap > n ? 2 * list->cap : n;
    struct prefix_node **grown =
        os_alloc((size_t)cap, sizeof(struct prefix_node *), "the prefix cache", err);
    if (!grown)
        return false;
    if (list->n)
        memcpy(grown, list->nodes, (size_t)list->n * sizeof(struct prefix_node *));
    os_free(list->nodes);
    list->nodes = grown;
    list->cap = cap;
    return true;
}

static void insert(struct prefix_list *list, struct prefix_node *node) {
    int at = place_of(list, node->ids, node->n_ids);
    memmove(list->nodes + at + 1, list->nodes + at,
            (size_t)(list->n - at) * sizeof(struct prefix_node *));
    list->nodes[at] = node;
    list->n++;
}

static void take_out(struct prefix_list *list, const struct prefix_node *node) {
    int at = place_of(list, node->ids, node->n_ids);
    list->n--;
    memmove(list->nodes + at, list->nodes + at + 1,
            (size_t)(list->n - at) * sizeof(struct prefix_node *));
}

struct prefix_node *prefix_node_create(struct prefix_node *parent, const int32_t *ids, int n_ids,
                                       struct gpt2_error *err) {
    int n = 1; // in every list there is room for all, so that a move cannot fail
    for (int state = 0; state < PREFIX_STATES; state++)
        n += parent->below[state].n;
    for (int state = 0; state < PREFIX_STATES; state++)
        if (!reserve(&parent->below[state], n, err))
            return NULL;
    struct prefix_node *node = os_alloc(1, sizeof *node, "the prefix cache", err);
    if (!node)
        return NULL;
    node->parent = parent;
    node->n_ids = n_ids;
    memcpy(node->ids, ids, (size_t)n_ids * sizeof *ids);
    insert(&parent->below[PREFIX_SEEN], node);
    return node;
}

void prefix_node_free(struct prefix_node *node) {
    take_out(&node->parent->below[node->state], node);
    prefix_node_clear(node);
    page_release(node->page);
    os_free(node);
}

void prefix_node_clear(struct prefix_node *node) {
    for (int state = 0; state < PREFIX_STATES; state++) {
        struct prefix_list *list = &node->below[state];
        while (list->n > 0) // the last one, so that nothing has to move
            prefix_node_free(list->nodes[list->n - 1]);
        os_free(list->nodes);
        *list = (struct prefix_list){0};
    }
}

void prefix_node_move(struct prefix_node *node, enum prefix_state state) {
    take_out(&node->parent->below[node->state], node);
    insert(&node->parent->below[state], node);
    node->state = state;
}

struct prefix_node *prefix_node_nearest(const struct prefix_node *node, enum prefix_state state,
                                        const int32_t *ids, int n_ids, int *n_common) {
    const struct prefix_list *list = &node->below[state];
    struct prefix_node *best = NULL;
    int at = place_of(list, ids, n_ids);
    *n_common = 0;
    for (int i = at > 0 ? at - 1 : 0; i <= at && i < list->n; i++) {
        int n = common(list->nodes[i]->ids, list->nodes[i]->n_ids, ids, n_ids);
        if (!best || n > *n_common) {
            best = list->nodes[i];
            *n_common = n;
        }
    }
    return best;
}

struct prefix_node *prefix_node_find(const struct prefix_node *node, const int32_t *ids,
                                     int n_ids) {
    for (int state = 0; state < PREFIX_STATES; state++) {
        const struct prefix_list *list = &node->below[state];
        int at = place_of(list, ids, n_ids);
        if (at < list->n && list->nodes[at]->n_ids == n_ids &&
            !memcmp(list->nodes[at]->ids, ids, (size_t)n_ids * sizeof *ids))
            return list->nodes[at];
    }
    return NULL;
}

bool prefix_node_is_leaf(const struct prefix_node *node) {
    for (int state = 0; state < PREFIX_STATES; state++)
        if (node->below[state].n > 0)
            return false;
    return true;
}
