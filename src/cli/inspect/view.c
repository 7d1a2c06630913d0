/* view.c - builds a view: sentences, facts, tables and maps. */
#include "cli/inspect/view.h"
#include "base/escape.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view_block {
    struct view_block *next;
    max_align_t data[];
};

void view_free(struct view *view) {
    while (view->blocks) {
        struct view_block *next = view->blocks->next;
        free(view->blocks);
        view->blocks = next;
    }
}

void *view_alloc(struct view *view, size_t count, size_t size) {
    struct view_block *block = NULL;
    if (!size || count <= (SIZE_MAX / 2 - sizeof *block) / size)
        block = calloc(1, sizeof *block + count * size + 1);
    if (!block) {
        view->failed = true;
        return NULL;
    }
    block->next = view->blocks;
    view->blocks = block;
    return block->data;
}

static const char *format_args(struct view *view, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = n < 0 ? NULL : view_alloc(view, (size_t)n + 1, 1);
    if (!text)
        return "";
    vsnprintf(text, (size_t)n + 1, format, args);
    return text;
}

const char *view_format(struct view *view, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = format_args(view, format, args);
    va_end(args);
    return text;
}

struct label view_label(struct view *view, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = format_args(view, format, args);
    va_end(args);
    return (struct label){text, strlen(text)};
}

void view_sentence(struct view *view, const char *format, ...) {
    if (view->n_sentences == VIEW_LIST)
        return;
    va_list args;
    va_start(args, format);
    view->sentences[view->n_sentences++] = format_args(view, format, args);
    va_end(args);
}

void view_fact(struct view *view, const char *name, double value) {
    if (view->n_facts < VIEW_LIST)
        view->facts[view->n_facts++] = (struct fact){name, value};
}

struct view_table *view_table(struct view *view, const char *name, const char *title,
                              const struct column *columns, int n_columns, int n_rows) {
    struct view_table *table = &view->tables[view->n_tables];
    *table = (struct view_table){
        .name = name, .title = title, .columns = columns, .n_columns = n_columns, .n_rows = n_rows};
    table->cells = view_alloc(view, (size_t)n_rows * (size_t)n_columns, sizeof *table->cells);
    if (!table->cells)
        return NULL;
    view->n_tables++;
    return table;
}

struct map *view_map(struct view *view, const char *name, const char *title, int n_rows,
                     int n_columns) {
    struct map *map = &view->maps[view->n_maps];
    *map = (struct map){.name = name,
                        .title = title,
                        .n_rows = n_rows,
                        .n_columns = n_columns,
                        .format = "%.1f",
                        .width = 7};
    map->rows = view_alloc(view, (size_t)n_rows, sizeof *map->rows);
    map->columns = view_alloc(view, (size_t)n_columns, sizeof *map->columns);
    map->values = view_alloc(view, (size_t)n_rows * (size_t)n_columns, sizeof *map->values);
    if (!map->rows || !map->columns || !map->values)
        return NULL;
    view->n_maps++;
    return map;
}

struct cell *table_cell(const struct view_table *table, int row, int column) {
    return &table->cells[(size_t)row * (size_t)table->n_columns + (size_t)column];
}

double *map_value(const struct map *map, int row, int column) {
    return &map->values[(size_t)row * (size_t)map->n_columns + (size_t)column];
}

static void extend(double value, double *low, double *high) {
    if (isnan(value))
        return;
    *low = value < *low ? value : *low;
    *high = value > *high ? value : *high;
}

void map_legend(const struct map *map, char out[160]) {
    const char *what = map->shaded ? map->shaded : "";
    const char *how = map->log ? "a logarithmic scale" : "";
    const char *first = map->apart ? "the first column has a scale of its own" : "";
    snprintf(out, 160, "%s%s%s%s%s%s", *what || *how || *first ? "Colours: " : "", what,
             *what && *how ? ", on " : "", how, (*what || *how) && *first ? "; " : "", first);
}

struct map_scale map_scale(const struct map *map) {
    struct map_scale s = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    bool apart = map->apart && map->n_columns > 1;
    for (int r = 0; r < map->n_rows - map->total; r++) {
        extend(*map_value(map, r, 0), &s.first_low, &s.first_high);
        for (int c = apart; c < map->n_columns; c++)
            extend(*map_value(map, r, c), &s.low, &s.high);
    }
    if (!apart) {
        s.first_low = s.low;
        s.first_high = s.high;
    }
    return s;
}

double map_shade(const struct map *map, const struct map_scale *scale, int row, int column) {
    double value = *map_value(map, row, column);
    double low = column ? scale->low : scale->first_low;
    double high = column ? scale->high : scale->first_high;
    if (isnan(value) || (map->total && row == map->n_rows - 1))
        return isnan(value) ? NAN : 0;
    if (map->diverging) {
        double most = fmax(fabs(low), fabs(high));
        return most > 0 ? value / most : 0;
    }
    if (map->log && low > 0) {
        low = log(low);
        high = log(high);
        value = log(value);
    }
    return high > low ? (value - low) / (high - low) : 0;
}

bool label_next(struct label label, size_t *at, char out[ESCAPE_BYTES]) {
    if (*at >= label.n)
        return false;
    *at += escape_field(out, (const unsigned char *)label.bytes + *at, label.n - *at);
    return true;
}

int label_width(struct label label) {
    int width = 0;
    char c[ESCAPE_BYTES];
    for (size_t at = 0; label_next(label, &at, c);)
        width += c[0] == '\\' ? (int)strlen(c) : 1;
    return width;
}
