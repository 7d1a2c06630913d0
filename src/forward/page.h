/* page.h - memory for the keys and values of KV_BLOCK positions, shared by counting its users.
 *
 * Whoever is a page's only user may write to it. Users may be in different threads. */
#ifndef FORWARD_PAGE_H
#define FORWARD_PAGE_H

#include <gpt2/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct page {
    atomic_int n_users;
    char *data;     /* at a multiple of 64 bytes                       */
    size_t n_bytes; /* of the page's memory, of which this struct is the beginning */
};

/* Memory of a page with room for n_bytes of data. */
size_t page_bytes(size_t n_bytes);

/* A page with room for n_bytes of data, zeroed, and one user. NULL: GPT2_ERR_MEMORY. */
struct page *page_create(size_t n_bytes, struct gpt2_error *err);

/* One user more. Returns the page. */
struct page *page_share(struct page *page);

/* One user less; the last one frees it. NULL is allowed. */
void page_release(struct page *page);

/* True for the only user. */
bool page_is_own(const struct page *page);

#endif
