/* stand_in.h - a file that stands in for one that was not fetched: a Git LFS pointer or a web page.
 */
#ifndef BASE_STAND_IN_H
#define BASE_STAND_IN_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

/* True if bytes[0..n), the file `name`, is such a thing; then *err says so, with `status` and a
 * hint. NULL err: only the answer. */
bool stand_in_refuse(const void *bytes, size_t n, const char *name, enum gpt2_status status,
                     struct gpt2_error *err);

#endif
