/* repl/leader.c: see leader.h. */
#include "repl/leader.h"

#include "base/arith.h"

void leader_init(struct leader *leader, const struct leader_options *options)
{
	*leader = (struct leader){.magic = LEADER_MAGIC, .options = *options, .sent = options->after};
	ASSERT(options->ready != NULL && options->store != NULL);
	buf_init(&leader->records, options->memory);
}

static void leader_end_body(struct leader *leader)
{
	body_unref(leader->body);
	leader->body = NULL;
	leader->body_lsn = leader->body_at = leader->body_bytes = 0;
}

static void leader_end_walk(struct leader *leader)
{
	if (leader->walk != NULL)
		store_walk_free(leader->walk);
	leader->walk = NULL;
}

void leader_fini(struct leader *leader)
{
	CHECK_OBJ(leader, LEADER_MAGIC);
	leader_end_body(leader);
	leader_end_walk(leader);
	buf_fini(&leader->records);
	DROP_OBJ(leader, LEADER_MAGIC);
}

uint64_t leader_memory(const struct leader *leader)
{
	return sizeof(*leader) + leader->records.cap +
	    (leader->walk == NULL ? 0 : store_walk_memory(leader->walk));
}

static void leader_tell_whole(struct leader *leader, struct reply *out)
{
	uint64_t whole = leader->walk == NULL ? 0 : store_last_lsn(leader->options.store);
	whole = max_u64(whole, *leader->options.whole_least);
	if (whole <= leader->whole_told)
		return;
	size_t at = out->bytes.len;
	frame_write_lsn(&out->bytes, FRAME_WHOLE, whole);
	frame_seal(&out->bytes, at, &leader->frames);
	leader->whole_told = whole;
}

static void leader_flush_records(struct leader *leader, struct reply *out)
{
	if (leader->records.len == 0)
		return;
	leader_tell_whole(leader, out);
	size_t at = out->bytes.len;
	frame_write(&out->bytes, FRAME_RECORDS, buf_span(&leader->records), true);
	frame_seal(&out->bytes, at, &leader->frames);
	buf_clear(&leader->records);
}

static void leader_put_record(struct leader *leader, struct reply *out, const struct record *record)
{
	if (record->type == RECORD_SETTING && span_is(record->key, LOCAL_SETTING)) {
		leader->sent = record->lsn;
		return;
	}
	size_t bytes = frame_record_bytes(record);
	ASSERT(bytes <= FRAME_BYTES_MAX && record->lsn > leader->sent);
	if (leader->records.len + bytes > LEADER_RECORDS)
		leader_flush_records(leader, out);
	frame_record_write(&leader->records, record);
	leader->sent = record->lsn;
	leader->records_sent++;
	if (leader->records.len >= LEADER_RECORDS)
		leader_flush_records(leader, out);
}

/* A body comes in frames of its own, from where the follower has it. */
static void leader_begin_body(struct leader *leader, struct reply *out, const struct record *record,
    uint64_t body_bytes)
{
	uint64_t from = 0;
	struct record head = *record;
	if (record->lsn == leader->options.partial_lsn)
		from = min_u64(leader->options.partial_bytes, body_bytes);
	if (from < body_bytes)
		from = from / CHUNK_BYTES * CHUNK_BYTES;
	leader_flush_records(leader, out);
	head.value = (struct span){0};
	head.body = NULL;
	leader_tell_whole(leader, out);
	size_t at = out->bytes.len;
	frame_write_body(&out->bytes, &head, body_bytes, from);
	frame_seal(&out->bytes, at, &leader->frames);
	leader->body_lsn = record->lsn;
	leader->body_at = from;
	leader->body_bytes = body_bytes;
	leader->records_sent++;
}

static void leader_write_bytes_head(struct leader *leader, struct reply *out, struct span bytes)
{
	size_t at = out->bytes.len;
	frame_write_bytes_head(&out->bytes, leader->body_lsn, leader->body_at, bytes);
	frame_seal(&out->bytes, at, &leader->frames);
}

static void leader_note_bytes(struct leader *leader, size_t bytes)
{
	leader->body_at += bytes;
	leader->bodies_sent += bytes;
	ASSERT(leader->body_at <= leader->body_bytes);
	if (leader->body_at < leader->body_bytes)
		return;
	leader->sent = leader->body_lsn;
	leader_end_body(leader);
}

/* Of a body in memory: the bytes go out from where they lie. */
static void leader_send_piece(struct leader *leader, struct reply *out)
{
	struct body *body = leader->body;
	struct span bytes = span_slice(body_span(body), (size_t)leader->body_at, LEADER_PIECE);
	ASSERT(leader->body_at <= body->len);
	if (bytes.len > 0) {
		leader_write_bytes_head(leader, out, bytes);
		const struct reply_ref ref = {
		    .at = out->bytes.len,
		    .span = bytes,
		    .release = body_release_ref,
		    .owner = body_ref(body),
		};
		reply_move_ref(out, &ref, 0);
	}
	leader_note_bytes(leader, bytes.len);
}

