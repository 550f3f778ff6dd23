/* tests/sim/owner.c: see owner.h. */
#include "tests/sim/keeper.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>

void owner_fail(struct owner *owner, const char *format, ...)
{
	va_list args;
	if (owner->failure[0] != 0)
		return;
	va_start(args, format);
	vsnprintf(owner->failure, sizeof(owner->failure), format, args);
	va_end(args);
}

/* Word `at` of a content: no two contents and no two places have much in common. */
static uint64_t content_word(uint64_t content, size_t at)
{
	uint64_t word = (content + 1) * 0x9e3779b97f4a7c15 + at * 0xd1342543de82ef95;
	return word ^ word >> 29;
}

void content_fill(uint64_t content, uint8_t *out, size_t len)
{
	size_t whole = len / 8;
	for (size_t at = 0; at < whole; at++) {
		uint64_t word = content_word(content, at);
		memcpy(out + at * 8, &word, 8);
	}
	uint64_t last = content_word(content, whole);
	memcpy(out + whole * 8, &last, len % 8);
}

bool content_is(uint64_t content, struct span bytes)
{
	size_t whole = bytes.len / 8;
	uint64_t wrong = 0;
	for (size_t at = 0; at < whole; at++) {
		uint64_t word;
		memcpy(&word, bytes.ptr + at * 8, 8);
		wrong |= word ^ content_word(content, at);
	}
	uint64_t last = content_word(content, whole);
	return wrong == 0 && (bytes.len % 8 == 0 || memcmp(bytes.ptr + whole * 8, &last, bytes.len % 8) == 0);
}

uint32_t content_meta(uint64_t content, char out[64])
{
	int len = snprintf(out, 64, "content %llu", (unsigned long long)content);
	return (uint32_t)len;
}

static uint64_t content_of_meta(struct span meta)
{
	int64_t content = 0;
	struct span number = span_slice(meta, 8, meta.len);
	return number_parse_i64(number, &content) ? (uint64_t)content : 0;
}

/* One operation on the state of a key; places apart. */
static void value_apply(struct value *value, const struct op *op)
{
	switch (op->type) {
	case RECORD_IMAGE:
	case RECORD_VALUE:
		*value = (struct value){
		    .main_lsn = op->lsn,
		    .content = op->content,
		    .len = op->len,
		    .type = op->type,
		};
		break;
	case RECORD_META:
		if (value->main_lsn != 0) {
			value->meta_lsn = op->lsn;
			value->meta_content = op->content;
		}
		break;
	case RECORD_EXPIRE:
		if (value->main_lsn != 0)
			value->expire_ms = op->expire_ms;
		break;
	default:
		*value = (struct value){0};
		break;
	}
}

static void slot_release(struct owner *owner, struct place *place)
{
	if (place->segment != 0)
		store_release(owner->store, *place);
	*place = (struct place){0};
}

static void owner_apply(struct owner *owner, const struct op *op, struct place place)
{
	for (uint8_t key = 0; key < OWNER_KEYS; key++) {
		struct slot *slot = &owner->slots[key];
		bool flush = op->type == RECORD_FLUSH;
		if (!flush && key != op->key)
			continue;
		value_apply(&slot->now, op);
		slot->lsn = op->lsn;
		slot->awaited = slot->awaited && (op->type == RECORD_META || op->type == RECORD_EXPIRE);
		keeper_touch(owner, key);
		if (op->type == RECORD_META) {
			slot_release(owner, &slot->meta);
			slot->meta = place;
			if (slot->now.main_lsn == 0)
				slot_release(owner, &slot->meta);
		} else if (op->type != RECORD_EXPIRE) {
			slot_release(owner, &slot->main);
			slot_release(owner, &slot->meta);
			slot->main = place;
		}
	}
}

static struct span key_text(uint8_t key, char out[8])
{
	int len = snprintf(out, 8, "key%u", key);
	return span_of(out, (size_t)len);
}

enum err owner_append(struct owner *owner, struct body_pool *pool, struct op op, uint8_t sync)
{
	char key[8], meta[64];
	struct body *body = NULL;
	if (owner->op_count == OWNER_OPS)
		return ERR_FULL;
	op.content = ++owner->contents;
	struct record record = {
		.type = op.type,
		.flags = op.continues ? RECORD_CONTINUES : 0,
		.sync = sync,
		.expire_ms = op.expire_ms,
		.key = op.type == RECORD_FLUSH ? (struct span){0} : key_text(op.key, key),
	};
	record.meta = span_of(meta, content_meta(op.content, meta));
	if (op.len > 0) {
		if (body_new(pool, op.len, &body) != OK)
			return ERR_OVERLOADED;
		content_fill(op.content, body->ptr, op.len);
		body_advance(body, op.len);
		record.body = body;
	}
	enum err err = store_append(owner->store, &record);
	body_unref(body);
	if (err != OK)
		return err;
	op.lsn = record.lsn;
	op.always = sync == SYNC_ALWAYS;
	owner->ops[owner->op_count++] = op;
	owner_apply(owner, &op, record.place);
	return OK;
}

