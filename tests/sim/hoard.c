/* tests/sim/hoard.c: see hoard.h. */
#include "tests/sim/hoard.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[HOARD_KEYS] = {
    "hoard:hash", "hoard:other", "hoard:set", "hoard:zset", "hoard:list"};

void hoard_init(struct hoard *hoard, struct memory *memory)
{
	*hoard = (struct hoard){.memory = memory, .next_number = 1};
}

/* ---- Words ---- */

static void put_word(struct buf *out, struct span word)
{
	buf_printf(out, "$%zu\r\n", word.len);
	buf_append(out, word);
	buf_append(out, SPAN_LIT("\r\n"));
}

static void put_head(struct buf *out, uint32_t words, const char *name, unsigned key)
{
	buf_printf(out, "*%u\r\n", words);
	put_word(out, span_text(name));
	put_word(out, span_text(names[key]));
}

/* The number in figures, and behind it what makes some of them long. */
static void put_number(struct buf *out, uint32_t number)
{
	enum { LONG = 6000 };
	char text[LONG + 16];
	int len = snprintf(text, sizeof(text), "%u", number);
	uint32_t more = number % 4 == 0 ? LONG : number % 4 == 1 ? 90 : 0;
	memset(text + len, 'x', more);
	put_word(out, span_of(text, (size_t)len + more));
}

static void put_plain(struct buf *out, int64_t number)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%lld", (long long)number);
	put_word(out, span_of(text, (size_t)len));
}

/* Members sort as their numbers do; some are long. */
static void put_member(struct buf *out, unsigned key, uint32_t member)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "m%04u", member);
	uint32_t more = key != HOARD_ZSET && member % 5 == 0 ? 80 : 0;
	memset(text + len, 'y', more);
	put_word(out, span_of(text, (size_t)len + more));
}

/* ---- What a command does ---- */

static uint32_t member_count(const uint32_t *members)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < HOARD_MEMBERS; i++)
		count += members[i] != 0;
	return count;
}

static void list_push(struct hoard_state *state, uint32_t number, bool head)
{
	if (state->list_len == HOARD_LIST)
		return;
	if (head)
		memmove(state->list + 1, state->list, state->list_len * sizeof(state->list[0]));
	state->list[head ? 0 : state->list_len] = number;
	state->list_len++;
}

static uint32_t list_pop(struct hoard_state *state, bool head)
{
	uint32_t number;
	if (state->list_len == 0)
		return 0;
	number = state->list[head ? 0 : state->list_len - 1];
	state->list_len--;
	if (head)
		memmove(state->list, state->list + 1, state->list_len * sizeof(state->list[0]));
	return number;
}

static void list_apply(const struct hoard_op *op, struct hoard_state *state)
{
	uint32_t from = op->member % 8, at = op->member % HOARD_LIST;
	switch (op->verb) {
	case HOARD_PUSH_HEAD:
	case HOARD_PUSH_TAIL:
		for (uint32_t i = 0; i < op->count; i++)
			list_push(state, op->number + i, op->verb == HOARD_PUSH_HEAD);
		break;
	case HOARD_POP_HEAD:
	case HOARD_POP_TAIL:
		for (uint32_t i = 0; i < op->count; i++)
			(void)list_pop(state, op->verb == HOARD_POP_HEAD);
		break;
	case HOARD_ALTER:
		if (at < state->list_len)
			state->list[at] = op->number;
		break;
	case HOARD_REMOVE:
		for (uint32_t i = 0; i < state->list_len; i++) {
			if (state->list[i] != op->member)
				continue;
			memmove(state->list + i, state->list + i + 1,
			    (--state->list_len - i) * sizeof(state->list[0]));
			break;
		}
		break;
	case HOARD_TRIM:
		for (uint32_t i = 0; i < from; i++)
			(void)list_pop(state, true);
		break;
	case HOARD_ROTATE:
		if (state->list_len > 0)
			list_push(state, list_pop(state, false), true);
		break;
	default:
		break;
	}
}

/* The `count` lowest of the sorted set go: by score, which is the number, then by member. */
static void cut_lowest(uint32_t *members, uint32_t count)
{
	for (; count > 0 && member_count(members) > 0; count--) {
		uint32_t lowest = HOARD_MEMBERS;
		for (uint32_t i = 0; i < HOARD_MEMBERS; i++)
			if (members[i] != 0 &&
			    (lowest == HOARD_MEMBERS || members[i] < members[lowest]))
				lowest = i;
		members[lowest] = 0;
	}
}

