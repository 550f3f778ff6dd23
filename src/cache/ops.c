/* cache/ops.c: writing and taking apart operations. See ops.h. */
#include "cache/ops.h"

#include "base/arith.h"
#include "base/endian.h"
#include "base/varint.h"

#include <math.h>

/* What follows the operation's byte. */
enum { HAS_FIRST = 1, HAS_COUNT = 2, HAS_MEMBER = 4, HAS_DATA = 8, HAS_SCORE = 16 };

static const uint8_t op_parts[OP_COUNT] = {
	[OP_SET] = HAS_MEMBER | HAS_DATA,
	[OP_ADD] = HAS_MEMBER,
	[OP_SCORE] = HAS_MEMBER | HAS_SCORE,
	[OP_DELETE] = HAS_MEMBER,
	[OP_CUT] = HAS_FIRST | HAS_COUNT,
	[OP_PUSH_HEAD] = HAS_MEMBER,
	[OP_PUSH_TAIL] = HAS_MEMBER,
	[OP_POP_HEAD] = HAS_COUNT,
	[OP_POP_TAIL] = HAS_COUNT,
	[OP_PUT] = HAS_FIRST | HAS_MEMBER,
	[OP_INSERT] = HAS_FIRST | HAS_MEMBER,
	[OP_REMOVE] = HAS_FIRST | HAS_COUNT,
	[OP_CLEAR] = 0,
};

static void append_number(struct buf *ops, uint64_t number)
{
	buf_reserve(ops, VARINT64_MAX);
	ops->len = (size_t)(varint64_put(ops->ptr + ops->len, number) - ops->ptr);
}

static void append_bytes(struct buf *ops, struct span bytes)
{
	append_number(ops, bytes.len);
	buf_append(ops, bytes);
}

void ops_member(struct buf *ops, enum op op, struct span member)
{
	ASSERT(op > 0 && op < OP_COUNT && op_parts[op] == HAS_MEMBER);
	buf_append_u8(ops, (uint8_t)op);
	append_bytes(ops, member);
}

void ops_set(struct buf *ops, struct span field, struct span data)
{
	buf_append_u8(ops, OP_SET);
	append_bytes(ops, field);
	append_bytes(ops, data);
}

void ops_score(struct buf *ops, struct span member, double score)
{
	uint8_t bytes[8];
	uint64_t bits;
	ASSERT(!isnan(score));
	memcpy(&bits, &score, sizeof(bits));
	store_le64(bytes, bits);
	buf_append_u8(ops, OP_SCORE);
	append_bytes(ops, member);
	buf_append(ops, span_of(bytes, sizeof(bytes)));
}

void ops_count(struct buf *ops, enum op op, uint64_t count)
{
	ASSERT(op > 0 && op < OP_COUNT && op_parts[op] == HAS_COUNT);
	buf_append_u8(ops, (uint8_t)op);
	append_number(ops, count);
}

void ops_range(struct buf *ops, enum op op, uint64_t first, uint64_t count)
{
	ASSERT(op > 0 && op < OP_COUNT && op_parts[op] == (HAS_FIRST | HAS_COUNT));
	buf_append_u8(ops, (uint8_t)op);
	append_number(ops, first);
	append_number(ops, count);
}

void ops_place(struct buf *ops, enum op op, uint64_t place, struct span element)
{
	ASSERT(op > 0 && op < OP_COUNT && op_parts[op] == (HAS_FIRST | HAS_MEMBER));
	buf_append_u8(ops, (uint8_t)op);
	append_number(ops, place);
	append_bytes(ops, element);
}

void ops_clear(struct buf *ops) { buf_append_u8(ops, OP_CLEAR); }

static bool take_bytes(struct span *in, struct span *out)
{
	uint64_t len;
	if (!varint64_take(in, &len) || len > in->len)
		return false;
	*out = span_of(in->ptr, (size_t)len);
	*in = span_slice(*in, (size_t)len, in->len);
	return true;
}

static bool take_score(struct span *in, double *out)
{
	if (in->len < 8)
		return false;
	uint64_t bits = load_le64(in->ptr);
	memcpy(out, &bits, sizeof(*out));
	*in = span_slice(*in, 8, in->len);
	return !isnan(*out);
}

bool ops_take(struct span *ops, struct op_view *out)
{
	struct span in = *ops;
	if (in.len == 0 || in.ptr[0] == 0 || in.ptr[0] >= OP_COUNT)
		return false;
	*out = (struct op_view){.op = in.ptr[0]};
	unsigned parts = op_parts[out->op];
	in = span_slice(in, 1, in.len);
	if ((parts & HAS_FIRST) != 0 && !varint64_take(&in, &out->first))
		return false;
	if ((parts & HAS_COUNT) != 0 && !varint64_take(&in, &out->count))
		return false;
	if ((parts & HAS_MEMBER) != 0 && !take_bytes(&in, &out->member))
		return false;
	if ((parts & HAS_DATA) != 0 && !take_bytes(&in, &out->data))
		return false;
	if ((parts & HAS_SCORE) != 0 && !take_score(&in, &out->score))
		return false;
	*ops = in;
	return true;
}

bool ops_have_places(struct span ops)
{
	struct op_view view;
	while (ops_take(&ops, &view))
		if (view.op == OP_CUT || view.op == OP_INSERT || view.op == OP_REMOVE || view.op == OP_CLEAR)
			return true;
	return false;
}

uint64_t ops_removes(struct span ops)
{
	struct op_view view;
	uint64_t removes = 0;
	while (ops_take(&ops, &view)) {
		if (view.op == OP_CLEAR || !add_u64(removes, view.op == OP_DELETE, &removes) ||
		    ((op_parts[view.op] & HAS_COUNT) != 0 && !add_u64(removes, view.count, &removes)))
			return UINT64_MAX;
	}
	return removes;
}
