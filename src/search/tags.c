/* search/tags.c: see tags.h.
 *
 * Sealed data: TAGS_GROUPS starts of 4 bytes; the counts, 4 bits or 2 bytes a slot; the
 * codes (ordinal - base). Starts and counts are left out where every slot has one.
 */
#include "search/tags.h"

enum { STARTS_BYTES = TAGS_GROUPS * sizeof(uint32_t), FREE_END = 0x7fffffff, FEW_BITS = 7,
	TERMS_CAP_MIN = 8 };
#define FREE_MARK 0x80000000u

void tags_init(struct tags *tags, struct memory *memory)
{
	ASSERT(memory != NULL);
	*tags = (struct tags){.memory = memory, .free_ordinal = ORDINAL_NONE};
}

static void window_free_open(struct tags *tags, struct tag_window *window)
{
	memory_free(tags->memory, window->ordinals, window->cap * sizeof(*window->ordinals));
	if (window->counts != NULL)
		memory_free(tags->memory, window->counts, WINDOW_DOCS * sizeof(*window->counts));
	window->ordinals = NULL;
	window->counts = NULL;
	window->cap = 0;
}

static void tags_drop(struct tags *tags, uint32_t at)
{
	struct tag_window *window = tags->windows[at];
	if (window == NULL)
		return;
	window_free_open(tags, window);
	memory_free(tags->memory, window->data, window->bytes);
	memory_free(tags->memory, window, sizeof(*window));
	tags->windows[at] = NULL;
}

void tags_fini(struct tags *tags)
{
	for (uint32_t i = 0; i < tags->window_cap; i++)
		tags_drop(tags, i);
	memory_free(tags->memory, tags->windows, tags->window_cap * sizeof(*tags->windows));
	memory_free(tags->memory, tags->terms, tags->term_cap * sizeof(*tags->terms));
	tags_init(tags, tags->memory);
}

static struct tag_window *tags_window(const struct tags *tags, uint32_t at)
{
	return at < tags->window_cap ? tags->windows[at] : NULL;
}

/* ---- Ordinals ------------------------------------------------------------------------- */

uint32_t tags_add_term(struct tags *tags, uint32_t term)
{
	uint32_t ordinal = tags->free_ordinal;
	ASSERT(term < FREE_MARK);
	if (ordinal != ORDINAL_NONE) {
		uint32_t next = tags->terms[ordinal] & FREE_END;
		tags->free_ordinal = next == FREE_END ? ORDINAL_NONE : next;
	} else {
		if (tags->term_count == tags->term_cap) {
			uint32_t cap =
			    tags->term_cap == 0 ? TERMS_CAP_MIN : tags->term_cap + tags->term_cap / 2;
			tags->terms = memory_resize(tags->memory, tags->terms,
			    tags->term_cap * sizeof(*tags->terms), cap * sizeof(*tags->terms));
			tags->term_cap = cap;
		}
		ordinal = tags->term_count++;
	}
	tags->terms[ordinal] = term;
	return ordinal;
}

static void ordinal_free(struct tags *tags, uint32_t ordinal)
{
	tags->terms[ordinal] = tags->free_ordinal | FREE_MARK;
	tags->free_ordinal = ordinal;
}

void tags_drop_term(struct tags *tags, uint32_t ordinal)
{
	ASSERT(ordinal < tags->term_count);
	ASSERT((tags->terms[ordinal] & FREE_MARK) == 0);
	ordinal_free(tags, ordinal);
}

/* ---- Open windows --------------------------------------------------------------------- */

static void tags_reach(struct tags *tags, uint32_t at)
{
	if (at < tags->window_cap)
		return;
	uint32_t cap = at + 1 + at / 4;
	tags->windows = memory_resize(tags->memory, tags->windows,
	    tags->window_cap * sizeof(*tags->windows), cap * sizeof(*tags->windows));
	memset(tags->windows + tags->window_cap, 0,
	    (cap - tags->window_cap) * sizeof(*tags->windows));
	tags->window_cap = cap;
}

static struct tag_window *tags_open(struct tags *tags, uint32_t at)
{
	tags_reach(tags, at);
	if (tags->windows[at] == NULL) {
		struct tag_window *window = memory_zalloc(tags->memory, sizeof(*window));
		window->counts =
		    memory_zalloc(tags->memory, WINDOW_DOCS * sizeof(*window->counts));
		tags->windows[at] = window;
	}
	return tags->windows[at];
}

