/* search/bind.c: a query meets an index: terms are looked up and pinned, scores prepared,
 * children put in order of cost. See run.h. */
#include "search/run.h"

#include <math.h>

enum { GATHER_VISITS = 64, DRIVER_RARITY = 32 };

/* ---- Terms ------------------------------------------------------------------------------ */

void node_set_terms(
    struct search *search, struct node *node, struct term **terms, uint32_t count)
{
	if (count == 0)
		return;
	node->cursors = memory_alloc(search->memory, count * sizeof(*node->cursors));
	node->cursor_count = count;
	for (uint32_t i = 0; i < count; i++)
		cursor_init(&node->cursors[i], terms[i]);
}

static void node_weigh(struct search *search, struct node *node)
{
	const struct index *index = search->index;
	double docs = (double)index->docs.live_count;
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		double df = term_df(node->cursors[i].term);
		df = df < docs ? df : docs;
		double idf = log(1 + (docs - df + 0.5) / (df + 0.5));
		struct cursor *cursor = &node->cursors[i];
		cursor->weight = (float)(idf * (index->k1 + 1)) * node->weight;
		cursor->bound = best_bound(search, cursor->weight, &cursor->term->list.best);
		node->bound += cursor->bound;
	}
}

/* Where the words of a term, phrase or pattern stand. False: nowhere. */
static bool bind_space(struct search *search, const struct query *query,
    const struct query_node *from, struct node *node)
{
	uint32_t id;
	node->space = SPACE_WORDS;
	if (from->field.len == 0)
		return true;
	if (index_field(search->index, query_span(query, from->field), &id) == NULL)
		return false;
	node->space = (uint16_t)(SPACE_TEXT | id);
	return true;
}

/* All words of a term or phrase; none if one of them is nowhere. */
static void bind_words(struct search *search, const struct query *query,
    const struct query_node *from, struct node *node)
{
	if (!bind_space(search, query, from, node))
		return;
	struct memory *memory = search->memory;
	struct term **terms = memory_alloc(memory, from->item_count * sizeof(struct term *));
	uint32_t count = 0;
	node->cost = UINT64_MAX;
	for (; count < from->item_count; count++) {
		const struct query_item *item = &query->items[from->first_item + count];
		terms[count] =
		    dict_find(&search->index->dict, node->space, query_span(query, item->text));
		if (terms[count] == NULL)
			break;
		if (terms[count]->list.count < node->cost)
			node->cost = terms[count]->list.count;
	}
	if (count == from->item_count)
		node_set_terms(search, node, terms, count);
	else
		node->cost = 0;
	memory_free(memory, terms, from->item_count * sizeof(struct term *));
	if (node->kind == QUERY_PHRASE)
		node->cost *= 2;
	node_weigh(search, node);
}

/* Terms of all items; false if they are more than RUN_CURSORS_MAX or far apart. */
static bool union_gather(struct search *search, const struct query *query,
    const struct node *node, struct term **terms, uint32_t *count)
{
	uint32_t visits = GATHER_VISITS;
	*count = 0;
	for (uint32_t i = 0; i < node->item_count; i++) {
		struct expand expand = expand_of(query, node, i);
		for (;;) {
			struct term *term;
			enum expand_state state =
			    expand_next(&expand, &search->index->dict, &visits, &term);
			if (state == EXPAND_END)
				break;
			if (state == EXPAND_PAUSED || *count == RUN_CURSORS_MAX)
				return false;
			terms[(*count)++] = term;
		}
	}
	return true;
}

static void texts_copy(struct search *search, const struct query *query)
{
	if (search->texts != NULL)
		return;
	search->texts = query_new(search->memory);
	struct query *texts = search->texts;
	texts->items = memory_alloc(search->memory, query->item_count * sizeof(*texts->items));
	texts->item_count = texts->item_cap = query->item_count;
	memcpy(texts->items, query->items, query->item_count * sizeof(*texts->items));
	(void)query_add_text(texts, span_of(query->bytes, query->byte_count));
}

