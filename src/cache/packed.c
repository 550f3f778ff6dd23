/* cache/packed.c: see packed.h. */
#include "cache/packed.h"

#include "base/arith.h"
#include "base/endian.h"
#include "base/number.h"

enum {
	STRING_6 = 0x80, STRING_12 = 0xc0, STRING_32 = 0xf0,
	NUMBER_12 = 0xd0, NUMBER_BYTES = 0xe0, SCORE = 0xe9,
	NUMBER_12_BASE = 128, NUMBER_12_END = NUMBER_12_BASE + 4096,
	SCORE_TEXT_MAX = 7,               /* shorter decimals are kept as text */
	LENGTH_MAX = 5,                   /* bytes of the length behind an element */
};

void item_copy(struct item *out, const struct item *in)
{
	*out = *in;
	if (in->bytes.ptr == (const uint8_t *)in->number)
		out->bytes.ptr = (const uint8_t *)out->number;
}

struct needle needle_of(struct span text)
{
	struct needle needle = {.text = text};
	needle.is_number = number_parse_i64(text, &needle.number);
	return needle;
}

/* ---- Room ------------------------------------------------------------------------------ */

size_t packed_class(size_t bytes)
{
	if (bytes <= 128)
		return round_up(max_u64(bytes, 8), bytes <= 8 ? 8 : 16);
	unsigned log = 63 - (unsigned)__builtin_clzll(bytes - 1);
	return round_up(bytes, (size_t)1 << (log - 2));
}

void packed_fini(struct packed *packed, struct memory *memory)
{
	memory_free(memory, packed->ptr, packed->cap);
	*packed = (struct packed){0};
}

static void packed_resize(struct packed *packed, struct memory *memory, size_t len)
{
	size_t cap = packed_class(len);
	ASSERT(cap <= UINT32_MAX);
	if (cap == packed->cap)
		return;
	packed->ptr = memory_resize(memory, packed->ptr, packed->cap, cap);
	packed->cap = (uint32_t)cap;
}

static void packed_set_count(struct packed *packed, uint32_t count) { store_le32(packed->ptr, count); }

uint32_t packed_count(const struct packed *packed) { return packed->len == 0 ? 0 : load_le32(packed->ptr); }

/* Puts `bytes` in place of `old` bytes at `at`, for `delta` more elements. */
static void packed_splice(struct packed *packed, struct memory *memory, uint32_t at, uint32_t old,
    struct span bytes, int32_t delta)
{
	uint32_t end = packed_end(packed), count = packed_count(packed);
	ASSERT(at >= PACKED_HEAD && at <= end && old <= end - at);
	size_t len = (size_t)end - old + bytes.len;
	if (len > packed->cap)
		packed_resize(packed, memory, len);
	if (bytes.len != old)
		memmove(packed->ptr + at + bytes.len, packed->ptr + at + old, end - at - old);
	if (bytes.len > 0)
		memcpy(packed->ptr + at, bytes.ptr, bytes.len);
	packed->len = (uint32_t)len;
	packed_set_count(packed, count + (uint32_t)delta);
	if (len < packed->cap / 2)
		packed_resize(packed, memory, len);
}

/* ---- One element ------------------------------------------------------------------------ */

struct piece {
	uint32_t head, payload;           /* bytes */
	uint8_t  kind;                    /* 0: a small integer; any string is STRING_6 */
};

/* Of bytes that hold a whole element, or at least LENGTH_MAX bytes of one. */
static inline struct piece piece_of(const uint8_t *ptr)
{
	uint8_t head = ptr[0];
	if (head < STRING_6)
		return (struct piece){1, 0, 0};
	if (head < STRING_12)
		return (struct piece){1, head & 0x3fU, STRING_6};
	if (head < NUMBER_12)
		return (struct piece){2, (uint32_t)(head & 0xf) << 8 | ptr[1], STRING_6};
	if (head < NUMBER_BYTES)
		return (struct piece){2, 0, NUMBER_12};
	if (head < SCORE)
		return (struct piece){1, head & 0xfU, NUMBER_BYTES};
	if (head == SCORE)
		return (struct piece){1, 8, SCORE};
	return (struct piece){5, load_le32(ptr + 1), STRING_6};
}

static inline int64_t piece_number(const uint8_t *ptr, const struct piece *piece)
{
	if (piece->kind == 0)
		return ptr[0];
	if (piece->kind == NUMBER_12)
		return NUMBER_12_BASE + ((ptr[0] & 0xf) << 8 | ptr[1]);
	uint64_t bits = 0;
	memcpy(&bits, ptr + 1, piece->payload);
	unsigned unused = 64 - 8 * piece->payload;
	return (int64_t)(bits << unused) >> unused;
}

static inline uint32_t length_bytes(uint64_t length)
{
	uint32_t bytes = 1;
	for (; length >= 0x80; length >>= 7)
		bytes++;
	return bytes;
}

/* Writes the length behind an element, and returns what follows. */
static uint8_t *length_put(uint8_t *out, uint64_t length)
{
	uint32_t bytes = length_bytes(length);
	for (uint32_t i = bytes; i-- > 0; length >>= 7)
		out[i] = (uint8_t)((length & 0x7f) | (i > 0 ? 0x80 : 0));
	return out + bytes;
}