static void op_apply(const struct hoard_op *op, struct hoard_state *state)
{
	uint32_t *members = op->key < HOARD_QUEUE ? state->members[op->key] : NULL;
	switch (op->verb) {
	case HOARD_PUT:
		for (uint32_t i = 0; i < op->count; i++)
			members[(op->member + i) % HOARD_MEMBERS] =
			    op->key == HOARD_SET ? 1 : op->number + i;
		break;
	case HOARD_DROP:
		for (uint32_t i = 0; i < op->count; i++)
			members[(op->member + i) % HOARD_MEMBERS] = 0;
		break;
	case HOARD_DELETE:
		if (members == NULL)
			state->list_len = 0;
		else
			memset(members, 0, sizeof(state->members[0]));
		break;
	case HOARD_RENAME:
	case HOARD_COPY:
		if (member_count(state->members[HOARD_HASH]) == 0)
			break;
		memcpy(state->members[HOARD_OTHER], state->members[HOARD_HASH],
		    sizeof(state->members[0]));
		if (op->verb == HOARD_RENAME)
			memset(state->members[HOARD_HASH], 0, sizeof(state->members[0]));
		break;
	case HOARD_CUT:
		cut_lowest(members, op->count);
		break;
	case HOARD_EXEC:
		state->members[HOARD_HASH][op->member] = op->number;
		state->members[HOARD_ZSET][op->member] = op->number;
		list_push(state, op->number, false);
		break;
	default:
		list_apply(op, state);
		break;
	}
	/* What is not used is zero, so that states can be compared as bytes. */
	memset(state->list + state->list_len, 0,
	    (HOARD_LIST - state->list_len) * sizeof(state->list[0]));
}

/* ---- Commands ---- */

static void members_write(const struct hoard_op *op, struct buf *out)
{
	static const char *const put[] = {"HSET", "HSET", "SADD", "ZADD"},
	                         *const drop[] = {"HDEL", "HDEL", "SREM", "ZREM"};
	bool puts = op->verb == HOARD_PUT;
	put_head(out, 2U + op->count * (puts && op->key != HOARD_SET ? 2U : 1U),
	    puts ? put[op->key] : drop[op->key], op->key);
	for (uint32_t i = 0; i < op->count; i++) {
		uint32_t member = (op->member + i) % HOARD_MEMBERS;
		if (puts && op->key == HOARD_ZSET)
			put_plain(out, op->number + i);
		put_member(out, op->key, member);
		if (puts && op->key < HOARD_SET)
			put_number(out, op->number + i);
	}
}

static void list_write(const struct hoard_op *op, struct buf *out)
{
	uint32_t at = op->member % HOARD_LIST;
	switch (op->verb) {
	case HOARD_PUSH_HEAD:
	case HOARD_PUSH_TAIL:
		put_head(
		    out, 2U + op->count, op->verb == HOARD_PUSH_HEAD ? "LPUSH" : "RPUSH", op->key);
		for (uint32_t i = 0; i < op->count; i++)
			put_number(out, op->number + i);
		break;
	case HOARD_POP_HEAD:
	case HOARD_POP_TAIL:
		put_head(out, 3, op->verb == HOARD_POP_HEAD ? "LPOP" : "RPOP", op->key);
		put_plain(out, op->count);
		break;
	case HOARD_ALTER:
		put_head(out, 4, "LSET", op->key);
		put_plain(out, at);
		put_number(out, op->number);
		break;
	case HOARD_REMOVE:
		put_head(out, 4, "LREM", op->key);
		put_plain(out, 1);
		put_number(out, op->member);
		break;
	case HOARD_TRIM:
		put_head(out, 4, "LTRIM", op->key);
		put_plain(out, op->member % 8);
		put_plain(out, -1);
		break;
	default:
		put_head(out, 5, "LMOVE", op->key);
		put_word(out, span_text(names[op->key]));
		put_word(out, SPAN_LIT("RIGHT"));
		put_word(out, SPAN_LIT("LEFT"));
		break;
	}
}

static void exec_write(const struct hoard_op *op, struct buf *out)
{
	const struct hoard_op parts[3] = {{HOARD_PUT, HOARD_HASH, 1, op->member, op->number},
	    {HOARD_PUT, HOARD_ZSET, 1, op->member, op->number},
	    {HOARD_PUSH_TAIL, HOARD_QUEUE, 1, 0, op->number}};
	buf_append_text(out, "*1\r\n$5\r\nMULTI\r\n");
	members_write(&parts[0], out);
	members_write(&parts[1], out);
	list_write(&parts[2], out);
	buf_append_text(out, "*1\r\n$4\r\nEXEC\r\n");
}

