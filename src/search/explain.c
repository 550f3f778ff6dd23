/* search/explain.c: the plan of a search as a tree: what is asked, in which order, of how many
 * documents; see search.h. */
#include "search/plan.h"

#include "base/buf.h"

static void explain_terms(const struct node *node, struct buf *out)
{
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		const struct term *term = node->cursors[i].term;
		buf_append_text(out, i == 0 ? " " : ", ");
		buf_append(out, term_text(term));
		buf_printf(out, " df=%u", term_df(term));
	}
	if (node->wide != NULL)
		buf_append_text(out, " words sought as needed");
}

static void explain_slop(const struct node *node, struct buf *out)
{
	if (node->slop > 0)
		buf_printf(out, " slop=%u", node->slop);
	if (node->any_order)
		buf_append_text(out, " in any order");
}

static void explain_one(const struct search *search, const struct node *node, struct buf *out)
{
	static const char *const names[] = {"ALL", "TERM", "PHRASE", "WORDS", "TAG", "RANGE", "GEO",
	    "MISSING", "OUTSIDE", "AND", "OR", "NOT", "OPTIONAL"};
	_Static_assert(ARRAY_COUNT(names) == QUERY_OPTIONAL + 1, "one name a kind");
	buf_append_text(out, names[node->kind]);
	if (node->kind != QUERY_MISSING)
		explain_terms(node, out);
	explain_slop(node, out);
	if (node->kind == QUERY_TAG || node->kind == QUERY_RANGE || node->kind == QUERY_GEO ||
	    node->kind == QUERY_MISSING)
		buf_append_text(out, node->field == NULL ? " (no document has the field)" : "");
	buf_printf(out, " cost=%llu", (unsigned long long)node->cost);
	if (node->scores)
		buf_printf(out, " score<=%.3f", (double)node->bound);
	if (search->driver != NULL && search->lists)
		for (uint32_t i = 0; i < node->cursor_count; i++)
			if (&node->cursors[i] == search->driver)
				buf_append_text(out, " drives");
	buf_append_text(out, "\n");
}

void search_explain(const struct search *search, struct buf *out)
{
	struct plan_walk walk;
	const struct node *node;
	uint32_t depth;
	CHECK_OBJ(search, SEARCH_MAGIC);
	if (search->nodes == NULL)
		return;                   /* it has ended */
	buf_printf(out, "%s of %llu documents, results by %s\n",
	    search->lists ? "POSTINGS" : "WINDOWS",
	    (unsigned long long)search->index->docs.live_count,
	    search->top.sort == SORT_SCORE ? "score" : "field");
	plan_walk_init(&walk, search);
	while ((node = plan_walk_next(&walk, &depth)) != NULL) {
		for (uint32_t i = 0; i <= depth; i++)
			buf_append_text(out, "  ");
		explain_one(search, node, out);
	}
}
