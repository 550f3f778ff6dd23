/* cache/value.c: making, turning into the large form, and freeing values. See value.h. */
#include "cache/value_impl.h"

void value_init(struct value *value, enum entry_type type, struct memory *memory)
{
	ASSERT(type == ENTRY_HASH || type == ENTRY_LIST || type == ENTRY_SET || type == ENTRY_ZSET);
	*value = (struct value){.magic = VALUE_MAGIC, .type = (uint8_t)type, .memory = memory};
	value->encoding = type == ENTRY_SET ? VALUE_INTSET : VALUE_PACKED;
}

/* Elements of a packed run that make one of the value. */
static uint32_t type_stride(unsigned type) { return type == ENTRY_HASH || type == ENTRY_ZSET ? 2 : 1; }

static uint64_t packed_value_count(const struct value *value)
{
	if (value->encoding == VALUE_INTSET)
		return intset_count(&value->packed);
	return packed_count(&value->packed) / type_stride(value->type);
}

void value_borrow(
    struct value *value, enum entry_type type, enum value_encoding encoding, struct span bytes)
{
	ASSERT(encoding == VALUE_PACKED || (encoding == VALUE_INTSET && type == ENTRY_SET));
	ASSERT(bytes.len <= PACKED_BYTES_MAX);
	value_init(value, type, NULL);
	value->encoding = (uint8_t)encoding;
	value->borrowed = true;
	/* The cast takes the const away; nothing writes to what is borrowed. */
	value->packed = (struct packed){(uint8_t *)(uintptr_t)bytes.ptr, (uint32_t)bytes.len, 0};
	value->count = packed_value_count(value);
}

void value_own(struct value *value, struct memory *memory)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->borrowed);
	struct span bytes = span_of(value->packed.ptr, value->packed.len);
	value->memory = memory;
	value->borrowed = false;
	value->packed = (struct packed){0};
	if (bytes.len == 0)
		return;
	size_t cap = packed_class(bytes.len);
	uint8_t *own = memory_alloc(memory, cap);
	memcpy(own, bytes.ptr, bytes.len);
	value->packed = (struct packed){own, (uint32_t)bytes.len, (uint32_t)cap};
	value->bytes = cap;
}

void value_count_packed(struct value *value) { value->count = packed_value_count(value); }

void value_fini(struct value *value)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	if (value->borrowed)
		value->packed = (struct packed){0};
	else if (value->encoding == VALUE_TABLE)
		table_free(value->table);
	else if (value->encoding == VALUE_RANKS)
		ranks_free(value->ranks);
	else if (value->encoding == VALUE_SEQUENCE)
		sequence_free(value->sequence);
	else
		packed_fini(&value->packed, value->memory);
	value_init(value, value->type, value->memory);
}

bool value_shrink(struct value *value, unsigned budget)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	if (value->borrowed || value->encoding == VALUE_PACKED || value->encoding == VALUE_INTSET)
		return false;
	uint64_t before = value->memory->bytes;
	bool more;
	if (value->encoding == VALUE_TABLE)
		more = table_shrink(value->table, budget);
	else if (value->encoding == VALUE_RANKS)
		more = ranks_shrink(value->ranks, budget);
	else
		more = sequence_shrink(value->sequence, budget);
	value->bytes -= before - value->memory->bytes;
	return more;
}

const char *value_encoding_name(const struct value *value)
{
	static const char *const names[] = {"listpack", "intset", "hashtable", "skiplist", "quicklist"};
	ASSERT(value->encoding < ARRAY_COUNT(names));
	return names[value->encoding];
}

/* ---- Into another form ---------------------------------------------------------------------- */

static void copy_into_table(const struct value *from, struct table *table)
{
	struct walk walk;
	walk_init(&walk, from);
	while (walk_next(&walk)) {
		struct member_view view = {.name = walk.name.bytes};
		if (from->type == ENTRY_HASH)
			view.data = walk.data.bytes;
		table_add(table, member_new(from->memory, table->kind, &view));
	}
}

static void copy_into_ranks(const struct value *from, struct ranks *ranks)
{
	struct walk walk;
	walk_init(&walk, from);
	while (walk_next(&walk)) {
		bool is_new = ranks_set(ranks, walk.name.bytes, walk.score);
		ASSERT(is_new);
	}
}

static void copy_into_packed(const struct value *from, struct value *to)
{
	struct walk walk;
	walk_init(&walk, from);
	while (walk_next(&walk)) {
		struct needle needle = needle_of(walk.name.bytes);
		packed_insert(&to->packed, to->memory, packed_end(&to->packed), &needle);
	}
}

void value_convert(struct value *value, enum value_encoding encoding, const struct value_limits *limits)
{
	struct value made;
	ASSERT(!value->borrowed);
	ASSERT(value->encoding == VALUE_PACKED || value->encoding == VALUE_INTSET);
	value_init(&made, value->type, value->memory);
	made.encoding = (uint8_t)encoding;
	made.count = value->count;
	made.bytes = value->bytes;
	made.head_number = value->head_number;
	if (encoding == VALUE_TABLE) {
		enum member_kind kind = value->type == ENTRY_HASH ? MEMBER_HASH : MEMBER_SET;
		ASSERT(value->type == ENTRY_HASH || value->type == ENTRY_SET);
		made.table = table_new(value->memory, kind, limits->seed);
		copy_into_table(value, made.table);
	} else if (encoding == VALUE_RANKS) {
		ASSERT(value->type == ENTRY_ZSET);
		made.ranks = ranks_new(value->memory, limits->seed);
		copy_into_ranks(value, made.ranks);
	} else if (encoding == VALUE_SEQUENCE) {
		ASSERT(value->type == ENTRY_LIST);
		made.sequence = sequence_new(value->memory);
		if (value->count > 0)
			sequence_take(made.sequence, &value->packed);
	} else {
		ASSERT(encoding == VALUE_PACKED && value->type == ENTRY_SET);
		copy_into_packed(value, &made);
	}
	packed_fini(&value->packed, value->memory);
	*value = made;
}

enum value_encoding value_large(unsigned type)
{
	if (type == ENTRY_ZSET)
		return VALUE_RANKS;
	return type == ENTRY_LIST ? VALUE_SEQUENCE : VALUE_TABLE;
}
