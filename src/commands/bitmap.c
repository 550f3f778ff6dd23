/* commands/bitmap.c: strings as arrays of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. Bit 0 is
 * the highest of the first byte. BITFIELD is in bitfield.c. */
#include "commands/string.h"

#include "base/number.h"
#include "engine/pubsub.h"

bool parse_bit_offset(struct call *call, struct span text, uint32_t bits, uint64_t *out)
{
	int64_t offset;
	bool scaled = bits > 0 && text.len > 0 && text.ptr[0] == '#';
	uint64_t limit = call->engine->settings->proto_max_bulk_len * 8;
	if (scaled)
		text = span_slice(text, 1, text.len);
	bool good = number_parse_i64(text, &offset) && offset >= 0;
	if (good && scaled)
		good = !__builtin_mul_overflow(offset, (int64_t)bits, &offset);
	if (!good || (uint64_t)offset >= limit || limit - (uint64_t)offset < bits) {
		call_error(call, "ERR bit offset is not an integer or out of range");
		return false;
	}
	*out = (uint64_t)offset;
	return true;
}

static unsigned bit_at(struct span value, uint64_t offset)
{
	uint64_t byte = offset >> 3;
	return byte >= value.len ? 0 : value.ptr[byte] >> (7 - (offset & 7)) & 1;
}

void cmd_setbit(struct call *call)
{
	uint64_t offset;
	int64_t bit;
	bool ok;
	if (!parse_bit_offset(call, call->argv[2], 0, &offset))
		return;
	if (!number_parse_i64(call->argv[3], &bit) || bit < 0 || bit > 1) {
		call_error(call, "ERR bit is not an integer or out of range");
		return;
	}
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	struct span old = entry == NULL ? (struct span){0} : entry_string(entry);
	unsigned was = bit_at(old, offset);
	uint64_t need = (offset >> 3) + 1;
	if (need <= old.len && was == bit) {          /* nothing changes, and nobody is told */
		reply_int(call->reply, was);
		return;
	}
	struct buf value = string_copy(call, entry, need > old.len ? need : old.len, &ok);
	if (ok) {
		uint8_t mask = (uint8_t)(0x80 >> (offset & 7));
		uint8_t *byte = &value.ptr[offset >> 3];
		*byte = (uint8_t)(bit ? *byte | mask : *byte & ~mask);
	}
	if (ok && string_store(call, buf_span(&value), "setbit"))
		reply_int(call->reply, was);
	buf_fini(&value);
}

void cmd_getbit(struct call *call)
{
	uint64_t offset;
	if (!parse_bit_offset(call, call->argv[2], 0, &offset))
		return;
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (string_entry(call, entry))
		reply_int(call->reply, entry == NULL ? 0 : bit_at(entry_string(entry), offset));
}

/* ---- Ranges ---- */

struct bit_range {
	int64_t start, end;               /* as given; of bytes, or of bits */
	bool    has_start, has_end, in_bits;
};

static bool parse_bit_unit(struct call *call, struct span word, bool *in_bits)
{
	*in_bits = span_is(word, "BIT");
	if (*in_bits || span_is(word, "BYTE"))
		return true;
	reply_syntax_error(call);
	return false;
}

static bool parse_bit_number(struct call *call, struct span word, int64_t *out)
{
	if (number_parse_i64(word, out))
		return true;
	reply_not_integer(call);
	return false;
}

/* [start [end [BYTE|BIT]]] from argv[at] on; which of two errors is told goes by who asks (unit_first). */
static bool parse_bit_range(struct call *call, uint32_t at, bool unit_first, struct bit_range *range)
{
	*range = (struct bit_range){.end = -1};
	if (call->argc > at + 3) {
		reply_syntax_error(call);
		return false;
	}
	range->has_start = call->argc > at;
	range->has_end = call->argc > at + 1;
	bool has_unit = call->argc == at + 3;
	if (range->has_start && !parse_bit_number(call, call->argv[at], &range->start))
		return false;
	if (has_unit && unit_first && !parse_bit_unit(call, call->argv[at + 2], &range->in_bits))
		return false;
	if (range->has_end && !parse_bit_number(call, call->argv[at + 1], &range->end))
		return false;
	return !has_unit || unit_first || parse_bit_unit(call, call->argv[at + 2], &range->in_bits);
}

