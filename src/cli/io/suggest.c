/* suggest.c - finds the name nearest to a mistyped one, by edit distance. */
#include "cli/io/suggest.h"

#include <string.h>

#define MAX_WORD 31 /* longest word for which a name is suggested */

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Edit distance, with a swap of neighbours as one edit (optimal string alignment). */
static int distance(const char *a, size_t n, const char *b) {
    size_t m = strlen(b);
    int d[MAX_WORD + 1][MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD)
        return 99;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                            least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

void suggest(struct suggestion *best, const char *word, size_t n, const char *name) {
    int d = distance(word, n, name);
    if (d < best->distance && 2 * (size_t)d <= n) // else hardly a letter of it is left
        *best = (struct suggestion){name, d};
}
