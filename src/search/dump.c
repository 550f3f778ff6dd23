/* search/dump.c: see persist.h. */
#include "search/index.h"
#include "search/persist_piece.h"

enum { DUMP_MAGIC = 0x504d5544, TERMS_LOOKED_AT = 64, PIECE_BYTES = 24 << 10, BLOCKS_MAX = 128 };

enum dump_stage {
	DUMP_HEAD, DUMP_FIELDS, DUMP_TERMS, DUMP_BLOCKS, DUMP_WINDOWS, DUMP_DOCUMENTS, DUMP_END,
	DUMP_OVER
};

struct index_dump {
	uint32_t        magic;
	struct index   *index;
	struct index_dump_owner owner;
	enum dump_stage stage;
	uint64_t        tag, pieces, left_out;       /* left_out: documents that live without an owner */
	uint32_t        limit;            /* ids from here on came later */
	uint32_t        field_count;      /* so did fields */
	bool            sought;           /* a word was seen: it is in key */
	uint8_t         key[DICT_KEY_MAX];
	uint32_t        key_len;
	struct term    *term;             /* DUMP_BLOCKS: it has more from `run` on */
	uint32_t        run;
	uint32_t        window, field, part;         /* part: numbers, dates, tags */
	uint32_t        docid;
	uint16_t       *counts;           /* scratch: WINDOW_DOCS */
	uint32_t       *ordinals;
	uint32_t        ordinal_cap;
};

struct index_dump *index_dump_new(
    struct index *index, const struct index_dump_owner *owner, uint64_t tag)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(!index->is_dumped && owner->write != NULL);
	struct index_dump *dump = memory_zalloc(index->memory, sizeof(*dump));
	dump->magic = DUMP_MAGIC;
	dump->index = index;
	dump->owner = *owner;
	dump->tag = tag;
	dump->limit = index->docs.next;
	dump->field_count = index->field_count;
	dump->counts = memory_alloc(index->memory, WINDOW_DOCS * sizeof(*dump->counts));
	index->is_dumped = true;
	return dump;
}

void index_dump_free(struct index_dump *dump)
{
	CHECK_OBJ(dump, DUMP_MAGIC);
	struct memory *memory = dump->index->memory;
	dump->index->is_dumped = false;
	memory_free(memory, dump->counts, WINDOW_DOCS * sizeof(*dump->counts));
	memory_free(memory, dump->ordinals, dump->ordinal_cap * sizeof(*dump->ordinals));
	DROP_OBJ(dump, DUMP_MAGIC);
	memory_free(memory, dump, sizeof(*dump));
}

/* ---- Pieces ---- */

static void put_bytes(struct buf *out, const void *bytes, size_t len)
{
	if (len > 0)
		buf_append(out, span_of(bytes, len));
}

static void put_u32(struct buf *out, uint32_t value)
{
	uint8_t bytes[4];
	store_le32(bytes, value);
	put_bytes(out, bytes, sizeof(bytes));
}

static void put_u64(struct buf *out, uint64_t value)
{
	uint8_t bytes[8];
	store_le64(bytes, value);
	put_bytes(out, bytes, sizeof(bytes));
}

static size_t piece_begin(struct buf *out, uint8_t type)
{
	buf_append_u8(out, type);
	put_u32(out, 0);
	return out->len;
}

static void piece_end(struct index_dump *dump, struct buf *out, size_t from)
{
	ASSERT(out->len >= from && out->len - from < UINT32_MAX);
	store_le32(out->ptr + from - sizeof(uint32_t), (uint32_t)(out->len - from));
	dump->pieces++;
}

static void dump_head(struct index_dump *dump, struct buf *out)
{
	const struct index *index = dump->index;
	uint32_t sealed = dump->limit >> WINDOW_SHIFT;
	size_t from = piece_begin(out, PIECE_HEAD);
	put_u32(out, PIECE_VERSION);
	put_u32(out, dump->limit);
	put_u32(out, index->seal_window < sealed ? index->seal_window : sealed);
	put_u32(out, dump->field_count);
	put_u64(out, dump->tag);
	piece_end(dump, out, from);
	dump->stage = DUMP_FIELDS;
}

