/* cache/member.h: one member of a large hash, set or sorted set, in one allocation.
 *
 *   set         varint length | name
 *   hash        varint length | varint length of the data | name | data
 *   sorted set  double score | varint length | name
 *
 * Members do not move: what refers to one does so by its address.
 */
#pragma once
#include "base/memory.h"
#include "base/varint.h"

enum member_kind { MEMBER_SET, MEMBER_HASH, MEMBER_ZSET };

struct member;

struct member_view {
	struct span name, data;
	double      score;
	size_t      bytes;                /* of the allocation */
};

static inline const uint8_t *member_number(const uint8_t *at, uint64_t *out)
{
	*out = *at++;
	if (*out < 0x80)
		return at;
	*out &= 0x7f;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t byte = *at++;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return at;
	}
}

static inline struct member_view member_view(enum member_kind kind, const struct member *member)
{
	struct member_view view = {0};
	const uint8_t *begin = (const uint8_t *)member, *at = begin;
	uint64_t name, data = 0;
	if (kind == MEMBER_ZSET) {
		memcpy(&view.score, at, sizeof(view.score));
		at += sizeof(view.score);
	}
	at = member_number(at, &name);
	if (kind == MEMBER_HASH)
		at = member_number(at, &data);
	view.name = span_of(at, (size_t)name);
	view.data = span_of(at + name, (size_t)data);
	view.bytes = (size_t)(at - begin) + (size_t)name + (size_t)data;
	return view;
}

static inline struct span member_name(enum member_kind kind, const struct member *member)
{
	return member_view(kind, member).name;
}

/* `data` of hashes, `score` of sorted sets only. */
struct member *member_new(struct memory *memory, enum member_kind kind, const struct member_view *view);
void member_free(struct memory *memory, enum member_kind kind, struct member *member);
void member_set_score(struct member *member, double score);           /* of a sorted set */
/* Overwrites the data of a hash's field. False: it has another length, nothing was done. */
bool member_set_data(struct member *member, struct span data);
