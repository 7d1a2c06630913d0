/* view_text.c - writes a view as text for a terminal: heat maps, tables, and the summary last.
 *
 * Escape sequences, with colour only: ESC[48;5;Nm background, ESC[38;5;Nm foreground of the
 * 256-colour palette; ESC[1m bold; ESC[0m all off. */
#include "cli/inspect/view.h"
#include "cli/io/wrap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Shades from dark to light, each with a colour for letters on it. */
static const struct shade {
    int back, front;
} ramp[] = {{17, 255}, {18, 255}, {24, 255}, {30, 255}, {36, 16},
            {72, 16},  {108, 16}, {150, 16}, {192, 16}, {228, 16}},
  below[] = {{0, 0}, {17, 255}, {18, 255}, {20, 255}, {27, 255}, {33, 16}},
  above[] = {{0, 0}, {52, 255}, {88, 255}, {124, 255}, {160, 255}, {203, 16}};

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

static struct shade shade_of(const struct map *map, double shade) {
    const struct shade *list = !map->diverging ? ramp : shade < 0 ? below : above;
    int n = !map->diverging ? COUNT(ramp) : COUNT(above);
    int step = (int)(fabs(shade) * n);
    return list[step < n ? step : n - 1];
}

/* Writes a label, cut or padded to `width` characters; left-aligned if width < 0. A leading space
 * becomes a middle dot. */
static void put_label(struct buffer *out, struct label label, int width) {
    int room = width < 0 ? -width : width, used = label_width(label);
    if (width > 0 && used < room)
        buffer_format(out, "%*s", room - used, "");
    char c[ESCAPE_BYTES];
    int at_column = 0;
    for (size_t at = 0; label_next(label, &at, c);) {
        int n = c[0] == '\\' ? (int)strlen(c) : 1;
        if (at_column + n > room)
            break;
        buffer_text(out, at == 1 && c[0] == ' ' ? "·" : c);
        at_column += n;
    }
    if (at_column < room && (width < 0 || used > room))
        buffer_format(out, "%*s", room - at_column, "");
}

/* Writes a number in `width` characters, with fewer digits if it is too long. */
static void put_number(struct buffer *out, const char *format, double number, int width) {
    char text[400] = "";
    if (!isnan(number)) {
        snprintf(text, sizeof text, format, number);
        if (number == 0 || strspn(text, "-0.") == strlen(text))
            memmove(text, text + (text[0] == '-'), strlen(text + (text[0] == '-')) + 1); // not -0.0
        for (int digits = 3; (int)strlen(text) > width && digits > 0; digits--)
            snprintf(text, sizeof text, "%.*g", digits, number);
    }
    buffer_format(out, "%*s", width, text);
}

static void put_map_cell(struct buffer *out, const struct map *map, const struct map_scale *scale,
                         int row, int column, bool color) {
    double shade = map_shade(map, scale, row, column);
    bool painted = color && !isnan(shade);
    if (painted) {
        struct shade s = shade_of(map, shade);
        if (s.back && !(map->total && row == map->n_rows - 1))
            buffer_format(out, "\033[48;5;%dm\033[38;5;%dm", s.back, s.front);
    }
    size_t i = (size_t)row * (size_t)map->n_columns + (size_t)column;
    if (map->texts)
        put_label(out, map->texts[i], map->width);
    else
        put_number(out, map->format, map->values[i], map->width);
    if (painted)
        buffer_text(out, "\033[0m");
}

/* Writes a bar after a first column that has its own scale. */
static void put_gap(struct buffer *out, const struct map *map, int column) {
    buffer_text(out, map->apart && column == 1 ? " | " : " ");
}

/* Writes columns from `first` on, as many as fit. Returns the first that does not. */
static int put_map_block(struct buffer *out, const struct map *map, const struct map_scale *scale,
                         int first, int label, int width, bool color) {
    int fit = (width - label - 2) / (map->width + 1);
    int end = first + (fit < 1 ? 1 : fit);
    end = end < map->n_columns ? end : map->n_columns;
    buffer_format(out, "%*s", label, "");
    for (int c = first; c < end; c++) {
        put_gap(out, map, c);
        put_label(out, map->columns[c], map->width);
    }
    buffer_byte(out, '\n');
    for (int r = 0; r < map->n_rows; r++) {
        put_label(out, map->rows[r], -label);
        for (int c = first; c < end; c++) {
            put_gap(out, map, c);
            put_map_cell(out, map, scale, r, c, color);
        }
        buffer_byte(out, '\n');
    }
    return end;
}

