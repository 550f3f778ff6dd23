/* search/add.c: one document into the index; see search.h.
 *
 * The words of the document are gathered as (term, position), sorted, and appended to
 * their lists, one posting a term. Tags, columns and presence follow, field by field.
 */
#include "search/analyze.h"
#include "search/block.h"
#include "search/index.h"
#include "search/varint.h"

#include "base/date.h"
#include "base/number.h"

#include <math.h>

enum { WORDS_AHEAD = 24, TITLE_IDS_BYTES = 4 * TITLE_BYTES_MAX };

/* Words of which it is not known yet which terms they are. */
struct word_batch {
	uint16_t space;
	uint32_t count;
	struct {
		uint32_t hash, position, len;
		uint8_t  bytes[SEARCH_TERM_BYTES_MAX];
	} words[WORDS_AHEAD];
};

struct index_builder {
	struct index *index;
	struct word_batch batch;
	uint32_t      base, end;          /* positions of the field at hand */
	uint32_t      next;               /* where its next text begins */
	uint32_t      last;               /* last position given */
};

/* ---- Words -------------------------------------------------------------------------- */

static void entry_push(struct index *index, uint32_t term, uint32_t position)
{
	if (index->entry_count == index->entry_cap) {
		uint32_t cap = index->entry_cap == 0 ? 64 : index->entry_cap * 2;
		index->entries = memory_resize(&index->documents_memory, index->entries,
		    index->entry_cap * sizeof(*index->entries), cap * sizeof(*index->entries));
		index->entry_cap = cap;
	}
	index->entries[index->entry_count++] = (uint64_t)term << 32 | position;
}

static void words_flush(struct index_builder *builder)
{
	struct word_batch *batch = &builder->batch;
	struct dict *dict = &builder->index->dict;
	for (uint32_t i = 0; i < batch->count; i++)
		dict_prefetch_term(dict, batch->words[i].hash);
	for (uint32_t i = 0; i < batch->count; i++)
		dict_prefetch_key(dict, batch->words[i].hash);
	for (uint32_t i = 0; i < batch->count; i++) {
		struct span word = span_of(batch->words[i].bytes, batch->words[i].len);
		const struct term *term =
		    dict_add_hashed(dict, batch->space, word, batch->words[i].hash);
		postings_prefetch(&term->list);
		entry_push(builder->index, term->id, batch->words[i].position);
	}
	batch->count = 0;
}

static void word_push(struct index_builder *builder, struct span word, uint32_t position)
{
	struct word_batch *batch = &builder->batch;
	uint32_t at = batch->count++;
	ASSERT(word.len <= SEARCH_TERM_BYTES_MAX);
	batch->words[at].hash = dict_hash(&builder->index->dict, batch->space, word);
	batch->words[at].position = position;
	batch->words[at].len = (uint32_t)word.len;
	memcpy(batch->words[at].bytes, word.ptr, word.len);
	dict_prefetch_slot(&builder->index->dict, batch->words[at].hash);
	if (batch->count == WORDS_AHEAD)
		words_flush(builder);
}

static void word_add(void *ctx, struct span word, uint32_t position, struct span source)
{
	struct index_builder *builder = ctx;
	UNUSED(source);
	uint32_t at = builder->next + position;
	if (at >= builder->end)
		at = builder->end - 1;    /* far beyond any text that the server takes */
	builder->last = at;
	word_push(builder, word, at);
}

static void text_range(uint8_t mask, uint32_t *base, uint32_t *end)
{
	switch (mask) {
	case FIELD_TITLE: *base = POSITION_TITLE; *end = POSITION_CAMERA; break;
	case FIELD_CAMERA: *base = POSITION_CAMERA; *end = POSITION_CAPTION; break;
	case FIELD_CAPTION: *base = POSITION_CAPTION; *end = POSITION_TAGS; break;
	default: *base = POSITION_TAGS; *end = 2 * POSITION_TAGS; break;
	}
}

/* Whether fields[at] is the last of a name that may stand only once. */
static bool is_last_of_name(const struct search_field *fields, size_t count, size_t at)
{
	for (size_t i = at + 1; i < count; i++)
		if (fields[i].kind == fields[at].kind &&
		    span_equal(fields[i].name, fields[at].name))
			return false;
	return true;
}

