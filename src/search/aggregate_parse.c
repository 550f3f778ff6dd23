/* search/aggregate_parse.c: the words of an aggregation; see aggregate.h. */
#include "search/aggregate_parts.h"

#include "base/number.h"

#include <stdio.h>

enum { TEXTS_MAX = 1 << 20 };

struct words {
	struct aggregate             *aggregate;
	const struct aggregate_words *given;
	uint32_t at;
	char    *why;
};

static enum err fail(struct words *words, const char *what)
{
	snprintf(words->why, AGGREGATE_WHY_BYTES, "%s", what);
	return ERR_INVALID;
}

static bool next_word(struct words *words, struct span *word)
{
	if (words->at >= words->given->argc)
		return false;
	*word = words->given->argv[words->at++];
	return true;
}

static bool next_is(struct words *words, const char *text)
{
	if (words->at >= words->given->argc || !span_is(words->given->argv[words->at], text))
		return false;
	words->at++;
	return true;
}

static bool next_number(struct words *words, int64_t low, int64_t high, int64_t *out)
{
	struct span word;
	return next_word(words, &word) && number_parse_range(word, low, high, out);
}

/* ---- Columns ---- */

/* "@name", or "name" where the at sign may be left out. */
static struct span bare_name(struct span word)
{
	return word.len > 0 && word.ptr[0] == '@' ? span_slice(word, 1, word.len) : word;
}

static uint32_t column_find(const struct aggregate *aggregate, struct span name)
{
	uint32_t at = 0;
	while (at < aggregate->column_count && !span_equal(aggregate->columns[at].name, name))
		at++;
	return at;
}

/* Makes it. AGGREGATE_COLUMNS_MAX: there are too many, or no room. */
static uint32_t column_add(struct aggregate *aggregate, struct span name, bool is_field)
{
	uint32_t at = aggregate->column_count;
	uint8_t *text = arena_alloc(&aggregate->texts, name.len);
	if (at == AGGREGATE_COLUMNS_MAX || text == NULL)
		return AGGREGATE_COLUMNS_MAX;
	memcpy(text, name.ptr, name.len);
	aggregate->columns[aggregate->column_count++] = (struct agg_column){
	    .name = span_of(text, name.len), .source = span_of(text, name.len),
	    .is_field = is_field, .is_known = true};
	return at;
}

uint32_t aggregate_field_column(struct aggregate *aggregate, struct span name)
{
	uint32_t at = column_find(aggregate, name);
	return at < aggregate->column_count ? at : column_add(aggregate, name, true);
}

static enum err too_many(struct words *words)
{
	snprintf(words->why, AGGREGATE_WHY_BYTES, "at most %d columns", AGGREGATE_COLUMNS_MAX);
	return ERR_TOOLARGE;
}

/* A column that is there, or a field of the document. */
static bool column_use(
    struct aggregate *aggregate, struct span name, uint32_t *out, char *why, size_t why_bytes)
{
	*out = column_find(aggregate, name);
	if (*out < aggregate->column_count && aggregate->columns[*out].is_known)
		return true;
	if (name.len == 0 || name.len > ATTR_NAME_MAX || aggregate->grouped ||
	    *out < aggregate->column_count) {
		snprintf(why, why_bytes, "Property `%.*s` not loaded nor in pipeline",
		    (int)(name.len < 64 ? name.len : 64), (const char *)name.ptr);
		return false;
	}
	*out = column_add(aggregate, name, true);
	if (*out == AGGREGATE_COLUMNS_MAX)
		snprintf(why, why_bytes, "at most %d columns", AGGREGATE_COLUMNS_MAX);
	return *out < AGGREGATE_COLUMNS_MAX;
}

static bool expression_name(
    void *ctx, struct span name, uint32_t *slot, char why[EXPR_WHY_BYTES])
{
	struct aggregate *aggregate = ctx;
	bool good = column_use(aggregate, name, slot, why, EXPR_WHY_BYTES);
	if (good)
		aggregate->columns[*slot].is_used = true;
	return good;
}

