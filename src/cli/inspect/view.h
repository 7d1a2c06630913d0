/* view.h - what `gpt2 inspect` found, before it is decided how it is shown.
 *
 * A view has sentences (the summary in words), facts (the same numbers by name), tables (all
 * details) and maps (a number for each row and column, for the eye). Four files each write a whole
 * view in one form: view_text.c for people, view_tsv.c, view_json.c, view_svg.c. Nothing is
 * computed there.
 *
 * Everything in a view is owned by it. Builders need not check each step: when memory runs out
 * `failed` is set, and what was asked for is still valid to write to. */
#ifndef CLI_INSPECT_VIEW_H
#define CLI_INSPECT_VIEW_H

#include "base/escape.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes, often a token's: they may hold anything. */
struct label {
    const char *bytes;
    size_t n;
};

struct cell {
    struct label text; /* bytes == NULL: a number */
    double number;     /* NaN: nothing            */
};

struct column {
    const char *name;   /* of the field in TSV and JSON */
    const char *format; /* of numbers for people: "%.2f" */
    int width;          /* on a terminal; 0: not shown there; negative: left-aligned */
};

struct table {
    const char *name;  /* of the list in JSON */
    const char *title; /* for people          */
    const struct column *columns;
    int n_columns;
    int n_group; /* the first columns make a heading where they change */
    int n_rows;
    struct cell *cells; /* [n_rows][n_columns] */
};

struct map {
    const char *name, *title;
    const char *note; /* how to read it, or NULL */
    int n_rows, n_columns;
    struct label *rows, *columns;
    double *values;      /* [n_rows][n_columns]; NaN: no cell           */
    struct label *texts; /* what the cells say, or NULL: their numbers  */
    const char *format;
    int width;      /* of a cell, in characters                          */
    bool log;       /* the scale of colours and axes                     */
    bool diverging; /* from negative to positive, 0 in the middle        */
    bool apart;     /* the first column has a scale of its own           */
    bool total;     /* the last row is no part of the scale, and not coloured */
    bool chart;     /* a picture also has it as lines, one for each column */
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
    struct table tables[4];
    struct map maps[6];
    struct fact facts[VIEW_LIST];
    const char *sentences[VIEW_LIST];
    int n_tables, n_maps, n_facts, n_sentences;

    struct view_block *blocks; /* owned memory */
    bool failed;               /* memory ran out */
};

void view_free(struct view *view);

/* Zeroed memory that lives as long as the view. NULL only if the system has no memory at all even
 * for an apology: then `failed` is set, and the caller must not go on. */
void *view_alloc(struct view *view, size_t count, size_t size);

/* printf into the view; "" where memory ran out. */
const char *view_format(struct view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct label view_label(struct view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void view_sentence(struct view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void view_fact(struct view *view, const char *name, double value);

/* Add a table or a map with room for its cells; NULL where memory ran out. */
struct table *view_table(struct view *view, const char *name, const char *title,
                         const struct column *columns, int n_columns, int n_rows);
struct map *view_map(struct view *view, const char *name, const char *title, int n_rows,
                     int n_columns);

struct cell *table_cell(const struct table *table, int row, int column);
double *map_value(const struct map *map, int row, int column);

/* How dark a cell is, 0 to 1 (-1 to 1 if diverging), on its column's scale; NaN: no cell. */
struct map_scale {
    double low, high;             /* of all columns, or all but the first */
    double first_low, first_high; /* of the first one                     */
};
struct map_scale map_scale(const struct map *map);
double map_shade(const struct map *map, const struct map_scale *scale, int row, int column);

/* ---- the forms ---- */

/* Text for a terminal of `width` columns; `color`: with ANSI colours. */
void view_write_text(FILE *out, const struct view *view, int width, bool color);

/* Tables as tab-separated values with a line of names each, an empty line between two. */
void view_write_tsv(FILE *out, const struct view *view);

/* One object. */
void view_write_json(FILE *out, const struct view *view);

/* A picture that needs nothing else: maps and charts. */
void view_write_svg(FILE *out, const struct view *view);

/* ---- bytes as text, for the forms ---- */

/* The next character of a label at *at: a whole valid UTF-8 character is copied to out, anything
 * else becomes an escape (\n, \t, \\, \xNN). NUL-terminated; false at the end. */
bool label_next(struct label label, size_t *at, char out[ESCAPE_BYTES]);

/* Characters as label_next gives them. */
int label_width(struct label label);

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* How it is to be shown: as text, unless one of these is asked for. */
struct view_form {
    bool tsv, json;
    const char *svg; /* a file for the picture, too; "-": only the picture; NULL: none */
    int color;       /* enum color                                                     */
};

/* Shows the view on standard output and writes the picture. Returns the exit code; errors are
 * reported. */
int view_show(const struct view *view, const struct view_form *form);

#endif
