/* search/aggregate.h: what IMG.AGGREGATE makes of the matches of a query: rows that flow
 * through stages.
 *
 *   LOAD n @field [AS name] ... | *    values of the document as columns
 *   APPLY expression AS name           a new column
 *   FILTER expression                  drops rows of which it is not true
 *   GROUPBY n @column ... [REDUCE function n argument ... [AS name]] ...
 *   SORTBY n @column [ASC|DESC] ... [MAX rows]
 *   LIMIT offset count
 *
 * in any order and number. Fields of the document may be used without LOAD up to the first
 * GROUPBY; behind it there is only what it made. @__key is the document's key. A column with
 * several values (tags) counts in GROUPBY once for each of them. Texts (title, caption, attributes
 * declared as such), of which the index has no values, can be loaded where no GROUPBY follows,
 * and no stage may use them: the caller fills them in, in the rows that are left at the end.
 *
 * Reducers: COUNT 0; COUNT_DISTINCT, COUNT_DISTINCTISH, SUM, MIN, MAX, AVG, STDDEV, TOLIST 1 @c;
 * QUANTILE 2 @c q; FIRST_VALUE 1 @c, or 4 @c BY @other ASC|DESC. COUNT_DISTINCT goes by 64-bit
 * hashes. QUANTILE is exact up to QUANTILE_EXACT values and then within half a percent of the
 * rank (a cascade of halved samples after Karnin, Lang and Liberty, "Optimal quantile
 * approximation in streams", 2016). STDDEV is that of a sample.
 *
 * Everything is bounded: rows and groups by AGGREGATE_MEMORY_MAX. Matches are added one by
 * one; the rest is done in slices.
 */
#pragma once
#include "search/expr.h"
#include "search/search.h"

enum {
	AGGREGATE_MEMORY_MAX = 64 << 20, AGGREGATE_COLUMNS_MAX = 64, AGGREGATE_STAGES_MAX = 32,
	AGGREGATE_REDUCERS_MAX = 32, AGGREGATE_PROPERTIES_MAX = 16, AGGREGATE_WHY_BYTES = 200,
	AGGREGATE_ROWS_MAX = 1000000, QUANTILE_EXACT = 1024,
	AGGREGATE_TEXT_ROWS_MAX = 10000,  /* of which texts can be loaded */
};

struct aggregate;

/* `argv`: the words behind the query; those that are no stages (TIMEOUT, PARAMS, ...) are the
 * caller's: `other` is asked, moves *at behind its word and returns true.
 * ERR_INVALID, ERR_TOOLARGE: `why` is an error text without its code. Nothing of argv is kept. */
typedef bool aggregate_other(void *ctx, const struct span *argv, uint32_t argc, uint32_t *at);
struct aggregate_words {
	const struct span *argv;
	uint32_t           argc;
	aggregate_other   *other;         /* may be NULL */
	void              *ctx;
	uint64_t           hash_seed;     /* random, so that a client cannot choose collisions */
};
MUST_CHECK enum err aggregate_new(struct aggregate **out, struct memory *memory,
    const struct aggregate_words *words, char why[AGGREGATE_WHY_BYTES]);
void aggregate_free(struct aggregate *aggregate);

/* Values that the index does not have: the key, the colours, ... False: the name is none, or it
 * has no value. *out may lie in `scratch`. */
typedef bool aggregate_value(void *ctx, uint32_t docid, struct span name, struct arena *scratch,
    struct value *out);
/* Before the first match. ERR_INVALID, with `why`: a field of which the index keeps no values. */
MUST_CHECK enum err aggregate_bind(struct aggregate *aggregate, const struct index *index,
    aggregate_value *value, void *ctx, char why[AGGREGATE_WHY_BYTES]);

/* One match. ERR_OVERLOADED: no memory; the aggregation has ended. */
MUST_CHECK enum err aggregate_add(struct aggregate *aggregate, uint32_t docid);
/* Behind the last match: OK when all rows are there. ERR_AGAIN: the budget ended. */
MUST_CHECK enum err aggregate_step(struct aggregate *aggregate, const struct search_budget *budget);

/* ---- Texts that the caller fills in, once aggregate_step has returned OK; 0: none is wanted ---- */

uint32_t aggregate_text_count(const struct aggregate *aggregate);
struct span aggregate_text_name(const struct aggregate *aggregate, uint32_t at);
/* The document of a row. */
struct span aggregate_row_key(const struct aggregate *aggregate, size_t row);
/* Copies the text. False: no memory. */
MUST_CHECK bool aggregate_set_text(
    struct aggregate *aggregate, size_t row, uint32_t at, struct span text);

/* ---- The result, once aggregate_step has returned OK ---- */

size_t aggregate_row_count(const struct aggregate *aggregate);
/* Memory that it holds, about. */
uint64_t aggregate_bytes(const struct aggregate *aggregate);
/* Rows before a LIMIT at the end. */
uint64_t aggregate_total(const struct aggregate *aggregate);
/* Columns that rows show, in order. */
uint32_t aggregate_column_count(const struct aggregate *aggregate);
struct span aggregate_column_name(const struct aggregate *aggregate, uint32_t column);
/* Nil: this row has no such value. */
const struct value *aggregate_cell(const struct aggregate *aggregate, size_t row, uint32_t column);
