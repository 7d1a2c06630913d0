/* bar.c - "[##########                              ]  25 %" */
#include "cli/bar.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 40

struct bar bar_begin(void) {
    return (struct bar){.shown = isatty(STDERR_FILENO), .percent = -1};
}

void bar_show(struct bar *bar, size_t done, size_t total) {
    int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
    if (!bar->shown || percent == bar->percent)
        return;
    char text[WIDTH + 1];
    memset(text, ' ', WIDTH);
    memset(text, '#', (size_t)(percent * WIDTH / 100));
    text[WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3d %%", text, percent);
    bar->percent = percent;
}

void bar_hide(struct bar *bar) {
    if (bar->shown && bar->percent >= 0)
        fprintf(stderr, "\r%*s\r", WIDTH + 8, "");
    bar->percent = -1;
}