static void dump_fields(struct index_dump *dump, struct buf *out)
{
	size_t from = piece_begin(out, PIECE_FIELDS);
	for (uint32_t id = 0; id < dump->field_count; id++) {
		const struct field *field = dump->index->fields[id];
		struct span name = term_key(dict_term(&dump->index->names, id));
		buf_append_u8(out, field->kinds);
		put_u32(out, field->tags.term_count);
		put_u32(out, (uint32_t)name.len);
		buf_append(out, name);
	}
	piece_end(dump, out, from);
	dump->stage = DUMP_TERMS;
}

/* ---- Words ---- */

/* Is any posting of this term below the limit? */
static bool term_is_old(const struct index_dump *dump, const struct term *term)
{
	uint32_t first, last;
	struct posting_run run;
	if (postings_run_count(&term->list) == 0)
		return false;
	if (term->list.block_count == 0)
		return term->list.tail_first < dump->limit;
	postings_bounds(&term->list, 0, &first, &last);
	if (last < dump->limit)
		return true;
	run.part = PART_NONE;
	postings_load(&term->list, 0, PART_DOCIDS, &run);
	return run.docids[0] < dump->limit;
}

static void put_tail(struct buf *out, const struct postings *list)
{
	buf_append_u8(out, list->tail_count);
	if (list->tail_count == 0)
		return;
	put_u32(out, list->tail_first);
	put_u32(out, list->tail_last);
	put_u32(out, list->tail_len);
	put_bytes(out, list->tail, list->tail_len);
}

/* The run on which the limit falls, or none. */
static void put_last(struct index_dump *dump, struct buf *out, const struct postings *list)
{
	uint32_t first, last, at = dump->run;
	struct postings none = {0};
	if (at == postings_run_count(list)) {
		put_tail(out, &none);
		return;
	}
	postings_bounds(list, at, &first, &last);
	if (at == list->block_count && last < dump->limit) {
		put_tail(out, list);
		return;
	}
	struct postings cut = postings_cut(list, at, dump->limit, dump->index->memory);
	put_tail(out, &cut);
	if (cut.tail != NULL)
		memory_free(dump->index->memory, cut.tail, cut.tail_cap);
}

/* Some blocks of the term at hand, {u32 count, {last, best, block}}, then 1 and the tail, or 0. */
static void put_blocks(struct index_dump *dump, struct buf *out)
{
	const struct postings *list = &dump->term->list;
	size_t from = out->len;
	uint32_t count = 0;
	put_u32(out, 0);
	while (dump->run < list->block_count && list->skips[dump->run].last < dump->limit &&
	    count < BLOCKS_MAX && out->len - from < PIECE_BYTES) {
		const struct posting_skip *skip = &list->skips[dump->run++];
		put_u32(out, skip->last);
		put_bytes(out, &skip->best, sizeof(skip->best));
		put_bytes(out, skip->block, skip->block->bytes);
		count++;
	}
	store_le32(out->ptr + from, count);
	bool more = dump->run < list->block_count && list->skips[dump->run].last < dump->limit;
	buf_append_u8(out, !more);
	if (!more)
		put_last(dump, out, list);
	dump->stage = more ? DUMP_BLOCKS : DUMP_TERMS;
}

static void dump_term(struct index_dump *dump, struct term *term, struct buf *out)
{
	size_t from = piece_begin(out, PIECE_TERM);
	struct span key = term_key(term);
	dump->term = term;
	dump->run = 0;
	put_u32(out, (uint32_t)key.len);
	buf_append(out, key);
	put_u32(out, term->id);
	put_u32(out, term->ordinal);
	put_bytes(out, &term->list.best, sizeof(term->list.best));
	put_u32(out, term->list.dead);
	put_blocks(dump, out);
	piece_end(dump, out, from);
}

/* Words of fields that came later have no older documents. */
static bool term_is_wanted(const struct index_dump *dump, const struct term *term)
{
	uint16_t space = term_space(term);
	bool is_known = space == SPACE_WORDS || space_field(space) < dump->field_count;
	return is_known && term_is_old(dump, term);
}

/* The words that follow, until the piece is large. The sorted view may have changed since the
 * last step: it is sought again by the last word's bytes. */
