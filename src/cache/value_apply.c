/* cache/value_apply.c: doing operations (ops.h), and leaving the small form at its limits. See value.h. */
#include "cache/value_impl.h"

#include "base/arith.h"

struct apply {
	struct value              *value;
	const struct value_limits *limits;
	uint64_t                   added, removed;
};

/* Whether so much more keeps the run of a small value walkable. */
static bool packed_has_room(const struct value *value, size_t bytes)
{
	return bytes < PACKED_BYTES_MAX / 2 && value->packed.len + bytes < PACKED_BYTES_MAX - 64;
}

/* ---- Hashes --------------------------------------------------------------------------------- */

static void table_set_data(struct apply *apply, struct span field, struct span data)
{
	struct table *table = apply->value->table;
	struct member **found = table_find(table, field);
	struct member_view view = {.name = field, .data = data};
	if (found == NULL) {
		table_add(table, member_new(table->memory, MEMBER_HASH, &view));
		apply->added++;
	} else if (!member_set_data(*found, data)) {
		struct member *old = *found;
		*found = member_new(table->memory, MEMBER_HASH, &view);
		member_free(table->memory, MEMBER_HASH, old);
	}
}

static void apply_set(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	const struct value_limits *limits = apply->limits;
	if (value->encoding == VALUE_PACKED) {
		struct needle field = needle_of(op->member), data = needle_of(op->data);
		struct packed *packed = &value->packed;
		uint32_t at;
		bool found = value_packed_find(value, &field, &at);
		bool fits = op->member.len <= limits->hash_bytes && op->data.len <= limits->hash_bytes &&
		    (found || value->count < limits->hash_entries);
		if (fits && packed_has_room(value, op->member.len + op->data.len)) {
			if (found) {
				packed_replace(packed, value->memory, packed_next(packed, at), &data);
				return;
			}
			at = packed_insert(packed, value->memory, packed_end(packed), &field);
			packed_insert(packed, value->memory, at, &data);
			apply->added++;
			return;
		}
		value_convert(value, VALUE_TABLE, limits);
	}
	table_set_data(apply, op->member, op->data);
}

/* ---- Sets ------------------------------------------------------------------------------------- */

/* Makes the set such that the member can be in it as it is then. */
static void set_prepare(struct apply *apply, const struct needle *member)
{
	struct value *value = apply->value;
	const struct value_limits *limits = apply->limits;
	bool fits_packed = value->count < limits->set_entries && member->text.len <= limits->set_bytes &&
	    packed_has_room(value, member->text.len);
	if (value->encoding == VALUE_INTSET) {
		if (member->is_number && value->count < limits->intset_entries)
			return;
		bool numbers_fit = value->count == 0 || limits->set_bytes >= 20;
		bool to_packed = fits_packed && numbers_fit && !member->is_number;
		value_convert(value, to_packed ? VALUE_PACKED : VALUE_TABLE, limits);
		return;
	}
	if (value->encoding == VALUE_PACKED && !fits_packed)
		value_convert(value, VALUE_TABLE, limits);
}

static void apply_add(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	struct needle member = needle_of(op->member);
	if (set_has(value, op->member))
		return;
	set_prepare(apply, &member);
	apply->added++;
	if (value->encoding == VALUE_INTSET) {
		intset_add(&value->packed, value->memory, member.number);
	} else if (value->encoding == VALUE_PACKED) {
		packed_insert(&value->packed, value->memory, packed_end(&value->packed), &member);
	} else {
		struct member_view view = {.name = op->member};
		table_add(value->table, member_new(value->memory, MEMBER_SET, &view));
	}
}

/* ---- Sorted sets --------------------------------------------------------------------------------- */

/* Where a pair belongs in a packed sorted set. */
static uint32_t packed_rank_place(const struct value *value, struct span name, double score)
{
	const struct packed *packed = &value->packed;
	uint32_t at = PACKED_HEAD, end = packed_end(packed);
	while (at < end) {
		uint32_t second = packed_next(packed, at);
		double other = packed_score(packed, second);
		if (other > score)
			break;
		if (other == score) {
			struct item item;
			packed_get(packed, at, &item);
			if (span_compare(item.bytes, name) > 0)
				break;
		}
		at = packed_next(packed, second);
	}
	return at;
}

