/* view_svg.c - draws the maps of a view as one picture: SVG 1.1 without scripts or external files.
 *
 * A cell's shade is the opacity of one colour over the background, so letters keep their contrast
 * in a light and a dark scheme. Renderers without CSS show the light one.
 *
 * From top to bottom: the title, then for each map its heading, its chart if there is one, and its
 * grid. A grid that is too wide continues in a block below. */
#include "cli/inspect/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MARGIN       24
#define LABEL        96 /* width of row names          */
#define CELL_HEIGHT  22
#define GRID_WIDTH   900 /* of cells in one block       */
#define GAP          14  /* after a first column with its own scale */
#define CHART        220 /* height of a chart           */
#define N_HUES       8   /* colours of lines            */
#define CHART_LEGEND 110

#define SANS "font-family=\"system-ui,'DejaVu Sans',sans-serif\""

/* How an element looks: the light scheme by attributes, which every renderer knows; the dark one by
 * a rule for its class, which browsers read. */
static const struct look {
    const char *class, *attributes, *dark; /* dark: NULL where it is the same */
} looks[] = {
    {"paper", "fill=\"#fff\"", "fill:#16181c"},
    {"ink",
     "fill=\"#1b1b1b\" font-size=\"12\" "
     "font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\"",
     "fill:#f0f0f0"},
    {"t", SANS " font-size=\"17\" font-weight=\"600\"", NULL}, /* title    */
    {"h", SANS " font-size=\"14\" font-weight=\"600\"", NULL}, /* heading  */
    {"n", SANS " fill=\"#5c5c5c\"", "fill:#a8adb5"},           /* note     */
    {"r", "text-anchor=\"end\"", NULL},
    {"c", "text-anchor=\"middle\"", NULL},
    {"g", "fill=\"none\" stroke=\"#d8d8d8\"", "stroke:#3a3e46"}, /* grid line */
    {"l", "fill=\"none\" stroke-width=\"2\"", NULL},             /* line      */
    {"f", "stroke-dasharray=\"6 4\"", NULL},
    {"p", "fill=\"#e8863b\"", "fill:#b4561c"}, /* above zero */
    {"m", "fill=\"#5b8fd9\"", "fill:#3566ad"}, /* below      */
    {"s0", "stroke=\"#333\"", "stroke:#e0e0e0"},
    {"s1", "stroke=\"#c2410c\"", "stroke:#ff9358"},
    {"s2", "stroke=\"#1d6fb8\"", "stroke:#6db3f2"},
    {"s3", "stroke=\"#2e7d32\"", "stroke:#81c784"},
    {"s4", "stroke=\"#8e3ba8\"", "stroke:#ce93d8"},
    {"s5", "stroke=\"#b8860b\"", "stroke:#e6c04c"},
    {"s6", "stroke=\"#00838f\"", "stroke:#4dd0e1"},
    {"s7", "stroke=\"#c2185b\"", "stroke:#f48fb1"},
};

#define N_LOOKS (sizeof looks / sizeof *looks)

/* Begins an element with its classes, separated by spaces, and what they look like. */
static void put_element(struct buffer *out, const char *element, const char *classes) {
    buffer_format(out, "<%s class=\"%s\"", element, classes);
    for (const char *at = classes; *at;) {
        size_t n = strcspn(at, " ");
        for (size_t i = 0; i < N_LOOKS; i++)
            if (strlen(looks[i].class) == n && !memcmp(looks[i].class, at, n))
                buffer_format(out, " %s", looks[i].attributes);
        at += n + (at[n] == ' ');
    }
}

static void put_dark_scheme(struct buffer *out) {
    buffer_text(out, "<style>@media(prefers-color-scheme:dark){");
    for (size_t i = 0; i < N_LOOKS; i++)
        if (looks[i].dark)
            buffer_format(out, ".%s{%s}", looks[i].class, looks[i].dark);
    buffer_text(out, "}</style>\n");
}

