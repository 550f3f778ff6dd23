/* search/column.c: see column.h.
 *
 * Sealed data, each part on 8 bytes: the list of values, if that is its kind; the presence:
 * WINDOW_WORDS words and as many 2-byte sums of the bits before each, or 2-byte slots; the
 * codes of the values in order of slot, in blocks of 128 (pack.h), or the doubles.
 */
#include "search/column.h"

#include "search/pack.h"
#include "search/simd.h"

#include "base/endian.h"

#include <math.h>

static const double scales[] = {1, 10, 100, 1000, 1e7};

void column_init(struct column *column, struct memory *memory)
{
	ASSERT(memory != NULL);
	*column = (struct column){.memory = memory};
}

static void column_drop(struct column *column, uint32_t at)
{
	struct column_window *window = column->windows[at];
	if (window == NULL)
		return;
	memory_free(column->memory, window->data, window->bytes);
	memory_free(column->memory, window, sizeof(*window));
	column->windows[at] = NULL;
}

void column_fini(struct column *column)
{
	for (uint32_t i = 0; i < column->window_cap; i++)
		column_drop(column, i);
	memory_free(column->memory, column->windows, column->window_cap * sizeof(*column->windows));
	column_init(column, column->memory);
}

static struct column_window *column_window(const struct column *column, uint32_t at)
{
	return at < column->window_cap ? column->windows[at] : NULL;
}

/* ---- Open windows ------------------------------------------------------------------- */

static double *open_values(const struct column_window *window)
{
	return window->data;
}

static uint16_t *open_slots(const struct column_window *window)
{
	return (uint16_t *)(void *)((uint8_t *)window->data + window->cap * sizeof(double));
}

static void open_grow(struct column *column, struct column_window *window)
{
	uint32_t cap = window->cap == 0 ? 4 : window->cap * 2;
	uint32_t bytes = cap * (uint32_t)(sizeof(double) + sizeof(uint16_t));
	uint8_t *data = memory_alloc(column->memory, bytes);
	if (window->count > 0) {
		memcpy(data, open_values(window), window->count * sizeof(double));
		memcpy(data + cap * sizeof(double), open_slots(window),
		    window->count * sizeof(uint16_t));
	}
	memory_free(column->memory, window->data, window->bytes);
	window->data = data;
	window->bytes = bytes;
	window->cap = cap;
}

static void column_reach(struct column *column, uint32_t at)
{
	if (at < column->window_cap)
		return;
	uint32_t cap = at + 1 + at / 4;
	column->windows = memory_resize(column->memory, column->windows,
	    column->window_cap * sizeof(*column->windows), cap * sizeof(*column->windows));
	memset(column->windows + column->window_cap, 0,
	    (cap - column->window_cap) * sizeof(*column->windows));
	column->window_cap = cap;
}

static struct column_window *column_open(struct column *column, uint32_t at)
{
	column_reach(column, at);
	if (column->windows[at] == NULL) {
		column->windows[at] = memory_zalloc(column->memory, sizeof(struct column_window));
		column->windows[at]->low = INFINITY;
		column->windows[at]->high = -INFINITY;
	}
	return column->windows[at];
}

void column_put(struct column *column, uint32_t docid, double value)
{
	struct column_window *window = column_open(column, docid >> WINDOW_SHIFT);
	uint16_t slot = docid % WINDOW_DOCS;
	ASSERT(isfinite(value));
	ASSERT(window->kind == COLUMN_OPEN);
	value += 0.0;                     /* -0 becomes 0 */
	bool again = window->count > 0 && open_slots(window)[window->count - 1] == slot;
	ASSERT(again || window->count == 0 || open_slots(window)[window->count - 1] < slot);
	if (!again) {
		if (window->count == window->cap)
			open_grow(column, window);
		open_slots(window)[window->count++] = slot;
		column->count++;
	}
	open_values(window)[window->count - 1] = value;
	window->low = value < window->low ? value : window->low;
	window->high = value > window->high ? value : window->high;
}

/* ---- Sealed windows ------------------------------------------------------------------- */

enum { LIST_MAX = 256, LIST_CELLS = 1024, BITS_BYTES = WINDOW_WORDS * 10 };

