/* view.h - the results of an inspection, independent of the form in which they are shown.
 *
 * A view has sentences (the summary), facts (its numbers by name), tables (all details) and maps (a
 * number for each row and column, shown as shades). view_text.c, view_tsv.c, view_json.c and
 * view_svg.c each write a whole view in one form and compute nothing.
 *
 * A view owns everything in it. If memory runs out, `failed` is set, view_alloc, view_table and
 * view_map return NULL, and strings become "". */
#ifndef CLI_INSPECT_VIEW_H
#define CLI_INSPECT_VIEW_H

#include "base/buffer.h"
#include "base/escape.h"
#include <stdbool.h>
#include <stddef.h>

/* Bytes, often of a token; any bytes are allowed. */
struct label {
    const char *bytes;
    size_t n;
};

struct cell {
    struct label text; /* bytes == NULL: a number */
    double number;     /* NaN: an empty cell      */
};

struct column {
    const char *name;   /* of the field in TSV and JSON */
    const char *format; /* for numbers in text: "%.2f" */
    int width;          /* on a terminal; 0: not shown there; negative: left-aligned */
};

struct view_table {
    const char *name;  /* of the list in JSON */
    const char *title; /* for people          */
    const struct column *columns;
    int n_columns;
    int n_group; /* so many first columns become a heading when they change */
    int n_rows;
    struct cell *cells; /* [n_rows][n_columns] */
};

struct map {
    const char *name, *title;
    const char *note;   /* how to read the map; NULL: none */
    const char *shaded; /* what the colours show; NULL: the numbers */
    int n_rows, n_columns;
    struct label *rows, *columns;
    double *values;      /* [n_rows][n_columns]; NaN: no cell           */
    struct label *texts; /* texts of the cells; NULL: their numbers     */
    const char *format;
    int width;      /* of a cell, in characters                          */
    bool log;       /* logarithmic colours and axes                      */
    bool diverging; /* the scale is symmetric around 0                   */
    bool apart;     /* the first column has its own scale                */
    bool total;     /* the last row is not coloured and not in the scale */
    bool chart;     /* the picture also has a chart: a line per column */
};

struct fact {
    const char *name;
    double value;
};

#define VIEW_LIST 24

struct view {
    const char *what;  /* "layernorm"                     */
    const char *model; /* its path                        */
    const char *title; /* of the picture                  */
    struct view_table tables[4];
    struct map maps[6];
    struct fact facts[VIEW_LIST];
    const char *sentences[VIEW_LIST];
    int n_tables, n_maps, n_facts, n_sentences;

    struct view_block *blocks; /* owned memory */
    bool failed;               /* memory ran out */
};

void view_free(struct view *view);

/* Zeroed memory, freed with the view. NULL if memory ran out: `failed` is set. */
void *view_alloc(struct view *view, size_t count, size_t size);

/* Formats a string that the view owns; "" if memory ran out. */
const char *view_format(struct view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct label view_label(struct view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void view_sentence(struct view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void view_fact(struct view *view, const char *name, double value);

/* Adds a table or a map with room for its cells; NULL if memory ran out. */
struct view_table *view_table(struct view *view, const char *name, const char *title,
                              const struct column *columns, int n_columns, int n_rows);
struct map *view_map(struct view *view, const char *name, const char *title, int n_rows,
                     int n_columns);

struct cell *table_cell(const struct view_table *table, int row, int column);
double *map_value(const struct map *map, int row, int column);

/* map_shade: how dark a cell is, 0 to 1 (-1 to 1 if diverging), on its column's scale; NaN: no
 * cell. */
struct map_scale {
    double low, high;             /* of all columns; if `apart`, without the first */
    double first_low, first_high; /* of the first column                           */
};
struct map_scale map_scale(const struct map *map);
double map_shade(const struct map *map, const struct map_scale *scale, int row, int column);

/* What the colours of a map mean, a sentence without its full stop, where that is more than the
 * numbers on one plain scale; "" elsewhere. Only a form that has colours says it. */
void map_legend(const struct map *map, char out[160]);

/* ---- the forms ---- */

/* Text for a terminal of `width` columns, with ANSI colours if `color`. */
void view_write_text(struct buffer *out, const struct view *view, int width, bool color);

/* The summary alone, which ends that text. */
void view_write_words(struct buffer *out, const struct view *view, int width, bool color);

/* The tables as tab-separated values, each with a line of names, separated by empty lines. */
void view_write_tsv(struct buffer *out, const struct view *view);

/* One JSON object. */
void view_write_json(struct buffer *out, const struct view *view);

/* The maps and charts as a self-contained SVG. */
void view_write_svg(struct buffer *out, const struct view *view);

/* ---- bytes as text, for the forms ---- */

/* Reads the character at *at and advances *at. A valid UTF-8 character is copied to `out`, anything
 * else becomes an escape (\n, \t, \\, \xNN), NUL-terminated. Returns false at the end. */
bool label_next(struct label label, size_t *at, char out[ESCAPE_BYTES]);

/* The width of a label in characters, escapes included. */
int label_width(struct label label);

enum view_format { VIEW_TEXT, VIEW_TSV, VIEW_JSON, VIEW_WORDS };

/* The form of the output. */
struct view_form {
    int format;         /* enum view_format                                               */
    const char *output; /* the file; NULL or "-": standard output                         */
    const char *svg;    /* file for a picture in addition; "-": the picture only; NULL: none */
    int color;          /* enum color_mode, terminal.h                                    */
};

/* Prints the view and writes the picture. Returns the exit code; errors are reported. */
int view_show(const struct view *view, const struct view_form *form);

#endif
