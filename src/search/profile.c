/* search/profile.c: what each part of a query did, for search_get_iterators.
 *
 * While a search runs its counts stand by node. When it ends, and its nodes go, they become a
 * list in the order of the plan: a parent, then its children as they were asked. Times are
 * those of leaves; a parent has those of what is below it. */
#include "search/plan.h"

void profile_init(struct search *search)
{
	ASSERT(search->profile.nodes == NULL && search->node_count > 0);
	search->profile.nodes = memory_zalloc(
	    search->memory, search->node_count * sizeof(*search->profile.nodes));
}

static uint64_t profile_clock(const struct search *search)
{
	const struct search_budget *budget = search->budget;
	if (search->profile.nodes == NULL || budget == NULL || budget->clock_us == NULL)
		return 0;
	return budget->clock_us(budget->ctx);
}

struct node_work profile_begin(const struct search *search)
{
	return (struct node_work){.us = profile_clock(search), .blocks_read = search->blocks_read,
	    .blocks_skipped = search->blocks_skipped};
}

void profile_end(struct search *search, const struct node *node, const struct node_work *from)
{
	if (search->profile.nodes == NULL)
		return;
	struct node_work *work = &search->profile.nodes[node - search->nodes];
	work->us += profile_clock(search) - from->us;
	work->blocks_read += search->blocks_read - from->blocks_read;
	work->blocks_skipped += search->blocks_skipped - from->blocks_skipped;
}

void profile_count(struct search *search, const struct node *node, const uint64_t *mask)
{
	if (search->profile.nodes == NULL || search->known)
		return;
	for (uint32_t word = 0; word < search->words; word++)
		search->profile.nodes[node - search->nodes].matches +=
		    (uint32_t)__builtin_popcountll(mask[word]);
}

/* ---- The list ---------------------------------------------------------------------------- */

static const char *iterator_type(const struct node *node)
{
	static const char *const types[] = {"WILDCARD", "TEXT", "PHRASE", "PATTERN", "TAG", "NUMERIC",
	    "GEO", "MISSING", "OUTSIDE", "INTERSECT", "UNION", "NOT", "OPTIONAL"};
	_Static_assert(ARRAY_COUNT(types) == QUERY_OPTIONAL + 1, "one name a kind");
	bool words = node->kind == QUERY_TERM || node->kind == QUERY_PHRASE ||
	    node->kind == QUERY_PREFIX || node->kind == QUERY_TAG;
	bool nothing = words && node->cursor_count == 0 && node->wide == NULL;
	return nothing ? "EMPTY" : types[node->kind];
}

static void iterator_text(const struct node *node, struct buf *out)
{
	for (uint32_t i = 0; i < node->cursor_count && node->kind != QUERY_MISSING; i++) {
		if (i > 0)
			buf_append_text(out, node->kind == QUERY_PHRASE ? " " : "|");
		buf_append(out, term_text(node->cursors[i].term));
	}
	if (node->kind == QUERY_RANGE && node->has_numbers)
		buf_printf(out, "%g - %g", node->low, node->high);
	else if (node->kind == QUERY_RANGE)
		buf_printf(out, "%.0f - %.0f", node->date_low, node->date_high);
	else if (node->kind == QUERY_GEO)
		buf_printf(out, "%g,%g - %g m", node->lon, node->lat, node->radius_m);
}

static void iterator_put(struct search *search, const struct node *node, uint32_t depth)
{
	const struct node_work *work = &search->profile.nodes[node - search->nodes];
	size_t from = search->text.len;
	iterator_text(node, &search->text);
	search->profile.iterators[search->profile.count++] = (struct search_iterator){
		.type = iterator_type(node), .text = {.len = search->text.len - from},
		.depth = depth, .children = node->child_count, .documents = node->cost,
		.us = work->us, .matches = work->matches,
		.blocks_read = work->blocks_read, .blocks_skipped = work->blocks_skipped};
}

/* Children stand behind their parent, deeper than it. */
static void iterators_sum(struct search *search)
{
	const uint8_t *text = search->text.ptr;
	for (uint32_t i = 0; i < search->profile.count; i++) {
		struct search_iterator *iterator = &search->profile.iterators[i];
		iterator->text.ptr = text;
		text += iterator->text.len;
	}
	for (uint32_t i = search->profile.count; i-- > 0;) {
		struct search_iterator *parent = &search->profile.iterators[i];
		for (uint32_t j = i + 1; j < search->profile.count &&
		     search->profile.iterators[j].depth > parent->depth; j++) {
			if (search->profile.iterators[j].depth != parent->depth + 1)
				continue;
			parent->us += search->profile.iterators[j].us;
			parent->blocks_read += search->profile.iterators[j].blocks_read;
			parent->blocks_skipped += search->profile.iterators[j].blocks_skipped;
		}
	}
}

void profile_close(struct search *search)
{
	struct plan_walk walk;
	const struct node *node;
	uint32_t depth;
	if (search->profile.nodes == NULL || search->profile.iterators != NULL)
		return;
	search->profile.cap = search->node_count;
	search->profile.iterators =
	    memory_zalloc(search->memory, search->profile.cap * sizeof(*search->profile.iterators));
	buf_clear(&search->text);
	plan_walk_init(&walk, search);
	while ((node = plan_walk_next(&walk, &depth)) != NULL)
		iterator_put(search, node, depth);
	iterators_sum(search);
	memory_free(search->memory, search->profile.nodes,
	    search->node_count * sizeof(*search->profile.nodes));
	search->profile.nodes = NULL;
}

size_t search_get_iterators(const struct search *search, const struct search_iterator **iterators)
{
	CHECK_OBJ(search, SEARCH_MAGIC);
	*iterators = search->profile.iterators;
	return search->profile.count;
}