static void bind_union(struct search *search, const struct query *query, struct node *node)
{
	struct term *terms[RUN_CURSORS_MAX];
	uint32_t count;
	if (union_gather(search, query, node, terms, &count)) {
		for (uint32_t i = 0; i < count; i++)
			node->cost += terms[i]->list.count;
		node_set_terms(search, node, terms, count);
		return;
	}
	texts_copy(search, query);
	node->wide = wide_new(search, node);
	search->has_wide = true;
	node->cost = search->index->docs.live_count / 2;
	search->phase = PHASE_EXPAND;
}

/* ---- Nodes ------------------------------------------------------------------------------ */

/* An attribute that was declared to be something else has no such values. */
static bool field_answers(const struct field *field, enum query_kind kind)
{
	if (kind == QUERY_GEO)
		return (field->kinds & KIND_GEO) != 0;
	return kind != QUERY_RANGE || (field->kinds & (KIND_NUMERIC | KIND_DATE)) != 0;
}

static void bind_field(struct search *search, const struct query *query,
    const struct query_node *from, struct node *node)
{
	uint32_t id;
	node->field = index_field(search->index, query_span(query, from->field), &id);
	if (node->field != NULL && !field_answers(node->field, node->kind))
		node->field = NULL;
	if (node->field == NULL)
		return;
	node->space = (uint16_t)(id + 1);
	node->cost = search->index->docs.live_count;
	if (node->kind == QUERY_MISSING && node->field->present != NULL)
		node_set_terms(search, node, &node->field->present, 1);
}

static enum err bind_outside(struct search *search, const struct query *query,
    const struct query_node *from, struct node *node)
{
	const struct search_provider *provider = &search->index->provider;
	struct search_leaf leaf = {.kind = from->leaf, .distance = from->distance,
	    .name_count = from->item_count};
	if (provider->open == NULL)
		return ERR_UNSUPPORTED;
	ASSERT(from->item_count <= SEARCH_NAMES_MAX);
	memcpy(leaf.hash, from->hash, sizeof(leaf.hash));
	for (uint32_t i = 0; i < from->item_count; i++)
		leaf.names[i] = query_span(query, query->items[from->first_item + i].text);
	enum err err = provider->open(provider->ctx, &leaf, &node->outside, &node->cost);
	if (err != OK)
		node->outside = NULL;
	search->phase = PHASE_EXPAND;
	return err;
}

static enum err bind_leaf(struct search *search, const struct query *query,
    const struct query_node *from, struct node *node)
{
	*node = (struct node){.kind = from->kind, .mask = (uint8_t)from->mask, .depth = 1,
	    .has_numbers = from->has_numbers, .has_dates = from->has_dates,
	    .first_item = from->first_item, .item_count = from->item_count,
	    .low = from->low, .high = from->high,
	    .date_low = from->date_low, .date_high = from->date_high,
	    .lon = from->lon, .lat = from->lat, .radius_m = from->radius_m,
	    .weight = (float)from->weight, .slop = from->slop, .any_order = from->any_order};
	switch (from->kind) {
	case QUERY_TERM: case QUERY_PHRASE:
		bind_words(search, query, from, node);
		break;
	case QUERY_PREFIX:
		node->bound = score_round(node->weight);
		if (bind_space(search, query, from, node))
			bind_union(search, query, node);
		break;
	case QUERY_TAG:
		bind_field(search, query, from, node);
		node->cost = 0;
		if (node->field != NULL)
			bind_union(search, query, node);
		break;
	case QUERY_RANGE: case QUERY_GEO: case QUERY_MISSING:
		bind_field(search, query, from, node);
		break;
	case QUERY_OUTSIDE:
		return bind_outside(search, query, from, node);
	default:
		node->cost = search->index->docs.live_count;
		break;
	}
	return OK;
}

/* a is asked before b: the cheaper one under AND, under OR what may score higher. */
static bool child_is_before(enum query_kind kind, const struct node *a, const struct node *b)
{
	return kind == QUERY_AND ? a->cost < b->cost : kind == QUERY_OR && a->bound > b->bound;
}