void owner_durable(void *ctx, uint64_t lsn)
{
	struct owner *owner = ctx;
	uint64_t durable = store_durable_lsn(owner->store);
	if (durable > owner->acked)
		owner->acked = durable;
	for (uint32_t i = owner->op_count; i > 0; i--) {
		const struct op *op = &owner->ops[i - 1];
		if (op->lsn <= lsn && op->always) {
			if (op->lsn > owner->acked)
				owner->acked = op->lsn;
			break;
		}
	}
}

static const struct op *owner_op(const struct owner *owner, uint64_t lsn)
{
	uint32_t low = 0, high = owner->op_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (owner->ops[middle].lsn < lsn)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == owner->op_count || owner->ops[low].lsn != lsn)
		return NULL;
	return &owner->ops[low];
}

/* Replay on top of a checkpoint: what it holds already. False: this is news. */
static bool owner_knew(struct owner *owner, const struct op *op, struct place place)
{
	struct slot *slot = &owner->slots[op->key];
	bool older = slot->now.main_lsn != 0 && op->lsn <= slot->lsn;
	if (!older && op->lsn >= owner->replay_lsn)
		return false;
	if (older && op->type == RECORD_VALUE && slot->now.type == RECORD_VALUE) {
		/* Of all that are told the last one is the one that lives. */
		slot_release(owner, &slot->main);
		slot->main = place;
		slot->awaited = false;
		keeper_touch(owner, op->key);
	} else if (place.segment != 0) {
		store_release(owner->store, place);
	}
	return true;
}

/* The flush came before what a key in the checkpoint is now, or after it. */
static void owner_flush_before(struct owner *owner, const struct op *op)
{
	for (uint8_t key = 0; key < OWNER_KEYS; key++) {
		struct slot *slot = &owner->slots[key];
		if (slot->now.main_lsn == 0 || slot->lsn >= op->lsn)
			continue;
		struct op gone = {.type = RECORD_DELETE, .key = key, .lsn = op->lsn};
		owner_apply(owner, &gone, (struct place){0});
	}
}

static void owner_replay(struct owner *owner, const struct op *op, struct place place)
{
	if (owner->replay_lsn == 0)
		owner_apply(owner, op, place);
	else if (op->type == RECORD_FLUSH)
		owner_flush_before(owner, op);
	else if (!owner_knew(owner, op, place))
		owner_apply(owner, op, place);
}

void owner_recovered(void *ctx, const struct record *record)
{
	struct owner *owner = ctx;
	char key[8];
	const struct op *op = owner_op(owner, record->lsn);
	bool again = owner->replay_lsn != 0 && op != NULL &&
	    (record->lsn < owner->replay_lsn || owner->slots[op->key].now.main_lsn == record->lsn);
	if (record->lsn <= owner->last && !again)
		owner_fail(owner, "LSN %llu told after %llu", (unsigned long long)record->lsn,
		    (unsigned long long)owner->last);
	if (!again)
		owner->last = record->lsn;
	if (op == NULL) {
		owner_fail(owner, "LSN %llu was never appended", (unsigned long long)record->lsn);
		return;
	}
	struct span want = op->type == RECORD_FLUSH ? (struct span){0} : key_text(op->key, key);
	if (record->type != op->type || content_of_meta(record->meta) != op->content ||
	    !span_equal(record->key, want) || record->expire_ms != op->expire_ms)
		owner_fail(owner, "LSN %llu came back as another record",
		    (unsigned long long)record->lsn);
	if (record->type == RECORD_VALUE && op->len > 0) {
		struct span body = record->body != NULL ? body_span(record->body) : record->value;
		if (body.len != op->len || !content_is(op->content, body))
			owner_fail(owner, "the value of LSN %llu is wrong",
			    (unsigned long long)record->lsn);
	} else if (record->type == RECORD_IMAGE && record->body_bytes != op->len) {
		owner_fail(owner, "the image of LSN %llu has another length",
		    (unsigned long long)record->lsn);
	}
	owner_replay(owner, op, record->place);
}

void owner_unreadable(struct owner *owner, const struct record *record)
{
	const struct op *op = owner_op(owner, record->lsn);
	if (op == NULL) {
		owner_fail(owner, "LSN %llu was never appended", (unsigned long long)record->lsn);
		return;
	}
	struct op broken = *op;
	bool older = owner->replay_lsn != 0 && owner->slots[op->key].now.main_lsn != 0 &&
	    op->lsn <= owner->slots[op->key].lsn;
	if (older || op->lsn < owner->replay_lsn)
		return;
	broken.lsn = UINT64_MAX;
	owner->last = record->lsn;
	owner_apply(owner, &broken, (struct place){0});
	owner->slots[op->key].lsn = op->lsn;
}

