/* prefix_cache.c - which pages of what texts begin with are kept, and who waits for whom.
 *
 * A page is kept where a second text is known to begin with some of it, as far as the first one's
 * session still has it or is about to read it. Else nothing is copied and nothing is kept, so that
 * texts that have nothing in common cost a look into the tree. */
#include <gpt2/prefix_cache.h>

#include "base/error_internal.h"
#include "base/os.h"
#include "forward/prefix_node.h"
#include "forward/session_internal.h"
#include "model/weights.h"

#include <limits.h>
#include <string.h>

#define LEAST    16   /* tokens of a page that are worth its copy, or a wait */
#define MAX_SEEN 8192 /* nodes without a page: half a KiB each               */

/* In the order of their use. */
struct queue {
    struct prefix_node *newest, *oldest;
};

struct gpt2_prefix_cache {
    const struct gpt2_model *model; /* borrowed */
    size_t max_bytes, n_bytes;      /* of pages */
    enum gpt2_kv kv;                /* not AUTO */
    int max_nodes;                  /* of one text: more pages would not be kept */
    struct prefix_node root;
    struct queue ready, others;
    int n_others;
};

struct gpt2_prefix {
    struct gpt2_prefix_cache *cache;
    struct gpt2_session *session; /* borrowed; NULL: nothing was taken yet */
    int n_ids, n_nodes;
    int n_done;                /* nodes from the front that it does not read (any more) */
    struct prefix_node **path; /* [n_nodes] from the root's down */
    int32_t ids[];             /* [n_ids] */
};

/* ---- order of use ---- */

static void take_out(struct queue *queue, struct prefix_node *node) {
    if (node->newer)
        node->newer->older = node->older;
    else
        queue->newest = node->older;
    if (node->older)
        node->older->newer = node->newer;
    else
        queue->oldest = node->newer;
    node->newer = node->older = NULL;
}

static void put_in(struct queue *queue, struct prefix_node *node) {
    node->older = queue->newest;
    if (queue->newest)
        queue->newest->newer = node;
    else
        queue->oldest = node;
    queue->newest = node;
}

static struct queue *queue_of(struct gpt2_prefix_cache *cache, const struct prefix_node *node) {
    return node->state == PREFIX_READY ? &cache->ready : &cache->others;
}

static void set_state(struct gpt2_prefix_cache *cache, struct prefix_node *node,
                      enum prefix_state state) {
    if (state == node->state)
        return;
    cache->n_others -= node->state != PREFIX_READY;
    take_out(queue_of(cache, node), node);
    prefix_node_move(node, state);
    put_in(queue_of(cache, node), node);
    cache->n_others += node->state != PREFIX_READY;
}

/* The state of a node that has no page (any more). */
static enum prefix_state state_without_page(const struct prefix_node *node) {
    return node->n_readers > 0 ? PREFIX_READING : PREFIX_SEEN;
}

/* ---- pages ---- */

/* Frees the least recently used page that no other one needs, but not that of `spared`. */
static bool evict(struct gpt2_prefix_cache *cache, const struct prefix_node *spared) {
    struct prefix_node *node = cache->ready.oldest;
    while (node && (node->below[PREFIX_READY].n > 0 || node == spared))
        node = node->newer;
    if (!node)
        return false;
    cache->n_bytes -= node->page->n_bytes;
    page_release(node->page);
    node->page = NULL;
    set_state(cache, node, state_without_page(node));
    return true;
}

/* Keeps the page of a session that has read the node of this number in its text. */
static void keep(struct gpt2_prefix_cache *cache, struct prefix_node *node,
                 const struct gpt2_session *session, int number) {
    const struct prefix_node *parent = node->parent;
    struct page *page = session->pages[number];
    if (node->state == PREFIX_READY || (parent->parent && parent->state != PREFIX_READY) ||
        page->n_bytes > cache->max_bytes)
        return;
    while (cache->n_bytes + page->n_bytes > cache->max_bytes)
        if (!evict(cache, parent))
            return;
    node->page = page_share(page);
    cache->n_bytes += page->n_bytes;
    set_state(cache, node, PREFIX_READY);
}

/* Another text begins with what is in the node, which is of this number in every text. */
static void want(struct gpt2_prefix_cache *cache, struct prefix_node *node, int number) {
    node->is_wanted = true;
    if (node->holder)
        keep(cache, node, node->holder->session, number);
}

/* ---- the cache ---- */

