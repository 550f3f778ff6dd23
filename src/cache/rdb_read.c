/* cache/rdb_read.c: see rdb_read.h. */
#include "cache/rdb_read.h"

#include "base/arith.h"
#include "base/endian.h"
#include "base/number.h"

#include <math.h>

enum { SPECIAL_INT8, SPECIAL_INT16, SPECIAL_INT32, SPECIAL_LZF, STRING_MAX = 512 << 20 };

static bool take(struct span *in, size_t len, const uint8_t **out)
{
	if (in->len < len)
		return false;
	*out = in->ptr;
	*in = span_slice(*in, len, in->len);
	return true;
}

bool rdb_take_length(struct span *in, uint64_t *length, bool *is_special)
{
	const uint8_t *at;
	if (!take(in, 1, &at))
		return false;
	uint8_t first = *at;
	*is_special = first >> 6 == 3;
	*length = first & 0x3f;
	if (first >> 6 == 1) {
		if (!take(in, 1, &at))
			return false;
		*length = *length << 8 | *at;
	} else if (first == 0x80) {
		if (!take(in, 4, &at))
			return false;
		*length = load_be32(at);
	} else if (first == 0x81) {
		if (!take(in, 8, &at))
			return false;
		*length = load_be64(at);
	} else if (first >> 6 == 2) {
		return false;
	}
	return true;
}

/* LZF (M. Lehmann): runs of new bytes, and references of 2 to 264 bytes up to 8 KiB back. */
static bool lzf_expand(struct span in, uint8_t *out, size_t len)
{
	size_t at = 0, done = 0;
	while (at < in.len) {
		size_t control = in.ptr[at++], run, back;
		if (control < 32) {
			run = control + 1;
			if (run > in.len - at || run > len - done)
				return false;
			memcpy(out + done, in.ptr + at, run);
			at += run;
			done += run;
			continue;
		}
		run = control >> 5;
		if (run == 7) {
			if (at == in.len)
				return false;
			run += in.ptr[at++];
		}
		if (at == in.len)
			return false;
		back = ((control & 0x1f) << 8 | in.ptr[at++]) + 1;
		run += 2;
		if (back > done || run > len - done)
			return false;
		for (; run > 0; run--, done++)
			out[done] = out[done - back];
	}
	return done == len;
}

static bool take_compressed(struct span *in, struct buf *scratch, struct span *out)
{
	uint64_t packed, len;
	bool special;
	const uint8_t *bytes;
	if (!rdb_take_length(in, &packed, &special) || special || !rdb_take_length(in, &len, &special) ||
	    special || packed > in->len || !take(in, (size_t)packed, &bytes))
		return false;
	/* Three bytes make 264 at most: what claims more is not believed, nor given memory. */
	if (len == 0 || len > STRING_MAX || len / 100 > packed || !buf_try_reserve(scratch, (size_t)len))
		return false;
	scratch->len = (size_t)len;
	*out = buf_span(scratch);
	return lzf_expand(span_of(bytes, (size_t)packed), scratch->ptr, (size_t)len);
}

bool rdb_take_string(struct span *in, struct buf *scratch, struct span *out)
{
	uint64_t length;
	bool special;
	const uint8_t *at;
	int64_t number;
	if (!rdb_take_length(in, &length, &special))
		return false;
	if (!special) {
		if (length > in->len || !take(in, (size_t)length, &at))
			return false;
		*out = span_of(at, (size_t)length);
		return true;
	}
	if (length == SPECIAL_LZF)
		return take_compressed(in, scratch, out);
	if (length > SPECIAL_INT32 || !take(in, (size_t)1 << length, &at))
		return false;
	number = length == SPECIAL_INT8 ? (int8_t)*at
	    : length == SPECIAL_INT16 ? (int16_t)load_le16(at) : (int32_t)load_le32(at);
	buf_clear(scratch);
	buf_reserve(scratch, NUMBER_TEXT_MAX);
	scratch->len = number_format_i64(number, (char *)scratch->ptr);
	*out = buf_span(scratch);
	return true;
}

