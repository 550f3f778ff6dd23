/* store/pages.c: see pages.h.
 *
 * Run lengths below PAGES_SUBS have a list each at level 0. From there on, level l >= 1
 * holds lengths [2^(l+3), 2^(l+4)), in PAGES_SUBS equal steps. */
#include "store/pages.h"

#include <string.h>

enum { PAGES_MAGIC = 0x50616765 };

struct class {
	uint32_t level, sub;
};

static struct class class_of(uint32_t count)
{
	ASSERT(count > 0);
	if (count < PAGES_SUBS)
		return (struct class){0, count};
	uint32_t top = 31 - (uint32_t)__builtin_clz(count);
	struct class class = {
		.level = top - PAGES_SUB_BITS + 1,
		.sub = (count >> (top - PAGES_SUB_BITS)) & (PAGES_SUBS - 1),
	};
	ASSERT(class.level < PAGES_CLASSES);
	return class;
}

static bool is_free(const struct pages *pages, uint32_t page)
{
	return pages->free_bits[page / 64] >> (page % 64) & 1;
}

static void set_free(struct pages *pages, uint32_t page, bool free)
{
	uint64_t bit = 1ULL << (page % 64);
	if (free)
		pages->free_bits[page / 64] |= bit;
	else
		pages->free_bits[page / 64] &= ~bit;
}

static void run_link(struct pages *pages, uint32_t first, uint32_t count)
{
	struct class class = class_of(count);
	uint32_t *head = &pages->heads[class.level][class.sub];
	ASSERT(first + count <= pages->count);
	pages->tags[first] = (struct page_tag){.pages = count, .next = *head, .prev = PAGES_NONE};
	pages->tags[first + count - 1].pages = count;
	if (*head != PAGES_NONE)
		pages->tags[*head].prev = first;
	*head = first;
	pages->levels |= 1U << class.level;
	pages->subs[class.level] |= (uint16_t)(1U << class.sub);
	set_free(pages, first, true);
	set_free(pages, first + count - 1, true);
}

static void run_unlink(struct pages *pages, uint32_t first)
{
	struct page_tag *tag = &pages->tags[first];
	struct class class = class_of(tag->pages);
	ASSERT(is_free(pages, first));
	if (tag->next != PAGES_NONE)
		pages->tags[tag->next].prev = tag->prev;
	if (tag->prev != PAGES_NONE)
		pages->tags[tag->prev].next = tag->next;
	else
		pages->heads[class.level][class.sub] = tag->next;
	if (pages->heads[class.level][class.sub] == PAGES_NONE) {
		pages->subs[class.level] &= (uint16_t)~(1U << class.sub);
		if (pages->subs[class.level] == 0)
			pages->levels &= ~(1U << class.level);
	}
	set_free(pages, first, false);
	set_free(pages, first + tag->pages - 1, false);
}

/* The start of a free run of at least `count`: from a list whose every member is long
 * enough if there is one, else the first that fits in the class of `count` itself. */
static uint32_t run_find(const struct pages *pages, uint32_t count)
{
	enum { LOOKS_MAX = 64 };
	struct class class = class_of(count);
	ASSERT(class.sub < PAGES_SUBS);
	uint32_t looks = 0;
	uint32_t first = pages->heads[class.level][class.sub];
	for (; first != PAGES_NONE && looks < LOOKS_MAX; looks++) {
		if (pages->tags[first].pages >= count)
			return first;
		first = pages->tags[first].next;
	}
	uint32_t subs = pages->subs[class.level] & ~((2U << class.sub) - 1);
	if (subs != 0)
		return pages->heads[class.level][__builtin_ctz(subs)];
	uint32_t levels = pages->levels & ~((2U << class.level) - 1);
	if (levels == 0)
		return PAGES_NONE;
	uint32_t level = (uint32_t)__builtin_ctz(levels);
	return pages->heads[level][__builtin_ctz(pages->subs[level])];
}

void pages_init(struct pages *pages, uint32_t count, struct memory *memory)
{
	ASSERT(count > 0);
	ASSERT(count <= 1U << 27);
	*pages = (struct pages){.magic = PAGES_MAGIC, .count = count, .memory = memory};
	memset(pages->heads, 0xff, sizeof(pages->heads));
	pages->tags = memory_zalloc(memory, count * sizeof(*pages->tags));
	pages->free_bits = memory_zalloc(memory, (count + 63) / 64 * sizeof(*pages->free_bits));
	run_link(pages, 0, count);
}

void pages_fini(struct pages *pages)
{
	DROP_OBJ(pages, PAGES_MAGIC);
	ASSERT(pages->used == 0);
	memory_free(pages->memory, pages->tags, pages->count * sizeof(*pages->tags));
	memory_free(pages->memory, pages->free_bits,
	    (pages->count + 63) / 64 * sizeof(*pages->free_bits));
}

uint32_t pages_take(struct pages *pages, uint32_t count)
{
	CHECK_OBJ(pages, PAGES_MAGIC);
	ASSERT(count > 0);
	if (count > pages->count - pages->used)
		return PAGES_NONE;
	uint32_t first = run_find(pages, count);
	if (first == PAGES_NONE)
		return PAGES_NONE;
	uint32_t found = pages->tags[first].pages;
	ASSERT(found >= count);
	run_unlink(pages, first);
	if (found > count)
		run_link(pages, first + count, found - count);
	pages->tags[first].pages = count;
	pages->tags[first + count - 1].pages = count;
	pages->used += count;
	return first;
}

void pages_give(struct pages *pages, uint32_t first)
{
	CHECK_OBJ(pages, PAGES_MAGIC);
	ASSERT(first < pages->count);
	ASSERT(!is_free(pages, first));
	uint32_t count = pages->tags[first].pages;
	ASSERT(count > 0 && count <= pages->used);
	pages->used -= count;
	uint32_t after = first + count;
	if (after < pages->count && is_free(pages, after)) {
		uint32_t more = pages->tags[after].pages;
		run_unlink(pages, after);
		count += more;
	}
	if (first > 0 && is_free(pages, first - 1)) {
		uint32_t before = first - pages->tags[first - 1].pages;
		run_unlink(pages, before);
		count += first - before;
		first = before;
	}
	run_link(pages, first, count);
}
