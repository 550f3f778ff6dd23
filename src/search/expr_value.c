/* search/expr_value.c: values and the memory for them; see expr.h. */
#include "base/arith.h"
#include "base/hash.h"
#include "base/number.h"
#include "search/expr.h"

enum { BLOCK_BYTES = 64 << 10 };

struct arena_block {
	struct arena_block *older;
	size_t              bytes;
	max_align_t         data[];
};

void arena_init(struct arena *arena, struct memory *memory, size_t bytes_max)
{
	*arena = (struct arena){.memory = memory, .bytes_max = bytes_max};
}

static void block_free(struct arena *arena)
{
	struct arena_block *block = arena->blocks;
	arena->blocks = block->older;
	arena->bytes -= block->bytes;
	memory_free(arena->memory, block, sizeof(*block) + block->bytes);
}

void arena_fini(struct arena *arena)
{
	while (arena->blocks != NULL)
		block_free(arena);
	ASSERT(arena->bytes == 0);
}

void arena_clear(struct arena *arena)
{
	while (arena->blocks != NULL && arena->blocks->older != NULL)
		block_free(arena);
	arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	bytes = round_up(bytes == 0 ? 1 : bytes, 16);
	if (arena->blocks == NULL || arena->blocks->bytes - arena->used < bytes) {
		size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		if (arena->bytes + size > arena->bytes_max)
			return NULL;
		struct arena_block *block =
		    memory_alloc(arena->memory, sizeof(struct arena_block) + size);
		*block = (struct arena_block){.older = arena->blocks, .bytes = size};
		arena->blocks = block;
		arena->bytes += size;
		arena->used = 0;
	}
	uint8_t *at = (uint8_t *)arena->blocks->data + arena->used;
	arena->used += bytes;
	return at;
}

const struct value *value_first(const struct value *value)
{
	static const struct value none = {.kind = VALUE_NIL};
	if (value->kind != VALUE_LIST)
		return value;
	return value->count > 0 ? &value->items[0] : &none;
}

bool value_to_number(const struct value *value, double *out)
{
	value = value_first(value);
	*out = value->number;
	if (value->kind == VALUE_TEXT)
		return number_parse_double(value->text, out);
	return value->kind == VALUE_NUMBER;
}

bool value_is_true(const struct value *value)
{
	value = value_first(value);
	if (value->kind == VALUE_NUMBER)
		return value->number != 0;
	return value->kind == VALUE_TEXT && value->text.len > 0;
}

static int number_compare(double a, double b)
{
	return (a > b) - (a < b);
}

int value_compare(const struct value *a, const struct value *b)
{
	a = value_first(a);
	b = value_first(b);
	if (a->kind != b->kind) {
		if (a->kind == VALUE_NIL || b->kind == VALUE_NIL)
			return a->kind == VALUE_NIL ? 1 : -1;
		return a->kind == VALUE_NUMBER ? -1 : 1;
	}
	if (a->kind == VALUE_NIL)
		return 0;
	return a->kind == VALUE_NUMBER ? number_compare(a->number, b->number)
	                               : span_compare(a->text, b->text);
}

uint64_t value_hash(const struct value *value, uint64_t seed)
{
	value = value_first(value);
	if (value->kind == VALUE_TEXT)
		return hash_key(value->text, seed);
	double number = value->number == 0 ? 0 : value->number;
	return hash_key(span_of(&number, sizeof(number)), seed ^ (uint64_t)value->kind);
}

struct span value_as_text(const struct value *value, char *scratch)
{
	value = value_first(value);
	if (value->kind == VALUE_TEXT)
		return value->text;
	if (value->kind == VALUE_NIL)
		return (struct span){0};
	return span_of(scratch, number_format_double(value->number, scratch));
}

static bool keep_text(struct arena *arena, struct span from, struct span *to)
{
	*to = (struct span){0};
	if (from.len == 0)
		return true;
	uint8_t *copy = arena_alloc(arena, from.len);
	if (copy == NULL)
		return false;
	memcpy(copy, from.ptr, from.len);
	*to = span_of(copy, from.len);
	return true;
}

bool value_keep(struct arena *arena, const struct value *from, struct value *to)
{
	*to = *from;
	if (from->kind == VALUE_TEXT)
		return keep_text(arena, from->text, &to->text);
	if (from->kind != VALUE_LIST || from->count == 0)
		return true;
	struct value *items = arena_alloc(arena, from->count * sizeof(*items));
	if (items == NULL)
		return false;
	to->items = items;
	for (uint32_t i = 0; i < from->count; i++) {
		items[i] = from->items[i];
		if (items[i].kind == VALUE_TEXT &&
		    !keep_text(arena, from->items[i].text, &items[i].text))
			return false;
	}
	return true;
}