/* Words of an attribute that was declared a text. */
static void attribute_gather(struct index_builder *builder, const struct search_field *attribute)
{
	uint32_t id;
	const struct field *field = index_field(builder->index, attribute->name, &id);
	if (field == NULL || id < SCHEMA_COUNT || (field->kinds & KIND_TEXT) == 0)
		return;
	words_flush(builder);
	builder->batch.space = (uint16_t)(SPACE_TEXT | id);
	text_range(FIELD_CAPTION, &builder->base, &builder->end);
	builder->next = builder->last = builder->base;
	analyze_words(attribute->text, word_add, builder);
	words_flush(builder);
	builder->batch.space = SPACE_WORDS;
}

/* All words of the document into index->entries. */
static void words_gather(struct index *index, const struct search_field *fields, size_t count)
{
	struct index_builder builder;
	builder.index = index;
	builder.batch.space = SPACE_WORDS;
	builder.batch.count = 0;
	uint32_t tags_next = POSITION_TAGS;
	index->entry_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (fields[i].kind == SEARCH_ATTRIBUTE && is_last_of_name(fields, count, i))
			attribute_gather(&builder, &fields[i]);
		uint32_t id =
		    fields[i].kind > SEARCH_TAG ? SCHEMA_COUNT : schema_find(fields[i].name);
		uint8_t mask = id == SCHEMA_COUNT ? 0 : schema_field(id)->text_mask;
		if (mask == 0)
			continue;
		if (mask != FIELD_TAGS && !is_last_of_name(fields, count, i))
			continue;
		text_range(mask, &builder.base, &builder.end);
		builder.next = builder.last = mask == FIELD_TAGS ? tags_next : builder.base;
		analyze_words(fields[i].text, word_add, &builder);
		if (mask == FIELD_TAGS)
			tags_next = builder.last + POSITION_TAG_GAP;
	}
	words_flush(&builder);
}

/* Heapsort: no memory, no recursion, no bad case. */
static void entries_sift(uint64_t *entries, uint32_t at, uint32_t count)
{
	uint64_t value = entries[at];
	for (;;) {
		uint64_t child = 2 * (uint64_t)at + 1;
		if (child >= count)
			break;
		if (child + 1 < count && entries[child + 1] > entries[child])
			child++;
		if (entries[child] <= value)
			break;
		entries[at] = entries[child];
		at = (uint32_t)child;
	}
	entries[at] = value;
}

static void entries_sort(uint64_t *entries, uint32_t count)
{
	if (count <= 32) {
		for (uint32_t i = 1; i < count; i++) {
			uint64_t value = entries[i];
			uint32_t at = i;
			for (; at > 0 && entries[at - 1] > value; at--)
				entries[at] = entries[at - 1];
			entries[at] = value;
		}
		return;
	}
	for (uint32_t i = count / 2; i-- > 0;)
		entries_sift(entries, i, count);
	for (uint32_t last = count; last-- > 1;) {
		uint64_t value = entries[last];
		entries[last] = entries[0];
		entries[0] = value;
		entries_sift(entries, 0, last);
	}
}

/* One more position of a word. Of too many, the last one of each field is kept, so that
 * none is forgotten. */
static uint32_t position_add(uint32_t positions[POSTING_TF_MAX], uint32_t tf, uint32_t position)
{
	if (tf < POSTING_TF_MAX) {
		positions[tf] = position;
		return tf + 1;
	}
	if (position_field(position) == position_field(positions[tf - 1]))
		return tf;
	for (uint32_t i = tf - BLOCK_FIELDS; i + 1 < tf; i++)
		positions[i] = positions[i + 1];
	positions[tf - 1] = position;
	return tf;
}

static void words_append(struct index *index, uint32_t docid)
{
	uint32_t positions[POSTING_TF_MAX];
	uint64_t *entries = index->entries;
	entries_sort(entries, index->entry_count);
	for (uint32_t at = 0; at < index->entry_count;) {
		uint32_t id = (uint32_t)(entries[at] >> 32), tf = 0;
		for (; at < index->entry_count && entries[at] >> 32 == id; at++)
			tf = position_add(positions, tf, (uint32_t)entries[at]);
		struct posting posting = {docid, (uint8_t)tf, positions};
		postings_append(&dict_term(&index->dict, id)->list, &index->postings_memory,
		    &index->docs, &posting);
		index->postings++;
	}
	if (index->entry_cap > ENTRIES_KEPT) {
		memory_free(&index->documents_memory, index->entries,
		    index->entry_cap * sizeof(*index->entries));
		index->entries = NULL;
		index->entry_cap = 0;
	}
	index->entry_count = 0;
}

