/* search/aggregate.c: rows on their way through the stages; see aggregate.h. */
#include "search/aggregate_parts.h"

#include <stdio.h>

enum { TAGS_SHOWN_MAX = 256 };

void aggregate_free(struct aggregate *aggregate)
{
	if (aggregate == NULL)
		return;
	struct memory *memory = aggregate->memory;
	for (uint32_t i = 0; i < aggregate->stage_count; i++) {
		struct stage *stage = &aggregate->stages[i];
		expr_free(memory, stage->expr);
		if (stage->reducers != NULL)
			memory_free(memory, stage->reducers,
			    AGGREGATE_REDUCERS_MAX * sizeof(*stage->reducers));
	}
	arena_fini(&aggregate->texts);
	arena_fini(&aggregate->kept);
	arena_fini(&aggregate->scratch);
	arena_fini(&aggregate->rows);
	memory_free(memory, aggregate, sizeof(*aggregate));
}

/* ---- The values of a document ---- */

/* Of these the index keeps words, not values. */
static bool is_text(const struct agg_column *column)
{
	return span_equal(column->source, SPAN_LIT("title")) ||
	    span_equal(column->source, SPAN_LIT("caption")) ||
	    (column->field != NULL && column->field->kinds == KIND_TEXT);
}

static enum err bind_text(
    struct aggregate *aggregate, struct agg_column *column, char why[AGGREGATE_WHY_BYTES])
{
	if (aggregate->grouped || column->is_used) {
		snprintf(why, AGGREGATE_WHY_BYTES,
		    "@%.*s can be loaded, but not aggregated: the index keeps its words, not its text",
		    (int)column->source.len, (const char *)column->source.ptr);
		return ERR_INVALID;
	}
	column->is_text = true;
	aggregate->text_count++;
	aggregate->key_column = aggregate_field_column(aggregate, SPAN_LIT("__key"));
	if (aggregate->key_column < AGGREGATE_COLUMNS_MAX)
		return OK;
	snprintf(why, AGGREGATE_WHY_BYTES, "at most %d columns", AGGREGATE_COLUMNS_MAX);
	return ERR_TOOLARGE;
}

/* LOAD *: all fields that any document has; behind a GROUPBY nothing is left of them. */
static enum err bind_all(struct aggregate *aggregate, char why[AGGREGATE_WHY_BYTES])
{
	const struct index *index = aggregate->index;
	for (uint32_t i = 0; i < index->field_count && !aggregate->grouped; i++) {
		struct span name = term_text(dict_term(&index->names, i));
		uint32_t column = aggregate_field_column(aggregate, name);
		if (column == AGGREGATE_COLUMNS_MAX) {
			snprintf(why, AGGREGATE_WHY_BYTES,
			    "LOAD * of more than %d fields: name them", AGGREGATE_COLUMNS_MAX);
			return ERR_TOOLARGE;
		}
		aggregate_show(aggregate, column);
	}
	return OK;
}

enum err aggregate_bind(struct aggregate *aggregate, const struct index *index,
    aggregate_value *value, void *ctx, char why[AGGREGATE_WHY_BYTES])
{
	aggregate->index = index;
	aggregate->value = value;
	aggregate->value_ctx = ctx;
	enum err err = aggregate->loads_all ? bind_all(aggregate, why) : OK;
	for (uint32_t i = 0; i < aggregate->column_count && err == OK; i++) {
		struct agg_column *column = &aggregate->columns[i];
		if (!column->is_field)
			continue;
		column->field =
		    index_find_field((struct index *)(uintptr_t)index, column->source);
		if (is_text(column))
			err = bind_text(aggregate, column, why);
	}
	return err;
}

/* Its tags: one as text, several as a list. */
static bool tags_value(
    struct aggregate *aggregate, const struct field *field, uint32_t docid, struct value *out)
{
	uint32_t ordinals[TAGS_SHOWN_MAX];
	uint32_t count = index_get_tags(field, docid, ordinals, TAGS_SHOWN_MAX);
	count = count < TAGS_SHOWN_MAX ? count : TAGS_SHOWN_MAX;
	if (count == 0)
		return false;
	if (count == 1) {
		*out = value_text(index_tag_text(aggregate->index, field, ordinals[0], NULL));
		return true;
	}
	struct value *items = arena_alloc(&aggregate->scratch, count * sizeof(*items));
	if (items == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++)
		items[i] = value_text(index_tag_text(aggregate->index, field, ordinals[i], NULL));
	*out = (struct value){.kind = VALUE_LIST, .count = count, .items = items};
	return true;
}