/* Writes a label as XML text, at most `most` characters. A leading space becomes a middle dot. */
static void put_label(struct buffer *out, struct label label, int most) {
    char c[ESCAPE_BYTES];
    bool cut = label_width(label) > most;
    int n = 0;
    for (size_t at = 0; label_next(label, &at, c); n++) {
        if (cut && n + 1 >= most) {
            buffer_text(out, "…");
            return;
        }
        if (*c == '<' || *c == '>' || *c == '&')
            buffer_text(out, *c == '<' ? "&lt;" : *c == '>' ? "&gt;" : "&amp;");
        else
            buffer_text(out, at == 1 && *c == ' ' ? "·" : c);
    }
}

static void put_string(struct buffer *out, const char *text) {
    put_label(out, (struct label){text, strlen(text)}, 10000);
}

static void put_text(struct buffer *out, const char *class, double x, double y, const char *text) {
    put_element(out, "text", class);
    buffer_format(out, " x=\"%.1f\" y=\"%.1f\">", x, y);
    put_string(out, text);
    buffer_text(out, "</text>\n");
}

static int cell_width(const struct map *map) {
    return map->width * 8 + 6;
}

static int columns_of_block(const struct map *map) {
    int n = GRID_WIDTH / cell_width(map);
    return n < 1 ? 1 : n;
}

static int header_height(const struct map *map) {
    return cell_width(map) < 50 ? 56 : 18;
}

static double column_x(const struct map *map, int column, int first) {
    double gap = map->apart && first == 0 && column > 0 ? GAP : 0;
    return MARGIN + LABEL + (column - first) * cell_width(map) + gap;
}

static void put_number(struct buffer *out, const char *format, double number) {
    char text[400];
    snprintf(text, sizeof text, format, number);
    buffer_text(out, text[0] == '-' && strspn(text, "-0.") == strlen(text) ? text + 1 : text);
}

static void put_cell(struct buffer *out, const struct map *map, const struct map_scale *scale,
                     int row, int column, double x, double y) {
    double shade = map_shade(map, scale, row, column);
    if (isnan(shade))
        return;
    int width = cell_width(map);
    put_element(out, "rect", shade < 0 ? "m" : "p");
    buffer_format(out, " x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill-opacity=\"%.3f\"/>",
                  x, y, width - 1, CELL_HEIGHT - 1, 0.04 + 0.86 * fabs(shade));
    put_element(out, "text", "c");
    buffer_format(out, " x=\"%.1f\" y=\"%.1f\">", x + (width - 1) / 2.0, y + CELL_HEIGHT - 7);
    size_t i = (size_t)row * (size_t)map->n_columns + (size_t)column;
    if (map->texts)
        put_label(out, map->texts[i], map->width);
    else
        put_number(out, map->format, map->values[i]);
    buffer_text(out, "</text>\n");
}

static void put_column_name(struct buffer *out, const struct map *map, int column, double x,
                            double y) {
    double middle = x + (cell_width(map) - 1) / 2.0;
    if (cell_width(map) < 50) {
        buffer_format(out, "<text x=\"%.1f\" y=\"%.1f\" transform=\"rotate(-50 %.1f %.1f)\">",
                      middle, y - 2, middle, y - 2);
        put_label(out, map->columns[column], 9);
    } else {
        put_element(out, "text", "c");
        buffer_format(out, " x=\"%.1f\" y=\"%.1f\">", middle, y - 6);
        put_label(out, map->columns[column], map->width);
    }
    buffer_text(out, "</text>\n");
}

static double put_grid(struct buffer *out, const struct map *map, double y) {
    struct map_scale scale = map_scale(map);
    int step = columns_of_block(map);
    for (int first = 0; first < map->n_columns; first += step) {
        int end = first + step < map->n_columns ? first + step : map->n_columns;
        y += header_height(map);
        for (int c = first; c < end; c++)
            put_column_name(out, map, c, column_x(map, c, first), y);
        for (int r = 0; r < map->n_rows; r++) {
            put_element(out, "text", "r");
            buffer_format(out, " x=\"%d\" y=\"%.1f\">", MARGIN + LABEL - 8, y + CELL_HEIGHT - 7);
            put_label(out, map->rows[r], 12);
            buffer_text(out, "</text>\n");
            for (int c = first; c < end; c++)
                put_cell(out, map, &scale, r, c, column_x(map, c, first), y);
            y += CELL_HEIGHT;
        }
        y += 12;
    }
    return y;
}

