/* page.h - memory for the keys and values of KV_BLOCK positions, shared by counting its users.
 *
 * The only user of a page may write to it, unless it lies in a file. Users may be in
 * different threads. */
#ifndef FORWARD_PAGE_H
#define FORWARD_PAGE_H

#include "base/os.h"

#include <gpt2/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* A mapped file with pages in it; dropping the last user closes it. */
struct page_file {
    atomic_int n_users; /* pages, and who made it */
    struct os_file mapped;
};

struct page {
    atomic_int n_users;
    char *data;             /* at a multiple of 64 bytes                       */
    size_t n_bytes;         /* of the page's memory, of which this struct is the beginning */
    struct page_file *file; /* NULL: the data is in that memory */
};

/* Memory of a page with room for n_bytes of data. */
size_t page_bytes(size_t n_bytes);

/* A page with room for n_bytes of data, zeroed, and one user. NULL: GPT2_ERR_MEMORY. */
struct page *page_create(size_t n_bytes, struct gpt2_error *err);

/* A page whose data is a part of the file, never written to; one user of the file more. NULL:
 * GPT2_ERR_MEMORY. */
struct page *page_create_in(struct page_file *file, size_t at, struct gpt2_error *err);

/* One user less. NULL is allowed. */
void page_file_release(struct page_file *file);

/* One user more. Returns the page. */
struct page *page_share(struct page *page);

/* One user less; the last one frees it. NULL is allowed. */
void page_release(struct page *page);

/* True for the only user of a page that may be written to. */
bool page_is_own(const struct page *page);

#endif
