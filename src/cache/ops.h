/* cache/ops.h: changes of a value as bytes, for the log and value_apply.
 *
 *   u8 operation, then its operands: a byte string is its length as a varint and its bytes, a
 *   number a varint, a score eight bytes, little-endian.
 */
#pragma once
#include "base/buf.h"

enum op {
	OP_SET = 1,           /* hash: field, data */
	OP_ADD,               /* set: member */
	OP_SCORE,             /* sorted set: member, score (not NaN) */
	OP_DELETE,            /* hash, set, sorted set: field or member */
	OP_CUT,               /* sorted set: first rank, how many */
	OP_PUSH_HEAD,         /* list: element */
	OP_PUSH_TAIL,         /* list: element */
	OP_POP_HEAD,          /* list: how many */
	OP_POP_TAIL,          /* list: how many */
	OP_PUT,               /* list: place from the head, element that replaces what is there */
	OP_INSERT,            /* list: place from the head, element that comes there */
	OP_REMOVE,            /* list: first place from the head, how many */
	OP_CLEAR,             /* any: all of it */
	OP_COUNT
};

void ops_member(struct buf *ops, enum op op, struct span member);     /* OP_ADD, OP_DELETE, OP_PUSH_* */
void ops_set(struct buf *ops, struct span field, struct span data);
void ops_score(struct buf *ops, struct span member, double score);
void ops_count(struct buf *ops, enum op op, uint64_t count);                  /* OP_POP_* */
void ops_range(struct buf *ops, enum op op, uint64_t first, uint64_t count);  /* OP_CUT, OP_REMOVE */
void ops_place(struct buf *ops, enum op op, uint64_t place, struct span element);     /* OP_PUT, OP_INSERT */
void ops_clear(struct buf *ops);

/* One of them, its spans borrowed. What its operation does not have is zero. */
struct op_view {
	enum op     op;
	struct span member, data;         /* data: of OP_SET */
	double      score;
	uint64_t    first, count;
};
/* Takes one off the front of `ops`. False: that is none. */
MUST_CHECK bool ops_take(struct span *ops, struct op_view *out);
/* Whether OP_CUT, OP_INSERT, OP_REMOVE or OP_CLEAR is among them. */
bool ops_have_places(struct span ops);
/* How many elements they can take away, at most; UINT64_MAX: all. */
uint64_t ops_removes(struct span ops);