static double grid_height(const struct map *map) {
    int step = columns_of_block(map), blocks = (map->n_columns + step - 1) / step;
    return blocks * (header_height(map) + map->n_rows * CELL_HEIGHT + 12.0);
}

/* ---- a chart: rows along the x axis, a line for each column ---- */

struct axes {
    double left, right, top, bottom; /* in the picture */
    double low, high;                /* range of values, logarithms if log */
    bool log;
    int n; /* points of each line */
};

static struct axes axes_of(const struct map *map, double y) {
    struct map_scale s = map_scale(map);
    double low = fmin(s.low, s.first_low), high = fmax(s.high, s.first_high);
    struct axes a = {.left = MARGIN + LABEL,
                     .right = MARGIN + LABEL + GRID_WIDTH - CHART_LEGEND,
                     .top = y + 8,
                     .bottom = y + CHART - 28,
                     .log = map->log && low > 0,
                     .n = map->n_rows};
    a.low = a.log ? log10(low) : fmin(low, 0);
    a.high = a.log ? log10(high) : high;
    double air = a.high > a.low ? 0.04 * (a.high - a.low) : 0.5;
    a.low -= a.log || a.low < 0 || a.high == a.low ? air : 0;
    a.high += air;
    return a;
}

static double axes_x(const struct axes *a, int i) {
    return a->n < 2 ? (a->left + a->right) / 2 : a->left + (a->right - a->left) * i / (a->n - 1);
}

static double axes_y(const struct axes *a, double value) {
    double v = a->log ? log10(value) : value;
    return a->bottom - (a->bottom - a->top) * (v - a->low) / (a->high - a->low);
}

static void put_tick(struct buffer *out, const struct axes *a, double value) {
    double y = axes_y(a, value);
    if (y < a->top - 1 || y > a->bottom + 1)
        return;
    put_element(out, "path", "g");
    buffer_format(out, " d=\"M%.1f %.1fH%.1f\"/>", a->left, y, a->right);
    put_element(out, "text", "r");
    buffer_format(out, " x=\"%.1f\" y=\"%.1f\">%.4g</text>\n", a->left - 8, y + 4, value);
}

/* Ticks at 1, 2 and 5 times powers of ten, or at five equal steps. */
static void put_ticks(struct buffer *out, const struct axes *a) {
    if (a->log) {
        double steps[] = {1, 2, 5};
        int n = a->high - a->low > 3 ? 1 : 3;
        for (double power = floor(a->low); power <= a->high; power++)
            for (int i = 0; i < n; i++)
                put_tick(out, a, steps[i] * pow(10, power));
    } else {
        for (int i = 0; i <= 4; i++)
            put_tick(out, a, a->low + (a->high - a->low) * i / 4);
    }
}

/* The line of a column; many lines are all alike but the first. */
static void put_line_element(struct buffer *out, const struct map *map, int column) {
    char classes[32];
    int hue = column == 0 ? 0 : map->n_columns > N_HUES ? 2 : column % N_HUES;
    snprintf(classes, sizeof classes, "l s%d%s", hue, map->apart && column == 0 ? " f" : "");
    put_element(out, "path", classes);
}

static void put_line(struct buffer *out, const struct map *map, const struct axes *a, int column) {
    put_line_element(out, map, column);
    buffer_format(out, "%s d=\"",
                  map->n_columns > N_HUES && column ? " stroke-opacity=\"0.35\"" : "");
    bool pen = false;
    for (int r = 0; r < map->n_rows; r++) {
        double value = *map_value(map, r, column);
        if (isnan(value)) {
            pen = false;
            continue;
        }
        buffer_format(out, "%s%.1f %.1f", pen ? "L" : "M", axes_x(a, r), axes_y(a, value));
        pen = true;
    }
    buffer_text(out, "\"/>\n");
}