static void op_write(const struct hoard_op *op, struct buf *out)
{
	switch (op->verb) {
	case HOARD_PUT:
	case HOARD_DROP:
		members_write(op, out);
		break;
	case HOARD_DELETE:
		put_head(out, 2, "DEL", op->key);
		break;
	case HOARD_RENAME:
		put_head(out, 3, "RENAME", HOARD_HASH);
		put_word(out, span_text(names[HOARD_OTHER]));
		break;
	case HOARD_COPY:
		put_head(out, 4, "COPY", HOARD_HASH);
		put_word(out, span_text(names[HOARD_OTHER]));
		put_word(out, SPAN_LIT("REPLACE"));
		break;
	case HOARD_CUT:
		put_head(out, 4, "ZREMRANGEBYRANK", op->key);
		put_plain(out, 0);
		put_plain(out, op->count - 1);
		break;
	case HOARD_EXEC:
		exec_write(op, out);
		break;
	default:
		list_write(op, out);
		break;
	}
}

static void remember(struct hoard *hoard, const struct hoard_state *state);
static void remember_ways(struct hoard *hoard, uint32_t refused);

static struct hoard_op op_random(
    struct hoard *hoard, struct random *random, const struct hoard_state *state)
{
	struct hoard_op op = {.verb = (uint8_t)random_below(random, HOARD_VERBS),
	    .key = (uint8_t)random_below(random, HOARD_QUEUE),
	    .count = (uint8_t)(1 + random_below(random, 12)),
	    .member = (uint32_t)random_below(random, HOARD_MEMBERS),
	    .number = hoard->next_number};
	hoard->next_number += op.count;
	/* Rarely what makes things small again. */
	bool destroys = op.verb == HOARD_DELETE || op.verb == HOARD_RENAME;
	if (destroys && random_below(random, 6) > 0)
		op.verb = HOARD_PUT;
	if (op.verb >= HOARD_PUSH_HEAD && op.verb <= HOARD_ROTATE)
		op.key = HOARD_QUEUE;
	if (op.verb == HOARD_DELETE)
		op.key = (uint8_t)random_below(random, HOARD_KEYS);
	if (op.verb == HOARD_CUT) {
		op.key = HOARD_ZSET;
		op.count = random_below(random, 4) == 0 ? 80 : op.count;
	}
	if (op.verb == HOARD_REMOVE && state->list_len > 0)
		op.member = state->list[random_below(random, state->list_len)];
	if ((op.verb == HOARD_PUSH_HEAD || op.verb == HOARD_PUSH_TAIL || op.verb == HOARD_EXEC) &&
	    state->list_len + op.count > HOARD_LIST - HOARD_PENDING * 13) {
		op.verb = HOARD_POP_HEAD;
		op.key = HOARD_QUEUE;
	}
	return op;
}

void hoard_send(struct hoard *hoard, struct random *random, struct buf *out)
{
	ASSERT(hoard->pending == 0);
	struct hoard_state state = hoard->known;
	hoard->pending = 1 + (uint32_t)random_below(random, HOARD_PENDING);
	for (uint32_t i = 0; i < hoard->pending; i++) {
		hoard->ops[i] = op_random(hoard, random, &state);
		op_write(&hoard->ops[i], out);
		op_apply(&hoard->ops[i], &state);
		remember(hoard, &state);
	}
	hoard->replies = 0;
}

/* ---- Answers ---- */

/* One whole reply, arrays and all; 0: not complete. `first`: its first byte and what follows. */
static size_t reply_length(struct span in, struct span *first)
{
	size_t at = 0;
	uint64_t left = 1;
	*first = (struct span){0};
	while (left > 0) {
		struct span rest = span_slice(in, at, in.len);
		const uint8_t *end = rest.len == 0 ? NULL : memchr(rest.ptr, '\n', rest.len);
		if (end == NULL)
			return 0;
		size_t line = (size_t)(end - rest.ptr) + 1;
		long number = strtol((const char *)rest.ptr + 1, NULL, 10);
		if (first->ptr == NULL)
			*first = span_slice(rest, 0, line);
		left--;
		if (rest.ptr[0] == '*' && number > 0)
			left += (uint64_t)number;
		at += line;
		if (rest.ptr[0] == '$' && number >= 0)
			at += (size_t)number + 2;
		if (at > in.len)
			return 0;
	}
	return at;
}

