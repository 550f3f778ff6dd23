/* search/load.c: see persist.h. Bytes are proven by the checksums of who kept them; here it is
 * made sure that whatever they say stays within its bounds. */
#include "search/dense.h"
#include "search/index.h"
#include "search/persist_piece.h"
#include "search/varint.h"

#include <math.h>

enum { LOAD_MAGIC = 0x44414f4c, ORDINALS_MAX = 1 << 28, PURGE_DOCS = 64, BLOCK_BYTES_MIN = 20,
	TERM_IDS_MAX = 1 << 28 };

struct index_load {
	uint32_t      magic;
	struct index *index;
	struct index_load_owner owner;
	uint32_t      field_count;
	uint64_t      tag, pieces;
	bool          has_head, has_fields, is_over;
	struct term  *term;               /* whose blocks follow */
	uint32_t     *ids;                /* of words: those of the dump to ours, or DICT_NONE */
	uint32_t      id_cap;
	struct buf    title;              /* scratch */
};

struct index_load *index_load_new(struct memory *memory, const struct index_options *options,
    const struct index_load_owner *owner)
{
	ASSERT(memory != NULL && owner->read != NULL);
	struct index_load *load = memory_zalloc(memory, sizeof(*load));
	load->magic = LOAD_MAGIC;
	load->index = index_new(memory, options);
	load->owner = *owner;
	buf_init(&load->title, memory);
	return load;
}

uint32_t index_load_ids(const struct index_load *load)
{
	CHECK_OBJ(load, LOAD_MAGIC);
	return load->index->docs.next;
}

uint64_t index_load_tag(const struct index_load *load)
{
	CHECK_OBJ(load, LOAD_MAGIC);
	return load->tag;
}

struct index *index_load_end(struct index_load *load)
{
	CHECK_OBJ(load, LOAD_MAGIC);
	struct index *index = load->index;
	struct memory *memory = index->memory;
	if (load->is_over) {
		for (uint32_t id = 0; id < index->field_count; id++)
			tags_restore_end(&index->fields[id]->tags);
	} else {
		index_free(index);
		index = NULL;
	}
	memory_free(memory, load->ids, load->id_cap * sizeof(*load->ids));
	buf_fini(&load->title);
	DROP_OBJ(load, LOAD_MAGIC);
	memory_free(memory, load, sizeof(*load));
	return index;
}

/* ---- Taking ---- */

static bool take_bytes(struct span *in, size_t len, struct span *out)
{
	if (in->len < len)
		return false;
	*out = span_slice(*in, 0, len);
	*in = span_slice(*in, len, in->len);
	return true;
}

static bool take_u32(struct span *in, uint32_t *out)
{
	struct span bytes;
	if (!take_bytes(in, sizeof(*out), &bytes))
		return false;
	*out = load_le32(bytes.ptr);
	return true;
}

static bool take_u64(struct span *in, uint64_t *out)
{
	struct span bytes;
	if (!take_bytes(in, sizeof(*out), &bytes))
		return false;
	*out = load_le64(bytes.ptr);
	return true;
}

static bool take_u8(struct span *in, uint8_t *out)
{
	struct span bytes;
	if (!take_bytes(in, 1, &bytes))
		return false;
	*out = bytes.ptr[0];
	return true;
}

static bool take_object(struct span *in, void *out, size_t len)
{
	struct span bytes;
	if (!take_bytes(in, len, &bytes))
		return false;
	memcpy(out, bytes.ptr, len);
	return true;
}

static enum err load_head(struct index_load *load, struct span in)
{
	struct index *index = load->index;
	uint32_t version, seal;
	if (load->has_head || !take_u32(&in, &version))
		return ERR_CORRUPT;
	if (version != PIECE_VERSION)
		return ERR_VERSION;
	if (!take_u32(&in, &index->docs.next) || !take_u32(&in, &seal) ||
	    !take_u32(&in, &load->field_count) || !take_u64(&in, &load->tag) ||
	    index->docs.next == DOCID_NONE || seal > index->docs.next >> WINDOW_SHIFT ||
	    load->field_count < SCHEMA_COUNT ||
	    load->field_count > SEARCH_FIELDS_MAX)
		return ERR_CORRUPT;
	index->seal_window = seal;
	load->has_head = true;
	return OK;
}

