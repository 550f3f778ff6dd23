/* cache/rdb.c: see rdb.h. */
#include "cache/rdb.h"

#include "base/crc64.h"
#include "base/endian.h"
#include "base/number.h"
#include "cache/ops.h"
#include "cache/rdb_read.h"

enum {
	RDB_STRING = 0, RDB_LIST = 1, RDB_SET = 2, RDB_ZSET_TEXT = 3, RDB_HASH = 4, RDB_ZSET = 5,
	RDB_INTSET = 11, RDB_HASH_LISTPACK = 16, RDB_ZSET_LISTPACK = 17, RDB_LIST_LISTPACKS = 18,
	RDB_SET_LISTPACK = 20,
	RDB_VERSION_WRITTEN = 10, RDB_VERSION_MAX = 11,
	RDB_FOOTER = 10,                  /* version and checksum */
	NODE_PLAIN = 1, NODE_LISTPACK = 2,
};

/* ---- Writing ----------------------------------------------------------------------------------- */

static void put_length(struct buf *out, uint64_t length)
{
	uint8_t bytes[9];
	if (length < 64) {
		buf_append_u8(out, (uint8_t)length);
	} else if (length < 16384) {
		buf_append_u8(out, (uint8_t)(0x40 | length >> 8));
		buf_append_u8(out, (uint8_t)length);
	} else if (length <= UINT32_MAX) {
		bytes[0] = 0x80;
		store_be32(bytes + 1, (uint32_t)length);
		buf_append(out, span_of(bytes, 5));
	} else {
		bytes[0] = 0x81;
		store_be64(bytes + 1, length);
		buf_append(out, span_of(bytes, 9));
	}
}

static void put_string(struct buf *out, struct span bytes)
{
	put_length(out, bytes.len);
	buf_append(out, bytes);
}

/* Behind what begins at `from`. */
static void put_footer(struct buf *out, size_t from)
{
	uint8_t bytes[8];
	store_le16(bytes, RDB_VERSION_WRITTEN);
	buf_append(out, span_of(bytes, 2));
	store_le64(bytes, crc64(span_of(out->ptr + from, out->len - from)));
	buf_append(out, span_of(bytes, 8));
}

void rdb_dump_string(struct span bytes, struct buf *out)
{
	size_t from = out->len;
	buf_append_u8(out, RDB_STRING);
	put_string(out, bytes);
	put_footer(out, from);
}

void rdb_dump_value(const struct value *value, struct buf *out)
{
	static const uint8_t types[ENTRY_TYPE_COUNT] = {
		[ENTRY_HASH] = RDB_HASH, [ENTRY_LIST] = RDB_LIST,
		[ENTRY_SET] = RDB_SET, [ENTRY_ZSET] = RDB_ZSET,
	};
	size_t from = out->len;
	struct walk walk;
	buf_append_u8(out, types[value->type]);
	put_length(out, value->count);
	walk_init(&walk, value);
	while (walk_next(&walk)) {
		uint8_t score[8];
		uint64_t bits;
		put_string(out, walk.name.bytes);
		if (value->type == ENTRY_HASH)
			put_string(out, walk.data.bytes);
		if (value->type != ENTRY_ZSET)
			continue;
		memcpy(&bits, &walk.score, sizeof(bits));
		store_le64(score, bits);
		buf_append(out, span_of(score, sizeof(score)));
	}
	put_footer(out, from);
}

/* ---- Reading ------------------------------------------------------------------------------------- */

enum err rdb_check(struct span payload, enum entry_type *type)
{
	static const struct { uint8_t rdb, type; } rows[] = {
		{RDB_STRING, ENTRY_STRING}, {RDB_LIST, ENTRY_LIST}, {RDB_LIST_LISTPACKS, ENTRY_LIST},
		{RDB_SET, ENTRY_SET}, {RDB_INTSET, ENTRY_SET}, {RDB_SET_LISTPACK, ENTRY_SET},
		{RDB_ZSET_TEXT, ENTRY_ZSET}, {RDB_ZSET, ENTRY_ZSET}, {RDB_ZSET_LISTPACK, ENTRY_ZSET},
		{RDB_HASH, ENTRY_HASH}, {RDB_HASH_LISTPACK, ENTRY_HASH},
	};
	if (payload.len < RDB_FOOTER)
		return ERR_VERSION;
	const uint8_t *footer = payload.ptr + payload.len - RDB_FOOTER;
	struct span summed = span_slice(payload, 0, payload.len - 8);
	if (load_le16(footer) > RDB_VERSION_MAX || load_le64(footer + 2) != crc64(summed))
		return ERR_VERSION;
	if (payload.len == RDB_FOOTER)
		return ERR_UNSUPPORTED;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		if (rows[i].rdb == payload.ptr[0]) {
			*type = rows[i].type;
			return OK;
		}
	}
	return ERR_UNSUPPORTED;
}

static struct span payload_object(struct span payload)
{
	ASSERT(payload.len > RDB_FOOTER);
	return span_slice(payload, 1, payload.len - RDB_FOOTER - 1);
}