static bool begins_with(struct span text, const char *start)
{
	return span_equal(span_slice(text, 0, strlen(start)), span_text(start));
}

/* MULTI, three QUEUED, and the array. False: more is to come. */
static bool exec_answered(struct hoard *hoard, struct span all, struct span *first)
{
	enum { LINES = 5 };
	if (hoard->replies == 0)
		hoard->unsafe = false;
	hoard->unsafe |= memmem(all.ptr, all.len, "-READONLY", 9) != NULL;
	if (++hoard->replies < LINES)
		return false;
	hoard->replies = 0;
	if (hoard->unsafe)
		*first = SPAN_LIT("-READONLY");
	return true;
}

void hoard_answered(struct hoard *hoard, struct buf *in)
{
	struct span first;
	size_t len;
	while (
	    hoard->uncertain < hoard->pending && (len = reply_length(buf_span(in), &first)) > 0) {
		uint32_t at = hoard->uncertain;
		struct span all = span_slice(buf_span(in), 0, len);
		if (hoard->ops[at].verb == HOARD_EXEC && !exec_answered(hoard, all, &first)) {
			buf_consume(in, len);
			continue;
		}
		bool unsafe = begins_with(first, "-READONLY");
		bool done = !unsafe && first.ptr[0] != '-';
		buf_consume(in, len);
		if (unsafe) { /* it may have come through, or not */
			hoard->uncertain++;
			continue;
		}
		if (done)
			op_apply(&hoard->ops[at], &hoard->known);
		remember_ways(hoard, !done && !unsafe ? at : HOARD_PENDING);
		memmove(&hoard->ops[at], &hoard->ops[at + 1],
		    (hoard->pending - at - 1) * sizeof(hoard->ops[0]));
		hoard->pending--;
	}
	/* All of the others are answered: what is uncertain is found out only by looking. */
}

/* ---- Looking ---- */

void hoard_ask(struct hoard *hoard, struct buf *out)
{
	put_head(out, 2, "HGETALL", HOARD_HASH);
	put_head(out, 2, "HGETALL", HOARD_OTHER);
	put_head(out, 2, "SMEMBERS", HOARD_SET);
	put_head(out, 5, "ZRANGE", HOARD_ZSET);
	put_plain(out, 0);
	put_plain(out, -1);
	put_word(out, SPAN_LIT("WITHSCORES"));
	put_head(out, 4, "LRANGE", HOARD_QUEUE);
	put_plain(out, 0);
	put_plain(out, -1);
	hoard->seen = (struct hoard_state){0};
	hoard->replies = 0;
	memset(hoard->missing, 0, sizeof(hoard->missing));
}

/* The next bulk string of an array; it is there. */
static struct span next_bulk(struct span *in)
{
	long len = strtol((const char *)in->ptr + 1, NULL, 10);
	const uint8_t *end = memchr(in->ptr, '\n', in->len);
	ASSERT(in->ptr[0] == '$' && len >= 0 && end != NULL);
	struct span bulk = span_of(end + 1, (size_t)len);
	*in = span_slice(*in, (size_t)(end - in->ptr) + 1 + (size_t)len + 2, in->len);
	return bulk;
}

static uint32_t number_of(struct span bulk)
{
	char text[16] = "";
	memcpy(text, bulk.ptr, bulk.len < sizeof(text) - 1 ? bulk.len : sizeof(text) - 1);
	return (uint32_t)strtoul(text, NULL, 10);
}

static void see(struct hoard *hoard, unsigned key, struct span reply)
{
	ASSERT(reply.ptr[0] == '*');
	long count = strtol((const char *)reply.ptr + 1, NULL, 10);
	reply = span_slice(reply,
	    (size_t)((const uint8_t *)memchr(reply.ptr, '\n', reply.len) - reply.ptr) + 1,
	    reply.len);
	for (long i = 0; i < count; i++) {
		struct span bulk = next_bulk(&reply);
		if (key == HOARD_QUEUE) {
			ASSERT(hoard->seen.list_len < HOARD_LIST);
			hoard->seen.list[hoard->seen.list_len++] = number_of(bulk);
			continue;
		}
		uint32_t member = number_of(span_slice(bulk, 1, bulk.len)), number = 1;
		ASSERT(member < HOARD_MEMBERS);
		if (key != HOARD_SET) {
			number = number_of(next_bulk(&reply));
			i++;
		}
		hoard->seen.members[key][member] = number;
	}
}

