/* search/facet.c: counting the values of fields over all matches; see search.h. */
#include "search/run.h"
#include "search/simd.h"

enum { FACET_UNIT = 2048, FACET_CELLS_MIN = 64, DENSE_FACET = 32, DENSE_DOCS = 12 };

static enum err facet_bind(struct search *search, struct facet *facet, struct span name)
{
	uint32_t id = schema_find(name);
	uint8_t kinds = schema_kinds(name);
	if ((kinds & KIND_GEO) != 0 || kinds == KIND_TEXT)
		return ERR_INVALID;
	struct field *field = index_field(search->index, name, &id);
	facet->field = field;
	if (field == NULL)
		return OK;
	if (field->kinds == KIND_TEXT)
		return ERR_INVALID;
	if ((kinds & KIND_TAG) == 0) {
		facet->column = (kinds & KIND_DATE) != 0 ? &field->dates : &field->numbers;
		return OK;
	}
	facet->end = field->tags.term_count;
	search->facet_bytes += facet->end * sizeof(*facet->counts);
	if (search->facet_bytes > SEARCH_MEMORY_MAX)
		return ERR_OVERLOADED;
	if (facet->end > 0)
		facet->counts =
		    memory_zalloc(search->memory, facet->end * sizeof(*facet->counts));
	return OK;
}

enum err facets_init(struct search *search)
{
	size_t count = search->options.facet_count;
	if (count == 0)
		return OK;
	if (count > SEARCH_FACETS_MAX)
		return ERR_TOOLARGE;
	search->facets = memory_zalloc(search->memory, count * sizeof(*search->facets));
	search->facet_count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		enum err err =
		    facet_bind(search, &search->facets[i], search->options.facets[i]);
		if (err != OK)
			return err;
	}
	return OK;
}

void facets_free(struct search *search)
{
	for (uint32_t i = 0; i < search->facet_count; i++) {
		struct facet *facet = &search->facets[i];
		if (facet->column == NULL)
			memory_free(search->memory, facet->counts,
			    facet->field == NULL ? 0 : facet->end * sizeof(*facet->counts));
		else
			memory_free(search->memory, facet->cells,
			    facet->cell_count * sizeof(*facet->cells));
	}
	memory_free(search->memory, search->facets, search->facet_count * sizeof(*search->facets));
	search->facets = NULL;
	search->facet_count = 0;
}

/* ---- Numbers ---------------------------------------------------------------------------- */

static struct facet_cell *cell_find(const struct facet *facet, double number)
{
	uint64_t bits;
	memcpy(&bits, &number, sizeof(bits));
	bits *= 0x9e3779b97f4a7c15;
	uint32_t at = (uint32_t)(bits >> 32) & (facet->cell_count - 1);
	while (facet->cells[at].docs > 0 && facet->cells[at].number != number)
		at = (at + 1) & (facet->cell_count - 1);
	return &facet->cells[at];
}

static enum err cells_grow(struct search *search, struct facet *facet)
{
	struct facet old = *facet;
	if (facet->cell_used + 1 <= facet->cell_count / 4 * 3)
		return OK;
	uint32_t count = old.cell_count == 0 ? FACET_CELLS_MIN : old.cell_count * 2;
	search->facet_bytes += (count - old.cell_count) * sizeof(*facet->cells);
	if (search->facet_bytes > SEARCH_MEMORY_MAX)
		return ERR_OVERLOADED;
	facet->cells = memory_zalloc(search->memory, count * sizeof(*facet->cells));
	facet->cell_count = count;
	for (uint32_t i = 0; i < old.cell_count; i++)
		if (old.cells[i].docs > 0)
			*cell_find(facet, old.cells[i].number) = old.cells[i];
	memory_free(search->memory, old.cells, old.cell_count * sizeof(*old.cells));
	return OK;
}

static enum err number_add(struct search *search, struct facet *facet, uint32_t docid)
{
	double number;
	if (!column_get(facet->column, docid, &number))
		return OK;
	enum err err = cells_grow(search, facet);
	if (err != OK)
		return err;
	struct facet_cell *cell = cell_find(facet, number);
	facet->cell_used += cell->docs == 0;
	cell->number = number;
	cell->docs++;
	return OK;
}

/* Few tags, each of a large part of the documents: their bits are counted, not the documents. False:
 * that is not so, or not worth it. */
