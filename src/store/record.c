/* store/record.c: see record.h. */
#include "store/record.h"

#include "base/crc32c.h"

static inline uint8_t *span_put(uint8_t *at, struct span bytes)
{
	if (bytes.len > 0)
		memcpy(at, bytes.ptr, bytes.len);
	return at + bytes.len;
}

/* A word of the header, summed from the register: what was just written in parts is slow to read back. */
static inline uint32_t put_word(uint8_t *at, uint32_t state, uint64_t word)
{
	memcpy(at, &word, sizeof(word));
	return crc32c_word(state, word);
}

void record_write_stamped(uint8_t *out, const struct record *record, uint32_t body_bytes,
    const uint32_t *crcs, const struct stamp *stamp)
{
	uint8_t *at = out + RECORD_HEADER;
	size_t crcs_bytes = 4 * (size_t)chunk_count(body_bytes);
	ASSERT(record->type > 0 && record->type < RECORD_TYPE_COUNT);
	ASSERT(crcs_bytes == 0 || crcs != NULL);
	uint64_t what = stamp->nonce | (uint64_t)record->type << 32 | (uint64_t)record->flags << 40 |
	    (uint64_t)record->db << 48 | (uint64_t)RECORD_VERSION << 56;
	uint32_t state = crc32c_word(~0U, stamp->segment | (uint64_t)stamp->nonce << 32);
	state = crc32c_word(state, stamp->offset);
	state = put_word(out + 8, state, what);
	state = put_word(out + 16, state, record->lsn);
	state = put_word(out + 24, state, record->refers);
	state = put_word(out + 32, state, (uint64_t)record->expire_ms);
	state = put_word(out + 40, state, (uint64_t)record->time_ms);
	state = put_word(out + 48, state, record->key.len | (uint64_t)record->meta.len << 32);
	state = put_word(out + 56, state, body_bytes | (uint64_t)record->epoch << 32);
	at = span_put(at, record->key);
	at = span_put(at, record->meta);
	uint32_t crc = crc32c(crc32c(~state, record->key), record->meta);
	if (crcs_bytes > 0) {
		crc = crc32c(crc, span_of(crcs, crcs_bytes));
		memcpy(at, crcs, crcs_bytes);
	}
	uint64_t first = RECORD_MAGIC | (uint64_t)crc << 32;
	memcpy(out, &first, sizeof(first));
}

static uint32_t head_crc(const uint8_t *head, uint32_t head_bytes, const struct stamp *stamp)
{
	ASSERT(head_bytes >= RECORD_HEADER);
	_Static_assert(sizeof(struct stamp) == 16, "no padding goes into the checksum");
	uint32_t crc = crc32c(0, span_of(stamp, sizeof(*stamp)));
	return crc32c(crc, span_of(head + 8, head_bytes - 8));
}

void record_extend_head(uint8_t *head, struct span more)
{
	struct record_header header;
	uint32_t crc;
	memcpy(&header, head, sizeof(header));
	ASSERT(header.magic == RECORD_MAGIC);
	ASSERT(header.body_bytes > 0 && header.body_bytes + more.len <= CHUNK_BYTES);
	header.body_bytes += (uint32_t)more.len;
	memcpy(head + offsetof(struct record_header, body_bytes), &header.body_bytes, 4);
	uint8_t *at = head + RECORD_HEADER + header.key_bytes + header.meta_bytes;
	memcpy(&crc, at, sizeof(crc));
	crc = crc32c(crc, more);
	memcpy(at, &crc, sizeof(crc));
}

void record_stamp(uint8_t *head, uint32_t head_bytes, const struct stamp *stamp)
{
	uint32_t magic;
	memcpy(&magic, head, sizeof(magic));
	ASSERT(magic == RECORD_MAGIC);
	memcpy(head + offsetof(struct record_header, nonce), &stamp->nonce, sizeof(stamp->nonce));
	uint32_t crc = head_crc(head, head_bytes, stamp);
	memcpy(head + offsetof(struct record_header, crc), &crc, sizeof(crc));
}