/* The bits [*first, *last] that the range means in `bytes` bytes. False: none. */
static bool range_bits(
    const struct bit_range *range, uint64_t bytes, uint64_t *first, uint64_t *last)
{
	int64_t total = (int64_t)(range->in_bits ? bytes * 8 : bytes);
	int64_t start = range->start, end = range->end;
	start = start < 0 ? start + total : start;
	end = end < 0 ? end + total : end;
	start = start < 0 ? 0 : start;
	end = end < 0 ? 0 : end;
	end = end >= total ? total - 1 : end;
	if (total == 0 || start > end)
		return false;
	*first = (uint64_t)(range->in_bits ? start : start * 8);
	*last = (uint64_t)(range->in_bits ? end : end * 8 + 7);
	return true;
}

/* Byte `at` of the value, with the bits outside [first, last] as they are in `outside`. */
static uint8_t masked_byte(struct span value, uint64_t at, uint64_t first, uint64_t last, uint8_t outside)
{
	uint8_t mask = 0xff;
	if (at == first >> 3)
		mask &= (uint8_t)(0xff >> (first & 7));
	if (at == last >> 3)
		mask &= (uint8_t)(0xff << (7 - (last & 7)));
	return (uint8_t)((value.ptr[at] & mask) | (outside & ~mask));
}

static uint64_t count_bits(struct span value, uint64_t first, uint64_t last)
{
	uint64_t count = 0, at = first >> 3, end = last >> 3;
	ASSERT(end < value.len);
	count += (uint64_t)__builtin_popcount(masked_byte(value, at, first, last, 0));
	for (at++; at + 8 < end; at += 8) {
		uint64_t word;
		memcpy(&word, value.ptr + at, sizeof(word));
		count += (uint64_t)__builtin_popcountll(word);
	}
	for (; at <= end; at++)
		count += (uint64_t)__builtin_popcount(masked_byte(value, at, first, last, 0));
	return count;
}

void cmd_bitcount(struct call *call)
{
	struct bit_range range;
	uint64_t first, last;
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	if (entry == NULL) {                     /* whatever the range says, as Redis has it */
		reply_int(call->reply, 0);
		return;
	}
	if (call->argc == 3) {
		reply_syntax_error(call);
		return;
	}
	if (!parse_bit_range(call, 2, false, &range))
		return;
	struct span value = entry_string(entry);
	bool reversed = range.start < 0 && range.end < 0 && range.start > range.end;
	bool any = !reversed && range_bits(&range, value.len, &first, &last);
	reply_int(call->reply, any ? (int64_t)count_bits(value, first, last) : 0);
}

/* The first such bit in the range, or UINT64_MAX. */
static uint64_t find_bit(struct span value, unsigned bit, uint64_t first, uint64_t last)
{
	uint8_t none = bit ? 0 : 0xff;
	uint64_t at = first >> 3, end = last >> 3;
	ASSERT(end < value.len);
	while (at <= end) {
		uint8_t byte = masked_byte(value, at, first, last, none);
		if (byte != none) {
			unsigned found = bit ? byte : (uint8_t)~byte;
			return at * 8 + (unsigned)__builtin_clz(found) - 24;
		}
		at++;
		uint64_t word, same = bit ? 0 : UINT64_MAX;
		while (at + 8 < end && (memcpy(&word, value.ptr + at, 8), word == same))
			at += 8;
	}
	return UINT64_MAX;
}