/* ---- Tags, columns, presence ---------------------------------------------------------- */

static void plain_append(struct index *index, struct term *term, uint32_t docid)
{
	struct postings *list = &term->list;
	struct posting posting = {docid, 1, NULL};
	bool again = list->tail_count > 0 ? list->tail_last == docid
	    : list->block_count > 0 && list->skips[list->block_count - 1].last == docid;
	if (again)
		return;
	postings_append(list, &index->postings_memory, &index->docs, &posting);
	index->postings++;
}

/* Tags of one document of which it is not known yet which terms they are. */
enum { TAGS_AHEAD = 12 };
struct tag_batch {
	uint32_t docid, count;
	struct {
		uint32_t field, hash, len;
		uint8_t  bytes[SEARCH_TAG_BYTES_MAX];
	} tags[TAGS_AHEAD];
};

static void tags_flush(struct index *index, struct tag_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
		dict_prefetch_term(&index->dict, batch->tags[i].hash);
	for (uint32_t i = 0; i < batch->count; i++)
		dict_prefetch_key(&index->dict, batch->tags[i].hash);
	struct term *terms[TAGS_AHEAD];
	for (uint32_t i = 0; i < batch->count; i++) {
		struct span text = span_of(batch->tags[i].bytes, batch->tags[i].len);
		terms[i] = dict_add_hashed(&index->dict, (uint16_t)(batch->tags[i].field + 1), text,
		    batch->tags[i].hash);
		postings_prefetch(&terms[i]->list);
	}
	for (uint32_t i = 0; i < batch->count; i++) {
		struct field *field = index->fields[batch->tags[i].field];
		struct term *term = terms[i];
		if (term->ordinal == ORDINAL_NONE)
			term->ordinal = tags_add_term(&field->tags, term->id);
		plain_append(index, term, batch->docid);
		plain_append(index, field->present, batch->docid);
		tags_put(&field->tags, batch->docid, term->ordinal);
	}
	batch->count = 0;
}

static void tag_add(struct index *index, uint32_t id, struct span text, struct tag_batch *batch)
{
	uint32_t at = batch->count;
	size_t len = analyze_tag(text, batch->tags[at].bytes);
	if (len == 0)
		return;
	batch->tags[at].field = id;
	batch->tags[at].len = (uint32_t)len;
	batch->tags[at].hash = dict_hash(
	    &index->dict, (uint16_t)(id + 1), span_of(batch->tags[at].bytes, len));
	dict_prefetch_slot(&index->dict, batch->tags[at].hash);
	if (++batch->count == TAGS_AHEAD)
		tags_flush(index, batch);
}

static bool is_iso_date(struct span text, int64_t *ms)
{
	int64_t last;
	return text.len >= 7 && text.ptr[4] == '-' && date_parse(text, ms, &last);
}

/* "lon,lat" in degrees. */
static bool is_place(struct span text, double *lon, double *lat)
{
	const uint8_t *comma = text.len == 0 ? NULL : memchr(text.ptr, ',', text.len);
	if (comma == NULL)
		return false;
	size_t at = (size_t)(comma - text.ptr);
	return number_parse_double(span_slice(text, 0, at), lon) &&
	    number_parse_double(span_slice(text, at + 1, text.len), lat) &&
	    fabs(*lon) <= 180 && fabs(*lat) <= 90;
}

/* A value of an attribute of which it was said that it is one thing only. False: it is none. */
static bool declared_add(struct field *field, struct span text, uint32_t docid)
{
	double number, lat;
	int64_t ms, last_ms;
	if (field->kinds == KIND_NUMERIC) {
		if (!number_parse_double(text, &number) || !isfinite(number))
			return false;
		column_put(&field->numbers, docid, number);
	} else if (field->kinds == KIND_DATE) {
		if (!date_parse(text, &ms, &last_ms))
			return false;
		column_put(&field->dates, docid, (double)ms);
	} else {
		if (!is_place(text, &number, &lat))
			return false;
		column_put(&field->numbers, docid, geo_round(number));
		column_put(&field->dates, docid, geo_round(lat));
	}
	return true;
}