/* Key, metadata and chunk CRCs of a head whose lengths are known to be there. */
static void view_cut(struct span bytes, struct record_view *view)
{
	const struct record_header *header = &view->header;
	view->key = span_of(bytes.ptr + RECORD_HEADER, header->key_bytes);
	view->meta = span_of(view->key.ptr + header->key_bytes, header->meta_bytes);
	view->crcs = span_of(view->meta.ptr + header->meta_bytes,
	    4 * (size_t)chunk_count(header->body_bytes));
}

enum err record_parse(struct span bytes, const struct stamp *stamp, struct record_view *out)
{
	struct record_header *header = &out->header;
	ASSERT(stamp->offset % RECORD_ALIGN == 0);
	if (bytes.len < RECORD_HEADER)
		return ERR_NOTFOUND;
	memcpy(header, bytes.ptr, RECORD_HEADER);
	if (header->magic != RECORD_MAGIC || header->nonce != stamp->nonce)
		return ERR_NOTFOUND;
	if (header->key_bytes > KEY_BYTES_MAX || header->meta_bytes > META_BYTES_MAX ||
	    header->body_bytes > RECORD_BODY_MAX)
		return ERR_CORRUPT;
	uint32_t head_bytes =
	    record_head_bytes(header->key_bytes, header->meta_bytes, header->body_bytes);
	out->layout = record_layout(stamp->offset, head_bytes, header->body_bytes);
	if (bytes.len < head_bytes)
		return ERR_AGAIN;
	if (header->crc != head_crc(bytes.ptr, head_bytes, stamp))
		return ERR_CORRUPT;
	if (header->type == 0 || header->type >= RECORD_TYPE_COUNT ||
	    header->version != RECORD_VERSION)
		return ERR_CORRUPT;
	view_cut(bytes, out);
	return OK;
}

void record_view_own(struct span bytes, const struct stamp *stamp, struct record_view *out)
{
	struct record_header *header = &out->header;
	ASSERT(bytes.len >= RECORD_HEADER);
	memcpy(header, bytes.ptr, RECORD_HEADER);
	ASSERT(header->magic == RECORD_MAGIC && header->nonce == stamp->nonce);
	uint32_t head_bytes =
	    record_head_bytes(header->key_bytes, header->meta_bytes, header->body_bytes);
	ASSERT(bytes.len >= head_bytes);
	out->layout = record_layout(stamp->offset, head_bytes, header->body_bytes);
	view_cut(bytes, out);
}

bool record_check_chunks(struct span crcs, uint32_t first, struct span body)
{
	ASSERT(crcs.len % 4 == 0);
	for (uint32_t chunk = first; body.len > 0; chunk++) {
		ASSERT(chunk < crcs.len / 4);
		struct span part = span_slice(body, 0, CHUNK_BYTES);
		uint32_t want;
		memcpy(&want, crcs.ptr + 4 * (size_t)chunk, 4);
		if (crc32c(0, part) != want)
			return false;
		body = span_slice(body, part.len, body.len);
	}
	return true;
}

void record_from_view(const struct record_view *view, struct record *out)
{
	const struct record_header *header = &view->header;
	ASSERT(header->magic == RECORD_MAGIC);
	*out = (struct record){
		.type = header->type,
		.flags = header->flags,
		.db = header->db,
		.lsn = header->lsn,
		.refers = header->refers,
		.expire_ms = header->expire_ms,
		.time_ms = header->time_ms,
		.epoch = header->epoch,
		.key = view->key,
		.meta = view->meta,
		.body_bytes = header->body_bytes,
	};
}

bool record_is_mark(uint8_t type, uint32_t body_bytes)
{
	ASSERT(type < RECORD_TYPE_COUNT);
	switch (type) {
	case RECORD_DELETE:
	case RECORD_EXPIRE:
	case RECORD_FLUSH:
	case RECORD_VOID:
	case RECORD_END:
		return true;
	case RECORD_SETTING:
		return body_bytes == 0;
	default:
		return false;
	}
}

bool record_may_use_reserve(uint8_t type)
{
	ASSERT(type < RECORD_TYPE_COUNT);
	return type == RECORD_DELETE || type == RECORD_EXPIRE || type == RECORD_FLUSH ||
	    type == RECORD_META || type == RECORD_SETTING || type == RECORD_VOID ||
	    type == RECORD_END;
}
