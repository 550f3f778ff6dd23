/* search/aggregate_sort.c: SORTBY: rows in order, the best of them if not all are wanted; see
 * aggregate.h. A heap with the last row first; rows that are equal stay as they came. */
#include "search/aggregate_parts.h"

/* The serial number stands behind the last column. */
static uint64_t serial_of(const struct aggregate *aggregate, const struct value *row)
{
	return (uint64_t)row[aggregate->column_count].number;
}

static bool comes_before(const struct aggregate *aggregate, const struct stage *stage,
    const struct value *a, const struct value *b)
{
	for (uint32_t i = 0; i < stage->column_count; i++) {
		const struct value *x = value_first(&a[stage->columns[i]]);
		const struct value *y = value_first(&b[stage->columns[i]]);
		int order = value_compare(x, y);
		bool nil = x->kind == VALUE_NIL || y->kind == VALUE_NIL;
		if (order != 0)   /* what has no value comes last either way */
			return stage->descending[i] && !nil ? order > 0 : order < 0;
	}
	return serial_of(aggregate, a) < serial_of(aggregate, b);
}

static void sift_down(
    const struct aggregate *aggregate, struct stage *stage, uint64_t count, uint64_t at)
{
	struct value **rows = stage->rows;
	for (;;) {
		uint64_t last = at;
		for (uint64_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
			if (comes_before(aggregate, stage, rows[last], rows[child]))
				last = child;
		if (last == at)
			return;
		struct value *kept = rows[at];
		rows[at] = rows[last];
		rows[last] = kept;
		at = last;
	}
}

static void sift_up(const struct aggregate *aggregate, struct stage *stage, uint64_t at)
{
	struct value **rows = stage->rows;
	while (at > 0 && comes_before(aggregate, stage, rows[(at - 1) / 2], rows[at])) {
		struct value *kept = rows[at];
		rows[at] = rows[(at - 1) / 2];
		rows[(at - 1) / 2] = kept;
		at = (at - 1) / 2;
	}
}

static bool rows_grow(struct aggregate *aggregate, struct stage *stage)
{
	uint64_t cap = stage->row_cap == 0 ? 64 : stage->row_cap * 2;
	struct value **rows = cap > 2 * (uint64_t)AGGREGATE_ROWS_MAX
	    ? NULL
	    : arena_alloc(&aggregate->kept, cap * sizeof(*rows));
	if (rows == NULL)
		return false;
	if (stage->row_count > 0)
		memcpy(rows, stage->rows, stage->row_count * sizeof(*rows));
	stage->rows = rows;
	stage->row_cap = cap;
	return true;
}

enum err sort_add(struct aggregate *aggregate, struct stage *stage, const struct value *row)
{
	struct value serial = value_number((double)stage->serial++);
	bool full = stage->row_max > 0 && stage->row_count == stage->row_max;
	struct value candidate[AGGREGATE_COLUMNS_MAX + 1];
	if (full) {
		memcpy(candidate, row, aggregate->column_count * sizeof(*row));
		candidate[aggregate->column_count] = serial;
		if (!comes_before(aggregate, stage, candidate, stage->rows[0]))
			return OK;
	} else if (stage->row_count == stage->row_cap && !rows_grow(aggregate, stage)) {
		return ERR_OVERLOADED;
	}
	struct value *kept = aggregate_keep_row(aggregate, &aggregate->kept, row);
	if (kept == NULL)
		return ERR_OVERLOADED;
	kept[aggregate->column_count] = serial;
	if (full) {
		stage->rows[0] = kept;
		sift_down(aggregate, stage, stage->row_count, 0);
	} else {
		stage->rows[stage->row_count++] = kept;
		sift_up(aggregate, stage, stage->row_count - 1);
	}
	return OK;
}

bool sort_step(const struct aggregate *aggregate, struct stage *stage)
{
	enum { ROWS_PER_STEP = 32 };
	if (stage->left == 0)
		stage->left = stage->row_count;
	for (unsigned i = 0; i < ROWS_PER_STEP && stage->left > 1; i++) {
		struct value *last = stage->rows[0];
		stage->rows[0] = stage->rows[stage->left - 1];
		stage->rows[stage->left - 1] = last;
		sift_down(aggregate, stage, --stage->left, 0);
	}
	return stage->left <= 1;
}