bool hoard_read(struct hoard *hoard, struct buf *in)
{
	struct span first;
	size_t len;
	while (hoard->replies < HOARD_KEYS && (len = reply_length(buf_span(in), &first)) > 0) {
		hoard->missing[hoard->replies] = first.ptr[0] == '-';
		if (first.ptr[0] != '-')
			see(hoard, hoard->replies, span_slice(buf_span(in), 0, len));
		hoard->replies++;
		buf_consume(in, len);
	}
	return hoard->replies == HOARD_KEYS;
}

/* ---- Judging ---- */

static struct span key_bytes(const struct hoard_state *state, unsigned key)
{
	return key == HOARD_QUEUE
	    ? span_of(state->list, sizeof(state->list) + sizeof(state->list_len))
	    : span_of(state->members[key], sizeof(state->members[key]));
}

static void remember(struct hoard *hoard, const struct hoard_state *state)
{
	for (unsigned key = 0; key < HOARD_KEYS; key++)
		hoard->past[hoard->past_count++ % HOARD_PAST] =
		    hash_key(key_bytes(state, key), key + 1);
}

/* All that may follow from what is known, but for the command that was refused. */
static void remember_ways(struct hoard *hoard, uint32_t refused)
{
	struct hoard_state state = hoard->known;
	remember(hoard, &state);
	for (uint32_t i = 0; i < hoard->pending; i++) {
		if (i == refused)
			continue;
		op_apply(&hoard->ops[i], &state);
		remember(hoard, &state);
	}
}

/* A disk that lies: each key is something that it once was, or nothing. */
static bool judge_liar(struct hoard *hoard)
{
	static const struct hoard_state nothing;
	/* Each command under way may have been refused: what any of them left is remembered. */
	for (uint32_t mask = 0; mask < 1U << hoard->pending; mask++) {
		struct hoard_state state = hoard->known;
		for (uint32_t i = 0; i < hoard->pending; i++) {
			if ((mask >> i & 1) == 0)
				continue;
			op_apply(&hoard->ops[i], &state);
			remember(hoard, &state);
		}
	}
	for (unsigned key = 0; key < HOARD_KEYS; key++) {
		uint64_t hash = hash_key(key_bytes(&hoard->seen, key), key + 1);
		bool found = span_equal(key_bytes(&hoard->seen, key), key_bytes(&nothing, key));
		for (uint32_t i = 0; !found && i < HOARD_PAST && i < hoard->past_count; i++)
			found = hoard->past[i] == hash;
		if (!found) {
			snprintf(
			    hoard->why, sizeof(hoard->why), "%s was never like that", names[key]);
			return false;
		}
	}
	hoard->known = hoard->seen;
	hoard->pending = hoard->uncertain = 0;
	return true;
}

static bool some_are_seen(struct hoard *hoard, uint32_t mask)
{
	struct hoard_state state = hoard->known;
	for (uint32_t i = 0; i < hoard->pending; i++)
		if (mask >> i & 1)
			op_apply(&hoard->ops[i], &state);
	if (memcmp(&state, &hoard->seen, sizeof(state)) != 0)
		return false;
	hoard->known = state;
	hoard->pending = hoard->uncertain = 0;
	return true;
}

bool hoard_judge(struct hoard *hoard, enum shadow_disk disk)
{
	remember(hoard, &hoard->known);
	if (disk == SHADOW_LIES)
		return judge_liar(hoard);
	for (uint32_t mask = 0; mask < 1U << hoard->pending; mask++) {
		bool prefix = (mask & (mask + 1)) == 0;
		if ((prefix || disk == SHADOW_FAILS) && some_are_seen(hoard, mask))
			return true;
	}
	int len = snprintf(
	    hoard->why, sizeof(hoard->why), "%u commands were under way; differs:", hoard->pending);
	for (unsigned key = 0; key < HOARD_KEYS; key++)
		if (!span_equal(key_bytes(&hoard->known, key), key_bytes(&hoard->seen, key)))
			len += snprintf(hoard->why + len, sizeof(hoard->why) - (size_t)len, " %s%s",
			    names[key], hoard->missing[key] ? " (refused)" : "");
	for (uint32_t i = 0; i < hoard->pending; i++)
		len += snprintf(hoard->why + len, sizeof(hoard->why) - (size_t)len,
		    "; verb %u key %u", hoard->ops[i].verb, hoard->ops[i].key);
	return false;
}