static bool place_value(struct aggregate *aggregate, double lon, double lat, struct value *out)
{
	char *text = arena_alloc(&aggregate->scratch, 64);
	if (text == NULL)
		return false;
	int len = snprintf(text, 64, "%.7g,%.7g", lon, lat);
	*out = value_text(span_of(text, (size_t)len));
	return true;
}

static struct value field_value(
    struct aggregate *aggregate, const struct agg_column *column, uint32_t docid)
{
	struct value value = {.kind = VALUE_NIL};
	double number, lat;
	int64_t ms;
	if (aggregate->value != NULL &&
	    aggregate->value(
	        aggregate->value_ctx, docid, column->name, &aggregate->scratch, &value))
		return value;
	if (column->field == NULL)
		return value;
	if (index_get_number(column->field, docid, &number))
		return value_number(number);
	if (index_get_place(column->field, docid, &number, &lat) &&
	    place_value(aggregate, number, lat, &value))
		return value;
	if (index_get_date(column->field, docid, &ms))
		return value_number((double)ms);
	(void)tags_value(aggregate, column->field, docid, &value);
	return value;
}

enum err aggregate_add(struct aggregate *aggregate, uint32_t docid)
{
	struct value row[AGGREGATE_COLUMNS_MAX];
	arena_clear(&aggregate->scratch);
	for (uint32_t i = 0; i < aggregate->column_count; i++) {
		const struct agg_column *column = &aggregate->columns[i];
		row[i] = column->is_field && !column->is_text ? field_value(aggregate, column, docid)
		                          : (struct value){.kind = VALUE_NIL};
	}
	return aggregate_emit(aggregate, 0, row);
}

/* ---- Rows ---- */

/* With one place more, for the sort's serial number. */
struct value *aggregate_keep_row(
    struct aggregate *aggregate, struct arena *arena, const struct value *row)
{
	uint32_t count = aggregate->column_count;
	struct value *kept = arena_alloc(arena, (count + 1) * sizeof(*kept));
	if (kept == NULL)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		if (!value_keep(arena, &row[i], &kept[i]))
			return NULL;
	return kept;
}

static enum err add_result(struct aggregate *aggregate, const struct value *row)
{
	if (aggregate->result_count == aggregate->result_cap) {
		uint64_t cap = aggregate->result_cap == 0 ? 64 : aggregate->result_cap * 2;
		struct value **results =
		    cap > 2 * (uint64_t)AGGREGATE_ROWS_MAX
		    ? NULL
		    : arena_alloc(&aggregate->rows, cap * sizeof(*results));
		if (results == NULL)
			return ERR_OVERLOADED;
		if (aggregate->result_count > 0)
			memcpy(results, aggregate->results,
			    aggregate->result_count * sizeof(*results));
		aggregate->results = results;
		aggregate->result_cap = cap;
	}
	struct value *kept = aggregate_keep_row(aggregate, &aggregate->rows, row);
	if (kept == NULL)
		return ERR_OVERLOADED;
	aggregate->results[aggregate->result_count++] = kept;
	return OK;
}

static bool limit_lets_pass(struct stage *stage)
{
	uint64_t at = stage->seen++;
	return at >= stage->offset && at - stage->offset < stage->count;
}

enum err aggregate_emit(struct aggregate *aggregate, uint32_t at, struct value *row)
{
	for (; at < aggregate->stage_count; at++) {
		struct stage *stage = &aggregate->stages[at];
		struct value value;
		switch (stage->kind) {
		case STAGE_APPLY:
			row[stage->to] = expr_eval(stage->expr, row, &aggregate->scratch);
			break;
		case STAGE_FILTER:
			value = expr_eval(stage->expr, row, &aggregate->scratch);
			if (!value_is_true(&value))
				return OK;
			break;
		case STAGE_LIMIT:
			if (!limit_lets_pass(stage))
				return OK;
			break;
		case STAGE_GROUP:
			return group_add(aggregate, stage, row);
		case STAGE_SORT:
			return sort_add(aggregate, stage, row);
		}
	}
	return add_result(aggregate, row);
}

/* ---- Behind the last match ---- */