void tags_put(struct tags *tags, uint32_t docid, uint32_t ordinal)
{
	struct tag_window *window = tags_open(tags, docid >> WINDOW_SHIFT);
	uint16_t slot = docid % WINDOW_DOCS;
	ASSERT(window->data == NULL);
	ASSERT(slot >= window->open_slot);
	if (slot != window->open_slot) {
		window->open_slot = slot;
		window->open_start = window->count;
	}
	if (window->counts[slot] == FIELD_TAGS_MAX)
		return;
	for (uint32_t i = window->open_start; i < window->count; i++)
		if (window->ordinals[i] == ordinal)
			return;
	if (window->count == window->cap) {
		uint32_t cap = window->cap == 0 ? 16 : window->cap + window->cap / 2;
		window->ordinals = memory_resize(tags->memory, window->ordinals,
		    window->cap * sizeof(*window->ordinals), cap * sizeof(*window->ordinals));
		window->cap = cap;
	}
	window->ordinals[window->count++] = ordinal;
	window->counts[slot]++;
}

/* ---- Sealing -------------------------------------------------------------------------- */

static uint8_t *sealed_counts(const struct tag_window *window)
{
	return window->data + (window->count_width == 0 ? 0 : STARTS_BYTES);
}

static uint8_t *sealed_codes(const struct tag_window *window)
{
	return sealed_counts(window) + (size_t)WINDOW_DOCS * window->count_width / 8;
}

static void window_plan(struct tag_window *window)
{
	uint32_t most = 0, least = ORDINAL_NONE;
	window->count_width = 0;
	for (uint32_t slot = 0; slot < WINDOW_DOCS; slot++) {
		if (window->counts[slot] > 15)
			window->count_width = 16;
		else if (window->counts[slot] != 1 && window->count_width == 0)
			window->count_width = 4;
	}
	for (uint32_t i = 0; i < window->count; i++) {
		most = window->ordinals[i] > most ? window->ordinals[i] : most;
		least = window->ordinals[i] < least ? window->ordinals[i] : least;
	}
	window->base = least;
	window->width = (uint8_t)bits_width(most - least);
	size_t starts = window->count_width == 0 ? 0 : STARTS_BYTES;
	window->bytes = (uint32_t)(starts + (size_t)WINDOW_DOCS * window->count_width / 8 +
	    bits_bytes(window->count, window->width));
}

static void window_seal(struct tags *tags, struct tag_window *window)
{
	uint32_t start = 0;
	ASSERT(window->count > 0);
	window_plan(window);
	window->data = memory_zalloc(tags->memory, window->bytes);
	for (uint32_t slot = 0; slot < WINDOW_DOCS; slot++) {
		uint16_t count = window->counts[slot];
		if (window->count_width > 0 && slot % TAGS_GROUP == 0)
			store_le32(window->data + slot / TAGS_GROUP * sizeof(uint32_t), start);
		if (window->count_width == 4)
			sealed_counts(window)[slot / 2] |= (uint8_t)(count << slot % 2 * 4);
		else if (window->count_width == 16)
			store_le16(sealed_counts(window) + (size_t)2 * slot, count);
		start += count;
	}
	ASSERT(start == window->count);
	for (uint32_t i = 0; i < window->count; i++)
		bits_put(sealed_codes(window), i, window->width, window->ordinals[i] - window->base);
	window_free_open(tags, window);
}

void tags_seal(struct tags *tags, uint32_t at, bool is_dead)
{
	struct tag_window *window = tags_window(tags, at);
	if (window == NULL)
		return;
	if (is_dead)
		tags_drop(tags, at);
	else if (window->data == NULL)
		window_seal(tags, window);
}

/* ---- Reading -------------------------------------------------------------------------- */

/* Sum of the lowest `count` nibbles. */
static uint32_t nibbles_sum(uint64_t nibbles, uint32_t count)
{
	if (count == 0)
		return 0;
	nibbles &= ~0ULL >> (64 - 4 * count);
	nibbles = (nibbles & 0x0f0f0f0f0f0f0f0f) + (nibbles >> 4 & 0x0f0f0f0f0f0f0f0f);
	return (uint32_t)(nibbles * 0x0101010101010101 >> 56);
}

