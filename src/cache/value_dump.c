/* cache/value_dump.c: values as bytes, and back. See value.h.
 *
 * The dump of a packed value is its run; that of an intset as well; that of any other the
 * operations that make it.
 */
#include "cache/value_impl.h"

static void dump_member(unsigned type, struct buf *out, const struct member_view *view)
{
	if (type == ENTRY_HASH)
		ops_set(out, view->name, view->data);
	else if (type == ENTRY_SET)
		ops_member(out, OP_ADD, view->name);
	else if (type == ENTRY_ZSET)
		ops_score(out, view->name, view->score);
	else
		ops_member(out, OP_PUSH_TAIL, view->name);
}

void value_dump(const struct value *value, struct buf *out)
{
	static const uint8_t empty[PACKED_HEAD] = {0}, empty_intset[] = {2};
	struct walk walk;
	if (value->encoding == VALUE_PACKED && value->packed.len == 0) {
		buf_append(out, span_of(empty, sizeof(empty)));
	} else if (value->encoding == VALUE_INTSET && value->packed.len == 0) {
		buf_append(out, span_of(empty_intset, sizeof(empty_intset)));
	} else if (value->encoding == VALUE_PACKED || value->encoding == VALUE_INTSET) {
		buf_append(out, span_of(value->packed.ptr, value->packed.len));
	} else {
		walk_init(&walk, value);
		while (walk_next(&walk)) {
			struct member_view view = {walk.name.bytes, walk.data.bytes, walk.score, 0};
			dump_member(value->type, out, &view);
		}
	}
}

bool value_dump_next(struct walk *walk, size_t bytes, struct buf *out)
{
	const struct value *value = walk->value;
	ASSERT(value->encoding == value_large(value->type));
	for (size_t end = out->len + bytes; out->len < end;) {
		if (!walk_next(walk))
			return false;
		struct member_view view = {walk->name.bytes, walk->data.bytes, walk->score, 0};
		dump_member(value->type, out, &view);
	}
	return true;
}

uint64_t value_dump_bytes(const struct value *value)
{
	if (value->encoding == VALUE_PACKED || value->encoding == VALUE_INTSET)
		return value->packed.len;
	/* A number takes more as text than in a run; anything else less than it takes in memory. */
	return value->bytes + (value->encoding == VALUE_SEQUENCE ? 12 * value->count : 0);
}

struct dump {
	unsigned         type;
	enum member_kind kind;
	struct buf      *out;
};

static void dump_one(void *ctx, const struct member *member)
{
	const struct dump *dump = ctx;
	struct member_view view = member_view(dump->kind, member);
	dump_member(dump->type, dump->out, &view);
}

uint64_t value_dump_some(const struct value *value, uint64_t cursor, size_t bytes, struct buf *out)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->encoding == VALUE_TABLE || value->encoding == VALUE_RANKS);
	const struct table *table = value->encoding == VALUE_TABLE ? value->table : value->ranks->table;
	struct dump dump = {value->type, table->kind, out};
	size_t end = out->len + bytes;
	do
		cursor = table_scan(table, cursor, dump_one, &dump);
	while (cursor != 0 && out->len < end);
	return cursor;
}

/* ---- Back ------------------------------------------------------------------------------------ */

/* The scores of a sorted set's run are scores. */
static bool check_scores(const struct packed *packed)
{
	uint32_t at = PACKED_HEAD, end = packed_end(packed);
	while (at < end) {
		uint32_t second = packed_next(packed, at);
		if (!packed_has_score(packed, second))
			return false;
		at = packed_next(packed, second);
	}
	return true;
}

bool value_check(enum entry_type type, enum value_encoding encoding, struct span bytes)
{
	if (encoding == VALUE_INTSET)
		return type == ENTRY_SET && intset_check(bytes);
	if (encoding != VALUE_PACKED || !packed_check(bytes))
		return false;
	struct packed packed = {(uint8_t *)(uintptr_t)bytes.ptr, (uint32_t)bytes.len, 0};
	bool pairs = type == ENTRY_HASH || type == ENTRY_ZSET;
	if (pairs && packed_count(&packed) % 2 != 0)
		return false;
	return type != ENTRY_ZSET || check_scores(&packed);
}

