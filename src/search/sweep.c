/* search/sweep.c: reclaiming what removed documents left in the postings, in slices.
 *
 * A pass walks all terms by id. Within a list it goes run by run (postings_sweep), so that
 * no call is longer than its budget however long the list. At the end of a term its dead
 * are counted afresh, which corrects df; an empty term that nobody pins is dropped.
 */
#include "search/index.h"

enum { SWEEP_RUNS = 4, SWEEP_TERMS = 16 };

bool index_sweep_is_due(const struct index *index)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	uint64_t dead = index->removed - index->removed_swept;
	if (index->is_dumped)
		return false;
	return index->sweep.active || (dead > 0 && dead * 8 >= index->docs.live_count + dead);
}

/* Drops an empty term, unless somebody holds it or, of a tag, ordinals. */
static void sweep_drop(struct index *index, struct term *term)
{
	if (term->list.count > 0 || term->pins > 0)
		return;
	if (term->ordinal != ORDINAL_NONE) {
		uint32_t id = term_space(term) - 1u;
		ASSERT(id < index->field_count);
		if (index->ordinal_users > 0)
			return;
		tags_drop_term(&index->fields[id]->tags, term->ordinal);
	}
	dict_drop(&index->dict, term);
}

/* A few runs of one term. */
static void sweep_term(struct index *index, struct term *term)
{
	struct index_sweep *sweep = &index->sweep;
	uint32_t before = term->list.count;
	bool more = postings_sweep(&term->list, &index->postings_memory, &index->docs, SWEEP_RUNS,
	    &sweep->run, &sweep->dead);
	ASSERT(term->list.count <= before);
	index->postings -= before - term->list.count;
	if (more) {
		/* Blocks that are gone already must not be taken off twice. */
		if (term->list.dead > term->list.count)
			term->list.dead = term->list.count;
		return;
	}
	term->list.dead = sweep->dead < term->list.count ? sweep->dead : term->list.count;
	sweep_drop(index, term);
	sweep->term++;
	sweep->run = sweep->dead = 0;
}

/* One unit: some runs of a long list, or several short lists. */
static void sweep_unit(struct index *index)
{
	for (int i = 0; i < SWEEP_TERMS && index->sweep.term < index->dict.id_end; i++) {
		struct term *term = dict_term(&index->dict, index->sweep.term);
		if (term == NULL) {
			index->sweep.term++;
			continue;
		}
		bool is_long = term->list.block_count > 0;
		sweep_term(index, term);
		if (is_long)
			return;
	}
}

enum err index_sweep(struct index *index, const struct search_budget *budget)
{
	CHECK_OBJ(index, INDEX_MAGIC);
	ASSERT(budget != NULL);
	struct index_sweep *sweep = &index->sweep;
	if (index->is_dumped)
		return OK;
	if (!sweep->active) {
		*sweep = (struct index_sweep){.active = true, .passes = sweep->passes,
		    .removed_before = index->removed};
	}
	for (uint64_t spent = 0; sweep->term < index->dict.id_end;) {
		sweep_unit(index);
		if (budget_is_spent(budget, ++spent) && sweep->term < index->dict.id_end) {
			index_settle(index);
			return ERR_AGAIN;
		}
	}
	sweep->active = false;
	sweep->passes++;
	index->removed_swept = sweep->removed_before;
	index_settle(index);
	return OK;
}
