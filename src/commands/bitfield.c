/* commands/bitfield.c: BITFIELD and BITFIELD_RO: integers of 1 to 64 bits anywhere in a string.
 *
 * All operations of a call are parsed before the first runs. They work on a copy of the value,
 * which is stored once at the end, if any of them writes. */
#include "commands/string.h"

#include "base/number.h"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };
enum field_verb { FIELD_GET, FIELD_SET, FIELD_INCRBY };

struct field_op {
	enum field_verb verb;
	enum overflow   overflow;
	bool            is_signed;
	uint32_t        bits;
	uint64_t        offset;
	int64_t         value;
};

struct field_walk {
	struct call  *call;
	enum overflow overflow;
	uint32_t      at;
	bool          read_only;
};

static bool parse_field_type(struct call *call, struct span text, struct field_op *op)
{
	int64_t bits = 0;
	op->is_signed = text.len > 0 && text.ptr[0] == 'i';
	bool good = text.len > 1 && (op->is_signed || text.ptr[0] == 'u') &&
	    number_parse_range(span_slice(text, 1, text.len), 1, op->is_signed ? 64 : 63, &bits);
	op->bits = (uint32_t)bits;
	if (!good)
		call_error(call,
		    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
		    "supported but i64 is.");
	return good;
}

static bool parse_overflow(struct field_walk *walk)
{
	static const char *const names[] = {"WRAP", "SAT", "FAIL"};
	struct call *call = walk->call;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (span_is(call->argv[walk->at + 1], names[i])) {
			walk->overflow = (enum overflow)i;
			walk->at += 2;
			return true;
		}
	}
	call_error(call, "ERR Invalid OVERFLOW type specified");
	return false;
}

/* The next operation. False: the end, or (call->failed) an error was replied. */
static bool next_op(struct field_walk *walk, struct field_op *op)
{
	struct call *call = walk->call;
	while (walk->at + 1 < call->argc && span_is(call->argv[walk->at], "OVERFLOW"))
		if (!parse_overflow(walk))
			return false;
	if (walk->at >= call->argc)
		return false;
	struct span word = call->argv[walk->at];
	uint32_t left = call->argc - walk->at - 1;
	*op = (struct field_op){.overflow = walk->overflow};
	if (span_is(word, "GET") && left >= 2) {
		op->verb = FIELD_GET;
	} else if (span_is(word, "SET") && left >= 3) {
		op->verb = FIELD_SET;
	} else if (span_is(word, "INCRBY") && left >= 3) {
		op->verb = FIELD_INCRBY;
	} else {
		reply_syntax_error(call);
		return false;
	}
	if (!parse_field_type(call, call->argv[walk->at + 1], op) ||
	    !parse_bit_offset(call, call->argv[walk->at + 2], op->bits, &op->offset))
		return false;
	if (op->verb != FIELD_GET && walk->read_only) {
		call_error(call, "ERR BITFIELD_RO only supports the GET subcommand");
		return false;
	}
	if (op->verb != FIELD_GET && !number_parse_i64(call->argv[walk->at + 3], &op->value)) {
		reply_not_integer(call);
		return false;
	}
	walk->at += op->verb == FIELD_GET ? 3 : 4;
	return true;
}

static uint64_t field_read(struct span value, uint64_t offset, uint32_t bits)
{
	uint64_t out = 0;
	for (uint32_t i = 0; i < bits; i++, offset++) {
		uint64_t byte = offset >> 3;
		uint64_t bit = byte < value.len ? value.ptr[byte] >> (7 - (offset & 7)) & 1 : 0;
		out = out << 1 | bit;
	}
	return out;
}

static void field_write(struct buf *value, uint64_t offset, uint32_t bits, uint64_t number)
{
	for (uint32_t i = 0; i < bits; i++, offset++) {
		uint8_t *byte = &value->ptr[offset >> 3];
		uint8_t mask = (uint8_t)(0x80 >> (offset & 7));
		bool bit = number >> (bits - 1 - i) & 1;
		*byte = (uint8_t)(bit ? *byte | mask : *byte & ~mask);
	}
}