static enum err load_fields(struct index_load *load, struct span in)
{
	struct index *index = load->index;
	if (load->has_fields)
		return ERR_CORRUPT;
	for (uint32_t id = 0; id < load->field_count; id++) {
		uint8_t kinds;
		uint32_t count, len, got;
		struct span name;
		if (!take_u8(&in, &kinds) || !take_u32(&in, &count) || !take_u32(&in, &len) ||
		    count > ORDINALS_MAX || len <= DICT_SPACE_BYTES || !take_bytes(&in, len, &name))
			return ERR_CORRUPT;
		name = span_slice(name, DICT_SPACE_BYTES, name.len);
		struct field *field = index_field_add(index, name, &got);
		if (field == NULL || got != id || (id < SCHEMA_COUNT && field->kinds != kinds))
			return ERR_CORRUPT;
		field->kinds = kinds;
		tags_restore_terms(&field->tags, count);
	}
	load->has_fields = true;
	return OK;
}

/* ---- Words ---- */

/* What of the header must hold for the parts to lie within the block. */
static bool block_is_sane(const struct posting_block *block, size_t bytes, uint32_t last)
{
	size_t words = 4 * ((size_t)block->delta_bits + (block->shape >> 4) + block->position_bits);
	if (block->count == 0 || block->count > PACK_COUNT || block->delta_bits > 32 ||
	    block->position_bits > 32 || block->first > last)
		return false;
	return block->bytes == bytes && sizeof(*block) + 4 * words <= bytes;
}

/* Of the run that came last: ids must ascend to what they are said to end in. */
static bool load_ids(struct index_load *load, struct postings *list, uint32_t at, uint32_t last)
{
	struct posting_run run;
	run.part = PART_NONE;
	postings_load(list, at, list->bits != NULL ? PART_TFS : PART_DOCIDS, &run);
	for (uint32_t i = 1; i < run.count; i++)
		if (run.docids[i] <= run.docids[i - 1])
			return false;
	if (run.docids[run.count - 1] != last)
		return false;
	if (list->bits != NULL)
		dense_add(list, &load->index->postings_memory, run.docids, run.tfs,
		    run.count);
	return true;
}

static bool load_block(struct index_load *load, struct postings *list, struct span *in)
{
	struct posting_skip skip = {0};
	struct posting_block head;
	struct span bytes = *in;
	if (!take_u32(in, &skip.last) || !take_object(in, &skip.best, sizeof(skip.best)))
		return false;
	if (in->len < sizeof(head))
		return false;
	memcpy(&head, in->ptr, sizeof(head));
	if (!take_bytes(in, head.bytes, &bytes) || !block_is_sane(&head, bytes.len, skip.last) ||
	    skip.last >= load->index->docs.next)
		return false;
	if (list->block_count > 0 && list->skips[list->block_count - 1].last >= head.first)
		return false;
	skip.block = memory_alloc(&load->index->postings_memory, bytes.len);
	memcpy(skip.block, bytes.ptr, bytes.len);
	postings_push(list, &load->index->postings_memory, skip);
	load->index->postings += head.count;
	return load_ids(load, list, list->block_count - 1, skip.last);
}

static bool load_tail(struct index_load *load, struct postings *list, struct span *in)
{
	struct span bytes;
	uint8_t count;
	uint32_t len;
	if (!take_u8(in, &count))
		return false;
	if (count == 0)
		return true;
	if (!take_u32(in, &list->tail_first) || !take_u32(in, &list->tail_last) ||
	    !take_u32(in, &len) || !take_bytes(in, len, &bytes) || count >= PACK_COUNT ||
	    len < count || list->tail_first > list->tail_last ||
	    list->tail_last >= load->index->docs.next)
		return false;
	list->tail = memory_alloc(&load->index->postings_memory, len);
	memcpy(list->tail, bytes.ptr, len);
	list->tail_len = list->tail_cap = len;
	list->tail_count = count;
	list->count += count;
	load->index->postings += count;
	return true;
}

