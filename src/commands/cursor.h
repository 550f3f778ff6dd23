/* commands/cursor.h: the rows of an aggregation, read piece by piece (WITHCURSOR, FT.CURSOR).
 *
 * A cursor owns all rows as they were when the aggregation ended. It goes with its last row, when it
 * is deleted, or when nobody read from it for its MAXIDLE. Its id is random, and means nothing in
 * another database.
 */
#pragma once
#include "commands/handlers.h"
#include "search/aggregate.h"

enum {
	CURSORS_MAX = 128,
	CURSOR_BYTES_MAX = 256 << 20,     /* of all of them */
	CURSOR_COUNT = 1000, CURSOR_COUNT_MAX = 1000000,
	CURSOR_IDLE_MS = 300000,
};

struct cursor_options {
	uint64_t count;                   /* rows of a piece */
	uint64_t idle_ms;
	bool     ft;                      /* RESP3 as FT.AGGREGATE has it */
};

struct cursors;
struct cursors *cursors_new(struct memory *memory);
void cursors_free(struct cursors *cursors);
/* Replies the first piece of the rows, and keeps the rest. Takes `aggregate`, whatever happens. */
void cursor_begin(struct engine *engine, uint8_t db, struct aggregate *aggregate,
    const struct cursor_options *options, struct reply *reply);

/* image_aggregate.c: `count` rows from `from` on, as the reply of an aggregation. */
void image_aggregate_rows(struct reply *reply, const struct aggregate *aggregate, bool ft, size_t from,
    size_t count);