struct gpt2_prefix_cache *gpt2_prefix_cache_create(const struct gpt2_model *model,
                                                   const struct gpt2_prefix_cache_options *options,
                                                   struct gpt2_error *err) {
    if (!error_reserved(options->reserved, "gpt2_prefix_cache_options", err))
        return NULL;
    struct gpt2_prefix_cache *cache = os_alloc(1, sizeof *cache, "the prefix cache", err);
    if (!cache)
        return NULL;
    struct gpt2_session *any = gpt2_session_create(
        model, &(struct gpt2_session_options){.n_ctx = 1, .kv = options->kv}, err);
    if (!any) {
        os_free(cache);
        return NULL;
    }
    size_t max_nodes = options->max_bytes / page_bytes(session_page_bytes(any));
    cache->model = model;
    cache->max_bytes = options->max_bytes;
    cache->max_nodes = max_nodes < INT_MAX ? (int)max_nodes : INT_MAX;
    cache->kv = any->kv.type;
    gpt2_session_free(any);
    return cache;
}

void gpt2_prefix_cache_free(struct gpt2_prefix_cache *cache) {
    if (!cache)
        return;
    prefix_node_clear(&cache->root);
    os_free(cache);
}

size_t gpt2_prefix_cache_bytes(const struct gpt2_prefix_cache *cache) {
    return cache->n_bytes;
}

/* ---- texts ---- */

static int length_of(const struct gpt2_prefix *prefix, int number) {
    int left = prefix->n_ids - number * KV_BLOCK;
    return left < KV_BLOCK ? left : KV_BLOCK;
}

/* How many of the text's ids are in nodes that are ready, or with `coming` being read. */
static int reach(const struct gpt2_prefix *prefix, bool coming) {
    const struct gpt2_prefix_cache *cache = prefix->cache;
    const struct prefix_node *node = &cache->root;
    int n_read = 0;
    for (int number = 0; number < prefix->n_nodes && number < cache->max_nodes; number++) {
        const int32_t *ids = prefix->ids + number * KV_BLOCK;
        int n = length_of(prefix, number), most;
        const struct prefix_node *next = prefix_node_nearest(node, PREFIX_READY, ids, n, &most);
        if (coming && most < KV_BLOCK) {
            int n_coming;
            const struct prefix_node *other =
                prefix_node_nearest(node, PREFIX_READING, ids, n, &n_coming);
            if (n_coming > most) {
                most = n_coming;
                next = other;
            }
        }
        n_read += most >= LEAST ? most : 0;
        if (most < KV_BLOCK)
            break;
        node = next;
    }
    return n_read < prefix->n_ids ? n_read : prefix->n_ids - 1;
}

/* Drops what was seen the longest ago. */
static void forget(struct gpt2_prefix_cache *cache) {
    struct prefix_node *node = cache->others.oldest;
    while (node && cache->n_others > MAX_SEEN) {
        struct prefix_node *newer = node->newer;
        if (node->n_ends == 0 && node->n_readers == 0 && !node->holder &&
            prefix_node_is_leaf(node)) {
            take_out(&cache->others, node);
            cache->n_others--;
            prefix_node_free(node);
        }
        node = newer;
    }
}

/* Wants what other texts share with ids [n_ids], the page of this number in which the text parts
 * from them all. True if no other text holds it any more, so that this text has to keep it. */
static bool want_nearest(struct gpt2_prefix_cache *cache, const struct prefix_node *parent,
                         const int32_t *ids, int n_ids, int number) {
    int most = 0;
    bool lost = false;
    for (int state = PREFIX_STATES - 1; state >= 0; state--) {
        int n;
        struct prefix_node *other =
            prefix_node_nearest(parent, (enum prefix_state)state, ids, n_ids, &n);
        if (!other || n < most + LEAST)
            continue;
        most = n;
        want(cache, other, number);
        lost = other->state == PREFIX_SEEN;
    }
    return lost;
}

/* The text's nodes: those that are there are wanted now, the others are made. */
static bool lay_path(struct gpt2_prefix *prefix, struct gpt2_error *err) {
    struct gpt2_prefix_cache *cache = prefix->cache;
    struct prefix_node *parent = &cache->root;
    for (int number = 0; number < prefix->n_nodes; number++) {
        const int32_t *ids = prefix->ids + number * KV_BLOCK;
        int n = length_of(prefix, number);
        struct prefix_node *node = prefix_node_find(parent, ids, n);
        if (node) {
            want(cache, node, number);
        } else {
            bool is_wanted = want_nearest(cache, parent, ids, n, number);
            node = prefix_node_create(parent, ids, n, err);
            if (!node)
                return false;
            node->is_wanted = is_wanted;
            put_in(&cache->others, node);
            cache->n_others++;
        }
        prefix->path[number] = parent = node;
    }
    return true;
}