static enum err load_blocks(struct index_load *load, struct span in)
{
	uint32_t count;
	uint8_t last;
	if (load->term == NULL || !take_u32(&in, &count) || count > in.len / BLOCK_BYTES_MIN)
		return ERR_CORRUPT;
	struct postings *list = &load->term->list;
	postings_reserve(list, &load->index->postings_memory, count);
	for (; count > 0; count--)
		if (!load_block(load, list, &in))
			return ERR_CORRUPT;
	if (!take_u8(&in, &last))
		return ERR_CORRUPT;
	dense_decide(list, &load->index->postings_memory, load->index->docs.next);
	if (last == 0)
		return OK;
	bool good = load_tail(load, list, &in) &&
	    (list->tail_count == 0 || load_ids(load, list, list->block_count, list->tail_last));
	load->term = NULL;
	return good && in.len == 0 ? OK : ERR_CORRUPT;
}

/* *field: whose tags these are; NULL: words, or presence. */
static bool space_is_known(const struct index_load *load, uint16_t space, struct field **field)
{
	*field = NULL;
	if (space == SPACE_WORDS)
		return true;
	if (space_field(space) >= load->index->field_count)
		return false;
	if ((space & (SPACE_PRESENT | SPACE_TEXT)) == 0)
		*field = load->index->fields[space_field(space)];
	return true;
}

/* Titles name words by the ids that they had. */
static bool id_note(struct index_load *load, uint32_t id, uint32_t ours)
{
	if (id >= TERM_IDS_MAX)
		return false;
	if (id >= load->id_cap) {
		uint32_t cap = id < 512 ? 1024 : id * 2;
		load->ids = memory_resize(load->index->memory, load->ids,
		    load->id_cap * sizeof(*load->ids), cap * sizeof(*load->ids));
		memset(load->ids + load->id_cap, 0xff, (cap - load->id_cap) * sizeof(*load->ids));
		load->id_cap = cap;
	}
	load->ids[id] = ours;
	return true;
}

static enum err load_term(struct index_load *load, struct span in)
{
	struct index *index = load->index;
	uint32_t len, id, ordinal, dead;
	struct posting_best best;
	struct span key;
	struct field *field;
	if (!load->has_fields || load->term != NULL || !take_u32(&in, &len) ||
	    len < DICT_SPACE_BYTES || len > DICT_KEY_MAX || !take_bytes(&in, len, &key) ||
	    !take_u32(&in, &id) || !take_u32(&in, &ordinal) || !take_object(&in, &best, sizeof(best)) ||
	    !take_u32(&in, &dead) || best.tf_max == 0)
		return ERR_CORRUPT;
	uint16_t space = (uint16_t)(key.ptr[0] << 8 | key.ptr[1]);
	if (!space_is_known(load, space, &field) || (field != NULL) != (ordinal != ORDINAL_NONE))
		return ERR_CORRUPT;
	struct term *term =
	    dict_add(&index->dict, space, span_slice(key, DICT_SPACE_BYTES, key.len));
	if (term->list.count > 0 || !id_note(load, id, term->id))
		return ERR_CORRUPT;
	if (field != NULL && !tags_restore_term(&field->tags, ordinal, term->id))
		return ERR_CORRUPT;
	term->ordinal = ordinal;
	term->list.best = best;
	load->term = term;
	enum err err = load_blocks(load, in);
	term->list.dead = dead < term->list.count ? dead : term->list.count;
	return err;
}

/* ---- Windows ---- */

static enum err load_pairs(struct index_load *load, struct column *column, uint32_t window,
    struct span in)
{
	uint32_t count, slot, before = 0;
	uint64_t base = (uint64_t)window << WINDOW_SHIFT;
	double value;
	if (!take_u32(&in, &count) || count > WINDOW_DOCS)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < count; i++, before = slot + 1) {
		if (!take_u32(&in, &slot) || !take_object(&in, &value, sizeof(value)))
			return ERR_CORRUPT;
		if (slot < before || base + slot >= load->index->docs.next || !isfinite(value))
			return ERR_CORRUPT;
		column_put(column, (uint32_t)(base + slot), value);
	}
	return in.len == 0 ? OK : ERR_CORRUPT;
}