bool owner_relocated(void *ctx, const struct record *record, struct place from, struct place to)
{
	struct owner *owner = ctx;
	owner->relocated++;
	for (uint8_t key = 0; key < OWNER_KEYS; key++) {
		struct place *places[2] = {&owner->slots[key].main, &owner->slots[key].meta};
		uint64_t lsns[2] = {owner->slots[key].now.main_lsn, owner->slots[key].now.meta_lsn};
		for (int i = 0; i < 2; i++) {
			if (places[i]->segment != from.segment || places[i]->offset != from.offset)
				continue;
			if (lsns[i] != record->lsn)
				owner_fail(owner, "a place of LSN %llu is offered to LSN %llu",
				    (unsigned long long)lsns[i], (unsigned long long)record->lsn);
			*places[i] = to;
			keeper_touch(owner, key);
			return true;
		}
	}
	return false;
}

enum liveness owner_is_live(void *ctx, const struct record *record)
{
	const struct owner *owner = ctx;
	const struct op *op = owner_op(owner, record->lsn);
	if (op == NULL)
		return RECORD_DEAD;
	const struct slot *slot = &owner->slots[op->key];
	if (record->type == RECORD_EXPIRE) {
		bool needed = slot->now.main_lsn != 0 && slot->now.main_lsn < record->lsn &&
		    slot->now.expire_ms == record->expire_ms;
		return needed && !owner->plant_expire ? RECORD_LIVES : RECORD_DEAD;
	}
	const struct place *place = record->type == RECORD_META ? &slot->meta : &slot->main;
	bool same = record->place.segment != 0 && place->segment == record->place.segment &&
	    place->offset == record->place.offset;
	return same ? RECORD_LIVES : RECORD_DEAD;
}

void owner_forget(struct owner *owner)
{
	memset(owner->slots, 0, sizeof(owner->slots));
	owner->last = owner->whole = owner->replay_lsn = 0;
	owner->keeping = KEEPING_NOTHING;
	owner->reset = false;
	memset(owner->touched, 1, sizeof(owner->touched));
	owner->opened = owner->closed = false;
	owner->state = OK;
}

void owner_compare(struct owner *owner)
{
	struct value want[OWNER_KEYS] = {0};
	if (!owner->trust)
		return;
	for (uint32_t i = 0; i < owner->op_count; i++) {
		const struct op *op = &owner->ops[i];
		if (op->type != RECORD_FLUSH) {
			value_apply(&want[op->key], op);
			continue;
		}
		for (uint8_t key = 0; key < OWNER_KEYS; key++)
			value_apply(&want[key], op);
	}
	for (uint8_t key = 0; key < OWNER_KEYS; key++) {
		const struct value *now = &owner->slots[key].now;
		if (owner->slots[key].awaited)
			owner_fail(owner, "key%u: its value was never told", key);
		if (now->main_lsn != want[key].main_lsn || now->meta_lsn != want[key].meta_lsn ||
		    now->expire_ms != want[key].expire_ms)
			owner_fail(owner, "key%u: LSN %llu, metadata %llu, expires %lld;"
			    " should be %llu, %llu, %lld", key,
			    (unsigned long long)now->main_lsn, (unsigned long long)now->meta_lsn,
			    (long long)now->expire_ms, (unsigned long long)want[key].main_lsn,
			    (unsigned long long)want[key].meta_lsn, (long long)want[key].expire_ms);
	}
}

void owner_settle(struct owner *owner)
{
	uint64_t last = owner->last > owner->whole ? owner->last : owner->whole;
	uint64_t acked = 0;           /* of whole groups; LSNs in between may be the store's own */
	for (uint32_t i = 0; i < owner->op_count && owner->ops[i].lsn <= owner->acked; i++)
		acked = owner->ops[i].continues ? acked : owner->ops[i].lsn;
	if (owner->trust && last < acked)
		owner_fail(owner, "acknowledged up to LSN %llu, recovered up to %llu",
		    (unsigned long long)acked, (unsigned long long)last);
	if (!owner->trust)            /* what could not be read may come back */
		last = store_last_lsn(owner->store);
	while (owner->op_count > 0 && owner->ops[owner->op_count - 1].lsn > last)
		owner->op_count--;
	if (!owner->trust)
		return;
	if (owner->op_count > 0 && owner->ops[owner->op_count - 1].continues)
		owner_fail(owner, "the group of LSN %llu is incomplete", (unsigned long long)last);
	owner->acked = last;
}
