/* search/index.c: making an index, its fields, removal, and accounts; see search.h. */
#include "search/index.h"

#include <math.h>

void index_settle(struct index *index)
{
	uint64_t now = sizeof(*index) + index->documents_memory.bytes +
	    index->postings_memory.bytes + index->dictionary_memory.bytes +
	    index->columns_memory.bytes;
	struct memory *memory = index->memory;
	ASSERT(memory->bytes >= index->settled);
	memory->bytes += now - index->settled;
	if (memory->bytes > memory->bytes_peak)
		memory->bytes_peak = memory->bytes;
	index->settled = now;
}

static struct field *field_new(struct index *index, uint8_t kinds, uint8_t text_mask)
{
	if (index->field_count == index->field_cap) {
		uint32_t cap = index->field_cap == 0 ? 32 : index->field_cap * 2;
		index->fields = memory_resize(&index->columns_memory, index->fields,
		    index->field_cap * sizeof(*index->fields), cap * sizeof(*index->fields));
		index->field_cap = cap;
	}
	struct field *field = memory_zalloc(&index->columns_memory, sizeof(*field));
	uint32_t id = index->field_count++;
	index->fields[id] = field;
	field->kinds = kinds;
	field->text_mask = text_mask;
	column_init(&field->numbers, &index->columns_memory);
	column_init(&field->dates, &index->columns_memory);
	tags_init(&field->tags, &index->columns_memory);
	if ((kinds & (KIND_TAG | KIND_TEXT)) != 0) {
		field->present =
		    dict_add(&index->dict, (uint16_t)(SPACE_PRESENT | id), (struct span){0});
		field->present->pins++;
	}
	return field;
}

struct index *index_new(struct memory *memory, const struct index_options *options)
{
	/* The index itself is counted by index_settle, with the rest. */
	struct memory uncounted = {0};
	ASSERT(memory != NULL);
	ASSERT(options != NULL);
	struct index *index = memory_zalloc(&uncounted, sizeof(*index));
	bool usual = options->k1 == 0 && options->b == 0;
	index->magic = INDEX_MAGIC;
	index->memory = memory;
	index->k1 = usual ? 1.2 : options->k1;
	index->b = usual ? 0.75 : options->b;
	for (uint32_t i = 1; i <= POSTING_TF_MAX; i++)
		index->inverse_tf[i] = 1 / (float)i;
	docs_init(&index->docs, &index->documents_memory);
	struct memory *terms = &index->dictionary_memory, *lists = &index->postings_memory;
	dict_init(&index->dict, terms, lists, options->hash_seed);
	dict_init(&index->names, terms, lists, options->hash_seed);
	for (uint32_t id = 0; id < SCHEMA_COUNT; id++) {
		const struct schema_field *row = schema_field(id);
		struct term *name = dict_add(&index->names, 0, span_text(row->name));
		ASSERT(name->id == id);
		field_new(index, row->kinds, row->text_mask);
	}
	index_settle(index);
	return index;
}

void index_free(struct index *index)
{
	struct memory uncounted = {.bytes = sizeof(*index)};
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(index->searches == 0);
	for (uint32_t id = 0; id < index->field_count; id++) {
		struct field *field = index->fields[id];
		column_fini(&field->numbers);
		column_fini(&field->dates);
		tags_fini(&field->tags);
		memory_free(&index->columns_memory, field, sizeof(*field));
	}
	memory_free(
	    &index->columns_memory, index->fields, index->field_cap * sizeof(*index->fields));
	memory_free(&index->documents_memory, index->entries,
	    index->entry_cap * sizeof(*index->entries));
	dict_fini(&index->dict);
	dict_fini(&index->names);
	docs_fini(&index->docs);
	index_settle(index);
	ASSERT(index->settled == sizeof(*index));
	index->memory->bytes -= index->settled;
	DROP_OBJ(index, INDEX_MAGIC);
	memory_free(&uncounted, index, sizeof(*index));
}

struct field *index_field(struct index *index, struct span name, uint32_t *id)
{
	if (name.len == 0 || name.len > ATTR_NAME_MAX)
		return NULL;
	const struct term *term = dict_find(&index->names, 0, name);
	if (term == NULL)
		return NULL;
	ASSERT(term->id < index->field_count);
	*id = term->id;
	return index->fields[term->id];
}

struct field *index_field_add(struct index *index, struct span name, uint32_t *id)
{
	struct field *field = index_field(index, name, id);
	if (field != NULL)
		return field;
	if (name.len == 0 || name.len > ATTR_NAME_MAX || index->field_count == SEARCH_FIELDS_MAX) {
		index->attributes_refused++;
		return NULL;
	}
	*id = dict_add(&index->names, 0, name)->id;
	ASSERT(*id == index->field_count);
	return field_new(index, KIND_ATTRIBUTE, 0);
}

void field_seal(struct field *field, uint32_t window, bool is_dead)
{
	column_seal(&field->numbers, window, is_dead);
	column_seal(&field->dates, window, is_dead);
	tags_seal(&field->tags, window, is_dead);
}