uint32_t packed_next(const struct packed *packed, uint32_t at)
{
	struct piece piece = piece_of(packed->ptr + at);
	uint32_t length = piece.head + piece.payload;
	return at + length + length_bytes(length);
}

uint32_t packed_prev(const struct packed *packed, uint32_t at)
{
	ASSERT(at > PACKED_HEAD && at <= packed->len);
	uint32_t length = 0, i = 1;
	for (unsigned shift = 0;; shift += 7, i++) {
		uint8_t byte = packed->ptr[at - i];
		length |= (uint32_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			break;
	}
	return at - i - length;
}

uint32_t packed_seek(const struct packed *packed, uint32_t index)
{
	uint32_t count = packed_count(packed), at = PACKED_HEAD;
	ASSERT(index <= count);
	if (index <= count / 2) {
		for (; index > 0; index--)
			at = packed_next(packed, at);
		return at;
	}
	at = packed_end(packed);
	for (; index < count; index++)
		at = packed_prev(packed, at);
	return at;
}

void packed_get(const struct packed *packed, uint32_t at, struct item *out)
{
	ASSERT(at >= PACKED_HEAD && at < packed->len);
	const uint8_t *ptr = packed->ptr + at;
	struct piece piece = piece_of(ptr);
	if (piece.kind == STRING_6) {
		out->bytes = span_of(ptr + piece.head, piece.payload);
		return;
	}
	ASSERT(piece.kind != SCORE);
	size_t len = number_format_i64(piece_number(ptr, &piece), out->number);
	out->bytes = span_of(out->number, len);
}

double packed_score(const struct packed *packed, uint32_t at)
{
	ASSERT(at >= PACKED_HEAD && at < packed->len);
	const uint8_t *ptr = packed->ptr + at;
	struct piece piece = piece_of(ptr);
	double score = 0;
	if (piece.kind == SCORE)
		memcpy(&score, ptr + 1, sizeof(score));
	else if (piece.kind != STRING_6)
		score = (double)piece_number(ptr, &piece);
	else if (!number_parse_double(span_of(ptr + piece.head, piece.payload), &score))
		score = 0;
	return score;
}

bool packed_has_score(const struct packed *packed, uint32_t at)
{
	const uint8_t *ptr = packed->ptr + at;
	struct piece piece = piece_of(ptr);
	double score;
	return piece.kind != STRING_6 ||
	    number_parse_double(span_of(ptr + piece.head, piece.payload), &score);
}

bool packed_is(const struct packed *packed, uint32_t at, const struct needle *needle)
{
	const uint8_t *ptr = packed->ptr + at;
	struct piece piece = piece_of(ptr);
	if (piece.kind == STRING_6)
		return !needle->is_number &&
		    span_equal(span_of(ptr + piece.head, piece.payload), needle->text);
	return needle->is_number && piece.kind != SCORE && piece_number(ptr, &piece) == needle->number;
}

uint32_t packed_find(
    const struct packed *packed, uint32_t at, const struct needle *needle, unsigned stride)
{
	uint32_t end = packed_end(packed);
	while (at < end) {
		if (packed_is(packed, at, needle))
			return at;
		for (unsigned i = 0; i < stride && at < end; i++)
			at = packed_next(packed, at);
	}
	return end;
}

/* ---- Changing ---------------------------------------------------------------------------- */

static uint8_t *put_number(uint8_t *out, int64_t number)
{
	if (number >= 0 && number < STRING_6) {
		*out++ = (uint8_t)number;
		return out;
	}
	if (number >= NUMBER_12_BASE && number < NUMBER_12_END) {
		unsigned bits = (unsigned)(number - NUMBER_12_BASE);
		*out++ = (uint8_t)(NUMBER_12 | bits >> 8);
		*out++ = (uint8_t)bits;
		return out;
	}
	unsigned bytes = 1;
	while (bytes < 8 && (number >> (8 * bytes - 1)) != 0 && (number >> (8 * bytes - 1)) != -1)
		bytes++;
	*out++ = (uint8_t)(NUMBER_BYTES | bytes);
	memcpy(out, &number, bytes);
	return out + bytes;
}

static uint8_t *put_string_head(uint8_t *out, size_t len)
{
	if (len < 64) {
		*out++ = (uint8_t)(STRING_6 | len);
		return out;
	}
	if (len < 4096) {
		*out++ = (uint8_t)(STRING_12 | len >> 8);
		*out++ = (uint8_t)len;
		return out;
	}
	ASSERT(len <= PACKED_BYTES_MAX);
	*out++ = STRING_32;
	store_le32(out, (uint32_t)len);
	return out + 4;
}

/* Room for an element in place of `old` bytes; then it is written by whoever asked. */
static uint8_t *packed_open(
    struct packed *packed, struct memory *memory, uint32_t at, uint32_t old, size_t bytes)
{
	uint32_t end = packed_end(packed), count = packed_count(packed);
	ASSERT(at >= PACKED_HEAD && at <= end && old <= end - at);
	size_t len = (size_t)end - old + bytes;
	if (len > packed->cap)
		packed_resize(packed, memory, len);
	memmove(packed->ptr + at + bytes, packed->ptr + at + old, end - at - old);
	packed->len = (uint32_t)len;
	packed_set_count(packed, count + (old == 0));
	return packed->ptr + at;
}

static uint32_t packed_write(struct packed *packed, struct memory *memory, uint32_t at,
    uint32_t old, const struct needle *needle)
{
	uint8_t head[16];
	size_t text = needle->is_number ? 0 : needle->text.len;
	uint8_t *end = needle->is_number ? put_number(head, needle->number) : put_string_head(head, text);
	size_t head_bytes = (size_t)(end - head), length = head_bytes + text;
	size_t bytes = length + length_bytes(length);
	uint8_t *out = packed_open(packed, memory, at, old, bytes);
	memcpy(out, head, head_bytes);
	if (text > 0)
		memcpy(out + head_bytes, needle->text.ptr, text);
	length_put(out + length, length);
	return at + (uint32_t)bytes;
}

uint32_t packed_insert(
    struct packed *packed, struct memory *memory, uint32_t at, const struct needle *needle)
{
	return packed_write(packed, memory, at, 0, needle);
}

uint32_t packed_insert_score(
    struct packed *packed, struct memory *memory, uint32_t at, double score)
{
	char text[NUMBER_TEXT_MAX];
	if (score >= -0x1p62 && score <= 0x1p62 && score == (double)(int64_t)score) {
		struct needle needle = {.number = (int64_t)score, .is_number = true};
		return packed_write(packed, memory, at, 0, &needle);
	}
	size_t len = number_format_double(score, text);
	double back;
	struct needle needle = {.text = span_of(text, len)};
	if (len <= SCORE_TEXT_MAX && number_parse_double(needle.text, &back) && back == score)
		return packed_write(packed, memory, at, 0, &needle);
	uint8_t *out = packed_open(packed, memory, at, 0, 10);
	out[0] = SCORE;
	memcpy(out + 1, &score, 8);
	length_put(out + 9, 9);
	return at + 10;
}

void packed_replace(
    struct packed *packed, struct memory *memory, uint32_t at, const struct needle *needle)
{
	uint32_t old = packed_next(packed, at) - at;
	packed_write(packed, memory, at, old, needle);
}

void packed_remove(struct packed *packed, struct memory *memory, uint32_t at, uint32_t count)
{
	uint32_t to = at;
	ASSERT(count <= packed_count(packed));
	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		to = packed_next(packed, to);
	packed_splice(packed, memory, at, to - at, (struct span){0}, -(int32_t)count);
}

void packed_move_tail(struct packed *packed, struct memory *memory, uint32_t at, struct packed *to)
{
	uint32_t end = packed_end(packed), count = 0;
	for (uint32_t i = at; i < end; i = packed_next(packed, i))
		count++;
	if (count == 0)
		return;
	struct span tail = span_of(packed->ptr + at, end - at);
	packed_splice(to, memory, packed_end(to), 0, tail, (int32_t)count);
	packed_splice(packed, memory, at, end - at, (struct span){0}, -(int32_t)count);
}

/* ---- Foreign bytes ------------------------------------------------------------------------- */

/* The element at the front of `bytes`, with its length behind it; 0 if that is none. */
static size_t check_element(struct span bytes)
{
	uint8_t padded[LENGTH_MAX] = {0}, length[LENGTH_MAX];
	if (bytes.len < 2)
		return 0;
	memcpy(padded, bytes.ptr, min_u64(bytes.len, sizeof(padded)));
	uint8_t head = padded[0];
	if (head == NUMBER_BYTES || head > STRING_32 || (head > SCORE && head < STRING_32))
		return 0;
	struct piece piece = piece_of(padded);
	uint64_t whole = (uint64_t)piece.head + piece.payload;
	uint32_t behind = length_bytes(whole);
	if (piece.payload > PACKED_BYTES_MAX || whole + behind > bytes.len)
		return 0;
	length_put(length, whole);
	if (memcmp(length, bytes.ptr + whole, behind) != 0)
		return 0;
	return (size_t)whole + behind;
}

bool packed_check(struct span bytes)
{
	if (bytes.len < PACKED_HEAD || bytes.len > PACKED_BYTES_MAX)
		return false;
	uint32_t count = load_le32(bytes.ptr);
	bytes = span_slice(bytes, PACKED_HEAD, bytes.len);
	for (; bytes.len > 0; count--) {
		size_t len = check_element(bytes);
		if (len == 0 || count == 0)
			return false;
		struct piece piece = piece_of(bytes.ptr);
		int64_t number;
		double score;
		if (piece.kind == STRING_6 &&
		    number_parse_i64(span_of(bytes.ptr + piece.head, piece.payload), &number))
			return false;         /* it would not be found */
		if (piece.kind == SCORE) {
			memcpy(&score, bytes.ptr + 1, sizeof(score));
			if (score != score)
				return false;
		}
		bytes = span_slice(bytes, len, bytes.len);
	}
	return count == 0;
}
