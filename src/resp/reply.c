/* resp/reply.c: see reply.h. */
#include "resp/reply.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>

void reply_init(struct reply *reply, struct memory *memory, uint8_t resp)
{
	ASSERT(resp == 2 || resp == 3);
	*reply = (struct reply){.resp = resp};
	buf_init(&reply->bytes, memory);
}

void reply_clear(struct reply *reply)
{
	for (uint32_t i = 0; i < reply->ref_count; i++)
		reply->refs[i].release(reply->refs[i].owner);
	reply->ref_count = 0;
	reply->ref_bytes = 0;
	buf_clear(&reply->bytes);
}

void reply_fini(struct reply *reply)
{
	reply_clear(reply);
	memory_free(reply->bytes.memory, reply->refs, reply->ref_cap * sizeof(*reply->refs));
	reply->refs = NULL;
	reply->ref_cap = 0;
	buf_fini(&reply->bytes);
}

static void reply_add_ref(struct reply *reply, struct reply_ref ref)
{
	if (reply->ref_count == reply->ref_cap) {
		uint32_t cap = reply->ref_cap == 0 ? 4 : reply->ref_cap * 2;
		reply->refs = memory_resize(reply->bytes.memory, reply->refs,
		    reply->ref_cap * sizeof(ref), cap * sizeof(ref));
		reply->ref_cap = cap;
	}
	reply->refs[reply->ref_count++] = ref;
	reply->ref_bytes += ref.span.len;
}

void reply_move_ref(struct reply *reply, const struct reply_ref *ref, size_t base)
{
	struct reply_ref moved = *ref;
	ASSERT(moved.at >= base);
	moved.at -= base;
	reply_add_ref(reply, moved);
}

void reply_take(struct reply *reply, struct reply *from)
{
	if (reply_is_empty(reply) && reply->bytes.memory == from->bytes.memory) {
		struct reply swap = *reply;
		*reply = *from;
		*from = swap;
		return;
	}
	for (uint32_t i = 0; i < from->ref_count; i++) {
		struct reply_ref ref = from->refs[i];
		ref.at += reply->bytes.len;
		reply_add_ref(reply, ref);
	}
	from->ref_count = 0;
	from->ref_bytes = 0;
	buf_append(&reply->bytes, buf_span(&from->bytes));
	buf_clear(&from->bytes);
}

void reply_cut(struct reply *reply, size_t bytes, uint32_t refs)
{
	for (uint32_t i = refs; i < reply->ref_count; i++) {
		reply->ref_bytes -= reply->refs[i].span.len;
		reply->refs[i].release(reply->refs[i].owner);
	}
	reply->ref_count = refs;
	reply->bytes.len = bytes;
}

/* A type byte, a number, CRLF: the head of nearly everything. */
static void reply_head(struct reply *reply, char type, int64_t value)
{
	char line[NUMBER_TEXT_MAX + 3];
	line[0] = type;
	size_t len = 1 + number_format_i64(value, line + 1);
	line[len++] = '\r';
	line[len++] = '\n';
	buf_append(&reply->bytes, span_of(line, len));
}

void reply_status(struct reply *reply, const char *text)
{
	buf_append_u8(&reply->bytes, '+');
	buf_append_text(&reply->bytes, text);
	buf_append(&reply->bytes, SPAN_LIT("\r\n"));
}

void reply_ok(struct reply *reply)
{
	buf_append(&reply->bytes, SPAN_LIT("+OK\r\n"));
}

void reply_error(struct reply *reply, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ASSERT(len > 0);
	size_t kept = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
	while (kept > 1 && (text[kept - 1] == '\r' || text[kept - 1] == '\n'))
		kept--;
	for (size_t i = 0; i < kept; i++)
		if (text[i] == '\r' || text[i] == '\n')
			text[i] = ' ';
	buf_append_u8(&reply->bytes, '-');
	buf_append(&reply->bytes, span_of(text, kept));
	buf_append(&reply->bytes, SPAN_LIT("\r\n"));
}

void reply_int(struct reply *reply, int64_t value)
{
	reply_head(reply, ':', value);
}

void reply_bulk(struct reply *reply, struct span bytes)
{
	struct buf *out = &reply->bytes;
	if (UNLIKELY(out->cap - out->len < bytes.len + NUMBER_TEXT_MAX))
		buf_reserve(out, bytes.len + NUMBER_TEXT_MAX);
	uint8_t *p = out->ptr + out->len;
	*p++ = '$';
	p += number_format_u64(bytes.len, (char *)p);
	*p++ = '\r';
	*p++ = '\n';
	if (bytes.len > 0)
		memcpy(p, bytes.ptr, bytes.len);
	p += bytes.len;
	*p++ = '\r';
	*p++ = '\n';
	out->len = (size_t)(p - out->ptr);
}

void reply_text(struct reply *reply, const char *text)
{
	reply_bulk(reply, span_text(text));
}

void reply_bulk_int(struct reply *reply, int64_t value)
{
	char text[NUMBER_TEXT_MAX];
	reply_bulk(reply, span_of(text, number_format_i64(value, text)));
}

void reply_bulk_ref(
    struct reply *reply, struct span bytes, void (*release)(void *owner), void *owner)
{
	ASSERT(release != NULL);
	reply_head(reply, '$', (int64_t)bytes.len);
	reply_add_ref(reply, (struct reply_ref){reply->bytes.len, bytes, release, owner});
	buf_append(&reply->bytes, SPAN_LIT("\r\n"));
}

void reply_verbatim(struct reply *reply, struct span text)
{
	if (reply->resp == 2) {
		reply_bulk(reply, text);
		return;
	}
	reply_head(reply, '=', (int64_t)text.len + 4);
	buf_append(&reply->bytes, SPAN_LIT("txt:"));
	buf_append(&reply->bytes, text);
	buf_append(&reply->bytes, SPAN_LIT("\r\n"));
}

void reply_double(struct reply *reply, double value)
{
	char text[NUMBER_TEXT_MAX];
	size_t len = number_format_double(value, text);
	if (reply->resp == 2) {
		reply_bulk(reply, span_of(text, len));
		return;
	}
	buf_append_u8(&reply->bytes, ',');
	buf_append(&reply->bytes, span_of(text, len));
	buf_append(&reply->bytes, SPAN_LIT("\r\n"));
}

void reply_bool(struct reply *reply, bool value)
{
	if (reply->resp == 2)
		reply_int(reply, value);
	else
		buf_append_text(&reply->bytes, value ? "#t\r\n" : "#f\r\n");
}

void reply_null(struct reply *reply)
{
	buf_append_text(&reply->bytes, reply->resp == 2 ? "$-1\r\n" : "_\r\n");
}

void reply_null_array(struct reply *reply)
{
	buf_append_text(&reply->bytes, reply->resp == 2 ? "*-1\r\n" : "_\r\n");
}

void reply_array(struct reply *reply, size_t count)
{
	reply_head(reply, '*', (int64_t)count);
}

void reply_map(struct reply *reply, size_t pairs)
{
	if (reply->resp == 2)
		reply_head(reply, '*', (int64_t)(pairs * 2));
	else
		reply_head(reply, '%', (int64_t)pairs);
}

void reply_set(struct reply *reply, size_t count)
{
	reply_head(reply, reply->resp == 2 ? '*' : '~', (int64_t)count);
}

void reply_push(struct reply *reply, size_t count)
{
	reply_head(reply, reply->resp == 2 ? '*' : '>', (int64_t)count);
}
