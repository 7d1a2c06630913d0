/* each_row.h - shares out work on rows, which is little for each. */
#ifndef FORWARD_EACH_ROW_H
#define FORWARD_EACH_ROW_H

#include "base/pool.h"

/* Calls fn(arg, row, worker) once for each row 0..n-1, several rows after the other on a thread;
 * few rows are done by the caller, before another thread could wake up. */
void each_row(struct pool *pool, int n, pool_fn fn, void *arg);

#endif
