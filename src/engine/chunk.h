/* engine/chunk.h: how places, byte strings and numbers stand in the chunks of a checkpoint.
 *
 * Numbers are varints, byte strings begin with their length, a place is three numbers.
 */
#pragma once
#include "base/buf.h"
#include "base/varint.h"
#include "store/store.h"

static inline uint8_t *put_place(uint8_t *at, struct place place)
{
	at = varint64_put(at, place.segment);
	at = varint64_put(at, place.offset);
	return varint64_put(at, place.bytes);
}

/* A setting: {name's length, name, place, text's length, text}. Names that begin with a byte below ' ' are
 * the engine's own; a policy's never does. */
static inline void put_setting(struct buf *out, struct span name, struct place place, struct span text)
{
	uint8_t head[5 * VARINT64_MAX];
	buf_append(out, span_of(head, (size_t)(varint64_put(head, name.len) - head)));
	buf_append(out, name);
	uint8_t *end = varint64_put(put_place(head, place), text.len);
	buf_append(out, span_of(head, (size_t)(end - head)));
	buf_append(out, text);
}

static inline MUST_CHECK bool take_u32(struct span *in, uint32_t *out)
{
	uint64_t value;
	if (!varint64_take(in, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static inline MUST_CHECK bool take_place(struct span *in, struct place *out)
{
	return take_u32(in, &out->segment) && take_u32(in, &out->offset) &&
	    take_u32(in, &out->bytes);
}

static inline MUST_CHECK bool take_bytes(struct span *in, uint64_t max, struct span *out)
{
	uint64_t len;
	if (!varint64_take(in, &len) || len > max || len > in->len)
		return false;
	*out = span_slice(*in, 0, (size_t)len);
	*in = span_slice(*in, (size_t)len, in->len);
	return true;
}