/* A window of all of whose ids are in the dump, or that ends behind them. */
static bool take_window(struct index_load *load, struct span *in, uint32_t *id, uint32_t *window)
{
	return take_u32(in, id) && take_u32(in, window) && *id < load->index->field_count &&
	    *window < docs_window_count(&load->index->docs);
}

static enum err load_numbers(struct index_load *load, struct span in)
{
	uint32_t id, window;
	uint8_t part, sealed;
	struct column_window copy;
	if (!take_window(load, &in, &id, &window) || !take_u8(&in, &part) || part > 1 ||
	    !take_u8(&in, &sealed))
		return ERR_CORRUPT;
	struct field *field = load->index->fields[id];
	struct column *column = part == 0 ? &field->numbers : &field->dates;
	if (window < column->window_cap && column->windows[window] != NULL)
		return ERR_CORRUPT;
	if (sealed == 0)
		return load_pairs(load, column, window, in);
	if (!take_object(&in, &copy, sizeof(copy)) || in.len != copy.bytes)
		return ERR_CORRUPT;
	return column_restore(column, window, &copy, in.ptr) ? OK : ERR_CORRUPT;
}

static enum err load_tag_lists(struct index_load *load, struct tags *tags, uint32_t window,
    struct span in)
{
	uint32_t slots, total, base = window << WINDOW_SHIFT;
	struct span counts;
	if (!take_u32(&in, &slots) || !take_u32(&in, &total) || slots > WINDOW_DOCS ||
	    slots > load->index->docs.next - base ||
	    !take_bytes(&in, slots * sizeof(uint16_t), &counts) ||
	    in.len != total * sizeof(uint32_t))
		return ERR_CORRUPT;
	for (uint32_t slot = 0; slot < slots; slot++) {
		for (uint16_t left = load_le16(counts.ptr + (size_t)2 * slot); left > 0; left--) {
			uint32_t ordinal;
			if (!take_u32(&in, &ordinal) || ordinal >= tags->term_count)
				return ERR_CORRUPT;
			tags_put(tags, base + slot, ordinal);
		}
	}
	return OK;
}

static enum err load_tags(struct index_load *load, struct span in)
{
	uint32_t id, window;
	uint8_t sealed;
	struct tag_window copy = {0};
	if (!take_window(load, &in, &id, &window) || !take_u8(&in, &sealed))
		return ERR_CORRUPT;
	struct tags *tags = &load->index->fields[id]->tags;
	if (window < tags->window_cap && tags->windows[window] != NULL)
		return ERR_CORRUPT;
	if (sealed == 0)
		return load_tag_lists(load, tags, window, in);
	if (!take_u32(&in, &copy.count) || !take_u32(&in, &copy.base) ||
	    !take_u8(&in, &copy.width) || !take_u8(&in, &copy.count_width) ||
	    !take_u32(&in, &copy.bytes) || in.len != copy.bytes)
		return ERR_CORRUPT;
	return tags_restore(tags, window, &copy, in.ptr) ? OK : ERR_CORRUPT;
}

/* ---- Documents ---- */

/* A number that somebody else wrote; NULL: it is none. */
static const uint8_t *varint_take(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
	uint64_t value = 0;
	for (unsigned shift = 0; at < end && shift < 7 * VARINT_MAX; shift += 7) {
		uint8_t byte = *at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) != 0)
			continue;
		*out = (uint32_t)value;
		return value <= UINT32_MAX ? at : NULL;
	}
	return NULL;
}

/* The ids of the words of a title become ours, in load->title. */
static bool take_title(struct index_load *load, struct span *in)
{
	struct span bytes;
	struct buf *title = &load->title;
	uint32_t id;
	if (!take_bytes(in, sizeof(uint16_t), &bytes) ||
	    !take_bytes(in, load_le16(bytes.ptr), &bytes))
		return false;
	buf_clear(title);
	buf_reserve(title, bytes.len * VARINT_MAX);
	uint8_t *out = title->ptr;
	for (const uint8_t *at = bytes.ptr, *end = at + bytes.len; at < end;) {
		at = varint_take(at, end, &id);
		if (at == NULL || id >= load->id_cap || load->ids[id] == DICT_NONE)
			return false;
		out = varint_put(out, load->ids[id]);
	}
	title->len = (size_t)(out - title->ptr);
	return title->len <= UINT16_MAX;
}