/* Where the tags of `slot` begin, and how many there are. */
static uint32_t sealed_range(const struct tag_window *window, uint32_t slot, uint32_t *count)
{
	uint32_t group = slot / TAGS_GROUP, in = slot % TAGS_GROUP;
	if (window->count_width == 0) {
		*count = 1;
		return slot;
	}
	uint32_t start = load_le32(window->data + group * sizeof(uint32_t));
	if (window->count_width == 4) {
		uint64_t nibbles = load_le64(sealed_counts(window) + (size_t)8 * group);
		*count = nibbles >> 4 * in & 15;
		return start + nibbles_sum(nibbles, in);
	}
	const uint8_t *counts = sealed_counts(window) + (size_t)2 * group * TAGS_GROUP;
	for (uint32_t i = 0; i < in; i++)
		start += load_le16(counts + (size_t)2 * i);
	*count = load_le16(counts + (size_t)2 * in);
	return start;
}

/* An open window has no starts: they are summed, from the end that is nearer. */
static uint32_t open_range(const struct tag_window *window, uint32_t slot, uint32_t *count)
{
	uint32_t start = 0;
	*count = window->counts[slot];
	if (slot < WINDOW_DOCS / 2) {
		for (uint32_t i = 0; i < slot; i++)
			start += window->counts[i];
		return start;
	}
	start = window->count;
	for (uint32_t i = slot; i < WINDOW_DOCS; i++)
		start -= window->counts[i];
	return start;
}

uint32_t tags_get(const struct tags *tags, uint32_t docid, uint32_t *ordinals, uint32_t cap)
{
	const struct tag_window *window = tags_window(tags, docid >> WINDOW_SHIFT);
	uint32_t count, start, slot = docid % WINDOW_DOCS;
	if (window == NULL)
		return 0;
	if (window->data == NULL) {
		start = open_range(window, slot, &count);
		for (uint32_t i = 0; i < count && i < cap; i++)
			ordinals[i] = window->ordinals[start + i];
		return count;
	}
	start = sealed_range(window, slot, &count);
	for (uint32_t i = 0; i < count && i < cap; i++)
		ordinals[i] =
		    window->base + bits_get(sealed_codes(window), start + i, window->width);
	return count;
}

static void open_count(const struct tag_window *window, const uint64_t mask[WINDOW_WORDS],
    uint32_t *counts)
{
	uint32_t start = 0;
	for (uint32_t slot = 0; slot < WINDOW_DOCS; slot++) {
		uint32_t end = start + window->counts[slot];
		if ((mask[slot / 64] >> (slot % 64) & 1) != 0)
			for (uint32_t i = start; i < end; i++)
				counts[window->ordinals[i]]++;
		start = end;
	}
}

static void sealed_count(const struct tag_window *window, const uint64_t mask[WINDOW_WORDS],
    uint32_t *counts)
{
	const uint8_t *codes = sealed_codes(window);
	unsigned width = window->width;
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t count, slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t start = sealed_range(window, slot, &count);
			for (uint32_t i = start; i < start + count; i++)
				counts[bits_get(codes, i, width)]++;
		}
	}
}

/* One tag a document out of few: neighbours count in different places, so that one need not
 * wait for the other's sum. */
static void few_count(const struct tag_window *window, const uint64_t mask[WINDOW_WORDS],
    uint32_t *counts)
{
	uint16_t parts[4][1 << FEW_BITS] = {{0}};
	const uint8_t *codes = sealed_codes(window);
	unsigned width = window->width;
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			parts[slot % 4][bits_get(codes, slot, width)]++;
		}
	}
	for (uint32_t i = 0; i < 1u << width; i++) {
		uint32_t sum = 0;
		for (int part = 0; part < 4; part++)
			sum += parts[part][i];
		if (sum > 0)              /* codes beyond the greatest do not occur */
			counts[i] += sum;
	}
}