/* A column of this name that a stage makes; what had the name before is overwritten. */
static enum err column_make(struct words *words, struct span name, uint32_t *out)
{
	struct aggregate *aggregate = words->aggregate;
	name = bare_name(name);
	if (name.len == 0 || name.len > ATTR_NAME_MAX)
		return fail(words, "a column's name has 1 to 64 bytes");
	*out = column_find(aggregate, name);
	if (*out == aggregate->column_count)
		*out = column_add(aggregate, name, false);
	if (*out == AGGREGATE_COLUMNS_MAX)
		return too_many(words);
	aggregate->columns[*out].is_known = true;
	return OK;
}

void aggregate_show(struct aggregate *aggregate, uint32_t column)
{
	for (uint32_t i = 0; i < aggregate->shown_count; i++)
		if (aggregate->shown[i] == column)
			return;
	aggregate->shown[aggregate->shown_count++] = column;
}

static enum err take_column(struct words *words, uint32_t *out)
{
	struct span word;
	if (!next_word(words, &word) || word.len < 2 || word.ptr[0] != '@')
		return fail(words, "a property begins with @");
	if (!column_use(words->aggregate, bare_name(word), out, words->why, AGGREGATE_WHY_BYTES))
		return ERR_INVALID;
	words->aggregate->columns[*out].is_used = true;
	return OK;
}

static struct stage *stage_add(struct words *words, enum stage_kind kind)
{
	struct aggregate *aggregate = words->aggregate;
	if (aggregate->stage_count == AGGREGATE_STAGES_MAX) {
		snprintf(words->why, AGGREGATE_WHY_BYTES, "at most %d stages", AGGREGATE_STAGES_MAX);
		return NULL;
	}
	struct stage *stage = &aggregate->stages[aggregate->stage_count++];
	*stage = (struct stage){.kind = kind};
	return stage;
}

/* ---- Stages ---- */

/* LOAD ... AS name: a stage that copies. Of a text, of which the index has no values, a column of
 * its own that is filled in at the end. */
static enum err load_as(struct words *words, uint32_t *column)
{
	struct aggregate *aggregate = words->aggregate;
	struct span word, name = aggregate->columns[*column].source;
	uint32_t copy;
	if (!next_word(words, &word))
		return fail(words, "AS needs a name");
	enum err err = column_make(words, word, &copy);
	if (err != OK)
		return err;
	if (span_equal(name, SPAN_LIT("title")) || span_equal(name, SPAN_LIT("caption"))) {
		aggregate->columns[copy].is_field = true;
		aggregate->columns[copy].source = name;
		*column = copy;
		return OK;
	}
	struct stage *stage = stage_add(words, STAGE_APPLY);
	if (stage == NULL)
		return ERR_TOOLARGE;
	stage->to = copy;
	char text[ATTR_NAME_MAX + 2];
	int len = snprintf(text, sizeof(text), "@%.*s", (int)name.len, (const char *)name.ptr);
	*column = copy;
	return expr_parse(&stage->expr, aggregate->memory, span_of(text, (size_t)len),
	    expression_name, aggregate, words->why);
}

/* LOAD is no stage: it makes columns known and shown; with AS, a copy under another name. */
static enum err take_load(struct words *words)
{
	struct aggregate *aggregate = words->aggregate;
	int64_t count;
	struct span word;
	if (aggregate->grouped)
		return fail(words, "LOAD comes before GROUPBY");
	if (next_is(words, "*")) {
		aggregate->loads_all = true;
		return OK;
	}
	if (!next_number(words, 0, AGGREGATE_COLUMNS_MAX * 3, &count))
		return fail(words, "Bad arguments for LOAD: Expected a number of fields");
	for (uint32_t end = words->at + (uint32_t)count; words->at < end;) {
		uint32_t column;
		enum err err = OK;
		if (!next_word(words, &word) ||
		    !column_use(aggregate, bare_name(word), &column, words->why, AGGREGATE_WHY_BYTES))
			return words->why[0] != 0 ? ERR_INVALID : fail(words, "LOAD ends too early");
		if (words->at < end && next_is(words, "AS"))
			err = load_as(words, &column);
		if (err != OK)
			return err;
		aggregate_show(aggregate, column);
	}
	return OK;
}

