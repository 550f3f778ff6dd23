/* repl/frame.c: see frame.h. */
#include "repl/frame.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "store/follow.h"

#include <lz4.h>
#include <stdio.h>

enum { BODY_BYTES_MAX = 1 << 30 };

enum { AT_HEADER_SUM = 16, AT_SUM = 20 };

static uint32_t header_sum(const uint8_t *header)
{
	return crc32c(0, span_of(header, AT_HEADER_SUM));
}

static void sums_write(uint8_t *header, struct span first, struct span second)
{
	uint32_t crc = header_sum(header);
	store_le32(header + AT_HEADER_SUM, crc);
	crc = crc32c(crc, first);
	store_le32(header + AT_SUM, second.len == 0 ? crc : crc32c(crc, second));
}

/* Different for each number, as the factor is odd. */
static uint32_t seal_of(uint32_t number)
{
	return number * 0x9e3779b1U;
}

void frame_seal(struct buf *frames, size_t at, uint32_t *number)
{
	while (at < frames->len) {
		ASSERT(frames->len - at >= FRAME_HEADER && load_le32(frames->ptr + at) == FRAME_MAGIC);
		uint8_t *header = frames->ptr + at;
		uint32_t seal = seal_of((*number)++);
		store_le32(header + AT_HEADER_SUM, load_le32(header + AT_HEADER_SUM) ^ seal);
		store_le32(header + AT_SUM, load_le32(header + AT_SUM) ^ seal);
		at += FRAME_HEADER + (size_t)load_le32(frames->ptr + at + 8);
	}
}

struct span frame_word(char out[24], uint64_t number)
{
	int len = snprintf(out, 24, "%llu", (unsigned long long)number);
	return span_of(out, (size_t)len);
}

void frame_check_words(const struct span *words, uint32_t count, uint32_t number, char out[FRAME_CHECK])
{
	uint32_t crc = 0;
	uint8_t len[4];
	ASSERT(count > 0);
	for (uint32_t i = 0; i < count; i++) {
		store_le32(len, (uint32_t)words[i].len);
		crc = crc32c(crc, span_of(len, sizeof(len)));
		crc = words[i].len == 0 ? crc : crc32c(crc, words[i]);
	}
	snprintf(out, FRAME_CHECK, "%08x", crc ^ seal_of(number));
}

static void header_write(uint8_t out[FRAME_HEADER], enum frame_type type, uint32_t bytes,
    uint32_t raw_bytes)
{
	ASSERT(bytes <= FRAME_BYTES_MAX && raw_bytes <= FRAME_BYTES_MAX);
	store_le32(out, FRAME_MAGIC);
	out[4] = FRAME_VERSION;
	out[5] = (uint8_t)type;
	store_le16(out + 6, 0);
	store_le32(out + 8, bytes);
	store_le32(out + 12, raw_bytes);
}

void frame_write(struct buf *out, enum frame_type type, struct span payload, bool compress)
{
	enum { WORTH_IT = 256 };
	uint8_t header[FRAME_HEADER];
	uint32_t raw = (uint32_t)payload.len;
	ASSERT(payload.len > 0 && payload.len <= FRAME_BYTES_MAX);
	size_t at = out->len;
	buf_reserve(out, FRAME_HEADER + payload.len);
	int len = 0;
	if (compress && raw >= WORTH_IT)
		len = LZ4_compress_default((const char *)payload.ptr,
		    (char *)out->ptr + at + FRAME_HEADER, (int)raw, (int)raw - 1);
	if (len <= 0) {
		memcpy(out->ptr + at + FRAME_HEADER, payload.ptr, payload.len);
		len = (int)raw;
	}
	header_write(header, type, (uint32_t)len, raw);
	struct span stored = span_of(out->ptr + at + FRAME_HEADER, (size_t)len);
	sums_write(header, stored, (struct span){0});
	memcpy(out->ptr + at, header, FRAME_HEADER);
	out->len = at + FRAME_HEADER + (size_t)len;
}

