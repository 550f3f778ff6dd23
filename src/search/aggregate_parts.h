/* search/aggregate_parts.h: the stages of an aggregation. Private to aggregate*.c. */
#pragma once
#include "search/aggregate.h"

#include "search/index.h"

enum { AGGREGATE_MAGIC = 0x41475247 };

enum stage_kind { STAGE_APPLY, STAGE_FILTER, STAGE_GROUP, STAGE_SORT, STAGE_LIMIT };

enum reducer_kind {
	REDUCE_COUNT, REDUCE_COUNT_DISTINCT, REDUCE_SUM, REDUCE_MIN, REDUCE_MAX, REDUCE_AVG,
	REDUCE_STDDEV, REDUCE_QUANTILE, REDUCE_TOLIST, REDUCE_FIRST_VALUE,
};

struct reducer {
	enum reducer_kind kind;
	uint32_t column, by, to;          /* to: the column that it makes */
	bool     has_by, descending;
	double   quantile;
};

/* What a reducer knows of one group. */
struct cascade {
	double  *values;                  /* QUANTILE_EXACT, those of weight 2^level */
	uint32_t count;
	struct cascade *above;
};
struct tally {
	uint64_t count;
	double   sum, mean, squares;      /* mean and squares: Welford's */
	struct value best, best_by;
	uint64_t *seen;                   /* hashes of distinct values, open addressing; 0 is free */
	uint32_t seen_cap, seen_count;
	bool     seen_zero;
	struct value *items;              /* TOLIST */
	uint32_t item_cap;
	struct cascade *cascade;
	bool     odd;                     /* which half a full level of the cascade keeps */
};

struct group {
	uint64_t      hash;
	struct value *keys;               /* of the stage's properties */
	struct tally *tallies;            /* of its reducers */
};

struct stage {
	enum stage_kind kind;
	struct expr    *expr;             /* APPLY, FILTER */
	uint32_t        to;               /* APPLY: its column */
	/* GROUP and SORT */
	uint32_t        columns[AGGREGATE_PROPERTIES_MAX];
	bool            descending[AGGREGATE_PROPERTIES_MAX];
	uint32_t        column_count;
	struct reducer *reducers;         /* AGGREGATE_REDUCERS_MAX */
	uint32_t        reducer_count;
	struct group   *groups;
	uint32_t       *slots;            /* 1 + index of a group, by hash; 0: free */
	uint32_t        group_count, group_cap, slot_cap;
	/* SORT: rows, a heap with the last one first while they come */
	struct value  **rows;
	uint64_t        row_count, row_cap, row_max, left;
	uint64_t        serial;
	/* LIMIT */
	uint64_t        offset, count, seen;
};

struct aggregate {
	uint32_t      magic;
	struct memory *memory;
	struct arena  texts, kept, scratch, rows;    /* words; groups and rows; one row; results */
	struct agg_column {
		struct span name;
		struct span source;       /* the field's name */
		bool        is_field;     /* of the document */
		bool        is_used;      /* by a stage */
		bool        is_text;      /* filled in at the end; aggregate_set_text */
		bool        is_known;     /* to the stages that follow */
		struct field *field;      /* NULL: the caller's, or none */
	} columns[AGGREGATE_COLUMNS_MAX];
	uint32_t      column_count;
	struct stage  stages[AGGREGATE_STAGES_MAX];
	uint32_t      stage_count;
	bool          grouped;            /* while parsing: a GROUPBY came */
	bool          loads_all;          /* LOAD * */
	uint32_t      key_column, text_count;     /* of documents whose texts are wanted */
	uint32_t      shown[AGGREGATE_COLUMNS_MAX];
	uint32_t      shown_count;
	const struct index *index;
	aggregate_value *value;
	void         *value_ctx;
	uint64_t      seed;
	/* work */
	uint32_t      at;                 /* the stage that gives its rows now */
	uint64_t      next;               /* of its rows */
	bool          sorted;
	struct value **results;
	uint64_t      result_count, result_cap, total;
};

/* aggregate_parse.c: AGGREGATE_COLUMNS_MAX: no room. The column that is there, or one more. */
uint32_t aggregate_field_column(struct aggregate *aggregate, struct span name);
void aggregate_show(struct aggregate *aggregate, uint32_t column);

/* aggregate.c: a row goes on at this stage. */
MUST_CHECK enum err aggregate_emit(struct aggregate *aggregate, uint32_t stage, struct value *row);
/* A copy of the row that stays; NULL: no room. */
struct value *aggregate_keep_row(struct aggregate *aggregate, struct arena *arena, const struct value *row);

/* aggregate_group.c */
MUST_CHECK enum err group_add(struct aggregate *aggregate, struct stage *stage, const struct value *row);
/* Row number `at`; the columns that GROUPBY made are set. */
MUST_CHECK enum err group_row(
    struct aggregate *aggregate, struct stage *stage, uint64_t at, struct value *row);

/* aggregate_reduce.c */
MUST_CHECK bool tally_add(struct aggregate *aggregate, const struct reducer *reducer,
    struct tally *tally, const struct value *row);
struct value tally_value(
    struct aggregate *aggregate, const struct reducer *reducer, struct tally *tally);

/* aggregate_sort.c */
MUST_CHECK enum err sort_add(struct aggregate *aggregate, struct stage *stage, const struct value *row);
/* Puts some rows in their place; true when all are. */
bool sort_step(const struct aggregate *aggregate, struct stage *stage);
