/* search/search.c: a search from start to end, in slices; see search.h and run.h. */
#include "search/titles.h"

enum { LIST_UNITS = 4, UNIT_US_MAX = 150 };

static void search_release(struct search *search)
{
	if (search->nodes != NULL)
		profile_close(search);
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct node *node = &search->nodes[i];
		for (uint32_t j = 0; j < node->cursor_count; j++)
			cursor_fini(&node->cursors[j]);
		if (node->cursors != NULL)
			memory_free(search->memory, node->cursors,
			    node->cursor_count * sizeof(*node->cursors));
		if (node->wide != NULL)
			wide_free(search, node->wide);
		if (node->outside != NULL)
			search->index->provider.close(node->outside);
	}
	memory_free(search->memory, search->nodes, search->node_count * sizeof(*search->nodes));
	memory_free(search->memory, search->order, search->node_count * sizeof(*search->order));
	memory_free(search->memory, search->frames, search->frame_cap * sizeof(*search->frames));
	query_free(search->texts);
	search->nodes = NULL;
	search->order = NULL;
	search->frames = NULL;
	search->texts = NULL;
	search->node_count = search->frame_cap = search->frame_count = 0;
}

void search_free(struct search *search)
{
	CHECK_OBJ(search, SEARCH_MAGIC);
	search_release(search);
	facets_free(search);
	titles_end(search);
	search->index->ordinal_users -= search->holds_ordinals;
	if (search->hits != NULL)
		memory_free(
		    search->memory, search->hits, search->options.limit * sizeof(*search->hits));
	top_fini(&search->top, search->memory);
	memory_free(search->memory, search->profile.iterators,
	    search->profile.cap * sizeof(*search->profile.iterators));
	buf_fini(&search->text);
	ASSERT(search->index->searches > 0);
	search->index->searches--;
	DROP_OBJ(search, SEARCH_MAGIC);
	memory_free(search->memory, search, sizeof(*search));
}

static void search_init(struct search *search, struct index *index,
    const struct search_options *options)
{
	/* Scores and tables are large: only what must be zero is cleared. */
	memset(search, 0, offsetof(struct search, matches));
	memset(search->touched, 0, sizeof(search->touched));
	memset(search->matches, 0, sizeof(search->matches));
	search->magic = SEARCH_MAGIC;
	search->index = index;
	search->memory = index->memory;
	search->options = *options;
	buf_init(&search->text, search->memory);
	search->phase = PHASE_WINDOW;
	search->limit = index->docs.next;
	search->below = search->limit;
	search->window = docs_window_count(&index->docs);
	search->words = WINDOW_WORDS;
	bool ranks = options->sort_field.len == 0 && options->offset + options->limit > 0;
	search->scoring = ranks || options->with_scores || options->visit != NULL;
	search->removed = index->removed;
	search->shows_all = options->visit != NULL || options->facet_count > 0;
	search->holds_ordinals = search->shows_all;
	index->ordinal_users += search->holds_ordinals;
	index->searches++;
}

enum err search_start(struct search **out, struct index *index, const struct query *query,
    const struct search_options *options)
{
	uint64_t wanted = options->offset + options->limit;
	CHECK_OBJ(index, INDEX_MAGIC);
	CHECK_OBJ(query, QUERY_MAGIC);
	*out = NULL;
	if (options->offset > SEARCH_OFFSET_MAX || options->limit > SEARCH_LIMIT_MAX)
		return ERR_TOOLARGE;
	struct search *search = memory_alloc(index->memory, sizeof(*search));
	search_init(search, index, options);
	enum err err = search_bind_sort(search);
	if (err == OK)
		err = facets_init(search);
	if (err != OK) {
		search_free(search);
		return err;
	}
	search->options.sort_field = (struct span){0};   /* the caller's bytes; not needed again */
	search->options.facets = NULL;
	/* There are no more results than documents. */
	if (wanted > index->docs.live_count)
		wanted = index->docs.live_count > 0 ? index->docs.live_count : 1;
	search->top.cap = options->limit == 0 ? 0 : (uint32_t)wanted;
	if (search->top.cap > 0)
		search->top.entries = memory_alloc(search->memory,
		    search->top.cap * sizeof(*search->top.entries));
	err = search_bind(search, query);
	if (err != OK) {
		search_free(search);
		return err;
	}
	if (search->scoring)
		memset(search->scores, 0, (search->lists ? PACK_COUNT : WINDOW_DOCS) *
		    sizeof(*search->scores));
	if (options->iterators)
		profile_init(search);
	*out = search;
	return OK;
}

