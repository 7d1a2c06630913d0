/* bar.c - "[##########                              ]  25 %" */
#include "cli/terminal/bar.h"
#include "cli/io/terminal.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 40

struct bar bar_begin(void) {
    return (struct bar){.percent = -1};
}

void bar_show(struct bar *bar, size_t done, size_t total) {
    int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
    if (percent == bar->percent)
        return;
    char text[WIDTH + 16], filled[WIDTH + 1];
    memset(filled, ' ', WIDTH);
    memset(filled, '#', (size_t)(percent * WIDTH / 100));
    filled[WIDTH] = 0;
    snprintf(text, sizeof text, "[%s] %3d %%", filled, percent);
    terminal_status(text);
    bar->percent = percent;
}

void bar_hide(struct bar *bar) {
    terminal_clear_status();
    bar->percent = -1;
}