/* Sums up what children can add, the node's and from each child on. */
static void bind_bounds(struct search *search, struct node *node)
{
	float sum = 0;
	for (uint32_t i = node->child_count; i-- > 0;) {
		struct node *child = &search->nodes[search->order[node->first_child + i]];
		sum += child->bound;
		child->rest = sum;
	}
	node->bound = node->kind == QUERY_NOT ? 0 : sum;
}

/* Children into search->order, and what follows from them. */
static void bind_children(struct search *search, const struct query *query,
    const struct query_node *from, struct node *node)
{
	node->first_child = search->order_count;
	node->child_count = from->child_count;
	uint64_t least = UINT64_MAX, sum = 0;
	for (uint32_t child = from->first_child; child != QUERY_NIL;
	     child = query->nodes[child].next) {
		uint64_t cost = search->nodes[child].cost;
		uint32_t at = search->order_count++;
		for (; at > node->first_child && child_is_before(node->kind, &search->nodes[child],
		    &search->nodes[search->order[at - 1]]); at--)
			search->order[at] = search->order[at - 1];
		search->order[at] = child;
		least = cost < least ? cost : least;
		sum += cost;
		if (search->nodes[child].depth >= node->depth)
			node->depth = search->nodes[child].depth + 1;
	}
	ASSERT(search->order_count - node->first_child == node->child_count);
	bind_bounds(search, node);
	if (node->kind == QUERY_AND)
		node->cost = least;
	else if (node->kind == QUERY_OR)
		node->cost = sum;
	else if (node->kind == QUERY_NOT)
		node->cost = search->index->docs.live_count + sum;
	else
		node->cost = 2 * search->index->docs.live_count + sum;
}

/* From the root down (parents stand behind their children in the array): which nodes may
 * score, which choose windows, which AND needs its guard. Then up: which do score. */
static void bind_roles(struct search *search)
{
	struct node *root = &search->nodes[search->root];
	root->scores = search->scoring;
	root->drives = root->must = true;
	for (uint32_t i = search->node_count; i-- > 0;) {
		const struct node *node = &search->nodes[i];
		bool either = node->kind == QUERY_OR || node->kind == QUERY_OPTIONAL;
		for (uint32_t j = 0; j < node->child_count; j++) {
			struct node *child = &search->nodes[search->order[node->first_child + j]];
			child->scores = node->scores && node->kind != QUERY_NOT;
			child->drives = node->drives && node->kind != QUERY_NOT &&
			    node->kind != QUERY_OPTIONAL;
			child->guarded = either && child->kind == QUERY_AND;
			child->must = node->must && node->kind == QUERY_AND;
			child->in_order = node->must &&
			    (node->kind == QUERY_AND || node->kind == QUERY_OR);
			child->after = node->after + child->rest - child->bound;
		}
	}
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct node *node = &search->nodes[i];
		bool any = node->kind == QUERY_TERM || node->kind == QUERY_PHRASE ||
		    node->kind == QUERY_PREFIX;
		for (uint32_t j = 0; j < node->child_count; j++)
			any = any || search->nodes[search->order[node->first_child + j]].scores;
		node->scores = node->scores && any;
		search->scorers += node->scores && node->child_count == 0;
	}
	search->scoring = root->scores;
	search->slack = root->bound < SCORE_EXACT ? 1 : 1.0001f;
	for (uint32_t i = 0; i < search->node_count && !search->scoring; i++)
		search->nodes[i].bound = search->nodes[i].rest = 0;
}

static void bind_norms(struct search *search)
{
	const struct index *index = search->index;
	uint64_t docs = index->docs.live_count > 0 ? index->docs.live_count : 1;
	double mean = (double)index->docs.words / (double)docs;
	if (mean <= 0)
		mean = 1;
	search->norm_base = (float)(index->k1 * (1 - index->b));
	search->norm_slope = (float)(index->k1 * index->b / mean);
	search->inverse_tf = index->inverse_tf;
}

