/* stops_internal.h - the automaton of all stop strings (what it is for: gpt2/stops.h).
 *
 * A node stands for a beginning of some stop string; the automaton is at the longest one that the
 * text ends with. Nodes are numbered by depth, edges of a node lie together in the order of their
 * bytes. */
#ifndef DECODE_STOPS_INTERNAL_H
#define DECODE_STOPS_INTERNAL_H

#include <gpt2/stops.h>
#include <stdint.h>

struct stops_node {
    uint32_t first_edge, n_edges; /* in edge_bytes and edge_nodes                     */
    uint32_t fail;                /* the longest other beginning that this one ends with */
    uint32_t depth;               /* its bytes                                        */
    int32_t stop;                 /* index of the longest stop string it ends with, or -1 */
};

struct gpt2_stops {
    enum gpt2_until until;
    bool include;
    uint64_t until_tokens;
    struct stops_node *nodes;  /* [n_nodes], the root first */
    unsigned char *edge_bytes; /* [n_nodes - 1] */
    uint32_t *edge_nodes;      /* [n_nodes - 1] */
    size_t *lengths;           /* [n_strings] */
};

/* The node after one more byte. */
uint32_t stops_step(const struct gpt2_stops *stops, uint32_t node, unsigned char byte);

/* True where nothing ends a text. */
bool stops_is_empty(const struct gpt2_stops *stops);

#endif
