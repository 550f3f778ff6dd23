/* tests/sim/hoard.h: one more client of the simulated server, whose keys are collections: two hashes (one
 * is renamed and copied to the other), a set, a sorted set and a list. As shadow.h, but a state is what the
 * collections hold, all of it.
 */
#pragma once
#include "tests/sim/shadow.h"

enum { HOARD_KEYS = 5, HOARD_PENDING = 6, HOARD_MEMBERS = 100, HOARD_LIST = 300, HOARD_PAST = 1 << 15 };
enum hoard_key { HOARD_HASH, HOARD_OTHER, HOARD_SET, HOARD_ZSET, HOARD_QUEUE };

/* 0: not there; else the number that its data or score follow from. The list's elements from the head. */
struct hoard_state {
	uint32_t members[HOARD_QUEUE][HOARD_MEMBERS];
	uint32_t list[HOARD_LIST];
	uint32_t list_len;
};

enum hoard_verb {
	HOARD_PUT, HOARD_DROP, HOARD_DELETE, HOARD_RENAME, HOARD_COPY, HOARD_CUT, HOARD_PUSH_HEAD,
	HOARD_PUSH_TAIL, HOARD_POP_HEAD, HOARD_POP_TAIL, HOARD_ALTER, HOARD_REMOVE, HOARD_TRIM, HOARD_ROTATE,
	HOARD_EXEC, HOARD_VERBS
};

struct hoard_op {
	uint8_t  verb, key, count;
	uint32_t member, number;
};

struct hoard {
	struct memory     *memory;
	struct hoard_state known, seen;
	struct hoard_op    ops[HOARD_PENDING];
	uint32_t           pending, uncertain;
	uint32_t           replies;       /* lines had of the EXEC at hand */
	bool               unsafe;
	bool               missing[HOARD_KEYS];   /* asked for, and -CORRUPT */
	uint64_t           past[HOARD_PAST];      /* what keys ever held, hashed with the key's number */
	uint32_t           past_count, next_number;
	char               why[300];
};

void hoard_init(struct hoard *hoard, struct memory *memory);
void hoard_send(struct hoard *hoard, struct random *random, struct buf *out);
void hoard_answered(struct hoard *hoard, struct buf *in);
void hoard_ask(struct hoard *hoard, struct buf *out);
bool hoard_read(struct hoard *hoard, struct buf *in);
bool hoard_judge(struct hoard *hoard, enum shadow_disk disk);