void tags_count(const struct tags *tags, uint32_t at, const uint64_t mask[WINDOW_WORDS],
    uint32_t *counts)
{
	const struct tag_window *window = tags_window(tags, at);
	if (window == NULL)
		return;
	if (window->data == NULL) {
		open_count(window, mask, counts);
		return;
	}
	if (window->count_width == 0 && window->width <= FEW_BITS)
		few_count(window, mask, counts + window->base);
	else
		sealed_count(window, mask, counts + window->base);
}

void tags_count_one(const struct tags *tags, uint32_t docid, uint32_t *counts)
{
	const struct tag_window *window = tags_window(tags, docid >> WINDOW_SHIFT);
	uint32_t count, start, slot = docid % WINDOW_DOCS;
	if (window == NULL)
		return;
	if (window->data == NULL) {
		start = open_range(window, slot, &count);
		for (uint32_t i = 0; i < count; i++)
			counts[window->ordinals[start + i]]++;
		return;
	}
	start = sealed_range(window, slot, &count);
	for (uint32_t i = 0; i < count; i++)
		counts[window->base + bits_get(sealed_codes(window), start + i, window->width)]++;
}

/* ---- Dumps ---------------------------------------------------------------------------- */

uint32_t tags_copy(const struct tags *tags, uint32_t at, uint32_t slots, uint16_t *counts,
    uint32_t *ordinals, uint32_t cap)
{
	const struct tag_window *window = tags_window(tags, at);
	uint32_t total = 0, count;
	ASSERT(slots <= WINDOW_DOCS);
	memset(counts, 0, slots * sizeof(*counts));
	if (window == NULL)
		return 0;
	for (uint32_t slot = 0; slot < slots; slot++) {
		count = 0;
		if (window->data != NULL)
			(void)sealed_range(window, slot, &count);
		counts[slot] = window->data != NULL ? (uint16_t)count : window->counts[slot];
		total += counts[slot];
	}
	if (total > cap)
		return total;
	if (window->data == NULL && total > 0)
		memcpy(ordinals, window->ordinals, total * sizeof(*ordinals));
	for (uint32_t i = 0; i < total && window->data != NULL; i++)
		ordinals[i] = window->base + bits_get(sealed_codes(window), i, window->width);
	return total;
}

bool tags_restore(
    struct tags *tags, uint32_t at, const struct tag_window *sealed, const uint8_t *data)
{
	size_t starts = sealed->count_width == 0 ? 0 : STARTS_BYTES;
	size_t bytes = starts + (size_t)WINDOW_DOCS * sealed->count_width / 8 +
	    bits_bytes(sealed->count, sealed->width);
	bool good = sealed->count > 0 && sealed->width <= 32 && sealed->bytes == bytes &&
	    (sealed->count_width == 4 || sealed->count_width == 16 ||
	    (sealed->count_width == 0 && sealed->count == WINDOW_DOCS));
	if (!good || tags_window(tags, at) != NULL)
		return false;
	tags_reach(tags, at);
	struct tag_window *window = memory_zalloc(tags->memory, sizeof(*window));
	window->count = sealed->count;
	window->bytes = sealed->bytes;
	window->base = sealed->base;
	window->width = sealed->width;
	window->count_width = sealed->count_width;
	window->data = memory_alloc(tags->memory, window->bytes);
	memcpy(window->data, data, window->bytes);
	tags->windows[at] = window;
	return true;
}

void tags_restore_terms(struct tags *tags, uint32_t count)
{
	ASSERT(tags->term_count == 0 && tags->terms == NULL);
	if (count == 0)
		return;
	tags->term_count = count;
	tags->term_cap = count + TERMS_CAP_MIN;
	tags->terms = memory_alloc(tags->memory, tags->term_cap * sizeof(*tags->terms));
	for (uint32_t i = 0; i < count; i++)
		tags->terms[i] = FREE_MARK;
}

bool tags_restore_term(struct tags *tags, uint32_t ordinal, uint32_t term)
{
	ASSERT(term < FREE_MARK);
	if (ordinal >= tags->term_count || tags->terms[ordinal] != FREE_MARK)
		return false;
	tags->terms[ordinal] = term;
	return true;
}

void tags_restore_end(struct tags *tags)
{
	for (uint32_t i = tags->term_count; i-- > 0;)
		if (tags->terms[i] == FREE_MARK)
			ordinal_free(tags, i);
}
