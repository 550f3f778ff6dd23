/* commands/sort.c: SORT and SORT_RO: the elements of a list, set or sorted set in another order, or
 * what other keys say of them.
 *
 * Elements, and what they are compared by, are copied into one buffer first: some have no bytes of
 * their own in their value.
 */
#include "commands/list.h"

#include "base/arith.h"
#include "engine/transaction.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Bytes in `texts`. */
struct text {
	size_t at, len;
};

struct sort_element {
	struct text name, by;             /* by: with ALPHA and BY */
	double      score;                /* without ALPHA */
	bool        has_by;
};

struct sort {
	struct call         *call;
	struct memory       *memory;
	bool                 reverse, alpha, unsorted, stores, weighs;      /* weighs: nothing is done */
	struct span          by, target;
	int64_t              offset, limit;
	uint32_t            *gets;        /* in argv */
	uint32_t             get_count;
	struct buf           texts;
	struct sort_element *elements;
	uint64_t             count;
};

static struct span sort_text(const struct sort *sort, struct text text)
{
	return span_of(sort->texts.ptr + text.at, text.len);
}

static struct text sort_keep(struct sort *sort, struct span bytes)
{
	struct text text = {sort->texts.len, bytes.len};
	buf_append(&sort->texts, bytes);
	return text;
}

/* ---- Words ------------------------------------------------------------------------------------- */