static bool is_blocking(const struct stage *stage)
{
	return stage->kind == STAGE_GROUP || stage->kind == STAGE_SORT;
}

/* One row of the stage at work goes on; true: it has none left. */
static enum err work_row(struct aggregate *aggregate, bool *done)
{
	struct stage *stage = &aggregate->stages[aggregate->at];
	struct value row[AGGREGATE_COLUMNS_MAX];
	bool group = stage->kind == STAGE_GROUP;
	*done = aggregate->next >= (group ? stage->group_count : stage->row_count);
	if (*done)
		return OK;
	arena_clear(&aggregate->scratch);
	memset(row, 0, sizeof(row));
	enum err err = OK;
	if (group)
		err = group_row(aggregate, stage, aggregate->next, row);
	else
		memcpy(row, stage->rows[aggregate->next],
		    aggregate->column_count * sizeof(row[0]));
	aggregate->next++;
	return err != OK ? err : aggregate_emit(aggregate, aggregate->at + 1, row);
}

enum err aggregate_step(struct aggregate *aggregate, const struct search_budget *budget)
{
	uint64_t spent = 0, rows = 0;
	do {
		while (aggregate->at < aggregate->stage_count &&
		    !is_blocking(&aggregate->stages[aggregate->at]))
			aggregate->at++;
		if (aggregate->at == aggregate->stage_count)
			return OK;
		struct stage *stage = &aggregate->stages[aggregate->at];
		bool done = false;
		if (stage->kind == STAGE_SORT && !aggregate->sorted) {
			aggregate->sorted = sort_step(aggregate, stage);
			spent++;
			continue;
		}
		enum err err = work_row(aggregate, &done);
		if (err != OK)
			return err;
		if (done) {
			aggregate->at++;
			aggregate->next = 0;
			aggregate->sorted = false;
		}
		spent += ++rows % 16 == 0;
	} while (spent == 0 || !budget_is_spent(budget, spent));
	return ERR_AGAIN;
}

/* ---- The result ---- */

size_t aggregate_row_count(const struct aggregate *aggregate)
{
	return aggregate->result_count;
}

uint64_t aggregate_bytes(const struct aggregate *aggregate)
{
	return sizeof(*aggregate) + aggregate->texts.bytes + aggregate->kept.bytes +
	    aggregate->scratch.bytes + aggregate->rows.bytes +
	    aggregate->result_cap * sizeof(aggregate->results[0]);
}

uint64_t aggregate_total(const struct aggregate *aggregate)
{
	const struct stage *last = &aggregate->stages[aggregate->stage_count];
	if (aggregate->stage_count > 0 && last[-1].kind == STAGE_LIMIT)
		return last[-1].seen;
	return aggregate->result_count;
}

uint32_t aggregate_column_count(const struct aggregate *aggregate)
{
	return aggregate->shown_count;
}

struct span aggregate_column_name(const struct aggregate *aggregate, uint32_t column)
{
	ASSERT(column < aggregate->shown_count);
	return aggregate->columns[aggregate->shown[column]].name;
}

const struct value *aggregate_cell(const struct aggregate *aggregate, size_t row, uint32_t column)
{
	ASSERT(row < aggregate->result_count && column < aggregate->shown_count);
	return &aggregate->results[row][aggregate->shown[column]];
}

/* ---- Texts of documents ---- */

uint32_t aggregate_text_count(const struct aggregate *aggregate)
{
	return aggregate->text_count;
}

struct span aggregate_row_key(const struct aggregate *aggregate, size_t row)
{
	ASSERT(aggregate->text_count > 0 && row < aggregate->result_count);
	return aggregate->results[row][aggregate->key_column].text;
}

struct span aggregate_text_name(const struct aggregate *aggregate, uint32_t at)
{
	for (uint32_t i = 0; i < aggregate->column_count; i++)
		if (aggregate->columns[i].is_text && at-- == 0)
			return aggregate->columns[i].source;
	return (struct span){0};
}

bool aggregate_set_text(struct aggregate *aggregate, size_t row, uint32_t at, struct span text)
{
	struct value value = value_text(text);
	ASSERT(row < aggregate->result_count && at < aggregate->text_count);
	for (uint32_t i = 0; i < aggregate->column_count; i++)
		if (aggregate->columns[i].is_text && at-- == 0)
			return value_keep(&aggregate->rows, &value, &aggregate->results[row][i]);
	return false;
}