/* So many documents have the word at least: less than the list says by those that went since. */
static uint64_t least_of(const struct index *index, const struct node *node)
{
	bool single = (node->kind == QUERY_TERM && node->mask == FIELD_ANY) || node->kind == QUERY_TAG;
	if (!single || node->wide != NULL || node->cursor_count != 1)
		return 0;
	const struct postings *list = &node->cursors[0].term->list;
	uint64_t gone = index->removed - index->removed_swept + list->dead;
	return list->count > gone ? list->count - gone : 0;
}

/* One word of an OR may have so many documents that COUNT FAST need not count. */
static void bind_least(struct search *search)
{
	const struct node *root = &search->nodes[search->root];
	uint64_t least = 0;
	for (uint32_t i = 0; root->kind == QUERY_OR && i < root->child_count; i++) {
		uint64_t of = least_of(
		    search->index, &search->nodes[search->order[root->first_child + i]]);
		least = of > least ? of : least;
	}
	if (root->child_count == 0)
		least = least_of(search->index, root);
	if (least < SEARCH_COUNT_FAST || search->options.count != SEARCH_FAST || search->shows_all)
		return;
	search->total = least;
	search->total_is_known = search->total_is_least = true;
}

/* A total that needs no counting. */
static void bind_total(struct search *search)
{
	const struct index *index = search->index;
	const struct node *root = &search->nodes[search->root];
	bool clean = index->removed == index->removed_swept;
	if (search->options.accept != NULL)
		return;
	if (root->kind == QUERY_ALL) {
		search->total = index->docs.live_count;
		search->total_is_known = true;
		return;
	}
	bool single = (root->kind == QUERY_TERM && root->mask == FIELD_ANY) ||
	    (root->kind == QUERY_TAG && root->wide == NULL);
	if (!single || root->cursor_count > 1 || !clean ||
	    (root->cursor_count == 1 && root->cursors[0].term->list.dead > 0)) {
		bind_least(search);
		return;
	}
	search->total = root->cursor_count == 0 ? 0 : root->cursors[0].term->list.count;
	search->total_is_known = true;
}

/* Nanoseconds, roughly, on the machines of today: asking about every candidate on its own,
 * against decoding all lists window by window. Candidates that need not all be counted are
 * partly dropped by their scores before. */
static bool list_is_cheaper(const struct search *search, uint64_t candidates, bool prunes)
{
	enum { PROBE = 20, PROBE_BIT = 2, CHECK = 15, POSTING_16 = 24, WINDOW = 400, COLUMN = 700 };
	uint64_t list = 0, windows = docs_window_count(&search->index->docs), all = 0;
	uint64_t each = WINDOW;
	for (uint32_t i = 0; i < search->node_count; i++) {
		const struct node *node = &search->nodes[i];
		bool words = node->kind == QUERY_TERM || node->kind == QUERY_PHRASE;
		each += node->child_count > 0 || words ? WINDOW / 4 : COLUMN;
		list += words ? 0 : node->child_count > 0 ? 2 : CHECK;
		for (uint32_t j = 0; j < node->cursor_count; j++) {
			all += node->cursors[j].term->list.count;
			if (words && &node->cursors[j] != search->driver)
				list += node->cursors[j].term->list.bits != NULL ? PROBE_BIT : PROBE;
		}
	}
	list = prunes ? candidates * list / 2 : candidates * list;
	return list < all * POSTING_16 / 16 + windows * each;
}

/* In windows, words that all must be there are sought first, and scored where they all are. */
static void bind_guard(struct search *search)
{
	struct node *root = &search->nodes[search->root];
	uint32_t scoring = 0;
	for (uint32_t i = 0; i < root->child_count; i++)
		scoring += search->nodes[search->order[root->first_child + i]].scores;
	root->guarded = root->kind == QUERY_AND && scoring > 1;
}