static enum err take_expression(struct words *words, enum stage_kind kind)
{
	struct aggregate *aggregate = words->aggregate;
	struct span word, name;
	struct stage *stage = stage_add(words, kind);
	if (stage == NULL)
		return ERR_TOOLARGE;
	if (!next_word(words, &word))
		return fail(words, "an expression is missing");
	enum err err = expr_parse(
	    &stage->expr, aggregate->memory, word, expression_name, aggregate, words->why);
	if (err != OK || kind == STAGE_FILTER)
		return err;
	if (!next_is(words, "AS") || !next_word(words, &name))
		return fail(words, "APPLY needs AS and a name");
	err = column_make(words, name, &stage->to);
	if (err == OK)
		aggregate_show(aggregate, stage->to);
	return err;
}

static enum err take_limit(struct words *words)
{
	struct stage *stage = stage_add(words, STAGE_LIMIT);
	int64_t offset, count;
	if (stage == NULL)
		return ERR_TOOLARGE;
	if (!next_number(words, 0, AGGREGATE_ROWS_MAX, &offset) ||
	    !next_number(words, 0, AGGREGATE_ROWS_MAX, &count))
		return fail(words, "LIMIT needs an offset and a count, of at most 1000000 each");
	stage->offset = (uint64_t)offset;
	stage->count = (uint64_t)count;
	/* A sort right before it need not keep more. */
	if (words->aggregate->stage_count > 1 && stage[-1].kind == STAGE_SORT) {
		uint64_t wanted = stage->offset + stage->count;
		wanted = wanted == 0 ? 1 : wanted;
		if (stage[-1].row_max == 0 || wanted < stage[-1].row_max)
			stage[-1].row_max = wanted;
	}
	return OK;
}

static enum err take_sort(struct words *words)
{
	struct stage *stage = stage_add(words, STAGE_SORT);
	int64_t count, most;
	if (stage == NULL)
		return ERR_TOOLARGE;
	if (!next_number(words, 1, 2 * AGGREGATE_PROPERTIES_MAX, &count))
		return fail(words, "Bad arguments for SORTBY: Expected a number of words");
	for (uint32_t end = words->at + (uint32_t)count; words->at < end;) {
		uint32_t column = stage->column_count;
		if (column == AGGREGATE_PROPERTIES_MAX)
			return fail(words, "SORTBY has too many properties");
		enum err err = take_column(words, &stage->columns[column]);
		if (err != OK)
			return err;
		if (words->at < end && next_is(words, "DESC"))
			stage->descending[column] = true;
		else if (words->at < end)
			(void)next_is(words, "ASC");
		stage->column_count++;
	}
	if (!next_is(words, "MAX"))
		return OK;
	if (!next_number(words, 0, AGGREGATE_ROWS_MAX, &most))
		return fail(words, "MAX needs a number of rows, at most 1000000");
	stage->row_max = (uint64_t)most;
	return OK;
}

/* ---- GROUPBY ---- */

static const struct {
	const char       *name;
	enum reducer_kind kind;
	int64_t           args;
} reducers[] = {
    {"COUNT", REDUCE_COUNT, 0}, {"COUNT_DISTINCT", REDUCE_COUNT_DISTINCT, 1},
    {"COUNT_DISTINCTISH", REDUCE_COUNT_DISTINCT, 1}, {"SUM", REDUCE_SUM, 1},
    {"MIN", REDUCE_MIN, 1}, {"MAX", REDUCE_MAX, 1}, {"AVG", REDUCE_AVG, 1},
    {"STDDEV", REDUCE_STDDEV, 1}, {"TOLIST", REDUCE_TOLIST, 1},
    {"QUANTILE", REDUCE_QUANTILE, 2}, {"FIRST_VALUE", REDUCE_FIRST_VALUE, 1},
};