/* By way of a table, so that many cannot take long. */
static bool members_differ(const struct value *value, const struct value_limits *limits)
{
	struct walk walk;
	bool differ = true;
	if (value->type == ENTRY_LIST || value->encoding == VALUE_INTSET)
		return true;
	struct table *table = table_new(value->memory, MEMBER_SET, limits->seed);
	walk_init(&walk, value);
	while (differ && walk_next(&walk)) {
		struct member_view view = {.name = walk.name.bytes};
		differ = table_find(table, walk.name.bytes) == NULL;
		if (differ)
			table_add(table, member_new(value->memory, MEMBER_SET, &view));
	}
	table_free(table);
	return differ;
}

static bool members_rise(const struct value *value)
{
	struct walk walk;
	struct item last = {0};
	double score = 0;
	if (value->type != ENTRY_ZSET)
		return true;
	walk_init(&walk, value);
	while (walk_next(&walk)) {
		if (walk.place > 1 && (score > walk.score ||
		        (score == walk.score && span_compare(last.bytes, walk.name.bytes) >= 0)))
			return false;
		item_copy(&last, &walk.name);
		score = walk.score;
	}
	return true;
}

/* Whether a packed value is one that value_apply would have made, or at least left so. */
static bool within_limits(const struct value *value, const struct value_limits *limits)
{
	if (value->type == ENTRY_LIST)
		return sequence_fits(value->count, value->packed.len, limits->list_size);
	if (value->encoding == VALUE_INTSET)
		return value->count <= limits->intset_entries;
	if (value->type == ENTRY_HASH)
		return value->count <= limits->hash_entries;
	return value->count <= (value->type == ENTRY_SET ? limits->set_entries : limits->zset_entries);
}

static enum err load_packed(
    struct value *value, enum value_encoding encoding, struct span bytes, const struct value_limits *limits)
{
	struct value foreign;
	if (!value_check(value->type, encoding, bytes))
		return ERR_CORRUPT;
	value_borrow(&foreign, value->type, encoding, bytes);
	foreign.memory = value->memory;
	if (!members_differ(&foreign, limits) || !members_rise(&foreign))
		return ERR_CORRUPT;
	size_t cap = packed_class(bytes.len);
	uint8_t *own = memory_try_alloc(value->memory, cap);
	if (own == NULL)
		return ERR_MEMORY;
	memcpy(own, bytes.ptr, bytes.len);
	value->encoding = (uint8_t)encoding;
	value->packed = (struct packed){own, (uint32_t)bytes.len, (uint32_t)cap};
	value_count_packed(value);
	if (!within_limits(value, limits))
		value_convert(value, value_large(value->type), limits);
	return OK;
}

/* Operations that each add one. */
enum err value_load_some(
    struct value *value, struct span *rest, size_t bytes, const struct value_limits *limits)
{
	static const enum op makers[ENTRY_TYPE_COUNT] = {
		[ENTRY_HASH] = OP_SET, [ENTRY_LIST] = OP_PUSH_TAIL,
		[ENTRY_SET] = OP_ADD, [ENTRY_ZSET] = OP_SCORE,
	};
	const struct span all = *rest;
	struct op_view op;
	uint64_t count = 0, added, removed;
	for (; rest->len > 0 && all.len - rest->len < bytes; count++)
		if (!ops_take(rest, &op) || op.op != makers[value->type])
			return ERR_CORRUPT;
	if (value->encoding != value_large(value->type))
		value_convert(value, value_large(value->type), limits);
	const struct span ops = span_slice(all, 0, all.len - rest->len);
	enum err err = value_apply(value, ops, limits, &added, &removed);
	return err == OK && added != count ? ERR_CORRUPT : err;
}

enum err value_load(struct value *value, enum value_encoding encoding, struct span bytes,
    const struct value_limits *limits)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(!value->borrowed && value->count == 0);
	value_fini(value);
	uint64_t before = value->memory->bytes;
	enum err err = ERR_CORRUPT;
	if (encoding == VALUE_PACKED || encoding == VALUE_INTSET)
		err = load_packed(value, encoding, bytes, limits);
	else if (encoding == value_large(value->type))
		err = value_load_some(value, &bytes, SIZE_MAX, limits);
	value->bytes = value->memory->bytes - before;
	if (err != OK)
		value_fini(value);
	return err;
}