/* The rarest term that every result has, if it is rare enough to walk its postings. */
static void bind_driver(struct search *search)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct node *node = &search->nodes[i];
		bool list = node->kind == QUERY_TERM || node->kind == QUERY_PHRASE ||
		    (node->kind == QUERY_TAG && node->cursor_count == 1);
		for (uint32_t j = 0; j < node->cursor_count && node->must && list; j++) {
			uint64_t count = node->cursors[j].term->list.count;
			if (count >= least)
				continue;
			least = count;
			search->driver = &node->cursors[j];
			search->driver_node = node;
		}
	}
	/* Bitmaps count and sort what is frequent faster than lists do. */
	bool prunes = search->scoring && !search->shows_all && search->top.sort == SORT_SCORE &&
	    (search->total_is_known || search->options.count != SEARCH_EXACT);
	bool alone = search->node_count == 1 && search->nodes[0].cursor_count == 1;
	search->lists = search->driver != NULL &&
	    (alone ? prunes || least * DRIVER_RARITY <= search->index->docs.live_count
	           : search->driver->term->list.bits == NULL && list_is_cheaper(search, least, prunes));
	search->driver_run = CURSOR_NO_RUN;
	for (uint32_t i = 0; i < search->node_count && search->lists; i++) {
		const struct node *node = &search->nodes[i];
		if (node->kind == QUERY_TERM && node->cursors == search->driver)
			search->driver_scores = node->scores && node->mask == FIELD_ANY;
	}
	if (search->lists)
		search->words = PACK_COUNT / 64;
	else
		bind_guard(search);
}

enum err search_bind(struct search *search, const struct query *query)
{
	CHECK_OBJ(query, QUERY_MAGIC);
	ASSERT(query->root == query->node_count - 1);
	search->node_count = query->node_count;
	search->root = query->root;
	search->nodes = memory_zalloc(search->memory, query->node_count * sizeof(*search->nodes));
	search->order = memory_zalloc(search->memory, query->node_count * sizeof(*search->order));
	bind_norms(search);
	for (uint32_t i = 0; i < query->node_count; i++) {
		enum err err = bind_leaf(search, query, &query->nodes[i], &search->nodes[i]);
		if (err != OK)
			return err;
		if (query->nodes[i].child_count > 0)
			bind_children(search, query, &query->nodes[i], &search->nodes[i]);
	}
	search->frame_cap = search_root(search)->depth;
	search->frames = memory_alloc(search->memory, search->frame_cap * sizeof(*search->frames));
	bind_roles(search);
	bounds_copy(search);
	bind_total(search);
	bind_driver(search);
	if (search_can_prime(search)) {
		search->phase_next = search->phase;
		search->phase = PHASE_PRIME;
	}
	return OK;
}

/* ---- Sorting ------------------------------------------------------------------------------ */

static void hold_ordinals(struct search *search)
{
	search->index->ordinal_users += !search->holds_ordinals;
	search->holds_ordinals = true;
}

enum err search_bind_sort(struct search *search)
{
	struct span name = search->options.sort_field;
	struct top *top = &search->top;
	uint8_t kinds = schema_kinds(name);
	uint32_t id = schema_find(name);
	if (name.len == 0) {
		top->sort = SORT_SCORE;
		return OK;
	}
	if ((kinds & KIND_GEO) != 0 || (kinds == KIND_TEXT && id != FIELD_ID_TITLE))
		return ERR_INVALID;
	top->descending = search->options.sort_descending;
	top->sort = SORT_NUMBER;
	struct field *field = search->sort_field = index_field(search->index, name, &id);
	if (field == NULL)
		return OK;                /* every document lacks it: newest first */
	if (field->kinds == KIND_TEXT && id != FIELD_ID_TITLE)
		return ERR_INVALID;
	if (id == FIELD_ID_TITLE) {
		top->sort = SORT_TITLE;
		top->memory = search->memory;
	} else if ((kinds & KIND_NUMERIC) != 0 &&
	    (kinds == KIND_NUMERIC || field->numbers.count > 0)) {
		search->sort_column = &field->numbers;
	} else if ((kinds & KIND_DATE) != 0 && (kinds == KIND_DATE || field->dates.count > 0)) {
		search->sort_column = &field->dates;
	} else {
		top->sort = SORT_TAG;
		hold_ordinals(search);
	}
	return OK;
}
