/* bar.h - how far long work has come, on a terminal's standard error; nowhere else. */
#ifndef CLI_TERMINAL_BAR_H
#define CLI_TERMINAL_BAR_H

#include <stddef.h>

struct bar {
    int percent;
};

struct bar bar_begin(void);
void bar_show(struct bar *bar, size_t done, size_t total);
void bar_hide(struct bar *bar); /* leaves an empty line, whatever was shown */

#endif