/* [BY @other [ASC|DESC]], within `end`. */
static enum err take_by(struct words *words, struct reducer *reducer, uint32_t end)
{
	if (words->at == end)
		return OK;
	reducer->has_by = true;
	if (!next_is(words, "BY"))
		return fail(words, "FIRST_VALUE needs a property, or a property BY another");
	enum err err = take_column(words, &reducer->by);
	if (err == OK && words->at < end && next_is(words, "DESC"))
		reducer->descending = true;
	else if (err == OK && words->at < end)
		(void)next_is(words, "ASC");
	return err;
}

static enum err take_arguments(
    struct words *words, struct reducer *reducer, int64_t expected, int64_t given)
{
	uint32_t end = words->at + (uint32_t)given;
	struct span word;
	bool first = reducer->kind == REDUCE_FIRST_VALUE;
	if (first ? given < 1 || given > 4 : given != expected)
		return fail(words, "Bad arguments for REDUCE: wrong number of arguments");
	if (given == 0)
		return OK;
	enum err err = take_column(words, &reducer->column);
	if (err == OK && first)
		err = take_by(words, reducer, end);
	if (err != OK)
		return err;
	if (reducer->kind == REDUCE_QUANTILE &&
	    (!next_word(words, &word) || !number_parse_double(word, &reducer->quantile) ||
	        !(reducer->quantile >= 0 && reducer->quantile <= 1)))
		return fail(words, "QUANTILE needs a number between 0 and 1");
	return words->at == end ? OK : fail(words, "Bad arguments for REDUCE");
}