static enum err step_outside(
    struct search *search, struct node *node, const struct search_budget *budget)
{
	struct node_work from = profile_begin(search);
	enum err err = search->index->provider.step(node->outside, budget);
	profile_end(search, node, &from);
	node->outside_ready = err == OK;
	return err == ERR_AGAIN ? OK : err;
}

static enum err step_expand(struct search *search, const struct search_budget *budget)
{
	while (search->expanding < search->node_count) {
		struct node *node = &search->nodes[search->expanding];
		bool done = true;
		struct node_work from = profile_begin(search);
		if (node->wide != NULL) {
			enum err err = wide_step(search, node, &done);
			profile_end(search, node, &from);
			if (err != OK || !done)
				return err;
		}
		if (node->outside != NULL && !node->outside_ready)
			return step_outside(search, node, budget);
		search->expanding++;
	}
	search->phase = PHASE_WINDOW;
	return OK;
}

static void step_window(struct search *search)
{
	struct node_work from = profile_begin(search);
	enum window_state state = search->lists ? list_next(search) : window_next(search);
	profile_end(search, search->lists ? search->driver_node : search_root(search), &from);
	switch (state) {
	case WINDOW_FOUND:
		search->phase = PHASE_MATCH;
		break;
	case WINDOW_PASSED:
		break;
	case WINDOW_LACKS:
		wide_want(search, search->low >> WINDOW_SHIFT);
		break;
	case WINDOW_END:
		search_release(search);
		search->phase = PHASE_SORT;
		break;
	}
}

/* The matches of a window are known: who is to see them before they are collected? */
static enum search_phase phase_after_match(struct search *search)
{
	matches_check(search);            /* some may have gone since the window began */
	list_score_late(search);
	search->shown = search->words * 64;
	search->facet_at = 0;
	return search->options.accept != NULL ? PHASE_ACCEPT : PHASE_SHOW;
}

/* One facet, or some documents for the visitor. */
static enum err step_show(struct search *search)
{
	if (search->facet_at < search->facet_count)
		return facet_add_window(search, &search->facets[search->facet_at++]);
	if (search->options.visit == NULL || window_visit(search))
		search->phase = PHASE_COLLECT;
	return OK;
}

static void step_facets(struct search *search)
{
	while (search->facet_at < search->facet_count) {
		if (!facet_choose(search, &search->facets[search->facet_at]))
			return;
		search->facet_at++;
	}
	search->phase = PHASE_DONE;
}

/* One unit. */
static enum err search_unit(struct search *search, const struct search_budget *budget)
{
	switch (search->phase) {
	case PHASE_PRIME:
		if (!search_prime(search))
			search->phase = search->phase_next;
		break;
	case PHASE_EXPAND:
		return step_expand(search, budget);
	case PHASE_ACCEPT:
		if (!window_accept(search))
			break;
		search->shown = search->words * 64;
		search->phase = PHASE_SHOW;
		break;
	case PHASE_SHOW:
		return step_show(search);
	case PHASE_WINDOW:
		step_window(search);
		break;
	case PHASE_MATCH:
		if (window_match(search))
			search->phase = phase_after_match(search);
		break;
	case PHASE_COLLECT:
		if (window_collect(search))
			search->phase = PHASE_WINDOW;
		return search->top.text_bytes > SEARCH_MEMORY_MAX ? ERR_OVERLOADED : OK;
	case PHASE_SORT:
		if (!top_sort(&search->top))
			break;
		search->facet_at = 0;
		search->phase = PHASE_FACETS;
		break;
	case PHASE_FACETS:
		step_facets(search);
		break;
	case PHASE_DONE:
		break;
	}
	return OK;
}