/* The key of a line and its name, in the order of the columns. */
static void put_key(struct buffer *out, const struct map *map, const struct axes *a, int column) {
    bool many = map->n_columns > N_HUES;
    if (many && column > 1)
        return;
    double x = a->right + 12, y = a->top + 10 + column * 18;
    put_line_element(out, map, column);
    buffer_format(out, " d=\"M%.1f %.1fh18\"/><text x=\"%.1f\" y=\"%.1f\">", x, y - 4, x + 24, y);
    if (many && column == 1)
        buffer_text(out, "the others");
    else
        put_label(out, map->columns[column], 10);
    buffer_text(out, "</text>\n");
}

static double put_chart(struct buffer *out, const struct map *map, double y) {
    struct axes a = axes_of(map, y);
    put_ticks(out, &a);
    int every = (map->n_rows + 11) / 12;
    for (int r = 0; r < map->n_rows; r += every) {
        put_element(out, "text", "c");
        buffer_format(out, " x=\"%.1f\" y=\"%.1f\">", axes_x(&a, r), a.bottom + 18);
        put_label(out, map->rows[r], 9);
        buffer_text(out, "</text>\n");
    }
    for (int c = map->n_columns - 1; c >= 0; c--)
        put_line(out, map, &a, c);
    for (int c = 0; c < map->n_columns; c++)
        put_key(out, map, &a, c);
    return y + CHART;
}

/* ---- the whole ---- */

/* The line under a map's title. */
static void write_note(const struct map *map, char out[512]) {
    char legend[160];
    map_legend(map, legend);
    snprintf(out, 512, "%s%s%s", map->note ? map->note : "", map->note && *legend ? ". " : "",
             legend);
}

static double map_height(const struct map *map) {
    char note[512];
    write_note(map, note);
    return 30 + (*note ? 18 : 0) + (map->chart ? CHART + 8 : 0) + 8 + grid_height(map) + 14;
}

static double map_width(const struct map *map) {
    int columns = columns_of_block(map);
    columns = map->n_columns < columns ? map->n_columns : columns;
    double width = LABEL + columns * cell_width(map) + (map->apart ? GAP : 0);
    if (cell_width(map) < 50)
        width += 40; // the last column name is slanted and sticks out
    return map->chart && width < LABEL + GRID_WIDTH ? LABEL + GRID_WIDTH : width;
}

void view_write_svg(struct buffer *out, const struct view *view) {
    double height = MARGIN + 30, width = 560;
    char note[512];
    for (int i = 0; i < view->n_maps; i++) {
        height += map_height(&view->maps[i]);
        width = fmax(width, map_width(&view->maps[i]));
        write_note(&view->maps[i], note); // a letter is about 6.4 wide
        width = fmax(width, 6.4 * (double)strlen(note));
    }
    width += 2 * MARGIN;
    buffer_format(out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
                  width, height, width, height);
    put_string(out, view->title);
    buffer_text(out, "</title>\n");
    put_dark_scheme(out);
    put_element(out, "rect", "paper");
    buffer_text(out, " width=\"100%\" height=\"100%\"/>\n");
    put_element(out, "g", "ink");
    buffer_text(out, ">\n");
    double y = MARGIN + 16;
    put_text(out, "t", MARGIN, y, view->title);
    y += 14;
    for (int i = 0; i < view->n_maps; i++) {
        const struct map *map = &view->maps[i];
        y += 30;
        put_text(out, "h", MARGIN, y, map->title);
        write_note(map, note);
        if (*note)
            put_text(out, "n", MARGIN, y += 18, note);
        if (map->chart)
            y = put_chart(out, map, y + 8);
        y = put_grid(out, map, y + 8) + 14;
    }
    buffer_text(out, "</g>\n</svg>\n");
}