static void leader_cancel_body(struct leader *leader, struct reply *out)
{
	if (leader->body_lsn == 0)
		return;
	size_t at = out->bytes.len;
	frame_write_lsn(&out->bytes, FRAME_CANCEL, leader->body_lsn);
	frame_seal(&out->bytes, at, &leader->frames);
	leader->sent = leader->body_lsn;
	leader_end_body(leader);
}

/* ---- From memory ---- */

static bool leader_step_tail(struct leader *leader, struct reply *out)
{
	if (leader->body != NULL) {
		leader_send_piece(leader, out);
		return true;
	}
	ASSERT(leader->body_lsn == 0);
	const struct tail_item *item = tail_after(leader->options.tail, leader->sent);
	if (item == NULL || item->record.lsn > store_durable_lsn(leader->options.store))
		return false;
	const struct record *record = &item->record;
	if (record->type == RECORD_END && record->refers != 0) {      /* a gap is the receiver's to tell */
		leader->sent = record->lsn;
		return true;
	}
	if (record->body == NULL) {
		leader_put_record(leader, out, record);
		return true;
	}
	leader_begin_body(leader, out, record, record->body->len);
	leader->body = body_ref(record->body);
	if (leader->body_at == leader->body_bytes)
		leader_note_bytes(leader, 0);
	return true;
}

/* ---- From the disk ---- */

/* It may be alive: then the follower cannot become what this server is by following alone. A follower of a
 * follower has nobody to compare with, and goes without. */
static void leader_say_lost(struct leader *leader, struct reply *out)
{
	leader->corrupt++;
	leader_flush_records(leader, out);
	if (*leader->options.follows)
		return;
	size_t at = out->bytes.len;
	frame_write_lsn(&out->bytes, FRAME_LOST, leader->sent);
	frame_seal(&out->bytes, at, &leader->frames);
}

static bool leader_step_walk(struct leader *leader, struct reply *out)
{
	struct walk_item item;
	enum walk_step step = store_walk_next(leader->walk, &item);
	switch (step) {
	case WALK_RECORD:
		leader_cancel_body(leader, out);
		if (item.body_bytes == 0) {
			leader_put_record(leader, out, &item.record);
			return true;
		}
		leader_begin_body(leader, out, &item.record, item.body_bytes);
		if (leader->body_at > 0)
			store_walk_skip(leader->walk, leader->body_at);
		if (leader->body_at == leader->body_bytes)
			leader_note_bytes(leader, 0);
		return true;
	case WALK_BODY:
		ASSERT(item.lsn == leader->body_lsn && item.offset == leader->body_at);
		while (item.bytes.len > 0) {
			struct span piece = span_slice(item.bytes, 0, LEADER_PIECE);
			leader_write_bytes_head(leader, out, piece);
			buf_append(&out->bytes, piece);
			leader_note_bytes(leader, piece.len);
			item.bytes = span_slice(item.bytes, piece.len, item.bytes.len);
		}
		return true;
	case WALK_CORRUPT:
		leader_say_lost(leader, out);
		leader_cancel_body(leader, out);
		leader->sent = max_u64(leader->sent, item.lsn);
		return true;
	case WALK_POSITION:
		leader_cancel_body(leader, out);
		leader->sent = max_u64(leader->sent, item.lsn);
		if (tail_covers(leader->options.tail, leader->sent)) {
			leader_end_walk(leader);
			return true;
		}
		return leader->sent < store_durable_lsn(leader->options.store);
	case WALK_WAIT:
	default:
		return false;
	}
}

static bool leader_step(struct leader *leader, struct reply *out)
{
	if (leader->walk == NULL && leader->body == NULL &&
	    !tail_covers(leader->options.tail, leader->sent)) {
		if (leader->sent >= store_durable_lsn(leader->options.store))
			return false;
		leader->walk = store_walk_new(
		    leader->options.store, leader->options.ready, leader->options.ctx);
		store_walk_seek(leader->walk, leader->sent);
	}
	return leader->walk != NULL ? leader_step_walk(leader, out) : leader_step_tail(leader, out);
}

void leader_pump(struct leader *leader, struct reply *out, uint64_t budget)
{
	CHECK_OBJ(leader, LEADER_MAGIC);
	size_t before = out->bytes.len;
	uint64_t refs = out->ref_bytes;
	while (out->bytes.len - before + (out->ref_bytes - refs) + leader->records.len < budget)
		if (!leader_step(leader, out))
			break;
	leader_flush_records(leader, out);
	leader->bytes_sent += out->bytes.len - before + (out->ref_bytes - refs);
}

bool leader_is_done(const struct leader *leader)
{
	CHECK_OBJ(leader, LEADER_MAGIC);
	if (leader->body_lsn != 0 || leader->records.len > 0)
		return false;
	uint64_t durable = store_durable_lsn(leader->options.store);
	if (leader->sent >= durable)
		return true;
	if (leader->walk != NULL || !tail_covers(leader->options.tail, leader->sent))
		return false;
	const struct tail_item *item = tail_after(leader->options.tail, leader->sent);
	return item == NULL || item->record.lsn > durable;
}