static void apply_score(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	const struct value_limits *limits = apply->limits;
	if (value->encoding == VALUE_PACKED) {
		struct needle member = needle_of(op->member);
		struct packed *packed = &value->packed;
		uint32_t at;
		bool found = value_packed_find(value, &member, &at);
		bool fits = op->member.len <= limits->zset_bytes &&
		    (found || value->count < limits->zset_entries);
		if (found && packed_score(packed, packed_next(packed, at)) == op->score)
			return;
		if (fits && packed_has_room(value, op->member.len)) {
			if (found)
				packed_remove(packed, value->memory, at, 2);
			at = packed_rank_place(value, op->member, op->score);
			at = packed_insert(packed, value->memory, at, &member);
			packed_insert_score(packed, value->memory, at, op->score);
			apply->added += found ? 0 : 1;
			return;
		}
		value_convert(value, VALUE_RANKS, limits);
	}
	apply->added += ranks_set(value->ranks, op->member, op->score) ? 1 : 0;
}

static void apply_cut(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	if (op->first >= value->count)
		return;
	uint64_t count = min_u64(op->count, value->count - op->first);
	if (value->encoding == VALUE_PACKED) {
		uint32_t at = packed_seek(&value->packed, (uint32_t)op->first * 2);
		packed_remove(&value->packed, value->memory, at, (uint32_t)count * 2);
	} else {
		ranks_cut(value->ranks, op->first, count);
	}
	apply->removed += count;
}

/* ---- Hashes, sets, sorted sets ---------------------------------------------------------------------- */

static bool table_delete(struct table *table, struct span name)
{
	struct member *member = table_take(table, name);
	if (member == NULL)
		return false;
	member_free(table->memory, table->kind, member);
	return true;
}

static void apply_delete(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	struct needle member = needle_of(op->member);
	bool gone;
	if (value->encoding == VALUE_TABLE) {
		gone = table_delete(value->table, op->member);
	} else if (value->encoding == VALUE_RANKS) {
		gone = ranks_remove(value->ranks, op->member);
	} else if (value->encoding == VALUE_INTSET) {
		gone = member.is_number && intset_remove(&value->packed, value->memory, member.number);
	} else {
		uint32_t at;
		gone = value_packed_find(value, &member, &at);
		if (gone)
			packed_remove(&value->packed, value->memory, at, value->type == ENTRY_SET ? 1 : 2);
	}
	apply->removed += gone ? 1 : 0;
}

static void apply_clear(struct apply *apply, const struct op_view *op)
{
	UNUSED(op);
	apply->removed += apply->value->count;
	value_fini(apply->value);
}

/* ---- Lists --------------------------------------------------------------------------------------------- */

/* Leaves the small form if `more` elements with so many bytes do not fit one run. */
static void elements_prepare(struct apply *apply, uint64_t more, size_t bytes)
{
	struct value *value = apply->value;
	uint64_t len = (uint64_t)value->packed.len + bytes + PACKED_ELEMENT_EXTRA;
	if (value->encoding == VALUE_PACKED &&
	    !sequence_fits(value->count + more, len, apply->limits->list_size))
		value_convert(value, VALUE_SEQUENCE, apply->limits);
}

static void elements_insert(struct apply *apply, uint64_t place, struct span element)
{
	struct value *value = apply->value;
	elements_prepare(apply, 1, element.len);
	if (value->encoding == VALUE_PACKED) {
		struct needle needle = needle_of(element);
		uint32_t at = packed_seek(&value->packed, (uint32_t)place);
		packed_insert(&value->packed, value->memory, at, &needle);
	} else {
		sequence_insert(value->sequence, place, element, apply->limits->list_size);
	}
	apply->added++;
}

