/* repl/follower_take.c: frames become records. See follower.h. */
#include "repl/follower_parts.h"

void follower_drop_body(struct follower *follower)
{
	body_unref(follower->body);
	follower->body = NULL;
	buf_clear(&follower->record_bytes);
}

void follower_keep_records(struct follower *follower)
{
	struct buf *kept = &follower->inflated;
	const uint8_t *at = follower->records.ptr;
	if (follower->records.len == 0 || (at >= kept->ptr && at < kept->ptr + kept->len))
		return;
	buf_clear(kept);
	buf_append(kept, follower->records);
	follower->records = buf_span(kept);
}

static enum err offer(struct follower *follower, struct record *record)
{
	enum err err = follower->options.events->record(follower->options.ctx, record);
	follower->stalled = err == ERR_AGAIN;
	return err;
}

/* Records of one frame, as far as they are taken. */
static enum err take_records(struct follower *follower)
{
	while (follower->records.len > 0) {
		struct span rest = follower->records;
		struct record record;
		enum err err = frame_record_take(&rest, &record);
		if (err == OK)
			err = offer(follower, &record);
		if (err != OK)
			return err;
		follower->records = rest;
	}
	return OK;
}

/* The body is whole. */
static enum err take_whole(struct follower *follower)
{
	struct record record = follower->record;
	record.body = follower->body;
	enum err err = offer(follower, &record);
	if (err == OK)
		follower_drop_body(follower);
	return err;
}

static enum err begin_body(struct follower *follower, struct span payload)
{
	struct record record;
	uint64_t bytes, from;
	enum err err = frame_read_body(payload, &record, &bytes, &from);
	if (err != OK)
		return err;
	struct body *body = follower->body;
	bool goes_on = body != NULL && follower->record.lsn == record.lsn && body->len == bytes &&
	    from <= body->filled;
	if (from > 0 && !goes_on)
		return ERR_INVALID;
	if (goes_on && from == body->filled) {
		follower->bodies_resumed++;
		return body_is_full(body) ? take_whole(follower) : OK;
	}
	follower_drop_body(follower);
	if (from > 0)
		return ERR_INVALID;           /* it was asked for with another place */
	bool is_image = record.type == RECORD_IMAGE;
	err = is_image ? body_new(follower->options.pool, (size_t)bytes, &follower->body)
	               : body_new_heap(follower->options.memory, (size_t)bytes, &follower->body);
	if (err != OK) {
		follower->body = NULL;
		follower->stalled = err == ERR_OVERLOADED;
		return err == ERR_OVERLOADED ? ERR_AGAIN : err;
	}
	buf_append(&follower->record_bytes, record.key);
	buf_append(&follower->record_bytes, record.meta);
	follower->record = record;
	follower->record.key = span_of(follower->record_bytes.ptr, record.key.len);
	follower->record.meta = span_of(follower->record_bytes.ptr + record.key.len, record.meta.len);
	return OK;
}

static enum err take_bytes(struct follower *follower, struct span payload)
{
	struct body *body = follower->body;
	struct span bytes;
	uint64_t lsn, offset;
	enum err err = frame_read_bytes(payload, &lsn, &offset, &bytes);
	if (err != OK)
		return err;
	if (body == NULL || lsn != follower->record.lsn)
		return ERR_INVALID;
	if (body_is_full(body))               /* taken before, and had to wait */
		return take_whole(follower);
	/* Whole chunks were acknowledged, so of the first piece a part may be here. */
	if (offset > body->filled || bytes.len > body->len - offset)
		return ERR_INVALID;
	size_t skip = (size_t)(body->filled - offset);
	if (skip > bytes.len)
		return OK;
	bytes = span_slice(bytes, skip, bytes.len);
	if (bytes.len > 0) {
		memcpy(body->ptr + body->filled, bytes.ptr, bytes.len);
		body_advance(body, bytes.len);
	}
	return body_is_full(body) ? take_whole(follower) : OK;
}

static enum err take_frame(struct follower *follower, const struct frame *frame)
{
	struct frame_position position;
	struct span payload;
	uint64_t lsn;
	enum err err = frame_inflate(frame, &follower->inflated, &payload);
	if (err != OK)
		return err;
	switch (frame->type) {
	case FRAME_RECORDS:
		follower->records = payload;
		return take_records(follower);
	case FRAME_BODY:
		return begin_body(follower, payload);
	case FRAME_BYTES:
		return take_bytes(follower, payload);
	case FRAME_CANCEL:
		err = frame_read_lsn(payload, &lsn);
		if (err == OK && follower->body != NULL && follower->record.lsn == lsn)
			follower_drop_body(follower);
		return err;
	case FRAME_WHOLE:
		err = frame_read_lsn(payload, &lsn);
		if (err == OK)
			follower->options.events->whole(follower->options.ctx, lsn);
		return err;
	case FRAME_LOST:
		err = frame_read_lsn(payload, &lsn);
		return err != OK ? err : follower->options.events->lost(follower->options.ctx, lsn);
	case FRAME_POSITIONED:
		err = frame_read_position(payload, &position);
		return err != OK ? err
		                 : follower->options.events->position(follower->options.ctx, &position);
	case FRAME_SUMS:
	case FRAME_LISTED:
	case FRAME_RENEWED:
	case FRAME_FETCH:
	case FRAME_FETCHED:
		return follower->options.events->special(
		    follower->options.ctx, (enum frame_type)frame->type, payload);
	default:
		return ERR_CORRUPT;
	}
}

/* What stopped it has said so already, or is said here. */
static bool take_ended(struct follower *follower, enum err err)
{
	if (err == ERR_AGAIN)
		return true;
	if (!follower->closing)
		follower_fail(follower, err_name(err));
	return false;
}

uint64_t follower_peek(const struct follower *follower)
{
	struct span rest = span_slice(buf_span(&follower->in), follower->taken, follower->in.len);
	struct frame_position position;
	struct frame frame;
	uint32_t number = follower->frames;
	uint64_t lsn = 0;
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->state != FOLLOWER_STREAMING)
		return 0;
	while (frame_parse(rest, number++, &frame) == OK) {
		if (frame.type == FRAME_POSITIONED && frame_read_position(frame.payload, &position) == OK)
			lsn = position.leader_lsn;
		rest = span_slice(rest, frame.frame_bytes, rest.len);
	}
	return lsn;
}

static void follower_took(struct follower *follower, const struct frame *frame)
{
	follower->taken += frame->frame_bytes;
	follower->frames++;
}

bool follower_take(struct follower *follower)
{
	if (follower->records.len > 0) {
		enum err err = take_records(follower);
		if (err != OK)
			return take_ended(follower, err);
	}
	while (!follower->closing && follower->open) {
		struct span rest = span_slice(buf_span(&follower->in), follower->taken, follower->in.len);
		struct frame frame;
		enum err err = frame_parse(rest, follower->frames, &frame);
		if (err == ERR_AGAIN)
			return true;
		if (err != OK)
			return take_ended(follower, err);
		err = take_frame(follower, &frame);
		bool waits = follower->stalled && follower->records.len == 0;
		if (!waits && (err == OK || err == ERR_AGAIN))
			follower_took(follower, &frame);  /* else it is taken once more */
		if (err != OK)
			return take_ended(follower, err);
	}
	return false;
}
