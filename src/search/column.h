/* search/column.h: one number per document and field, or none: widths, dates, places, and
 * the ids of tags for sorting.
 *
 * A column is cut into windows of 4096 ids. An open window is a sorted list of (slot,
 * value). A full one is coded when column_seal comes by. Values that are integers after
 * multiplication by a power of ten become the number of steps from the least one, the step
 * being their greatest common divisor; few different values, places in a sorted list of
 * them; others stay doubles. Codes take as many bits as the greatest one needs. Coding is
 * exact: what was put in comes out, bit for bit (but -0 becomes 0). Least and greatest
 * value of each window let ranges and sorts pass over it.
 */
#pragma once
#include "search/docs.h"

enum column_kind { COLUMN_OPEN, COLUMN_STEPS, COLUMN_LIST, COLUMN_DOUBLES };

/* Which slots have a value: all; a bitmap tells; or a list of them. */
enum column_presence { PRESENT_ALL, PRESENT_BITS, PRESENT_SLOTS };

struct column_window {
	uint32_t count;
	uint32_t bytes;                   /* of `data`, or 0 */
	enum column_kind kind : 8;
	enum column_presence presence : 8;
	uint8_t  width;                   /* bits of a code */
	uint8_t  scale;                   /* steps: index of the power of ten */
	uint32_t list_count;
	int64_t  base, step;              /* value = (base + code * step) / scale */
	double   low, high;
	void    *data;                    /* open: cap slots, cap doubles; sealed: see column.c */
	uint32_t cap;
};

struct column {
	struct memory         *memory;
	struct column_window **windows;   /* NULL: no value there */
	uint32_t               window_cap;
	uint64_t               count;     /* values, dead documents' included */
};

void column_init(struct column *column, struct memory *memory);
void column_fini(struct column *column);

/* `docid` is not below any before; the same again overwrites. The value is finite. */
void column_put(struct column *column, uint32_t docid, double value);

MUST_CHECK bool column_get(const struct column *column, uint32_t docid, double *value);

/* Codes a window that is full, if it is open; frees it if `is_dead`. */
void column_seal(struct column *column, uint32_t window, bool is_dead);

/* Clears in `mask` every slot without a value within [low, high]. */
void column_filter(const struct column *column, uint32_t window, double low, double high,
    uint64_t mask[WINDOW_WORDS]);

/* Of 64 ascending ids those whose bit of `mask` is set and whose value is within [low, high]. */
uint64_t column_keep(
    const struct column *column, const uint32_t docids[64], double low, double high, uint64_t mask);

/* Least and greatest value in a window; false if it has none. */
bool column_bounds(const struct column *column, uint32_t window, double *low, double *high);

/* A window as it was sealed; `data` is copied. False: that cannot be one. */
MUST_CHECK bool column_restore(
    struct column *column, uint32_t window, const struct column_window *sealed, const void *data);