void frame_write_bytes_head(struct buf *out, uint64_t lsn, uint64_t offset, struct span bytes)
{
	uint8_t head[FRAME_HEADER + FRAME_BYTES_PREFIX], *prefix = head + FRAME_HEADER;
	uint32_t len = FRAME_BYTES_PREFIX + (uint32_t)bytes.len;
	ASSERT(bytes.len > 0 && bytes.len <= FRAME_BYTES_MAX - FRAME_BYTES_PREFIX);
	header_write(head, FRAME_BYTES, len, len);
	store_le64(prefix, lsn);
	store_le64(prefix + 8, offset);
	sums_write(head, span_of(prefix, FRAME_BYTES_PREFIX), bytes);
	buf_append(out, span_of(head, sizeof(head)));
}

void frame_write_position(struct buf *out, const struct frame_position *position)
{
	uint8_t payload[FRAME_POSITION];
	store_le64(payload, position->lsn);
	store_le64(payload + 8, position->leader_lsn);
	store_le64(payload + 16, (uint64_t)position->time_ms);
	store_le32(payload + 24, position->epoch);
	store_le32(payload + 28, position->flags);
	frame_write(out, FRAME_POSITIONED, span_of(payload, sizeof(payload)), false);
}

void frame_write_lsn(struct buf *out, enum frame_type type, uint64_t lsn)
{
	uint8_t payload[8];
	ASSERT(type == FRAME_CANCEL || type == FRAME_WHOLE || type == FRAME_LOST);
	store_le64(payload, lsn);
	frame_write(out, type, span_of(payload, sizeof(payload)), false);
}

void frame_write_body(struct buf *out, const struct record *record, uint64_t body_bytes, uint64_t from)
{
	struct buf payload;
	uint8_t numbers[16];
	ASSERT(record->value.len == 0 && from <= body_bytes && body_bytes > 0);
	buf_init(&payload, out->memory);
	store_le64(numbers, body_bytes);
	store_le64(numbers + 8, from);
	buf_append(&payload, span_of(numbers, sizeof(numbers)));
	frame_record_write(&payload, record);
	frame_write(out, FRAME_BODY, buf_span(&payload), true);
	buf_fini(&payload);
}

void frame_record_write(struct buf *out, const struct record *record)
{
	uint8_t head[FRAME_RECORD];
	ASSERT(record->type > 0 && record->type < RECORD_TYPE_COUNT);
	ASSERT(record->lsn > 0 && record->lsn <= STORE_LSN_MAX);
	head[0] = record->type;
	head[1] = record->flags & RECORD_CONTINUES;
	head[2] = record->db;
	head[3] = 0;
	store_le32(head + 4, record->epoch);
	store_le64(head + 8, record->lsn);
	store_le64(head + 16, record->refers);
	store_le64(head + 24, (uint64_t)record->expire_ms);
	store_le64(head + 32, (uint64_t)record->time_ms);
	store_le32(head + 40, (uint32_t)record->key.len);
	store_le32(head + 44, (uint32_t)record->meta.len);
	store_le32(head + 48, (uint32_t)record->value.len);
	store_le64(head + 52, 0);
	buf_append(out, span_of(head, sizeof(head)));
	buf_append(out, record->key);
	buf_append(out, record->meta);
	buf_append(out, record->value);
}

void frame_write_compared(
    struct buf *out, enum frame_type type, uint64_t lsn, uint32_t word, struct span payload)
{
	uint8_t head[FRAME_LISTED_HEAD];
	struct buf all;
	ASSERT(type == FRAME_SUMS || type == FRAME_LISTED);
	buf_init(&all, out->memory);
	store_le64(head, lsn);
	store_le32(head + 8, word);
	buf_append(&all, span_of(head, sizeof(head)));
	buf_append(&all, payload);
	frame_write(out, type, buf_span(&all), true);
	buf_fini(&all);
}

void frame_listed_write(struct buf *payload, const struct frame_listed *listed)
{
	uint8_t head[FRAME_LISTED_KEY];
	store_le64(head, listed->version);
	store_le64(head + 8, listed->lsn);
	store_le64(head + 16, listed->body_lsn);
	head[24] = listed->db;
	store_le32(head + 25, (uint32_t)listed->key.len);
	buf_append(payload, span_of(head, sizeof(head)));
	buf_append(payload, listed->key);
}

void frame_write_renewed(struct buf *out, uint64_t number, uint64_t lsn)
{
	uint8_t payload[16];
	store_le64(payload, number);
	store_le64(payload + 8, lsn);
	frame_write(out, FRAME_RENEWED, span_of(payload, sizeof(payload)), false);
}