/* "__generated_aliassumwidth", as others call it. */
static size_t usual_name(struct span function, const struct aggregate *aggregate,
    const struct reducer *reducer, bool has_column, char *out, size_t bytes)
{
	struct span column = has_column ? aggregate->columns[reducer->column].name : (struct span){0};
	int len = snprintf(out, bytes, "__generated_alias%.*s%.*s", (int)function.len,
	    (const char *)function.ptr, (int)column.len,
	    column.len > 0 ? (const char *)column.ptr : "");
	size_t used = (size_t)len < bytes ? (size_t)len : bytes - 1;
	for (size_t i = 0; i < used; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
	return used;
}

static enum err take_reducer(struct words *words, struct stage *stage, struct span *names)
{
	struct span word;
	int64_t given;
	size_t at = 0;
	char usual[ATTR_NAME_MAX];
	if (stage->reducer_count == AGGREGATE_REDUCERS_MAX)
		return fail(words, "at most 32 reducers");
	if (!next_word(words, &word))
		return fail(words, "REDUCE needs a function");
	while (at < ARRAY_COUNT(reducers) && !span_is(word, reducers[at].name))
		at++;
	if (at == ARRAY_COUNT(reducers)) {
		snprintf(words->why, AGGREGATE_WHY_BYTES, "No such reducer: %.*s",
		    (int)(word.len < 40 ? word.len : 40), (const char *)word.ptr);
		return ERR_INVALID;
	}
	if (!next_number(words, 0, 8, &given))
		return fail(words, "Bad arguments for REDUCE: Expected a number of arguments");
	struct reducer *reducer = &stage->reducers[stage->reducer_count];
	*reducer = (struct reducer){.kind = reducers[at].kind};
	enum err err = take_arguments(words, reducer, reducers[at].args, given);
	if (err != OK)
		return err;
	struct span *name = &names[stage->reducer_count++];
	if (next_is(words, "AS"))
		return next_word(words, name) ? OK : fail(words, "AS needs a name");
	size_t len = usual_name(word, words->aggregate, reducer, given > 0, usual, sizeof(usual));
	uint8_t *text = arena_alloc(&words->aggregate->texts, len);
	if (text == NULL)
		return too_many(words);
	memcpy(text, usual, len);
	*name = span_of(text, len);
	return OK;
}

/* Only what it made is there from now on. */
static enum err close_group(struct words *words, struct stage *stage, const struct span *names)
{
	struct aggregate *aggregate = words->aggregate;
	aggregate->grouped = true;
	aggregate->shown_count = 0;
	for (uint32_t i = 0; i < aggregate->column_count; i++)
		aggregate->columns[i].is_known = false;
	for (uint32_t i = 0; i < stage->column_count; i++) {
		aggregate->columns[stage->columns[i]].is_known = true;
		aggregate_show(aggregate, stage->columns[i]);
	}
	for (uint32_t i = 0; i < stage->reducer_count; i++) {
		enum err err = column_make(words, names[i], &stage->reducers[i].to);
		if (err != OK)
			return err;
		aggregate_show(aggregate, stage->reducers[i].to);
	}
	return OK;
}

static enum err take_group(struct words *words)
{
	struct aggregate *aggregate = words->aggregate;
	struct span names[AGGREGATE_REDUCERS_MAX];
	int64_t count;
	enum err err = OK;
	struct stage *stage = stage_add(words, STAGE_GROUP);
	if (stage == NULL)
		return ERR_TOOLARGE;
	if (!next_number(words, 0, AGGREGATE_PROPERTIES_MAX, &count))
		return fail(words, "Bad arguments for GROUPBY: Expected a number of properties, at most 16");
	stage->reducers = memory_alloc(
	    aggregate->memory, AGGREGATE_REDUCERS_MAX * sizeof(*stage->reducers));
	for (int64_t i = 0; i < count && err == OK; i++)
		err = take_column(words, &stage->columns[stage->column_count++]);
	while (err == OK && next_is(words, "REDUCE"))
		err = take_reducer(words, stage, names);
	return err == OK ? close_group(words, stage, names) : err;
}

static enum err take_stage(struct words *words)
{
	if (next_is(words, "LOAD"))
		return take_load(words);
	if (next_is(words, "APPLY"))
		return take_expression(words, STAGE_APPLY);
	if (next_is(words, "FILTER"))
		return take_expression(words, STAGE_FILTER);
	if (next_is(words, "GROUPBY"))
		return take_group(words);
	if (next_is(words, "SORTBY"))
		return take_sort(words);
	if (next_is(words, "LIMIT"))
		return take_limit(words);
	const struct aggregate_words *given = words->given;
	if (given->other != NULL &&
	    given->other(given->ctx, given->argv, given->argc, &words->at))
		return OK;
	struct span word = given->argv[words->at];
	snprintf(words->why, AGGREGATE_WHY_BYTES, "Unknown argument `%.*s` at position %u for <main>",
	    (int)(word.len < 40 ? word.len : 40), (const char *)word.ptr, words->at + 1);
	return ERR_INVALID;
}

enum err aggregate_new(struct aggregate **out, struct memory *memory,
    const struct aggregate_words *given, char why[AGGREGATE_WHY_BYTES])
{
	struct aggregate *aggregate = memory_zalloc(memory, sizeof(*aggregate));
	struct words words = {.aggregate = aggregate, .given = given, .why = why};
	enum err err = OK;
	*out = NULL;
	why[0] = 0;
	aggregate->magic = AGGREGATE_MAGIC;
	aggregate->memory = memory;
	aggregate->seed = given->hash_seed;
	arena_init(&aggregate->texts, memory, TEXTS_MAX);
	arena_init(&aggregate->kept, memory, AGGREGATE_MEMORY_MAX);
	arena_init(&aggregate->scratch, memory, TEXTS_MAX);
	arena_init(&aggregate->rows, memory, AGGREGATE_MEMORY_MAX);
	while (err == OK && words.at < given->argc)
		err = take_stage(&words);
	if (err != OK) {
		aggregate_free(aggregate);
		return err;
	}
	*out = aggregate;
	return OK;
}
