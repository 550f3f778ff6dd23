/* search/column.c: see column.h.
 *
 * Sealed data: dense: WINDOW_DOCS codes (or doubles) by slot. Sparse: `count` slots of two
 * bytes, padded to 8, then `count` codes (or doubles).
 */
#include "search/column.h"

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

static struct column_window *column_open(struct column *column, uint32_t at)
{
	if (at >= column->window_cap) {
		uint32_t cap = at + 1 + at / 4;
		column->windows = memory_resize(column->memory, column->windows,
		    column->window_cap * sizeof(*column->windows), cap * sizeof(*column->windows));
		memset(column->windows + column->window_cap, 0,
		    (cap - column->window_cap) * sizeof(*column->windows));
		column->window_cap = cap;
	}
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
	ASSERT(window->width == 0);
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

static size_t sparse_offset(uint32_t count)
{
	return ((size_t)count * sizeof(uint16_t) + 7) & ~(size_t)7;
}

static uint16_t *sealed_slots(const struct column_window *window)
{
	return window->data;
}

static const uint8_t *sealed_codes(const struct column_window *window)
{
	return (const uint8_t *)window->data + (window->dense ? 0 : sparse_offset(window->count));
}

static double code_value(const struct column_window *window, uint32_t code)
{
	return (double)(window->base + code) / scales[window->scale];
}

/* The integer that stands for `value` at this scale; false if none does exactly. */
static bool scaled(double value, uint8_t scale, int64_t *out)
{
	double product = value * scales[scale];
	if (!(fabs(product) < 4e15))
		return false;
	*out = llrint(product);
	return (double)*out / scales[scale] == value;
}

/* Width in bytes at this scale, or 8. */
static uint8_t scale_width(const struct column_window *window, uint8_t scale, int64_t *base)
{
	int64_t low, high, value;
	if (!scaled(window->low, scale, &low) || !scaled(window->high, scale, &high))
		return 8;
	for (uint32_t i = 0; i < window->count; i++)
		if (!scaled(open_values(window)[i], scale, &value))
			return 8;
	*base = low - 1;                  /* code 0 is no value */
	uint64_t range = (uint64_t)(high - low) + 1;
	return range <= UINT8_MAX ? 1 : range <= UINT16_MAX ? 2 : range <= UINT32_MAX ? 4 : 8;
}

static void code_put(void *codes, uint8_t width, uint32_t at, uint32_t code)
{
	uint8_t *out = (uint8_t *)codes + (size_t)at * width;
	if (width == 1)
		*out = (uint8_t)code;
	else if (width == 2)
		store_le16(out, (uint16_t)code);
	else
		store_le32(out, code);
}

static uint32_t code_get(const void *codes, uint8_t width, uint32_t at)
{
	const uint8_t *in = (const uint8_t *)codes + (size_t)at * width;
	return width == 1 ? *in : width == 2 ? load_le16(in) : load_le32(in);
}

static double double_get(const uint8_t *codes, uint32_t at)
{
	double value;
	memcpy(&value, codes + (size_t)at * sizeof(value), sizeof(value));
	return value;
}

static void window_plan(const struct column_window *open, struct column_window *sealed)
{
	sealed->width = 8;
	for (uint8_t scale = 0; scale < ARRAY_COUNT(scales) && sealed->width == 8; scale++) {
		sealed->width = scale_width(open, scale, &sealed->base);
		sealed->scale = scale;
	}
	size_t dense = (size_t)WINDOW_DOCS * sealed->width;
	size_t sparse = sparse_offset(open->count) + (size_t)open->count * sealed->width;
	sealed->dense = dense <= sparse + sparse / 4;
	sealed->bytes = (uint32_t)(sealed->dense ? dense : sparse);
}

static void window_seal(struct column *column, struct column_window *window)
{
	struct column_window sealed = *window;
	window_plan(window, &sealed);
	sealed.data = memory_alloc(column->memory, sealed.bytes);
	memset(sealed.data, sealed.width == 8 ? 0xff : 0, sealed.bytes);
	uint8_t *codes = (uint8_t *)sealed.data + (sealed.dense ? 0 : sparse_offset(window->count));
	for (uint32_t i = 0; i < window->count; i++) {
		uint16_t slot = open_slots(window)[i];
		double value = open_values(window)[i];
		uint32_t at = sealed.dense ? slot : i;
		int64_t integer;
		if (!sealed.dense)
			sealed_slots(&sealed)[i] = slot;
		if (sealed.width == 8)
			memcpy(codes + (size_t)at * 8, &value, 8);
		else if (scaled(value, sealed.scale, &integer))
			code_put(codes, sealed.width, at, (uint32_t)(integer - sealed.base));
	}
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
	} else if (window->width == 0) {
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

bool column_get(const struct column *column, uint32_t docid, double *value)
{
	const struct column_window *window = column_window(column, docid >> WINDOW_SHIFT);
	uint16_t slot = docid % WINDOW_DOCS;
	if (window == NULL)
		return false;
	uint32_t at = slot;
	if (!window->dense) {
		const uint16_t *slots =
		    window->width == 0 ? open_slots(window) : sealed_slots(window);
		at = slot_find(slots, window->count, slot);
		if (at == window->count)
			return false;
	}
	if (window->width == 0) {
		*value = open_values(window)[at];
		return true;
	}
	if (window->width == 8) {
		*value = double_get(sealed_codes(window), at);
		return !isnan(*value);
	}
	uint32_t code = code_get(sealed_codes(window), window->width, at);
	*value = code_value(window, code);
	return code != 0;
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

/* The least code whose value is >= bound (or, with `above`, > bound). */
static uint32_t code_bound(const struct column_window *window, double bound, bool above)
{
	uint64_t low = 1, high = 1ULL << (8 * window->width);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		double value = code_value(window, (uint32_t)middle);
		if (above ? value <= bound : value < bound)
			low = middle + 1;
		else
			high = middle;
	}
	return low > UINT32_MAX ? UINT32_MAX : (uint32_t)low;
}

/* Codes in [from, until], dense; 64 slots a word, so that the compiler can vectorise. */
#define FILTER_DENSE(type) \
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) { \
		if (mask[word] == 0) \
			continue; \
		const type *in = (const type *)codes + word * 64; \
		uint64_t bits = 0; \
		for (uint32_t i = 0; i < 64; i++) \
			bits |= (uint64_t)(in[i] >= (type)from && in[i] <= (type)until) << i; \
		mask[word] &= bits; \
	}

/* Codes of the values within [low, high]; both bounds lie within the window's. */
static bool code_range(const struct column_window *window, double low, double high,
    uint32_t *from, uint32_t *until)
{
	*from = code_bound(window, low, false);
	*until = high >= window->high ? code_bound(window, window->high, false)
	    : code_bound(window, high, true) - 1;
	return *from <= *until;
}

static void filter_dense(const struct column_window *window, double low, double high,
    uint64_t mask[WINDOW_WORDS])
{
	const void *codes = window->data;
	uint32_t from, until;
	if (window->width == 8) {
		for (uint32_t slot = 0; slot < WINDOW_DOCS; slot++) {
			double value = double_get(codes, slot);
			if (!(value >= low && value <= high))
				mask[slot / 64] &= ~(1ULL << (slot % 64));
		}
		return;
	}
	if (!code_range(window, low, high, &from, &until)) {
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
		return;
	}
	if (window->width == 1) {
		FILTER_DENSE(uint8_t)
	} else if (window->width == 2) {
		FILTER_DENSE(uint16_t)
	} else {
		FILTER_DENSE(uint32_t)
	}
}

static void filter_sparse(const struct column_window *window, double low, double high,
    uint64_t mask[WINDOW_WORDS])
{
	uint64_t keep[WINDOW_WORDS] = {0};
	bool coded = window->width != 0 && window->width != 8;
	const uint16_t *slots = window->width == 0 ? open_slots(window) : sealed_slots(window);
	uint32_t from = 1, until = 0;
	if (coded && !code_range(window, low, high, &from, &until)) {
		memset(mask, 0, sizeof(keep));
		return;
	}
	for (uint32_t i = 0; i < window->count; i++) {
		uint16_t slot = slots[i];
		bool in;
		if (coded) {
			uint32_t code = code_get(sealed_codes(window), window->width, i);
			in = code >= from && code <= until;
		} else {
			double value = window->width == 0 ? open_values(window)[i]
			    : double_get(sealed_codes(window), i);
			in = value >= low && value <= high;
		}
		keep[slot / 64] |= (uint64_t)in << (slot % 64);
	}
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= keep[i];
}

void column_filter(const struct column *column, uint32_t at, double low, double high,
    uint64_t mask[WINDOW_WORDS])
{
	const struct column_window *window = column_window(column, at);
	if (window == NULL || window->low > high || window->high < low) {
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
		return;
	}
	if (window->dense)
		filter_dense(window, low, high, mask);
	else
		filter_sparse(window, low, high, mask);
}