/* ---- Reading ---- */

enum err frame_parse(struct span bytes, uint32_t number, struct frame *out)
{
	if (bytes.len < FRAME_HEADER)
		return ERR_AGAIN;
	if (load_le32(bytes.ptr) != FRAME_MAGIC)
		return ERR_CORRUPT;
	if (bytes.ptr[4] != FRAME_VERSION)
		return ERR_VERSION;
	uint32_t len = load_le32(bytes.ptr + 8), crc = header_sum(bytes.ptr);
	if ((load_le32(bytes.ptr + AT_HEADER_SUM) ^ seal_of(number)) != crc)
		return ERR_CORRUPT;
	*out = (struct frame){.type = bytes.ptr[5], .raw_bytes = load_le32(bytes.ptr + 12)};
	if (out->type == 0 || out->type >= FRAME_TYPE_COUNT || len == 0 || len > FRAME_BYTES_MAX ||
	    out->raw_bytes < len || out->raw_bytes > FRAME_BYTES_MAX)
		return ERR_CORRUPT;
	if (bytes.len - FRAME_HEADER < len)
		return ERR_AGAIN;
	out->payload = span_slice(bytes, FRAME_HEADER, len);
	out->frame_bytes = FRAME_HEADER + (size_t)len;
	uint32_t sum = load_le32(bytes.ptr + AT_SUM) ^ seal_of(number);
	return crc32c(crc, out->payload) == sum ? OK : ERR_CORRUPT;
}

enum err frame_inflate(const struct frame *frame, struct buf *buf, struct span *out)
{
	if (frame->raw_bytes == frame->payload.len) {
		*out = frame->payload;
		return OK;
	}
	buf_clear(buf);
	buf_reserve(buf, frame->raw_bytes);
	int len = LZ4_decompress_safe((const char *)frame->payload.ptr, (char *)buf->ptr,
	    (int)frame->payload.len, (int)frame->raw_bytes);
	if (len < 0 || (uint32_t)len != frame->raw_bytes)
		return ERR_CORRUPT;
	buf->len = frame->raw_bytes;
	*out = buf_span(buf);
	return OK;
}

static bool record_is_sane(const struct record *record)
{
	if (record->type == 0 || record->type >= RECORD_TYPE_COUNT || record->type == RECORD_PART)
		return false;
	if (record->lsn == 0 || record->lsn > STORE_LSN_MAX || record->refers > STORE_LSN_MAX)
		return false;
	bool names_image = record->type == RECORD_LINK || record->type == RECORD_META;
	if (names_image && (record->refers == 0 || record->refers >= record->lsn))
		return false;
	return record->key.len <= KEY_BYTES_MAX && record->meta.len <= META_BYTES_MAX &&
	    record->value.len <= BODY_INLINE_MAX && record->time_ms >= 0;
}

enum err frame_record_take(struct span *payload, struct record *out)
{
	const uint8_t *head = payload->ptr;
	if (payload->len == 0)
		return ERR_NOTFOUND;
	if (payload->len < FRAME_RECORD || (head[1] & ~RECORD_CONTINUES) != 0 || head[3] != 0)
		return ERR_CORRUPT;
	uint64_t key = load_le32(head + 40), meta = load_le32(head + 44), value = load_le32(head + 48);
	if (key + meta + value > payload->len - FRAME_RECORD)
		return ERR_CORRUPT;
	*out = (struct record){
	    .type = head[0],
	    .flags = head[1],
	    .db = head[2],
	    .epoch = load_le32(head + 4),
	    .lsn = load_le64(head + 8),
	    .refers = load_le64(head + 16),
	    .expire_ms = (int64_t)load_le64(head + 24),
	    .time_ms = (int64_t)load_le64(head + 32),
	    .key = span_slice(*payload, FRAME_RECORD, (size_t)key),
	    .meta = span_slice(*payload, FRAME_RECORD + (size_t)key, (size_t)meta),
	    .value = span_slice(*payload, FRAME_RECORD + (size_t)(key + meta), (size_t)value),
	};
	size_t bytes = FRAME_RECORD + (size_t)(key + meta + value);
	*payload = span_slice(*payload, bytes, payload->len);
	return record_is_sane(out) ? OK : ERR_CORRUPT;
}