static void elements_remove(struct apply *apply, uint64_t first, uint64_t count)
{
	struct value *value = apply->value;
	if (first >= value->count)
		return;
	count = min_u64(count, value->count - first);
	if (value->encoding == VALUE_PACKED) {
		uint32_t at = packed_seek(&value->packed, (uint32_t)first);
		packed_remove(&value->packed, value->memory, at, (uint32_t)count);
	} else {
		sequence_remove(value->sequence, first, count, apply->limits->list_size);
	}
	apply->removed += count;
}

static void apply_push(struct apply *apply, const struct op_view *op)
{
	bool head = op->op == OP_PUSH_HEAD;
	apply->value->head_number -= head ? 1 : 0;
	elements_insert(apply, head ? 0 : apply->value->count, op->member);
}

static void apply_pop(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	uint64_t count = min_u64(op->count, value->count);
	if (op->op == OP_POP_HEAD)
		value->head_number += (int64_t)count;
	elements_remove(apply, op->op == OP_POP_HEAD ? 0 : value->count - count, count);
}

static void apply_put(struct apply *apply, const struct op_view *op)
{
	struct value *value = apply->value;
	if (op->first >= value->count)
		return;
	elements_prepare(apply, 0, op->member.len);
	if (value->encoding == VALUE_PACKED) {
		struct needle needle = needle_of(op->member);
		uint32_t at = packed_seek(&value->packed, (uint32_t)op->first);
		packed_replace(&value->packed, value->memory, at, &needle);
	} else {
		sequence_put(value->sequence, op->first, op->member, apply->limits->list_size);
	}
}

static void apply_insert(struct apply *apply, const struct op_view *op)
{
	if (op->first <= apply->value->count)
		elements_insert(apply, op->first, op->member);
}

static void apply_remove(struct apply *apply, const struct op_view *op)
{
	elements_remove(apply, op->first, op->count);
}

/* ---- All of them ------------------------------------------------------------------------- */

#define FOR(type) (1U << (type))
enum { ALL_TYPES = FOR(ENTRY_HASH) | FOR(ENTRY_LIST) | FOR(ENTRY_SET) | FOR(ENTRY_ZSET) };

static const struct {
	void (*apply)(struct apply *apply, const struct op_view *op);
	unsigned types;
} op_rows[OP_COUNT] = {
	[OP_SET] = {apply_set, FOR(ENTRY_HASH)},
	[OP_ADD] = {apply_add, FOR(ENTRY_SET)},
	[OP_SCORE] = {apply_score, FOR(ENTRY_ZSET)},
	[OP_DELETE] = {apply_delete, ALL_TYPES & ~FOR(ENTRY_LIST)},
	[OP_CUT] = {apply_cut, FOR(ENTRY_ZSET)},
	[OP_PUSH_HEAD] = {apply_push, FOR(ENTRY_LIST)},
	[OP_PUSH_TAIL] = {apply_push, FOR(ENTRY_LIST)},
	[OP_POP_HEAD] = {apply_pop, FOR(ENTRY_LIST)},
	[OP_POP_TAIL] = {apply_pop, FOR(ENTRY_LIST)},
	[OP_PUT] = {apply_put, FOR(ENTRY_LIST)},
	[OP_INSERT] = {apply_insert, FOR(ENTRY_LIST)},
	[OP_REMOVE] = {apply_remove, FOR(ENTRY_LIST)},
	[OP_CLEAR] = {apply_clear, ALL_TYPES},
};

enum err value_apply(struct value *value, struct span ops, const struct value_limits *limits,
    uint64_t *added, uint64_t *removed)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(!value->borrowed);
	struct apply apply = {.value = value, .limits = limits};
	enum err err = OK;
	uint64_t before = value->memory->bytes - value->bytes, count = value->count;
	while (ops.len > 0 && err == OK) {
		struct op_view op;
		if (!ops_take(&ops, &op) || (op_rows[op.op].types & FOR(value->type)) == 0) {
			err = ERR_CORRUPT;
			break;
		}
		op_rows[op.op].apply(&apply, &op);
		value->count = count + apply.added - apply.removed;
	}
	value->bytes = value->memory->bytes - before;
	if (added != NULL)
		*added = apply.added;
	if (removed != NULL)
		*removed = apply.removed;
	return err;
}
