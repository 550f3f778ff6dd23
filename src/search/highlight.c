/* search/highlight.c: marks the words of a text that a query asks for; see search.h.
 *
 * Every word that would match a word, phrase, prefix or other pattern of the query in this
 * field is marked by itself; what stands under a minus is not.
 */
#include "search/analyze.h"
#include "search/query.h"

#include "base/buf.h"

struct highlighter {
	const struct query *query;
	uint8_t     mask;                 /* FIELD_* of the text; 0: of an attribute */
	struct span field;
	struct span text, open, close;
	size_t      done;                 /* of the text, copied already */
	struct buf *out;
	const bool *wanted;               /* by node */
	bool        marked;
};

static bool node_wants(const struct highlighter *light, uint32_t at, struct span word)
{
	const struct query *query = light->query;
	const struct query_node *node = &query->nodes[at];
	size_t dead;
	struct span own = query_span(query, node->field);
	bool is_here = own.len == 0 ? (node->mask & light->mask) != 0 : span_equal(own, light->field);
	if (!light->wanted[at] || !is_here)
		return false;
	for (uint32_t i = 0; i < node->item_count; i++) {
		const struct query_item *item = &query->items[node->first_item + i];
		if (pattern_match(item->kind, query_span(query, item->text), word, &dead))
			return true;
	}
	return false;
}

static void light_word(void *ctx, struct span word, uint32_t position, struct span source)
{
	struct highlighter *light = ctx;
	uint32_t at = 0;
	UNUSED(position);
	while (at < light->query->node_count && !node_wants(light, at, word))
		at++;
	if (at == light->query->node_count)
		return;
	size_t from = (size_t)(source.ptr - light->text.ptr);
	ASSERT(from >= light->done);
	buf_append(light->out, span_slice(light->text, light->done, from - light->done));
	buf_append(light->out, light->open);
	buf_append(light->out, source);
	buf_append(light->out, light->close);
	light->done = from + source.len;
	light->marked = true;
}

/* Leaves of words that stand under no NOT. Parents stand behind their children. */
static void nodes_wanted(const struct query *query, bool *wanted)
{
	memset(wanted, 0, query->node_count);
	wanted[query->root] = true;
	for (uint32_t i = query->node_count; i-- > 0;) {
		const struct query_node *node = &query->nodes[i];
		for (uint32_t child = node->first_child; child != QUERY_NIL;
		     child = query->nodes[child].next)
			wanted[child] = wanted[i] && node->kind != QUERY_NOT;
		wanted[i] = wanted[i] && (node->kind == QUERY_TERM || node->kind == QUERY_PHRASE ||
		    node->kind == QUERY_PREFIX);
	}
}

bool query_highlight(const struct query *query, struct span field, struct span text,
    const struct span tags[2], struct buf *out)
{
	CHECK_OBJ(query, QUERY_MAGIC);
	uint32_t id = schema_find(field);
	uint8_t mask = id == SCHEMA_COUNT ? 0 : schema_field(id)->text_mask;
	struct highlighter light = {.query = query, .mask = mask, .field = field, .text = text,
	    .open = tags[0], .close = tags[1], .out = out};
	bool *wanted = memory_alloc(query->memory, query->node_count);
	nodes_wanted(query, wanted);
	light.wanted = wanted;
	analyze_words(text, light_word, &light);
	buf_append(out, span_slice(text, light.done, text.len));
	memory_free(query->memory, wanted, query->node_count);
	return light.marked;
}