enum err frame_read_body(
    struct span payload, struct record *out, uint64_t *body_bytes, uint64_t *from)
{
	if (payload.len < 16)
		return ERR_CORRUPT;
	*body_bytes = load_le64(payload.ptr);
	*from = load_le64(payload.ptr + 8);
	payload = span_slice(payload, 16, payload.len);
	enum err err = frame_record_take(&payload, out);
	if (err != OK || payload.len > 0 || out->value.len > 0)
		return ERR_CORRUPT;
	bool may = out->type == RECORD_IMAGE || out->type == RECORD_VALUE || out->type == RECORD_CHANGE ||
	    out->type == RECORD_SETTING;
	if (!may || *body_bytes == 0 || *body_bytes > BODY_BYTES_MAX || *from > *body_bytes)
		return ERR_CORRUPT;
	return *from % CHUNK_BYTES == 0 || *from == *body_bytes ? OK : ERR_CORRUPT;
}

enum err frame_read_bytes(struct span payload, uint64_t *lsn, uint64_t *offset, struct span *bytes)
{
	if (payload.len <= FRAME_BYTES_PREFIX)
		return ERR_CORRUPT;
	*lsn = load_le64(payload.ptr);
	*offset = load_le64(payload.ptr + 8);
	*bytes = span_slice(payload, FRAME_BYTES_PREFIX, payload.len);
	return OK;
}

enum err frame_read_lsn(struct span payload, uint64_t *lsn)
{
	if (payload.len != 8)
		return ERR_CORRUPT;
	*lsn = load_le64(payload.ptr);
	return *lsn <= STORE_LSN_MAX ? OK : ERR_CORRUPT;
}

enum err frame_read_position(struct span payload, struct frame_position *out)
{
	if (payload.len != FRAME_POSITION)
		return ERR_CORRUPT;
	*out = (struct frame_position){
	    .lsn = load_le64(payload.ptr),
	    .leader_lsn = load_le64(payload.ptr + 8),
	    .time_ms = (int64_t)load_le64(payload.ptr + 16),
	    .epoch = load_le32(payload.ptr + 24),
	    .flags = load_le32(payload.ptr + 28),
	};
	return out->lsn <= STORE_LSN_MAX && out->leader_lsn <= STORE_LSN_MAX ? OK : ERR_CORRUPT;
}

enum err frame_read_compared(struct span *payload, uint64_t *lsn, uint32_t *word)
{
	if (payload->len < FRAME_LISTED_HEAD)
		return ERR_CORRUPT;
	*lsn = load_le64(payload->ptr);
	*word = load_le32(payload->ptr + 8);
	*payload = span_slice(*payload, FRAME_LISTED_HEAD, payload->len);
	return *lsn <= STORE_LSN_MAX ? OK : ERR_CORRUPT;
}

enum err frame_listed_take(struct span *payload, struct frame_listed *out)
{
	const uint8_t *head = payload->ptr;
	if (payload->len == 0)
		return ERR_NOTFOUND;
	if (payload->len < FRAME_LISTED_KEY)
		return ERR_CORRUPT;
	uint64_t len = load_le32(head + 25);
	if (len > KEY_BYTES_MAX || len > payload->len - FRAME_LISTED_KEY)
		return ERR_CORRUPT;
	*out = (struct frame_listed){
	    .version = load_le64(head),
	    .lsn = load_le64(head + 8),
	    .body_lsn = load_le64(head + 16),
	    .db = head[24],
	    .key = span_slice(*payload, FRAME_LISTED_KEY, (size_t)len),
	};
	*payload = span_slice(*payload, FRAME_LISTED_KEY + (size_t)len, payload->len);
	return out->db < DATABASE_COUNT && out->version != 0 ? OK : ERR_CORRUPT;
}

enum err frame_read_renewed(struct span payload, uint64_t *number, uint64_t *lsn)
{
	if (payload.len != 16)
		return ERR_CORRUPT;
	*number = load_le64(payload.ptr);
	*lsn = load_le64(payload.ptr + 8);
	return *lsn <= STORE_LSN_MAX ? OK : ERR_CORRUPT;
}