static bool parse_sort(struct sort *sort, bool read_only)
{
	struct call *call = sort->call;
	for (uint32_t i = 2; i < call->argc; i++) {
		uint32_t left = call->argc - i - 1;
		struct span word = call->argv[i];
		if (span_is(word, "ASC")) {
			sort->reverse = false;
		} else if (span_is(word, "DESC")) {
			sort->reverse = true;
		} else if (span_is(word, "ALPHA")) {
			sort->alpha = true;
		} else if (span_is(word, "LIMIT") && left >= 2) {
			if (!parse_integer(call, call->argv[i + 1], &sort->offset, NULL) ||
			    !parse_integer(call, call->argv[i + 2], &sort->limit, NULL))
				return false;
			i += 2;
		} else if (!read_only && span_is(word, "STORE") && left >= 1) {
			sort->stores = true;
			sort->target = call->argv[++i];
		} else if (span_is(word, "BY") && left >= 1) {
			sort->by = call->argv[++i];
			sort->unsorted = memchr(sort->by.ptr, '*', sort->by.len) == NULL;
		} else if (span_is(word, "GET") && left >= 1) {
			sort->gets[sort->get_count++] = ++i;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

/* ---- Other keys ----------------------------------------------------------------------------------- */

/* The place of "->", with something behind it, after the star; the pattern's length if there is none. */
static size_t field_mark(struct span pattern, size_t star)
{
	for (size_t i = star + 1; i + 2 < pattern.len; i++)
		if (pattern.ptr[i] == '-' && pattern.ptr[i + 1] == '>')
			return i;
	return pattern.len;
}

/* What the key, or the field of a hash, holds that the pattern names with `name` in place of its star. */
static bool lookup_pattern(struct sort *sort, struct span pattern, struct span name, struct item *out)
{
	struct call *call = sort->call;
	struct value small;
	if (span_equal(pattern, SPAN_LIT("#"))) {
		out->bytes = name;
		return true;
	}
	const uint8_t *found = pattern.len == 0 ? NULL : memchr(pattern.ptr, '*', pattern.len);
	if (found == NULL)
		return false;
	size_t star = (size_t)(found - pattern.ptr), mark = field_mark(pattern, star);
	struct buf key;
	buf_init(&key, sort->memory);
	buf_append(&key, span_slice(pattern, 0, star));
	buf_append(&key, name);
	buf_append(&key, span_slice(pattern, star + 1, mark - star - 1));
	struct entry *entry = key.len > KEY_BYTES_MAX ? NULL
	    : sort->weighs                            ? call_lookup_quiet(call, buf_span(&key))
	                                              : call_lookup_read(call, buf_span(&key));
	buf_fini(&key);
	if (entry == NULL)
		return false;
	if (mark == pattern.len) {
		if (entry->type == ENTRY_STRING)
			out->bytes = entry_string(entry);
		return entry->type == ENTRY_STRING;
	}
	return entry->type == ENTRY_HASH &&
	    hash_get(entry_collection(entry, &small), span_slice(pattern, mark + 2, pattern.len), out);
}

/* ---- Elements --------------------------------------------------------------------------------------- */

/* As strtod reads it, to which nothing at all is 0. */
static bool parse_sort_score(struct span text, double *out)
{
	char copy[512], *end;
	if (text.len >= sizeof(copy))
		return false;
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	errno = 0;
	*out = strtod(copy, &end);
	return *end == 0 && errno != ERANGE && !isnan(*out);
}

/* What it is compared by. False: that is no number. */
static bool sort_weigh(struct sort *sort, struct sort_element *element)
{
	struct item item;
	struct span by = sort_text(sort, element->name);
	element->has_by = true;
	if (sort->by.ptr != NULL) {
		element->has_by = lookup_pattern(sort, sort->by, by, &item);
		by = item.bytes;
	}
	if (!element->has_by)
		return true;
	if (!sort->alpha)
		return parse_sort_score(by, &element->score);
	element->by = sort->by.ptr != NULL ? sort_keep(sort, by) : element->name;
	return true;
}

static void sort_collect(struct sort *sort, const struct value *value)
{
	struct walk walk;
	uint64_t i = 0;
	bool reverse = sort->unsorted && sort->reverse && value->type != ENTRY_SET;
	if (reverse)
		walk_init_at(&walk, value, value->count - 1, true);
	else
		walk_init(&walk, value);
	while (walk_next(&walk))
		sort->elements[i++] = (struct sort_element){.name = sort_keep(sort, walk.name.bytes)};
	ASSERT(i == sort->count);
}

static int compare_elements(const void *a, const void *b, void *ctx)
{
	const struct sort *sort = ctx;
	const struct sort_element *x = a, *y = b;
	int order;
	if (!sort->alpha) {
		order = x->score < y->score ? -1 : x->score > y->score;
		if (order == 0)               /* so that the order is always the same */
			order = span_compare(sort_text(sort, x->name), sort_text(sort, y->name));
	} else if (x->has_by && y->has_by) {
		order = span_compare(sort_text(sort, x->by), sort_text(sort, y->by));
	} else {
		order = (x->has_by ? 1 : 0) - (y->has_by ? 1 : 0);
	}
	return sort->reverse ? -order : order;
}

/* False: an error was replied. */
static bool sort_order(struct sort *sort)
{
	if (sort->unsorted)
		return true;
	for (uint64_t i = 0; i < sort->count; i++) {
		if (!sort_weigh(sort, &sort->elements[i])) {
			call_error(sort->call, "ERR One or more scores can't be converted into double");
			return false;
		}
	}
	if (sort->count > 1)
		qsort_r(sort->elements, sort->count, sizeof(sort->elements[0]), compare_elements, sort);
	return true;
}

/* ---- The answer ----------------------------------------------------------------------------- */

/* The elements [first, end) that LIMIT leaves. */
static void sort_limits(const struct sort *sort, uint64_t *first, uint64_t *end)
{
	*first = sort->offset < 0 ? 0 : min_u64((uint64_t)sort->offset, sort->count);
	uint64_t most = sort->limit < 0 ? sort->count : (uint64_t)sort->limit;
	*end = *first + min_u64(most, sort->count - *first);
}

static void sort_reply(struct sort *sort, uint64_t first, uint64_t end)
{
	struct reply *reply = sort->call->reply;
	reply_array(reply, (end - first) * (sort->get_count == 0 ? 1 : sort->get_count));
	for (uint64_t i = first; i < end; i++) {
		struct span name = sort_text(sort, sort->elements[i].name);
		if (sort->get_count == 0)
			reply_bulk(reply, name);
		for (uint32_t g = 0; g < sort->get_count; g++) {
			struct item item;
			if (lookup_pattern(sort, sort->call->argv[sort->gets[g]], name, &item))
				reply_bulk(reply, item.bytes);
			else
				reply_null(reply);
		}
	}
}

static void made_push(struct sort *sort, struct value *made, struct buf *ops, struct span element)
{
	buf_clear(ops);
	ops_member(ops, OP_PUSH_TAIL, element);
	enum err err = value_apply(made, buf_span(ops), call_value_limits(sort->call), NULL, NULL);
	ASSERT(err == OK);
}

/* EXEC made room for what GET would have found before its first command. */
static bool made_fits(struct call *call, const struct value *made)
{
	const struct transaction *transaction = call->session->transaction;
	if (!call->engine->in_exec || value_dump_bytes(made) <= transaction->growth_max)
		return true;
	call_error(call, "OVERLOADED EXEC made room for less than what GET found");
	return false;
}

static void sort_store(struct sort *sort, uint64_t first, uint64_t end)
{
	struct value made;
	struct buf ops;
	value_init(&made, ENTRY_LIST, call_value_memory(sort->call));
	buf_init(&ops, sort->memory);
	for (uint64_t i = first; i < end; i++) {
		struct span name = sort_text(sort, sort->elements[i].name);
		if (sort->get_count == 0)
			made_push(sort, &made, &ops, name);
		for (uint32_t g = 0; g < sort->get_count; g++) {
			struct item item;
			bool found = lookup_pattern(sort, sort->call->argv[sort->gets[g]], name, &item);
			made_push(sort, &made, &ops, found ? item.bytes : (struct span){0});
		}
	}
	buf_fini(&ops);
	if (made_fits(sort->call, &made))
		store_made(sort->call, sort->target, &made, NOTIFY_LIST, "sortstore");
	value_fini(&made);
}

/* NULL: there is no such key, or it cannot be sorted (call->failed). */
static const struct value *read_sortable(struct call *call, struct value *small)
{
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (entry == NULL)
		return NULL;
	if (entry->type == ENTRY_LIST || entry->type == ENTRY_SET || entry->type == ENTRY_ZSET)
		return entry_collection(entry, small);
	reply_wrong_type(call);
	return NULL;
}

static void sort_run(struct sort *sort)
{
	struct call *call = sort->call;
	struct value small;
	uint64_t first, end;
	const struct value *value = read_sortable(call, &small);
	if (call->failed)
		return;
	if (sort->unsorted && sort->stores && value != NULL && value->type == ENTRY_SET) {
		sort->unsorted = false;       /* a set has no order that could be kept */
		sort->alpha = true;
		sort->by = (struct span){0};
	}
	sort->count = value == NULL ? 0 : value->count;
	size_t bytes = sort->count * sizeof(sort->elements[0]);
	if (sort->count > 0) {
		sort->elements = memory_alloc(sort->memory, bytes);
		sort_collect(sort, value);
	}
	if (sort_order(sort)) {
		sort_limits(sort, &first, &end);
		if (sort->stores)
			sort_store(sort, first, end);
		else
			sort_reply(sort, first, end);
	}
	if (sort->elements != NULL)
		memory_free(sort->memory, sort->elements, bytes);
}

static void sort_generic(struct call *call, bool read_only)
{
	struct memory *memory = &call->engine->memory.engine;
	struct sort sort = {.call = call, .memory = memory, .limit = -1};
	size_t bytes = call->argc * sizeof(sort.gets[0]);
	sort.gets = memory_alloc(memory, bytes);
	buf_init(&sort.texts, memory);
	if (parse_sort(&sort, read_only))
		sort_run(&sort);
	buf_fini(&sort.texts);
	memory_free(memory, sort.gets, bytes);
}

/* What other keys say, and a little for each. */
static uint64_t weigh_element(struct sort *sort, struct span name)
{
	enum { ELEMENT = 16 };
	uint64_t bytes = 0;
	struct item item;
	for (uint32_t g = 0; g < sort->get_count; g++) {
		bool found = lookup_pattern(sort, sort->call->argv[sort->gets[g]], name, &item);
		bytes += ELEMENT + (found ? item.bytes.len : 0);
	}
	return bytes;
}

uint64_t sort_store_bytes(struct call *exec, const struct request *request)
{
	struct memory *memory = &exec->engine->memory.engine;
	struct call call = {
	    .engine = exec->engine, .session = exec->session, .argc = request->argc, .argv = request->argv};
	struct sort sort = {.call = &call, .memory = memory, .weighs = true};
	struct value small;
	struct walk walk;
	uint64_t bytes = 0;
	struct entry *entry = call_lookup_quiet(&call, call.argv[1]);
	if (entry == NULL ||
	    (entry->type != ENTRY_LIST && entry->type != ENTRY_SET && entry->type != ENTRY_ZSET))
		return 0;
	size_t room = call.argc * sizeof(sort.gets[0]);
	sort.gets = memory_alloc(memory, room);
	for (uint32_t i = 2; i + 1 < call.argc; i++) {
		if (span_is(call.argv[i], "GET"))
			sort.gets[sort.get_count++] = ++i;
		else if (span_is(call.argv[i], "BY") || span_is(call.argv[i], "STORE"))
			i++;
		else if (span_is(call.argv[i], "LIMIT"))
			i += 2;
	}
	walk_init(&walk, entry_collection(entry, &small));
	while (sort.get_count > 0 && walk_next(&walk))
		bytes += weigh_element(&sort, walk.name.bytes);
	memory_free(memory, sort.gets, room);
	return bytes;
}

void cmd_sort(struct call *call) { sort_generic(call, false); }
void cmd_sort_ro(struct call *call) { sort_generic(call, true); }
