/* prefix_node.h - the tree of what texts begin with: a node for each page of their tokens.
 *
 *     root -- [64 ids] -- [64 ids] -- [64 ids]
 *                     \            \- [20 ids]       the end of a text
 *                      \- [64 ids] -- [3 ids]
 *
 * Only a full node has others below it. Nodes next to each other may begin with the same ids. */
#ifndef FORWARD_PREFIX_NODE_H
#define FORWARD_PREFIX_NODE_H

#include "forward/page.h"
#include "kernels/kernels.h"

#include <stdint.h>

/* What there is of a node's keys and values. */
enum prefix_state {
    PREFIX_SEEN,    /* nothing: a text had these ids                    */
    PREFIX_READING, /* nothing yet: a text is about to read them        */
    PREFIX_READY,   /* a page, and pages of all the nodes above it      */
    PREFIX_STATES
};

/* Nodes below another one, by their ids. */
struct prefix_list {
    struct prefix_node **nodes; /* [n] ascending */
    int n, cap;
};

struct prefix_node {
    struct prefix_node *parent; /* NULL: the root */
    enum prefix_state state;
    struct prefix_list below[PREFIX_STATES];
    struct prefix_node *newer, *older; /* of those that are ready, or of the others */
    struct page *page;                 /* where it is ready */
    struct gpt2_prefix *holder;        /* a text whose session has read it, or NULL */
    int n_readers;                     /* texts that are about to read it */
    int n_ends;                        /* texts that end in it            */
    bool is_wanted;                    /* another text begins with (some of) it */
    int n_ids;
    int32_t ids[KV_BLOCK];
};

/* A node with nothing below it, in its parent's list of what was seen. NULL: GPT2_ERR_MEMORY. */
struct prefix_node *prefix_node_create(struct prefix_node *parent, const int32_t *ids, int n_ids,
                                       struct gpt2_error *err);

/* Takes a node that has none below it from its parent, and frees it with its page. */
void prefix_node_free(struct prefix_node *node);

/* Frees what is below a node, and its lists. */
void prefix_node_clear(struct prefix_node *node);

/* Gives it another state, and its place in its parent's lists. */
void prefix_node_move(struct prefix_node *node, enum prefix_state state);

/* Below a node: the one of a state that begins with most of ids [n_ids], *n_common of them. NULL:
 * there is none of that state. */
struct prefix_node *prefix_node_nearest(const struct prefix_node *node, enum prefix_state state,
                                        const int32_t *ids, int n_ids, int *n_common);

/* Below a node: the one that has just these ids, in any state; or NULL. */
struct prefix_node *prefix_node_find(const struct prefix_node *node, const int32_t *ids, int n_ids);

bool prefix_node_is_leaf(const struct prefix_node *node);

#endif