struct term *index_tag_term(const struct index *index, const struct field *field, uint32_t ordinal)
{
	uint32_t id = ordinal < field->tags.term_count ? field->tags.terms[ordinal] : DICT_NONE;
	if (id >= index->dict.id_end)
		return NULL;
	struct term *term = dict_term(&index->dict, id);
	return term != NULL && term->ordinal == ordinal ? term : NULL;
}

void index_set_provider(struct index *index, const struct search_provider *provider)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(provider->open != NULL);
	index->provider = *provider;
}

/* ---- Values ----------------------------------------------------------------------------- */

struct field *index_find_field(struct index *index, struct span name)
{
	uint32_t id;
	CHECK_OBJ(index, INDEX_MAGIC);
	return index_field(index, name, &id);
}

bool index_get_number(const struct field *field, uint32_t docid, double *number)
{
	return (field->kinds & KIND_GEO) == 0 && column_get(&field->numbers, docid, number);
}

bool index_get_date(const struct field *field, uint32_t docid, int64_t *ms)
{
	double value;
	if ((field->kinds & KIND_GEO) != 0 || !column_get(&field->dates, docid, &value))
		return false;
	*ms = (int64_t)value;
	return true;
}

bool index_get_place(const struct field *field, uint32_t docid, double *lon, double *lat)
{
	return (field->kinds & KIND_GEO) != 0 && column_get(&field->numbers, docid, lon) &&
	    column_get(&field->dates, docid, lat);
}

uint32_t index_get_tags(const struct field *field, uint32_t docid, uint32_t *ordinals, uint32_t cap)
{
	return tags_get(&field->tags, docid, ordinals, cap);
}

uint32_t index_tag_end(const struct field *field)
{
	return field->tags.term_count;
}

struct span index_tag_text(
    const struct index *index, const struct field *field, uint32_t ordinal, uint64_t *docs)
{
	const struct term *term = index_tag_term(index, field, ordinal);
	if (docs != NULL)
		*docs = term == NULL ? 0 : term_df(term);
	return term == NULL ? (struct span){0} : term_text(term);
}

void index_declare(struct index *index, struct span name, enum search_kind kind)
{
	uint32_t id;
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(!index_field_is_built_in(name));
	struct field *field = index_field_add(index, name, &id);
	if (field == NULL)
		return;
	field->kinds = kind == SEARCH_TEXT ? KIND_TEXT
	    : kind == SEARCH_TEXT_TAG     ? KIND_TEXT | KIND_TAG
	    : kind == SEARCH_TAG          ? KIND_TAG
	    : kind == SEARCH_NUMERIC      ? KIND_NUMERIC
	    : kind == SEARCH_DATE         ? KIND_DATE
	    : kind == SEARCH_GEO          ? KIND_GEO
	                                  : KIND_ATTRIBUTE;
	index_settle(index);
}

double geo_round(double degrees)
{
	return nearbyint(degrees * 1e7) / 1e7;
}

bool budget_is_spent(const struct search_budget *budget, uint64_t spent)
{
	ASSERT(spent > 0);
	if (budget->units > 0 && spent >= budget->units)
		return true;
	return budget->clock_us != NULL && budget->clock_us(budget->ctx) >= budget->deadline_us;
}

/* ---- Documents that are there --------------------------------------------------------- */

void index_remove(struct index *index, uint32_t docid)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	if (!docs_remove(&index->docs, docid))
		return;
	index->removed++;
	if (index->provider.remove != NULL)
		index->provider.remove(index->provider.ctx, docid);
	uint32_t window = docid >> WINDOW_SHIFT;
	if (docs_window(&index->docs, window) == NULL) {
		for (uint32_t id = 0; id < index->field_count; id++)
			field_seal(index->fields[id], window, true);
	}
	index_settle(index);
}

void *index_owner(const struct index *index, uint32_t docid)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	if (!docs_is_live(&index->docs, docid))
		return NULL;
	return window_owner(docs_window(&index->docs, docid >> WINDOW_SHIFT), docid % WINDOW_DOCS);
}

void index_set_owner(struct index *index, uint32_t docid, void *owner)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	if (docs_is_live(&index->docs, docid))
		window_set_owner(docs_window(&index->docs, docid >> WINDOW_SHIFT),
		    docid % WINDOW_DOCS, owner);
}

void index_get_stats(const struct index *index, struct index_stats *stats)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	*stats = (struct index_stats){
		.docs = index->docs.live_count,
		.docs_deleted = index->removed - index->removed_swept,
		.docids_used = index->docs.next,
		.removed = index->removed,
		.terms = index->dict.term_count,
		.postings = index->postings,
		.fields = index->field_count,
		.attributes_refused = index->attributes_refused,
		.bytes_postings = index->postings_memory.bytes,
		.bytes_dictionary = index->dictionary_memory.bytes,
		.bytes_documents = index->documents_memory.bytes,
		.bytes_columns = index->columns_memory.bytes,
		.bytes = index->settled,
		.sweeps = index->sweep.passes,
	};
}