static void dump_terms(struct index_dump *dump, struct buf *out)
{
	struct dict *dict = &dump->index->dict;
	struct dict_cursor cursor = {0};
	size_t from = out->len;
	if (dump->sought)
		dict_seek_key(dict, span_of(dump->key, dump->key_len), &cursor);
	for (int i = 0; i < TERMS_LOOKED_AT && out->len - from < PIECE_BYTES; i++) {
		struct term *term = dict_next_any(dict, &cursor);
		if (term == NULL) {
			dump->stage = DUMP_WINDOWS;
			return;
		}
		struct span key = term_key(term);
		memcpy(dump->key, key.ptr, key.len);
		dump->key_len = (uint32_t)key.len;
		dump->sought = true;
		if (!term_is_wanted(dump, term))
			continue;
		dump_term(dump, term, out);
		if (dump->stage == DUMP_BLOCKS)
			return;
	}
}

/* ---- Windows ---- */

/* Documents of this window that are in the dump. */
static uint32_t window_slots(const struct index_dump *dump)
{
	uint32_t left = dump->limit - (dump->window << WINDOW_SHIFT);
	return left < WINDOW_DOCS ? left : WINDOW_DOCS;
}

static void put_column_pairs(
    struct index_dump *dump, const struct column *column, uint32_t slots, struct buf *out)
{
	uint32_t count = 0;
	double value;
	size_t from = out->len;
	put_u32(out, 0);
	for (uint32_t slot = 0; slot < slots; slot++) {
		if (!column_get(column, (dump->window << WINDOW_SHIFT) + slot, &value))
			continue;
		put_u32(out, slot);
		put_bytes(out, &value, sizeof(value));
		count++;
	}
	store_le32(out->ptr + from, count);
}

static void dump_column(struct index_dump *dump, const struct column *column, struct buf *out)
{
	const struct column_window *window =
	    dump->window < column->window_cap ? column->windows[dump->window] : NULL;
	uint32_t slots = window_slots(dump);
	if (window == NULL)
		return;
	bool sealed = window->kind != COLUMN_OPEN && slots == WINDOW_DOCS;
	size_t from = piece_begin(out, PIECE_NUMBERS);
	put_u32(out, dump->field);
	put_u32(out, dump->window);
	buf_append_u8(out, (uint8_t)dump->part);
	buf_append_u8(out, sealed);
	if (sealed) {
		struct column_window copy = *window;
		copy.data = NULL;
		put_bytes(out, &copy, sizeof(copy));
		put_bytes(out, window->data, window->bytes);
	} else {
		put_column_pairs(dump, column, slots, out);
	}
	piece_end(dump, out, from);
}

static void put_tag_lists(
    struct index_dump *dump, const struct tags *tags, uint32_t slots, struct buf *out)
{
	uint32_t total = tags_copy(
	    tags, dump->window, slots, dump->counts, dump->ordinals, dump->ordinal_cap);
	if (total > dump->ordinal_cap) {
		dump->ordinals = memory_resize(dump->index->memory, dump->ordinals,
		    dump->ordinal_cap * sizeof(*dump->ordinals), total * sizeof(*dump->ordinals));
		dump->ordinal_cap = total;
		total = tags_copy(
		    tags, dump->window, slots, dump->counts, dump->ordinals, dump->ordinal_cap);
	}
	put_u32(out, slots);
	put_u32(out, total);
	put_bytes(out, dump->counts, slots * sizeof(*dump->counts));
	put_bytes(out, dump->ordinals, total * sizeof(*dump->ordinals));
}

static void dump_tags(struct index_dump *dump, const struct tags *tags, struct buf *out)
{
	const struct tag_window *window =
	    dump->window < tags->window_cap ? tags->windows[dump->window] : NULL;
	uint32_t slots = window_slots(dump);
	if (window == NULL)
		return;
	bool sealed = window->data != NULL && slots == WINDOW_DOCS;
	size_t from = piece_begin(out, PIECE_TAGS);
	put_u32(out, dump->field);
	put_u32(out, dump->window);
	buf_append_u8(out, sealed);
	if (sealed) {
		put_u32(out, window->count);
		put_u32(out, window->base);
		buf_append_u8(out, window->width);
		buf_append_u8(out, window->count_width);
		put_u32(out, window->bytes);
		put_bytes(out, window->data, window->bytes);
	} else {
		put_tag_lists(dump, tags, slots, out);
	}
	piece_end(dump, out, from);
}

