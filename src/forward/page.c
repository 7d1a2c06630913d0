/* page.c - allocates pages of the KV cache and counts their users. */
#include "forward/page.h"
#include "base/os.h"

#include <stdint.h>

#define HEADER ((sizeof(struct page) + 63) / 64 * 64)

/* A rest that has most of a 2 MiB page of the system gets the whole. */
size_t page_bytes(size_t n_bytes) {
    size_t total = HEADER + n_bytes, rest = total % OS_HUGE_PAGE;
    return rest > OS_HUGE_PAGE / 2 ? total - rest + OS_HUGE_PAGE : total;
}

/* A smaller rest would leave such a page mostly empty: it lies on small ones. */
struct page *page_create(size_t n_bytes, struct gpt2_error *err) {
    size_t total = page_bytes(n_bytes), rest = total % OS_HUGE_PAGE;
    char *memory = os_alloc_huge(total, "the KV cache", err);
    if (!memory)
        return NULL;
    if (total > rest && rest)
        os_small_pages(memory + total - rest, rest);
    struct page *page = (struct page *)(void *)memory;
    atomic_init(&page->n_users, 1);
    page->data = memory + HEADER;
    page->n_bytes = total;
    return page;
}

struct page *page_share(struct page *page) {
    atomic_fetch_add_explicit(&page->n_users, 1, memory_order_relaxed);
    return page;
}

void page_release(struct page *page) {
    if (!page || atomic_fetch_sub_explicit(&page->n_users, 1, memory_order_acq_rel) > 1)
        return;
    if (page->file) {
        page_file_release(page->file);
        os_free(page);
    } else {
        os_free_huge(page, page->n_bytes);
    }
}

void page_file_release(struct page_file *file) {
    if (!file || atomic_fetch_sub_explicit(&file->n_users, 1, memory_order_acq_rel) > 1)
        return;
    os_unmap(&file->mapped);
    os_free(file);
}

struct page *page_create_in(struct page_file *file, size_t at, struct gpt2_error *err) {
    struct page *page = os_alloc(1, sizeof *page, "the KV cache", err);
    if (!page)
        return NULL;
    atomic_init(&page->n_users, 1);
    page->data = (char *)(uintptr_t)(file->mapped.data + at);
    page->n_bytes = sizeof *page;
    page->file = file;
    atomic_fetch_add_explicit(&file->n_users, 1, memory_order_relaxed);
    return page;
}

bool page_is_own(const struct page *page) {
    return !page->file && atomic_load_explicit(&page->n_users, memory_order_acquire) == 1;
}