static size_t align8(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

static const double *sealed_list(const struct column_window *window)
{
	return window->data;
}

static uint8_t *sealed_presence(const struct column_window *window)
{
	return (uint8_t *)window->data + window->list_count * sizeof(double);
}

static const uint64_t *present_bits(const struct column_window *window)
{
	return (const uint64_t *)(const void *)sealed_presence(window);
}

static uint16_t *present_sums(const struct column_window *window)
{
	return (uint16_t *)(void *)(sealed_presence(window) + WINDOW_WORDS * sizeof(uint64_t));
}

static uint16_t *present_slots(const struct column_window *window)
{
	return (uint16_t *)(void *)sealed_presence(window);
}

static size_t presence_bytes(enum column_presence presence, uint32_t count)
{
	return presence == PRESENT_ALL ? 0
	    : presence == PRESENT_BITS ? BITS_BYTES : align8(count * sizeof(uint16_t));
}

static void *sealed_codes(const struct column_window *window)
{
	return sealed_presence(window) + presence_bytes(window->presence, window->count);
}

static double code_value(const struct column_window *window, uint32_t code)
{
	if (window->kind == COLUMN_LIST)
		return sealed_list(window)[code];
	return (double)(window->base + (int64_t)code * window->step) / scales[window->scale];
}

/* ---- Sealing: what kind of codes ---- */

/* The integer that stands for `value` at this scale; false if none does exactly. */
static bool scaled(double value, uint8_t scale, int64_t *out)
{
	double product = value * scales[scale];
	if (!(fabs(product) < 4e15))
		return false;
	*out = llrint(product);
	return (double)*out / scales[scale] == value;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
	while (b != 0) {
		int64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static bool plan_steps(const struct column_window *open, uint8_t scale, struct column_window *plan)
{
	int64_t low, high, value, step = 0;
	if (!scaled(open->low, scale, &low) || !scaled(open->high, scale, &high))
		return false;
	for (uint32_t i = 0; i < open->count; i++) {
		if (!scaled(open_values(open)[i], scale, &value))
			return false;
		if (step == 0 || (step != 1 && (value - low) % step != 0))
			step = common_divisor(value - low, step);
	}
	plan->step = step == 0 ? 1 : step;
	uint64_t range = (uint64_t)((high - low) / plan->step);
	if (range > UINT32_MAX - 1)
		return false;
	plan->kind = COLUMN_STEPS;
	plan->scale = scale;
	plan->base = low;
	plan->width = (uint8_t)(range == 0 ? 0 : 64 - __builtin_clzll(range));
	return true;
}

static uint32_t value_hash(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return (uint32_t)(bits * 0x9e3779b97f4a7c15 >> 54) & (LIST_CELLS - 1);
}

/* Different values in ascending order; more than LIST_MAX: LIST_MAX + 1. */
static uint32_t list_gather(const struct column_window *open, double list[LIST_MAX])
{
	double cells[LIST_CELLS];
	bool used[LIST_CELLS] = {0};
	uint32_t count = 0;
	for (uint32_t i = 0; i < open->count; i++) {
		double value = open_values(open)[i];
		uint32_t at = value_hash(value);
		while (used[at] && cells[at] != value)
			at = (at + 1) % LIST_CELLS;
		if (used[at])
			continue;
		if (count == LIST_MAX)
			return LIST_MAX + 1;
		used[at] = true;
		cells[at] = value;
		uint32_t to = count++;
		for (; to > 0 && list[to - 1] > value; to--)
			list[to] = list[to - 1];
		list[to] = value;
	}
	return count;
}

static size_t codes_bytes(uint32_t count, uint8_t width)
{
	return ((size_t)count + PACK_COUNT - 1) / PACK_COUNT * 4 * width * sizeof(uint32_t);
}

/* Chooses the kind; `list` holds the values if it is COLUMN_LIST. */
static void window_plan(
    const struct column_window *open, struct column_window *plan, double list[LIST_MAX])
{
	size_t best = (size_t)open->count * sizeof(double);
	plan->kind = COLUMN_DOUBLES;
	plan->list_count = 0;
	for (uint8_t scale = 0; scale < ARRAY_COUNT(scales); scale++)
		if (plan_steps(open, scale, plan))
			break;
	if (plan->kind == COLUMN_STEPS)
		best = codes_bytes(open->count, plan->width);
	uint32_t different = list_gather(open, list);
	if (different <= LIST_MAX) {
		uint8_t width = (uint8_t)(different < 2 ? 0 : 32 - __builtin_clz(different - 1));
		size_t bytes = codes_bytes(open->count, width) + different * sizeof(double);
		if (bytes < best) {
			best = bytes;
			plan->kind = COLUMN_LIST;
			plan->list_count = different;
			plan->width = width;
		}
	}
	size_t slots = align8(open->count * sizeof(uint16_t));
	plan->presence = open->count == WINDOW_DOCS ? PRESENT_ALL
	    : slots < BITS_BYTES ? PRESENT_SLOTS : PRESENT_BITS;
	best += presence_bytes(plan->presence, open->count);
	if (plan->kind == COLUMN_LIST)
		plan->bytes = (uint32_t)best;
	else
		plan->bytes = (uint32_t)(best == 0 ? 8 : best);
}

static uint32_t list_find(const double *list, uint32_t count, double value)
{
	uint32_t low = 0, high = count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (list[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t value_code(const struct column_window *window, double value)
{
	int64_t integer;
	if (window->kind == COLUMN_LIST)
		return list_find(sealed_list(window), window->list_count, value);
	bool exact = scaled(value, window->scale, &integer);
	ASSERT(exact);
	return (uint32_t)((integer - window->base) / window->step);
}

static void presence_write(const struct column_window *open, struct column_window *sealed)
{
	const uint16_t *slots = open_slots(open);
	if (sealed->presence == PRESENT_SLOTS)
		memcpy(present_slots(sealed), slots, open->count * sizeof(*slots));
	if (sealed->presence != PRESENT_BITS)
		return;
	uint64_t *bits = (uint64_t *)(void *)sealed_presence(sealed);
	for (uint32_t i = 0; i < open->count; i++)
		bits[slots[i] / 64] |= 1ULL << (slots[i] % 64);
	uint32_t sum = 0;
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		present_sums(sealed)[word] = (uint16_t)sum;
		sum += (uint32_t)__builtin_popcountll(bits[word]);
	}
}

static void codes_write(const struct column_window *open, struct column_window *sealed)
{
	uint32_t *out = sealed_codes(sealed), block[PACK_COUNT];
	if (sealed->kind == COLUMN_DOUBLES) {
		memcpy(out, open_values(open), open->count * sizeof(double));
		return;
	}
	for (uint32_t from = 0; from < open->count; from += PACK_COUNT) {
		memset(block, 0, sizeof(block));
		for (uint32_t i = 0; i < PACK_COUNT && from + i < open->count; i++)
			block[i] = value_code(sealed, open_values(open)[from + i]);
		pack_encode(block, sealed->width, out);
		out += 4 * sealed->width;
	}
}

static void window_seal(struct column *column, struct column_window *window)
{
	double list[LIST_MAX];
	struct column_window sealed = *window;
	ASSERT(window->count > 0);
	window_plan(window, &sealed, list);
	sealed.data = memory_zalloc(column->memory, sealed.bytes);
	if (sealed.list_count > 0)
		memcpy(sealed.data, list, sealed.list_count * sizeof(double));
	presence_write(window, &sealed);
	codes_write(window, &sealed);
	memory_free(column->memory, window->data, window->bytes);
	sealed.cap = 0;
	*window = sealed;
}

void column_seal(struct column *column, uint32_t at, bool is_dead)
{
	struct column_window *window = column_window(column, at);
	if (window == NULL)
		return;
	if (is_dead) {
		column->count -= window->count;
		column_drop(column, at);
	} else if (window->kind == COLUMN_OPEN) {
		window_seal(column, window);
	}
}

/* ---- Reading -------------------------------------------------------------------------- */

/* Where `slot` is in an ascending list, or count. */
static uint32_t slot_find(const uint16_t *slots, uint32_t count, uint16_t slot)
{
	uint32_t low = 0, high = count;
	if (slot < count && slots[slot] == slot)
		return slot;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (slots[middle] < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && slots[low] == slot ? low : count;
}

/* Which value is that of `slot`; the count if it has none. */
static uint32_t window_rank(const struct column_window *window, uint16_t slot)
{
	if (window->kind == COLUMN_OPEN)
		return slot_find(open_slots(window), window->count, slot);
	if (window->presence == PRESENT_ALL)
		return slot;
	if (window->presence == PRESENT_SLOTS)
		return slot_find(present_slots(window), window->count, slot);
	uint64_t bits = present_bits(window)[slot / 64], bit = 1ULL << (slot % 64);
	if ((bits & bit) == 0)
		return window->count;
	return present_sums(window)[slot / 64] + (uint32_t)__builtin_popcountll(bits & (bit - 1));
}

bool column_get(const struct column *column, uint32_t docid, double *value)
{
	const struct column_window *window = column_window(column, docid >> WINDOW_SHIFT);
	if (window == NULL)
		return false;
	uint32_t at = window_rank(window, docid % WINDOW_DOCS);
	if (at == window->count)
		return false;
	if (window->kind == COLUMN_OPEN) {
		*value = open_values(window)[at];
	} else if (window->kind == COLUMN_DOUBLES) {
		*value = ((const double *)sealed_codes(window))[at];
	} else {
		const uint32_t *codes = sealed_codes(window);
		codes += (size_t)at / PACK_COUNT * 4 * window->width;
		*value = code_value(window, pack_get(codes, window->width, at % PACK_COUNT));
	}
	return true;
}

bool column_bounds(const struct column *column, uint32_t at, double *low, double *high)
{
	const struct column_window *window = column_window(column, at);
	if (window == NULL || window->count == 0)
		return false;
	*low = window->low;
	*high = window->high;
	return true;
}

/* ---- Filtering ---- */

/* The least code whose value is >= bound; one more than the greatest if there is none. */
static uint64_t code_bound(const struct column_window *window, double bound)
{
	if (window->kind == COLUMN_LIST)
		return list_find(sealed_list(window), window->list_count, bound);
	uint64_t end = (uint64_t)value_code(window, window->high) + 1;
	double guess = (bound * scales[window->scale] - (double)window->base) /
	    (double)window->step;
	uint64_t at = !(guess > 0) ? 0 : guess >= (double)end ? end : (uint64_t)guess;
	/* It is off by one where a float is rounded. */
	while (at > 0 && code_value(window, (uint32_t)at - 1) >= bound)
		at--;
	while (at < end && code_value(window, (uint32_t)at) < bound)
		at++;
	return at;
}

/* Codes of the values within [low, high]: from `from` on, `until` not included. */
struct code_range {
	uint64_t from, until;
};

static struct code_range code_range(const struct column_window *window, double low, double high)
{
	return (struct code_range){
	    code_bound(window, low), code_bound(window, nextafter(high, INFINITY))};
}

/* Bit i of `out`: value i lies within [low, high]. Blocks without a bit in `wanted` (NULL:
 * none) may be left at 0. */
static void filter_codes(const struct column_window *window, double low, double high,
    const uint64_t *wanted, uint64_t out[WINDOW_WORDS])
{
	uint32_t codes[PACK_COUNT];
	const uint32_t *in = sealed_codes(window);
	struct code_range range = code_range(window, low, high);
	if (range.from >= range.until)
		return;
	uint32_t from = (uint32_t)range.from, last = (uint32_t)(range.until - 1);
	for (uint32_t at = 0; at < window->count; at += PACK_COUNT, in += 4 * window->width) {
		uint32_t word = at / 64;
		if (wanted != NULL && (wanted[word] | wanted[word + 1]) == 0)
			continue;
		pack_decode(in, window->width, codes);
		out[word] = simd_within(codes, from, last);
		out[word + 1] = simd_within(codes + 64, from, last);
	}
}

static void filter_doubles(
    const double *values, uint32_t count, double low, double high, uint64_t out[WINDOW_WORDS])
{
	for (uint32_t i = 0; i < count; i++)
		out[i / 64] |= (uint64_t)(values[i] >= low && values[i] <= high) << (i % 64);
}

/* From bits by value to bits by slot. */
static void ranks_to_slots(const struct column_window *window, uint64_t ranks[WINDOW_WORDS])
{
	uint64_t slots[WINDOW_WORDS] = {0};
	if (window->kind != COLUMN_OPEN && window->presence == PRESENT_BITS) {
		for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
			uint32_t at = present_sums(window)[word];
			uint64_t bits = ranks[at / 64] >> (at % 64);
			if (at % 64 != 0 && at / 64 + 1 < WINDOW_WORDS)
				bits |= ranks[at / 64 + 1] << (64 - at % 64);
			slots[word] = simd_deposit(bits, present_bits(window)[word]);
		}
	} else {
		const uint16_t *list = window->kind == COLUMN_OPEN
		    ? open_slots(window) : present_slots(window);
		for (uint32_t i = 0; i < window->count; i++)
			slots[list[i] / 64] |= (ranks[i / 64] >> (i % 64) & 1) << (list[i] % 64);
	}
	memcpy(ranks, slots, sizeof(slots));
}

void column_filter(const struct column *column, uint32_t at, double low, double high,
    uint64_t mask[WINDOW_WORDS])
{
	uint64_t keep[WINDOW_WORDS] = {0};
	const struct column_window *window = column_window(column, at);
	if (window == NULL || window->low > high || window->high < low) {
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
		return;
	}
	bool sealed = window->kind != COLUMN_OPEN, all = sealed && window->presence == PRESENT_ALL;
	if (!sealed)
		filter_doubles(open_values(window), window->count, low, high, keep);
	else if (window->kind == COLUMN_DOUBLES)
		filter_doubles(sealed_codes(window), window->count, low, high, keep);
	else
		filter_codes(window, low, high, all ? mask : NULL, keep);
	if (!all)
		ranks_to_slots(window, keep);
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= keep[i];
}

static bool value_is_within(const struct column *column, uint32_t docid, double low, double high)
{
	double value;
	return column_get(column, docid, &value) && value >= low && value <= high;
}

/* Of 64 documents those of `mask`, which lie in one sealed window of codes. */
static uint64_t keep_codes(const struct column_window *window, const uint32_t docids[64],
    const struct code_range *range, uint64_t mask)
{
	uint64_t kept = 0, count = range->until - range->from;
	const uint32_t *codes = sealed_codes(window);
	for (uint64_t bits = mask; bits != 0; bits &= bits - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(bits);
		uint32_t at = window_rank(window, docids[i] % WINDOW_DOCS);
		if (at == window->count)
			continue;
		uint64_t code = pack_get(codes + (size_t)at / PACK_COUNT * 4 * window->width,
		    window->width, at % PACK_COUNT);
		kept |= (uint64_t)(code - range->from < count) << i;
	}
	return kept;
}

uint64_t column_keep(
    const struct column *column, const uint32_t docids[64], double low, double high, uint64_t mask)
{
	enum { FEW = 4 };
	uint64_t kept = 0, rest = mask, here;
	for (; rest != 0; rest &= ~here) {
		uint32_t first = (uint32_t)__builtin_ctzll(rest), at = docids[first] >> WINDOW_SHIFT;
		const struct column_window *window = column_window(column, at);
		here = 0;
		for (uint64_t bits = rest; bits != 0; bits &= bits - 1) {
			if (docids[__builtin_ctzll(bits)] >> WINDOW_SHIFT != at)
				break;
			here |= bits & -bits;
		}
		if (window == NULL || window->low > high || window->high < low)
			continue;
		if (window->kind != COLUMN_OPEN && window->kind != COLUMN_DOUBLES &&
		    __builtin_popcountll(here) >= FEW) {
			struct code_range range = code_range(window, low, high);
			if (range.from < range.until)
				kept |= keep_codes(window, docids, &range, here);
			continue;
		}
		for (uint64_t bits = here; bits != 0; bits &= bits - 1)
			if (value_is_within(column, docids[__builtin_ctzll(bits)], low, high))
				kept |= bits & -bits;
	}
	return kept;
}

/* ---- Dumps ---- */

bool column_restore(
    struct column *column, uint32_t at, const struct column_window *sealed, const void *data)
{
	bool good = sealed->count > 0 && sealed->count <= WINDOW_DOCS && sealed->width <= 32 &&
	    sealed->kind > COLUMN_OPEN && sealed->kind <= COLUMN_DOUBLES &&
	    sealed->presence <= PRESENT_SLOTS && sealed->scale < ARRAY_COUNT(scales) &&
	    sealed->list_count <= LIST_MAX &&
	    (sealed->presence != PRESENT_ALL || sealed->count == WINDOW_DOCS);
	if (!good || column_window(column, at) != NULL)
		return false;
	size_t bytes = sealed->list_count * sizeof(double) +
	    presence_bytes(sealed->presence, sealed->count);
	bytes += sealed->kind == COLUMN_DOUBLES ? sealed->count * sizeof(double)
	                                        : codes_bytes(sealed->count, sealed->width);
	if (sealed->bytes < bytes || sealed->bytes > bytes + sizeof(double))
		return false;
	column_reach(column, at);
	struct column_window *window = memory_alloc(column->memory, sizeof(*window));
	*window = *sealed;
	window->cap = 0;
	window->data = memory_alloc(column->memory, window->bytes);
	memcpy(window->data, data, window->bytes);
	column->windows[at] = window;
	column->count += window->count;
	return true;
}