enum err rdb_load_string(struct span payload, struct buf *out)
{
	struct span in = payload_object(payload), text;
	struct buf scratch;
	buf_init(&scratch, out->memory);
	bool ok = rdb_take_string(&in, &scratch, &text) && in.len == 0;
	enum err err = ok ? OK : ERR_CORRUPT;
	if (ok && !buf_try_reserve(out, text.len + 1))
		err = ERR_MEMORY;
	if (err == OK)
		buf_append(out, text);
	buf_fini(&scratch);
	return err;
}

/* What elements are added to. */
struct load {
	struct value              *value;
	const struct value_limits *limits;
	struct buf                 ops, first, second;       /* strings that were numbers or compressed */
};

/* False: it is there already. */
static bool load_add(struct load *load, struct span name, struct span data, double score)
{
	uint64_t added;
	buf_clear(&load->ops);
	if (load->value->type == ENTRY_HASH)
		ops_set(&load->ops, name, data);
	else if (load->value->type == ENTRY_ZSET)
		ops_score(&load->ops, name, score);
	else
		ops_member(&load->ops, load->value->type == ENTRY_SET ? OP_ADD : OP_PUSH_TAIL, name);
	return value_apply(load->value, buf_span(&load->ops), load->limits, &added, NULL) == OK && added == 1;
}

/* Types 1 to 5: a count, and so many elements. */
static bool load_plain(struct load *load, unsigned rdb, struct span *in)
{
	uint64_t count;
	bool special;
	if (!rdb_take_length(in, &count, &special) || special)
		return false;
	for (; count > 0; count--) {
		struct span name, data = {0};
		double score = 0;
		bool ok = rdb_take_string(in, &load->first, &name);
		if (ok && rdb == RDB_HASH)
			ok = rdb_take_string(in, &load->second, &data);
		if (ok && rdb == RDB_ZSET)
			ok = rdb_take_score(in, &score);
		if (ok && rdb == RDB_ZSET_TEXT)
			ok = rdb_take_score_text(in, &score);
		if (!ok || !load_add(load, name, data, score))
			return false;
	}
	return true;
}

static bool load_listpack(struct load *load, struct span bytes)
{
	struct span elements, name, data = {0};
	char number[NUMBER_TEXT_MAX], second[NUMBER_TEXT_MAX];
	bool pairs = load->value->type == ENTRY_HASH || load->value->type == ENTRY_ZSET;
	if (!listpack_open(bytes, &elements))
		return false;
	while (elements.len > 0) {
		double score = 0;
		if (!listpack_take(&elements, number, &name) ||
		    (pairs && !listpack_take(&elements, second, &data)))
			return false;
		if (load->value->type == ENTRY_ZSET && !number_parse_double(data, &score))
			return false;
		if (!load_add(load, name, data, score))
			return false;
	}
	return true;
}

static bool load_intset(struct load *load, struct span bytes)
{
	char text[NUMBER_TEXT_MAX];
	if (bytes.len < 8)
		return false;
	uint32_t width = load_le32(bytes.ptr), count = load_le32(bytes.ptr + 4);
	if ((width != 2 && width != 4 && width != 8) || (uint64_t)count * width != bytes.len - 8)
		return false;
	for (const uint8_t *at = bytes.ptr + 8; count > 0; count--, at += width) {
		int64_t number = width == 2 ? (int16_t)load_le16(at)
		    : width == 4 ? (int32_t)load_le32(at) : (int64_t)load_le64(at);
		if (!load_add(load, span_of(text, number_format_i64(number, text)), (struct span){0}, 0))
			return false;
	}
	return true;
}

static bool load_nodes(struct load *load, struct span *in)
{
	uint64_t count, kind;
	bool special;
	struct span bytes;
	if (!rdb_take_length(in, &count, &special) || special)
		return false;
	for (; count > 0; count--) {
		if (!rdb_take_length(in, &kind, &special) || special ||
		    !rdb_take_string(in, &load->first, &bytes))
			return false;
		if (kind == NODE_PLAIN && !load_add(load, bytes, (struct span){0}, 0))
			return false;
		if (kind == NODE_LISTPACK && !load_listpack(load, bytes))
			return false;
		if (kind != NODE_PLAIN && kind != NODE_LISTPACK)
			return false;
	}
	return true;
}

static bool load_object(struct load *load, unsigned rdb, struct span *in)
{
	struct span bytes;
	if (rdb <= RDB_ZSET)
		return load_plain(load, rdb, in);
	if (rdb == RDB_LIST_LISTPACKS)
		return load_nodes(load, in);
	if (!rdb_take_string(in, &load->first, &bytes))
		return false;
	return rdb == RDB_INTSET ? load_intset(load, bytes) : load_listpack(load, bytes);
}

enum err rdb_load_value(struct span payload, struct value *value, const struct value_limits *limits)
{
	struct span in = payload_object(payload);
	struct load load = {.value = value, .limits = limits};
	ASSERT(value->count == 0 && !value->borrowed);
	buf_init(&load.ops, value->memory);
	buf_init(&load.first, value->memory);
	buf_init(&load.second, value->memory);
	bool ok = load_object(&load, payload.ptr[0], &in) && in.len == 0 && value->count > 0;
	buf_fini(&load.ops);
	buf_fini(&load.first);
	buf_fini(&load.second);
	if (!ok)
		value_fini(value);
	return ok ? OK : ERR_CORRUPT;
}