static void put_heading(struct buffer *out, const char *text, int width, bool color) {
    buffer_text(out, color ? "\033[1m" : "");
    wrap_text(out, text, 0, 0, width);
    if (color && !out->failed) {
        out->len--; // the newline comes after
        buffer_text(out, "\033[0m\n");
    }
}

static void put_map(struct buffer *out, const struct map *map, int width, bool color) {
    int label = 0;
    for (int r = 0; r < map->n_rows; r++) {
        int n = label_width(map->rows[r]);
        label = n > label ? n : label;
    }
    label = label > 14 ? 14 : label;
    put_heading(out, map->title, width, color);
    if (map->note)
        wrap_text(out, map->note, 0, 0, width);
    char legend[160];
    map_legend(map, legend);
    if (color && *legend)
        wrap_text(out, legend, 0, 0, width);
    struct map_scale scale = map_scale(map);
    for (int c = 0; c < map->n_columns;) {
        c = put_map_block(out, map, &scale, c, label, width, color);
        buffer_byte(out, '\n');
    }
}

static void put_cell(struct buffer *out, const struct column *column, const struct cell *cell,
                     int width) {
    if (cell->text.bytes)
        put_label(out, cell->text, width);
    else
        put_number(out, column->format, cell->number, width < 0 ? -width : width);
}

static bool same_cell(const struct cell *a, const struct cell *b) {
    if (a->text.bytes || b->text.bytes)
        return a->text.n == b->text.n && !memcmp(a->text.bytes, b->text.bytes, a->text.n);
    return a->number == b->number;
}

static void put_group(struct buffer *out, const struct view_table *table, int row) {
    bool same = row > 0;
    for (int c = 0; c < table->n_group && same; c++)
        same = same_cell(table_cell(table, row, c), table_cell(table, row - 1, c));
    if (same)
        return;
    if (row > 0)
        buffer_byte(out, '\n');
    for (int c = 0; c < table->n_group; c++) {
        const struct cell *cell = table_cell(table, row, c);
        buffer_format(out, "%s%s ", c ? "  " : "", table->columns[c].name);
        put_cell(out, &table->columns[c], cell, cell->text.bytes ? label_width(cell->text) : 1);
    }
    buffer_byte(out, '\n');
}

static void put_table(struct buffer *out, const struct view_table *table, int width, bool color) {
    put_heading(out, table->title, width, color);
    const char *gap = "";
    for (int c = table->n_group; c < table->n_columns; c++) {
        const struct column *column = &table->columns[c];
        if (!column->width)
            continue;
        buffer_text(out, gap);
        put_label(out, (struct label){column->name, strlen(column->name)}, column->width);
        gap = " ";
    }
    buffer_byte(out, '\n');
    for (int r = 0; r < table->n_rows; r++) {
        if (table->n_group)
            put_group(out, table, r);
        gap = "";
        for (int c = table->n_group; c < table->n_columns; c++) {
            if (!table->columns[c].width)
                continue;
            buffer_text(out, gap);
            put_cell(out, &table->columns[c], table_cell(table, r, c), table->columns[c].width);
            gap = " ";
        }
        buffer_byte(out, '\n');
    }
    buffer_byte(out, '\n');
}

static bool is_shown(const struct view_table *table) {
    for (int c = 0; c < table->n_columns; c++)
        if (table->columns[c].width)
            return true;
    return false;
}

void view_write_text(struct buffer *out, const struct view *view, int width, bool color) {
    for (int i = 0; i < view->n_tables; i++)
        if (is_shown(&view->tables[i]))
            put_table(out, &view->tables[i], width, color);
    for (int i = 0; i < view->n_maps; i++)
        put_map(out, &view->maps[i], width, color);
    view_write_words(out, view, width, color);
}

void view_write_words(struct buffer *out, const struct view *view, int width, bool color) {
    put_heading(out, "In words", width, color);
    for (int i = 0; i < view->n_sentences; i++) {
        buffer_text(out, "- ");
        wrap_text(out, view->sentences[i], 2, 2, width);
    }
}