struct gpt2_prefix *gpt2_prefix_begin(struct gpt2_prefix_cache *cache, const int32_t *ids,
                                      int n_ids, struct gpt2_error *err) {
    if (n_ids < 1) {
        error_set(err, GPT2_ERR_USAGE, "prefix: expected at least 1 token, got %d", n_ids);
        return NULL;
    }
    size_t n_nodes = ((size_t)n_ids + KV_BLOCK - 1) / KV_BLOCK;
    struct gpt2_prefix *prefix =
        os_alloc(1, sizeof *prefix + (size_t)n_ids * sizeof *ids, "the prefix cache", err);
    if (!prefix)
        return NULL;
    prefix->cache = cache;
    prefix->n_ids = n_ids;
    prefix->n_nodes = (int)n_nodes;
    memcpy(prefix->ids, ids, (size_t)n_ids * sizeof *ids);
    prefix->path = os_alloc(n_nodes, sizeof(struct prefix_node *), "the prefix cache", err);
    if (!prefix->path || !lay_path(prefix, err)) {
        os_free(prefix->path);
        os_free(prefix);
        return NULL;
    }
    for (int i = prefix->n_nodes - 1; i >= 0; i--) { // the root's end is the newest
        take_out(queue_of(cache, prefix->path[i]), prefix->path[i]);
        put_in(queue_of(cache, prefix->path[i]), prefix->path[i]);
    }
    prefix->path[n_nodes - 1]->n_ends++;
    forget(cache);
    return prefix;
}

int gpt2_prefix_ready(const struct gpt2_prefix *prefix) {
    return reach(prefix, false);
}

bool gpt2_prefix_waits(const struct gpt2_prefix *prefix) {
    return reach(prefix, true) >= reach(prefix, false) + LEAST;
}

/* Puts the pages of the first n ids into the session. */
static void take_pages(struct gpt2_prefix *prefix, int n) {
    struct gpt2_prefix_cache *cache = prefix->cache;
    struct prefix_node *node = &cache->root;
    for (int number = 0; number * KV_BLOCK < n; number++) {
        int ignored;
        node = prefix_node_nearest(node, PREFIX_READY, prefix->ids + number * KV_BLOCK,
                                   length_of(prefix, number), &ignored);
        session_put_page(prefix->session, number, node->page);
    }
    for (; node != &cache->root; node = node->parent) {
        take_out(&cache->ready, node);
        put_in(&cache->ready, node);
    }
    prefix->session->position = n;
}

bool gpt2_prefix_take(struct gpt2_prefix *prefix, struct gpt2_session *session,
                      struct gpt2_error *err) {
    struct gpt2_prefix_cache *cache = prefix->cache;
    if (session->model != cache->model || session->kv.type != cache->kv ||
        session->capacity < prefix->n_ids)
        return error_set(err, GPT2_ERR_USAGE,
                         "prefix: expected a session of the cache's model and type for at least %d "
                         "tokens, got one for %d",
                         prefix->n_ids, session->capacity);
    prefix->session = session;
    session->position = 0;
    take_pages(prefix, reach(prefix, false));
    prefix->n_done = session->position / KV_BLOCK;
    for (int i = prefix->n_done; i < prefix->n_nodes; i++) {
        prefix->path[i]->n_readers++;
        if (prefix->path[i]->state == PREFIX_SEEN)
            set_state(cache, prefix->path[i], PREFIX_READING);
    }
    return true;
}

void gpt2_prefix_read(struct gpt2_prefix *prefix) {
    struct gpt2_prefix_cache *cache = prefix->cache;
    for (; prefix->n_done < prefix->n_nodes; prefix->n_done++) {
        int number = prefix->n_done;
        struct prefix_node *node = prefix->path[number];
        if (prefix->session->position < number * KV_BLOCK + node->n_ids)
            return;
        node->n_readers--;
        node->holder = prefix;
        if (node->is_wanted)
            keep(cache, node, prefix->session, number);
        if (node->state != PREFIX_READY)
            set_state(cache, node, state_without_page(node));
    }
}

bool gpt2_prefix_keep(struct gpt2_prefix_cache *cache, const struct gpt2_session *session,
                      const int32_t *ids, int n_ids, struct gpt2_error *err) {
    if (session->model != cache->model || session->kv.type != cache->kv)
        return error_set(err, GPT2_ERR_USAGE,
                         "prefix: expected a session of the cache's model and type");
    struct gpt2_prefix *prefix = gpt2_prefix_begin(cache, ids, n_ids, err);
    if (!prefix)
        return false;
    for (int number = 0; number < prefix->n_nodes; number++) {
        struct prefix_node *node = prefix->path[number];
        if (session->position < number * KV_BLOCK + node->n_ids)
            break;
        node->is_wanted = true;
        keep(cache, node, session, number);
    }
    gpt2_prefix_end(prefix);
    return true;
}

void gpt2_prefix_end(struct gpt2_prefix *prefix) {
    if (!prefix)
        return;
    for (int i = 0; i < prefix->n_nodes; i++) {
        struct prefix_node *node = prefix->path[i];
        if (node->holder == prefix)
            node->holder = NULL;
        if (prefix->session && i >= prefix->n_done) { // it ends without having read this
            node->n_readers--;
            if (node->state != PREFIX_READY)
                set_state(prefix->cache, node, state_without_page(node));
        }
    }
    prefix->path[prefix->n_nodes - 1]->n_ends--;
    os_free(prefix->path);
    os_free(prefix);
}