/* One column, or the tags, of one field in one window. */
static void dump_window(struct index_dump *dump, struct buf *out)
{
	const struct field *field = dump->index->fields[dump->field];
	if (dump->part == 0)
		dump_column(dump, &field->numbers, out);
	else if (dump->part == 1)
		dump_column(dump, &field->dates, out);
	else
		dump_tags(dump, &field->tags, out);
	if (++dump->part < 3)
		return;
	dump->part = 0;
	if (++dump->field < dump->field_count)
		return;
	dump->field = 0;
	dump->window++;
}

static void dump_windows(struct index_dump *dump, struct buf *out)
{
	size_t from = out->len;
	uint32_t end = (uint32_t)(((uint64_t)dump->limit + WINDOW_DOCS - 1) >> WINDOW_SHIFT);
	for (int i = 0; i < TERMS_LOOKED_AT && out->len - from < PIECE_BYTES; i++) {
		if (dump->window >= end) {
			dump->stage = DUMP_DOCUMENTS;
			return;
		}
		dump_window(dump, out);
	}
}

/* ---- Documents ---- */

static void put_document(
    struct index_dump *dump, const struct doc_window *window, uint32_t slot, struct buf *out)
{
	uint8_t length[2];
	struct span title = docs_title(&dump->index->docs, dump->docid);
	ASSERT(title.len <= UINT16_MAX);
	store_le16(length, (uint16_t)window_length(window, slot));
	put_bytes(out, length, sizeof(length));
	store_le16(length, (uint16_t)title.len);
	put_bytes(out, length, sizeof(length));
	buf_append(out, title);
	dump->owner.write(dump->owner.ctx, dump->docid, window_owner(window, slot), out);
}

static void dump_documents(struct index_dump *dump, struct buf *out)
{
	uint64_t bits[PIECE_DOCS / 64] = {0};
	const struct doc_window *window =
	    docs_window(&dump->index->docs, dump->docid >> WINDOW_SHIFT);
	if (dump->docid >= dump->limit) {
		dump->stage = DUMP_END;
		return;
	}
	uint32_t end = dump->docid + PIECE_DOCS;
	if (window == NULL) {
		dump->docid = end;
		return;
	}
	size_t from = piece_begin(out, PIECE_DOCUMENTS);
	put_u32(out, dump->docid);
	size_t bits_at = out->len;
	put_bytes(out, bits, sizeof(bits));
	for (; dump->docid < end; dump->docid++) {
		uint32_t slot = dump->docid % WINDOW_DOCS;
		if (dump->docid >= dump->limit || !docs_is_live(&dump->index->docs, dump->docid))
			continue;
		if (window_owner(window, slot) == NULL) {
			dump->left_out++;
			continue;
		}
		bits[slot % PIECE_DOCS / 64] |= 1ULL << (slot % 64);
		put_document(dump, window, slot, out);
	}
	memcpy(out->ptr + bits_at, bits, sizeof(bits));
	piece_end(dump, out, from);
}

static void dump_end(struct index_dump *dump, struct buf *out)
{
	size_t from = piece_begin(out, PIECE_END);
	const struct index *index = dump->index;
	put_u64(out, dump->pieces);
	put_u64(out, index->removed - index->removed_swept + dump->left_out);
	piece_end(dump, out, from);
	dump->stage = DUMP_OVER;
}

static void dump_blocks(struct index_dump *dump, struct buf *out)
{
	size_t from = piece_begin(out, PIECE_BLOCKS);
	put_blocks(dump, out);
	piece_end(dump, out, from);
}

bool index_dump_step(struct index_dump *dump, struct buf *out)
{
	CHECK_OBJ(dump, DUMP_MAGIC);
	switch (dump->stage) {
	case DUMP_HEAD: dump_head(dump, out); break;
	case DUMP_FIELDS: dump_fields(dump, out); break;
	case DUMP_TERMS: dump_terms(dump, out); break;
	case DUMP_BLOCKS: dump_blocks(dump, out); break;
	case DUMP_WINDOWS: dump_windows(dump, out); break;
	case DUMP_DOCUMENTS: dump_documents(dump, out); break;
	case DUMP_END: dump_end(dump, out); break;
	case DUMP_OVER: break;
	}
	return dump->stage != DUMP_OVER;
}