bool rdb_take_score_text(struct span *in, double *out)
{
	const uint8_t *at;
	if (!take(in, 1, &at) || *at == 253)
		return false;
	if (*at >= 254) {
		*out = *at == 254 ? INFINITY : -INFINITY;
		return true;
	}
	size_t len = *at;
	return take(in, len, &at) && number_parse_double(span_of(at, len), out);
}

bool rdb_take_score(struct span *in, double *out)
{
	const uint8_t *at;
	if (!take(in, 8, &at))
		return false;
	uint64_t bits = load_le64(at);
	memcpy(out, &bits, sizeof(*out));
	return !isnan(*out);
}

/* ---- Listpacks ---------------------------------------------------------------------------------- */

bool listpack_open(struct span bytes, struct span *elements)
{
	enum { HEAD = 6, END = 0xff };
	if (bytes.len < HEAD + 1 || load_le32(bytes.ptr) != bytes.len || bytes.ptr[bytes.len - 1] != END)
		return false;
	*elements = span_slice(bytes, HEAD, bytes.len - HEAD - 1);
	return true;
}

/* The length behind an element, which must be `length`: groups of seven bits, high ones first, all but the
 * first marked. */
static bool take_back_length(struct span *in, size_t length)
{
	static const size_t limits[] = {128, 16383, 2097151, 268435455};
	const uint8_t *at;
	unsigned bytes = 1;
	while (bytes < 5 && length >= limits[bytes - 1])
		bytes++;
	if (!take(in, bytes, &at))
		return false;
	for (unsigned i = bytes; i-- > 0; length >>= 7)
		if (at[i] != ((length & 0x7f) | (i > 0 ? 0x80 : 0)))
			return false;
	return true;
}

struct listpack_head {
	uint32_t head, payload;           /* bytes */
	bool     is_text;
};

/* What the first bytes of an element say. */
static bool listpack_head(struct span in, struct listpack_head *out)
{
	static const uint8_t widths[] = {2, 3, 4, 8};
	uint8_t first = in.ptr[0];
	*out = (struct listpack_head){.head = 1};
	if (first < 0x80)
		return true;
	if (first < 0xc0) {
		*out = (struct listpack_head){1, first & 0x3fU, true};
	} else if (first < 0xe0) {
		out->head = 2;
	} else if (first < 0xf0) {
		if (in.len < 2)
			return false;
		*out = (struct listpack_head){2, (first & 0xfU) << 8 | in.ptr[1], true};
	} else if (first == 0xf0) {
		if (in.len < 5)
			return false;
		*out = (struct listpack_head){5, load_le32(in.ptr + 1), true};
	} else if (first <= 0xf4) {
		out->payload = widths[first - 0xf1];
	} else {
		return false;
	}
	return (uint64_t)out->head + out->payload <= in.len;
}

static int64_t listpack_number(const uint8_t *at, const struct listpack_head *head)
{
	if (head->head == 2) {
		int64_t bits = (int64_t)(at[0] & 0x1f) << 8 | at[1];
		return bits >= 4096 ? bits - 8192 : bits;
	}
	if (head->payload == 0)
		return at[0];
	uint64_t bits = 0;
	unsigned unused = 64 - 8 * head->payload;
	memcpy(&bits, at + 1, head->payload);
	return (int64_t)(bits << unused) >> unused;
}

bool listpack_take(struct span *elements, char *number, struct span *out)
{
	struct listpack_head head;
	const uint8_t *at;
	if (elements->len == 0 || !listpack_head(*elements, &head) ||
	    !take(elements, (size_t)head.head + head.payload, &at))
		return false;
	if (head.is_text)
		*out = span_of(at + head.head, head.payload);
	else
		*out = span_of(number, number_format_i64(listpack_number(at, &head), number));
	return take_back_length(elements, (size_t)head.head + head.payload);
}