/* Would another piece of work like those before end behind the deadline? How long one takes
 * depends on the query, so it is measured; what took longer than any is meant to was somebody
 * else's turn at the processor. */
static bool slice_is_over(
    struct search *search, const struct search_budget *budget, uint64_t spent, uint64_t *last_us)
{
	if (budget->clock_us == NULL || (budget->units > 0 && spent >= budget->units))
		return budget_is_spent(budget, spent);
	uint64_t now_us = budget->clock_us(budget->ctx), took_us = now_us - *last_us;
	if (took_us > UNIT_US_MAX)
		took_us = UNIT_US_MAX;
	uint64_t faded_us = search->unit_us - search->unit_us / 8;
	search->unit_us = took_us > faded_us ? took_us : faded_us;
	*last_us = now_us;
	return now_us + search->unit_us > budget->deadline_us;
}

enum err search_step(struct search *search, const struct search_budget *budget)
{
	CHECK_OBJ(search, SEARCH_MAGIC);
	ASSERT(budget != NULL);
	search->budget = budget;
	titles_begin(search);
	if (search->phase >= PHASE_MATCH && search->phase <= PHASE_COLLECT) {
		if (!search->lists &&
		    docs_window(&search->index->docs, search->window) == NULL) {
			window_abandon(search);
			search->phase = PHASE_WINDOW;
		} else if (search->phase != PHASE_MATCH) {
			matches_check(search);
		}
	}
	uint64_t last_us = budget->clock_us == NULL ? 0 : budget->clock_us(budget->ctx);
	for (uint64_t spent = 1; search->phase != PHASE_DONE; spent++) {
		enum err err = search_unit(search, budget);
		search->units++;
		if (err != OK) {
			search_release(search);
			top_fini(&search->top, search->memory);
			search->top.count = 0;
			search->phase = PHASE_DONE;
			return err;
		}
		/* Units of lists are short: the clock is not asked after each. */
		if (search->lists && spent % LIST_UNITS != 0 && budget->units == 0)
			continue;
		if (search->phase != PHASE_DONE && slice_is_over(search, budget, spent, &last_us))
			return ERR_AGAIN;
	}
	return OK;
}

void search_get_profile(const struct search *search, struct search_profile *profile)
{
	CHECK_OBJ(search, SEARCH_MAGIC);
	*profile = (struct search_profile){search->units, search->blocks_read,
	    search->blocks_skipped, search->windows};
}

void search_get_results(struct search *search, struct search_results *results)
{
	CHECK_OBJ(search, SEARCH_MAGIC);
	ASSERT(search->phase == PHASE_DONE);
	const struct top *top = &search->top;
	if (search->hits == NULL && search->options.limit > 0)
		search->hits = memory_alloc(search->memory,
		    search->options.limit * sizeof(*search->hits));
	size_t count = 0;
	for (uint64_t i = search->options.offset; i < top->count; i++) {
		const struct entry *entry = &top->entries[i];
		if (!docs_is_live(&search->index->docs, entry->docid))
			continue;
		ASSERT(count < search->options.limit);
		search->hits[count++] = (struct search_hit){entry->docid, entry->score,
		    index_owner(search->index, entry->docid)};
	}
	bool counts = search->options.count != SEARCH_NONE;
	*results = (struct search_results){
		.total = counts ? search->total : 0,
		.total_is_exact = counts && !search->total_is_least &&
		    (search->total_is_known || !search->skipped),
		.hits = search->hits,
		.count = count,
	};
}