static int64_t sign_extend(uint64_t number, const struct field_op *op)
{
	if (!op->is_signed || op->bits == 64)
		return (int64_t)number;
	uint64_t sign = UINT64_C(1) << (op->bits - 1);
	return (int64_t)((number ^ sign) - sign);
}

/* `number`, which may be anything, as the field holds it. False: OVERFLOW FAIL refuses it. */
static bool fit(const struct field_op *op, __int128 number, uint64_t *out)
{
	uint64_t mask = op->bits == 64 ? UINT64_MAX : (UINT64_C(1) << op->bits) - 1;
	__int128 high = op->is_signed ? (__int128)(mask >> 1) : (__int128)mask;
	__int128 low = op->is_signed ? -high - 1 : 0;
	if (number < low || number > high) {
		if (op->overflow == OVERFLOW_FAIL)
			return false;
		if (op->overflow == OVERFLOW_SAT)
			number = number < low ? low : high;
	}
	*out = (uint64_t)number & mask;
	return true;
}

/* True: the field holds something else now, or was made by this command (`grows`). */
static bool field_run(struct call *call, const struct field_op *op, struct buf *value, bool grows)
{
	uint64_t next = 0, raw = field_read(buf_span(value), op->offset, op->bits);
	int64_t old = sign_extend(raw, op);
	if (op->verb == FIELD_GET) {
		reply_int(call->reply, old);
		return false;
	}
	/* An unsigned SET takes its number as 64 bits without a sign, as Redis does. */
	__int128 number = op->verb == FIELD_INCRBY ? (__int128)old + op->value
	    : op->is_signed                        ? (__int128)op->value
	                                           : (__int128)(uint64_t)op->value;
	if (!fit(op, number, &next)) {
		reply_null(call->reply);
		return false;
	}
	field_write(value, op->offset, op->bits, next);
	reply_int(call->reply, op->verb == FIELD_SET ? old : sign_extend(next, op));
	return grows || next != raw;
}

/* How many operations there are, and how many bytes those need that write. */
static bool scan_ops(struct call *call, bool read_only, size_t *count, uint64_t *bytes)
{
	struct field_walk walk = {.call = call, .at = 2, .read_only = read_only};
	struct field_op op;
	*count = 0;
	*bytes = 0;
	while (next_op(&walk, &op)) {
		uint64_t end = (op.offset + op.bits + 7) / 8;
		if (op.verb != FIELD_GET && end > *bytes)
			*bytes = end;
		++*count;
	}
	return !call->failed;
}

static void bitfield(struct call *call, bool read_only)
{
	size_t count, before = call->reply->bytes.len;
	uint64_t bytes;
	bool ok, changed = false;
	struct field_walk walk = {.call = call, .at = 2, .read_only = read_only};
	struct field_op op;
	if (!scan_ops(call, read_only, &count, &bytes))
		return;
	struct entry *entry =
	    bytes > 0 ? call_lookup_write(call, call->argv[1]) : call_lookup_read(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	uint64_t len = entry == NULL ? 0 : entry_string(entry).len;
	struct buf value = string_copy(call, entry, bytes > len ? bytes : len, &ok);
	if (ok) {
		reply_array(call->reply, count);
		while (next_op(&walk, &op))
			changed |= field_run(call, &op, &value, bytes > len);
	}
	/* The string becomes as long as the operations reach, even if all of them overflow. */
	if (ok && (changed || bytes > len)) {
		size_t replied = call->reply->bytes.len;
		if (!string_store(call, buf_span(&value), changed ? "setbit" : NULL)) {
			/* An error took the place of what was replied so far. */
			size_t error = call->reply->bytes.len - replied;
			memmove(call->reply->bytes.ptr + before, call->reply->bytes.ptr + replied, error);
			call->reply->bytes.len = before + error;
		}
	}
	buf_fini(&value);
}

void cmd_bitfield(struct call *call)
{
	bitfield(call, false);
}

void cmd_bitfield_ro(struct call *call)
{
	bitfield(call, true);
}