static void attribute_add(struct index *index, const struct search_field *attribute,
    struct tag_batch *batch)
{
	uint32_t id, docid = batch->docid;
	double number;
	int64_t ms;
	if (schema_find(attribute->name) != SCHEMA_COUNT) {
		index->attributes_refused++;
		return;
	}
	struct field *field = index_field_add(index, attribute->name, &id);
	if (field == NULL)
		return;
	if ((field->kinds & KIND_TEXT) != 0 && attribute->text.len > 0)
		plain_append(index, field->present, docid);
	if (field->kinds == KIND_TEXT)
		return;
	if ((field->kinds & KIND_TAG) == 0) {
		if (declared_add(field, attribute->text, docid))
			plain_append(index, field->present, docid);
		return;
	}
	tag_add(index, id, attribute->text, batch);
	if (field->kinds != KIND_ATTRIBUTE)
		return;
	if (number_parse_double(attribute->text, &number) && isfinite(number))
		column_put(&field->numbers, docid, number);
	else if (is_iso_date(attribute->text, &ms))
		column_put(&field->dates, docid, (double)ms);
}

static void field_add(
    struct index *index, const struct search_field *value, struct tag_batch *batch)
{
	uint32_t id = schema_find(value->name), docid = batch->docid;
	ASSERT(id < SCHEMA_COUNT);
	struct field *field = index->fields[id];
	switch (value->kind) {
	case SEARCH_TEXT:
		ASSERT((field->kinds & KIND_TEXT) != 0);
		if (value->text.len > 0)
			plain_append(index, field->present, docid);
		break;
	case SEARCH_TAG:
		ASSERT((field->kinds & KIND_TAG) != 0);
		tag_add(index, id, value->text, batch);
		break;
	case SEARCH_NUMERIC:
		ASSERT((field->kinds & KIND_NUMERIC) != 0);
		if (isfinite(value->number))
			column_put(&field->numbers, docid, value->number);
		break;
	case SEARCH_DATE:
		ASSERT((field->kinds & KIND_DATE) != 0);
		column_put(&field->dates, docid, (double)value->date_ms);
		break;
	case SEARCH_GEO:
		ASSERT((field->kinds & KIND_GEO) != 0);
		if (!(fabs(value->lon) <= 180) || !(fabs(value->lat) <= 90))
			break;
		column_put(&field->numbers, docid, geo_round(value->lon));
		column_put(&field->dates, docid, geo_round(value->lat));
		break;
	default:
		ASSERT(value->kind == SEARCH_ATTRIBUTE);
	}
}

/* ---- The document --------------------------------------------------------------------- */

/* The words of the title, in order, as docs_add wants them; before they are sorted. */
static struct span title_of(const struct index *index, uint8_t out[TITLE_IDS_BYTES])
{
	uint8_t *end = out;
	for (uint32_t i = 0; i < index->entry_count; i++) {
		uint32_t id = (uint32_t)(index->entries[i] >> 32);
		if ((uint32_t)index->entries[i] < POSITION_CAMERA &&
		    end - out <= TITLE_IDS_BYTES - VARINT_MAX)
			end = varint_put(end, id);
	}
	return span_of(out, (size_t)(end - out));
}

/* Codes the columns of full windows, a field at each addition: there are never more
 * fields than a window has documents, so that it keeps up. */
static void seal_one(struct index *index)
{
	if (index->seal_window >= index->docs.next >> WINDOW_SHIFT)
		return;
	struct field *field = index->fields[index->seal_field++];
	bool is_dead = docs_window(&index->docs, index->seal_window) == NULL;
	field_seal(field, index->seal_window, is_dead);
	if (index->seal_field < index->field_count)
		return;
	index->seal_field = 0;
	index->seal_window++;
}

enum err index_add(struct index *index, const struct search_field *fields, size_t count,
    void *owner, uint32_t *docid)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(count == 0 || fields != NULL);
	if (index->docs.next == DOCID_NONE)
		return ERR_FULL;
	words_gather(index, fields, count);
	uint8_t title[TITLE_IDS_BYTES];
	*docid = docs_add(&index->docs, owner, index->entry_count, title_of(index, title));
	words_append(index, *docid);
	struct tag_batch batch;
	batch.docid = *docid;
	batch.count = 0;
	for (size_t i = 0; i < count; i++) {
		if (fields[i].kind == SEARCH_ATTRIBUTE)
			attribute_add(index, &fields[i], &batch);
		else
			field_add(index, &fields[i], &batch);
	}
	tags_flush(index, &batch);
	seal_one(index);
	index_settle(index);
	return OK;
}