void cmd_bitpos(struct call *call)
{
	struct bit_range range;
	uint64_t first, last;
	int64_t bit;
	if (!number_parse_i64(call->argv[2], &bit)) {
		reply_not_integer(call);
		return;
	}
	if (bit != 0 && bit != 1) {
		call_error(call, "ERR The bit argument must be 1 or 0.");
		return;
	}
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	if (entry == NULL) {
		reply_int(call->reply, bit ? -1 : 0);
		return;
	}
	if (!parse_bit_range(call, 3, true, &range))
		return;
	struct span value = entry_string(entry);
	if (!range_bits(&range, value.len, &first, &last)) {
		reply_int(call->reply, -1);
		return;
	}
	uint64_t found = find_bit(value, (unsigned)bit, first, last);
	if (found != UINT64_MAX)
		reply_int(call->reply, (int64_t)found);
	else         /* without an end, the zeros behind the string count */
		reply_int(call->reply, bit == 0 && !range.has_end ? (int64_t)value.len * 8 : -1);
}

/* ---- BITOP ---- */

enum bit_op { BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT };

/* out = out op value, where `value` is as long as `out` by zeros. */
static void apply_op(enum bit_op op, struct buf *out, struct span value)
{
	size_t common = value.len < out->len ? value.len : out->len;
	uint8_t *to = out->ptr;
	const uint8_t *from = value.ptr;
	for (size_t i = 0; i < common; i++)
		to[i] = op == BITOP_AND ? to[i] & from[i]
		    : op == BITOP_OR    ? to[i] | from[i]
		                        : to[i] ^ from[i];
	if (op == BITOP_AND && common < out->len)
		memset(to + common, 0, out->len - common);
}

static bool parse_bit_op(struct call *call, enum bit_op *op)
{
	static const char *const names[] = {"AND", "OR", "XOR", "NOT"};
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (!span_is(call->argv[1], names[i]))
			continue;
		*op = (enum bit_op)i;
		if (*op != BITOP_NOT || call->argc == 4)
			return true;
		call_error(call, "ERR BITOP NOT must be called with a single source key.");
		return false;
	}
	reply_syntax_error(call);
	return false;
}

static void bitop_store(struct call *call, const struct buf *out)
{
	struct entry *entry = call_lookup_write(call, call->argv[2]);
	struct string_options options = {0};
	enum err err = OK;
	if (out->len > 0)
		err = call_set_string(call, call->argv[2], buf_span(out), NULL, &options);
	else if (entry != NULL)
		err = call_delete(call, entry);
	if (err != OK) {
		call_fail(call, err, call->argv[2]);
		return;
	}
	if (out->len > 0)
		call_notify(call, NOTIFY_STRING, "set", call->argv[2]);
	else if (entry != NULL)
		call_notify(call, NOTIFY_GENERIC, "del", call->argv[2]);
	reply_int(call->reply, (int64_t)out->len);
}

void cmd_bitop(struct call *call)
{
	enum bit_op op;
	size_t longest = 0;
	struct buf out;
	bool ok;
	if (!parse_bit_op(call, &op))
		return;
	for (uint32_t i = 3; i < call->argc; i++) {
		struct entry *entry = call_lookup_read(call, call->argv[i]);
		if (!string_entry(call, entry))
			return;
		size_t len = entry == NULL ? 0 : entry_string(entry).len;
		longest = len > longest ? len : longest;
	}
	out = string_copy(call, call_lookup_quiet(call, call->argv[3]), longest, &ok);
	for (uint32_t i = 4; ok && i < call->argc; i++) {
		struct entry *entry = call_lookup_quiet(call, call->argv[i]);
		apply_op(op, &out, entry == NULL ? (struct span){0} : entry_string(entry));
	}
	for (size_t i = 0; ok && op == BITOP_NOT && i < out.len; i++)
		out.ptr[i] = (uint8_t)~out.ptr[i];
	if (ok)
		bitop_store(call, &out);
	buf_fini(&out);
}
