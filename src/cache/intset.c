/* cache/intset.c: see intset.h. */
#include "cache/intset.h"

#include "base/endian.h"

enum { WIDTH_HEAD = 1 };

static unsigned width_of(int64_t number)
{
	if (number >= INT16_MIN && number <= INT16_MAX)
		return 2;
	return number >= INT32_MIN && number <= INT32_MAX ? 4 : 8;
}

static int64_t load_number(const uint8_t *ptr, unsigned width)
{
	if (width == 2)
		return (int16_t)load_le16(ptr);
	return width == 4 ? (int32_t)load_le32(ptr) : (int64_t)load_le64(ptr);
}

uint32_t intset_count(const struct packed *set)
{
	return set->len == 0 ? 0 : (set->len - WIDTH_HEAD) / set->ptr[0];
}

int64_t intset_get(const struct packed *set, uint32_t place)
{
	ASSERT(place < intset_count(set));
	unsigned width = set->ptr[0];
	return load_number(set->ptr + WIDTH_HEAD + (size_t)place * width, width);
}

bool intset_find(const struct packed *set, int64_t number, uint32_t *place)
{
	uint32_t low = 0, high = intset_count(set);
	if (high > 0 && number > intset_get(set, high - 1))
		low = high;                   /* the usual order of arrival */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (intset_get(set, middle) < number)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	return low < intset_count(set) && intset_get(set, low) == number;
}

static void intset_reserve(struct packed *set, struct memory *memory, size_t len)
{
	size_t cap = packed_class(len);
	ASSERT(cap <= UINT32_MAX);
	if (len <= set->cap && len >= set->cap / 2)
		return;
	set->ptr = memory_resize(memory, set->ptr, set->cap, cap);
	set->cap = (uint32_t)cap;
}

static void intset_widen(struct packed *set, struct memory *memory, unsigned width)
{
	uint32_t count = intset_count(set);
	unsigned old = set->ptr[0];
	size_t len = WIDTH_HEAD + (size_t)count * width;
	intset_reserve(set, memory, len);
	for (uint32_t i = count; i-- > 0;) {      /* from behind: nothing is overwritten unread */
		int64_t number = load_number(set->ptr + WIDTH_HEAD + (size_t)i * old, old);
		memcpy(set->ptr + WIDTH_HEAD + (size_t)i * width, &number, width);
	}
	set->ptr[0] = (uint8_t)width;
	set->len = (uint32_t)len;
}

bool intset_add(struct packed *set, struct memory *memory, int64_t number)
{
	uint32_t place;
	unsigned width = width_of(number);
	if (intset_find(set, number, &place))
		return false;
	if (set->len == 0) {
		intset_reserve(set, memory, WIDTH_HEAD + width);
		set->ptr[0] = (uint8_t)width;
		set->len = WIDTH_HEAD;
	}
	if (width > set->ptr[0])
		intset_widen(set, memory, width);
	width = set->ptr[0];
	intset_reserve(set, memory, (size_t)set->len + width);
	uint8_t *at = set->ptr + WIDTH_HEAD + (size_t)place * width;
	memmove(at + width, at, (size_t)(set->ptr + set->len - at));
	memcpy(at, &number, width);
	set->len += width;
	return true;
}

bool intset_remove(struct packed *set, struct memory *memory, int64_t number)
{
	uint32_t place;
	if (!intset_find(set, number, &place))
		return false;
	unsigned width = set->ptr[0];
	uint8_t *at = set->ptr + WIDTH_HEAD + (size_t)place * width;
	memmove(at, at + width, (size_t)(set->ptr + set->len - at) - width);
	set->len -= width;
	intset_reserve(set, memory, set->len);
	return true;
}

bool intset_check(struct span bytes)
{
	if (bytes.len < WIDTH_HEAD || bytes.len > PACKED_BYTES_MAX)
		return false;
	unsigned width = bytes.ptr[0];
	if ((width != 2 && width != 4 && width != 8) || (bytes.len - WIDTH_HEAD) % width != 0)
		return false;
	for (size_t at = WIDTH_HEAD + width; at < bytes.len; at += width)
		if (load_number(bytes.ptr + at - width, width) >= load_number(bytes.ptr + at, width))
			return false;
	return true;
}
