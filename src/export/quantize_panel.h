/* quantize_panel.h - from f32 weights to one panel of Q8 or Q4 (kernels/panels.h).
 *
 * A pure function of its arguments: the same bytes on every machine, any thread, no allocation. */
#ifndef EXPORT_QUANTIZE_PANEL_H
#define EXPORT_QUANTIZE_PANEL_H

#include "export/error_metric.h"
#include <stdbool.h>

/* The largest weight that a panel can hold: scale and min are f16. */
#define QUANTIZE_PANEL_MAX 65504.0f

/* Writes panel_bytes(type, K) bytes: the panel of weights w [K, n], rows ws floats apart, n <=
 * PANEL. `type` is DTYPE_Q8 or DTYPE_Q4. metrics [panels_groups(type, K)] say how errors count;
 * NULL: all the same. The grid of each group, its scale and min, is the one of several that makes
 * the error least; the plain one from the largest (and least) weight is among them. False, with
 * nothing written, where a weight is not finite or larger than QUANTIZE_PANEL_MAX. */
bool quantize_panel(void *panel, enum dtype type, const float *w, size_t ws, int K, int n,
                    const struct error_metric *metrics);

#endif