/* Has no document from here on come yet? Titles of a window are kept in the order of their ids. */
static bool documents_ascend(const struct docs *docs, uint32_t base)
{
	const struct doc_window *window = docs_window(docs, base >> WINDOW_SHIFT);
	return window == NULL || window->titles == NULL ||
	    window->titles->next <= base % WINDOW_DOCS;
}

static enum err load_documents(struct index_load *load, struct span in)
{
	struct docs *docs = &load->index->docs;
	uint64_t bits[PIECE_DOCS / 64];
	uint32_t base;
	struct span length;
	if (!take_u32(&in, &base) || !take_object(&in, bits, sizeof(bits)) ||
	    base % PIECE_DOCS != 0 || base >= docs->next || !documents_ascend(docs, base))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < PIECE_DOCS; i++) {
		if ((bits[i / 64] >> (i % 64) & 1) == 0)
			continue;
		if (base + i >= docs->next || docs_is_live(docs, base + i) ||
		    !take_bytes(&in, sizeof(uint16_t), &length) || !take_title(load, &in))
			return ERR_CORRUPT;
		docs_restore(docs, base + i, load_le16(length.ptr), buf_span(&load->title));
		if (!load->owner.read(load->owner.ctx, base + i, &in))
			return ERR_CORRUPT;
	}
	return in.len == 0 ? OK : ERR_CORRUPT;
}

static enum err load_end(struct index_load *load, struct span in)
{
	uint64_t pieces, removed;
	if (!take_u64(&in, &pieces) || pieces != load->pieces || load->term != NULL ||
	    !take_u64(&in, &removed))
		return ERR_CORRUPT;
	load->index->removed = removed;
	load->is_over = true;
	return OK;
}

enum err index_load_step(struct index_load *load, struct span *in)
{
	enum err err;
	uint8_t type;
	uint32_t len;
	struct span bytes;
	CHECK_OBJ(load, LOAD_MAGIC);
	if (load->is_over || !take_u8(in, &type) || !take_u32(in, &len) ||
	    !take_bytes(in, len, &bytes) || load->has_head == (type == PIECE_HEAD))
		return ERR_CORRUPT;
	switch (type) {
	case PIECE_HEAD: err = load_head(load, bytes); break;
	case PIECE_FIELDS: err = load_fields(load, bytes); break;
	case PIECE_TERM: err = load_term(load, bytes); break;
	case PIECE_BLOCKS: err = load_blocks(load, bytes); break;
	case PIECE_NUMBERS: err = load_numbers(load, bytes); break;
	case PIECE_TAGS: err = load_tags(load, bytes); break;
	case PIECE_DOCUMENTS: err = load_documents(load, bytes); break;
	case PIECE_END: err = load_end(load, bytes); break;
	default: err = ERR_CORRUPT;
	}
	load->pieces++;
	index_settle(load->index);
	return err;
}

/* ---- Afterwards ---- */

bool index_is_unowned(const struct index *index, uint32_t docid)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	return docs_is_live(&index->docs, docid) && index_owner(index, docid) == NULL;
}

enum err index_purge(
    struct index *index, uint32_t *docid, uint32_t end, const struct search_budget *budget)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(end <= index->docs.next);
	for (uint64_t spent = 1; *docid < end; spent++) {
		const struct doc_window *window = docs_window(&index->docs, *docid >> WINDOW_SHIFT);
		if (window == NULL) {
			*docid = ((*docid >> WINDOW_SHIFT) + 1) << WINDOW_SHIFT;
			continue;
		}
		for (int i = 0; i < PURGE_DOCS && *docid < end; i++, ++*docid)
			if (index_is_unowned(index, *docid))
				index_remove(index, *docid);
		if (*docid < end && budget_is_spent(budget, spent))
			return ERR_AGAIN;
	}
	return OK;
}