static bool dense_add_window(struct search *search, struct facet *facet)
{
	const struct postings *lists[DENSE_FACET];
	uint32_t matches = simd_count_both(search->matches, search->matches);
	if (facet->end > DENSE_FACET || matches < DENSE_DOCS * facet->end)
		return false;
	for (uint32_t i = 0; i < facet->end; i++) {
		const struct term *term = index_tag_term(search->index, facet->field, i);
		lists[i] = term == NULL ? NULL : &term->list;
		if (term != NULL && term->list.bits == NULL)
			return false;
	}
	for (uint32_t i = 0; i < facet->end; i++) {
		const uint64_t *bits =
		    lists[i] == NULL ? NULL : dense_window(lists[i], search->window);
		if (bits != NULL)
			facet->counts[i] += simd_count_both(search->matches, bits);
	}
	return true;
}

/* ---- Counting --------------------------------------------------------------------------- */

enum err facet_add_window(struct search *search, struct facet *facet)
{
	if (facet->field == NULL)
		return OK;
	if (facet->column == NULL && !search->lists) {
		if (facet->end > 0 && !dense_add_window(search, facet))
			tags_count(&facet->field->tags, search->window, search->matches,
			    facet->counts);
		return OK;
	}
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = search->matches[word]; bits != 0; bits &= bits - 1) {
			uint32_t docid =
			    search_docid(search, word * 64 + (uint32_t)__builtin_ctzll(bits));
			enum err err = OK;
			if (facet->column != NULL)
				err = number_add(search, facet, docid);
			else if (facet->end > 0)
				tags_count_one(&facet->field->tags, docid, facet->counts);
			if (err != OK)
				return err;
		}
	}
	return OK;
}

/* ---- The best ----------------------------------------------------------------------------- */

static bool value_is_better(const struct search_facet_value *a, const struct search_facet_value *b)
{
	if (a->docs != b->docs)
		return a->docs > b->docs;
	int order = span_compare(a->text, b->text);
	return order != 0 ? order < 0 : a->number < b->number;
}

static void value_offer(struct facet *facet, const struct search_facet_value *value)
{
	uint32_t at = facet->best_count;
	if (at == SEARCH_FACET_VALUES && !value_is_better(value, &facet->best[at - 1]))
		return;
	if (at < SEARCH_FACET_VALUES)
		facet->best_count++;
	else
		at--;
	for (; at > 0 && value_is_better(value, &facet->best[at - 1]); at--)
		facet->best[at] = facet->best[at - 1];
	facet->best[at] = *value;
}

/* Is a count too low to be looked at? */
static bool is_too_few(const struct facet *facet, uint64_t docs)
{
	return docs == 0 || (facet->best_count == SEARCH_FACET_VALUES &&
	    docs < facet->best[SEARCH_FACET_VALUES - 1].docs);
}

static void value_of_tag(struct search *search, struct facet *facet, uint32_t ordinal)
{
	struct search_facet_value value = {.docs = facet->counts[ordinal]};
	if (is_too_few(facet, value.docs))
		return;
	const struct term *term = index_tag_term(search->index, facet->field, ordinal);
	ASSERT(term != NULL);             /* ordinals in use are not given again */
	value.text = term_text(term);
	value_offer(facet, &value);
}

static void value_of_number(struct facet *facet, uint32_t at)
{
	const struct facet_cell *cell = &facet->cells[at];
	struct search_facet_value value = {.number = cell->number, .docs = cell->docs};
	if (!is_too_few(facet, value.docs))
		value_offer(facet, &value);
}

bool facet_choose(struct search *search, struct facet *facet)
{
	uint32_t end = facet->column != NULL ? facet->cell_count : facet->end;
	for (int i = 0; i < FACET_UNIT && facet->scanned < end; i++, facet->scanned++) {
		if (facet->column != NULL)
			value_of_number(facet, facet->scanned);
		else
			value_of_tag(search, facet, facet->scanned);
	}
	return facet->scanned == end;
}

size_t search_get_facet(
    struct search *search, size_t at, const struct search_facet_value **values)
{
	CHECK_OBJ(search, SEARCH_MAGIC);
	ASSERT(search->phase == PHASE_DONE);
	ASSERT(at < search->facet_count);
	*values = search->facets[at].best;
	return search->facets[at].best_count;
}
