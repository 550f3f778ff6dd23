/* search/query_build.c: allocating and joining the nodes of a query, and printing them. */
#include "search/query.h"

#include "base/buf.h"
#include "search/language.h"

struct query *query_new(struct memory *memory)
{
	struct query *query = memory_zalloc(memory, sizeof(*query));
	query->magic = QUERY_MAGIC;
	query->memory = memory;
	query->root = QUERY_NIL;
	return query;
}

void query_free(struct query *query)
{
	if (query == NULL)
		return;
	struct memory *memory = query->memory;
	DROP_OBJ(query, QUERY_MAGIC);
	memory_free(memory, query->nodes, query->node_cap * sizeof(*query->nodes));
	memory_free(memory, query->items, query->item_cap * sizeof(*query->items));
	memory_free(memory, query->bytes, query->byte_cap);
	memory_free(memory, query, sizeof(*query));
}

/* One more element; returns the array, perhaps moved. */
static void *grown(struct memory *memory, void *array, uint32_t count, uint32_t *cap, size_t size)
{
	if (count < *cap)
		return array;
	uint32_t more = *cap == 0 ? 8 : *cap * 2;
	array = memory_resize(memory, array, *cap * size, more * size);
	*cap = more;
	return array;
}

struct query_text query_add_text(struct query *query, struct span text)
{
	struct query_text at = {query->byte_count, (uint32_t)text.len};
	size_t need = query->byte_count + text.len;
	if (need > query->byte_cap) {
		uint32_t cap = (uint32_t)(need + need / 2 + 32);
		query->bytes = memory_resize(query->memory, query->bytes, query->byte_cap, cap);
		query->byte_cap = cap;
	}
	if (text.len > 0)
		memcpy(query->bytes + query->byte_count, text.ptr, text.len);
	query->byte_count += (uint32_t)text.len;
	return at;
}

uint32_t query_add_node(struct query *query, enum query_kind kind)
{
	query->nodes = grown(query->memory, query->nodes, query->node_count, &query->node_cap,
	    sizeof(*query->nodes));
	query->nodes[query->node_count] = (struct query_node){.kind = kind, .mask = FIELD_ANY,
	    .weight = 1, .first_child = QUERY_NIL, .next = QUERY_NIL, .first_item = query->item_count};
	return query->node_count++;
}

void query_add_item(
    struct query *query, uint32_t node, struct span text, enum pattern_kind kind)
{
	query->items = grown(query->memory, query->items, query->item_count, &query->item_cap,
	    sizeof(*query->items));
	struct query_node *owner = &query->nodes[node];
	ASSERT(owner->first_item + owner->item_count == query->item_count);
	owner->item_count++;
	query->items[query->item_count++] =
	    (struct query_item){query_add_text(query, text), kind};
}

void query_list_push(struct query *query, struct query_list *list, uint32_t node)
{
	ASSERT(node < query->node_count);
	ASSERT(query->nodes[node].next == QUERY_NIL);
	if (list->count == 0)
		list->first = node;
	else
		query->nodes[list->last].next = node;
	list->last = node;
	list->count++;
}

uint32_t query_join(struct query *query, enum query_kind kind, const struct query_list *list)
{
	if (list->count == 0)
		return QUERY_NIL;
	if (list->count == 1 && (kind == QUERY_AND || kind == QUERY_OR))
		return list->first;
	uint32_t node = query_add_node(query, kind);
	query->nodes[node].first_child = list->first;
	query->nodes[node].child_count = list->count;
	return node;
}

/* ---- Attributes with words --------------------------------------------------------------- */

static bool has_words(enum query_kind kind)
{
	_Static_assert((int)QUERY_TEXT_SHIFT == (int)QUERY_LANGUAGE_FIELDS, "bits of masks, in order");
	return kind == QUERY_TERM || kind == QUERY_PHRASE || kind == QUERY_PREFIX;
}

/* A copy of the node, whose items stay where they are. */
static uint32_t node_copy(struct query *query, const struct query_node *from)
{
	uint32_t node = query_add_node(query, from->kind);
	query->nodes[node] = *from;
	query->nodes[node].next = QUERY_NIL;
	return node;
}

static uint32_t leaf_spread(
    struct query *query, const struct query_node *from, const struct query_words *words)
{
	struct query_list list = {0};
	struct query_node leaf = *from;
	uint16_t texts = leaf.mask >> QUERY_TEXT_SHIFT;
	leaf.mask &= FIELD_ANY;
	if (leaf.mask != 0 || !has_words(leaf.kind))
		query_list_push(query, &list, node_copy(query, &leaf));
	for (uint32_t i = 0; has_words(leaf.kind) && i < words->text_count; i++) {
		if ((texts >> i & 1) == 0)
			continue;
		leaf.mask = FIELD_ANY;
		leaf.field = query_add_text(query, words->texts[i]);
		query_list_push(query, &list, node_copy(query, &leaf));
	}
	return query_join(query, QUERY_OR, &list);
}

void query_spread_texts(struct query *query, const struct query_words *words)
{
	CHECK_OBJ(query, QUERY_MAGIC);
	struct query_node *nodes = query->nodes;
	uint32_t count = query->node_count, cap = query->node_cap;
	uint32_t *places = memory_alloc(query->memory, count * sizeof(*places));
	query->nodes = NULL;
	query->node_count = query->node_cap = 0;
	for (uint32_t i = 0; i < count; i++) {        /* children stand before their parents */
		struct query_list children = {0};
		if (nodes[i].first_child == QUERY_NIL) {
			places[i] = leaf_spread(query, &nodes[i], words);
			continue;
		}
		for (uint32_t child = nodes[i].first_child; child != QUERY_NIL; child = nodes[child].next)
			query_list_push(query, &children, places[child]);
		places[i] = node_copy(query, &nodes[i]);
		query->nodes[places[i]].first_child = children.first;
	}
	query->root = places[query->root];
	memory_free(query->memory, places, count * sizeof(*places));
	memory_free(query->memory, nodes, cap * sizeof(*nodes));
}

void query_spread_weights(struct query *query)
{
	CHECK_OBJ(query, QUERY_MAGIC);
	for (uint32_t i = query->node_count; i-- > 0;)
		for (uint32_t child = query->nodes[i].first_child; child != QUERY_NIL;
		     child = query->nodes[child].next)
			query->nodes[child].weight *= query->nodes[i].weight;
}

void query_and_near(
    struct query *query, const uint8_t hash[SEARCH_HASH_BYTES], uint32_t distance)
{
	struct query_list list = {0};
	CHECK_OBJ(query, QUERY_MAGIC);
	ASSERT(distance <= SEARCH_HASH_BITS);
	uint32_t node = query_add_node(query, QUERY_OUTSIDE);
	query->nodes[node].leaf = SEARCH_LEAF_NEAR;
	query->nodes[node].distance = distance;
	memcpy(query->nodes[node].hash, hash, SEARCH_HASH_BYTES);
	query_list_push(query, &list, query->root);
	query_list_push(query, &list, node);
	query->root = query_join(query, QUERY_AND, &list);
}

/* ---- Printing ------------------------------------------------------------------------- */

static void explain_mask(uint16_t mask, struct buf *out)
{
	static const struct { uint8_t bit; const char *name; } names[] = {
		{FIELD_TITLE, "title"}, {FIELD_CAPTION, "caption"}, {FIELD_TAGS, "tags"},
		{FIELD_CAMERA, "camera"},
	};
	const char *before = "@";
	if (mask == FIELD_ANY)
		return;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if ((mask & names[i].bit) == 0)
			continue;
		buf_printf(out, "%s%s", before, names[i].name);
		before = "|";
	}
	buf_append_text(out, ":");
}

static void explain_items(const struct query *query, const struct query_node *node,
    const char *between, struct buf *out)
{
	static const struct { const char *before, *after; } marks[] = {{"", ""}, {"", "*"},
	    {"*", ""}, {"*", "*"}, {"%", "%"}, {"%%", "%%"}, {"w'", "'"}, {"", "~"}};
	for (uint32_t i = 0; i < node->item_count; i++) {
		const struct query_item *item = &query->items[node->first_item + i];
		buf_append_text(out, i == 0 ? "" : between);
		buf_append_text(out, marks[item->kind].before);
		struct span text = query_span(query, item->text);
		buf_append(out, item->kind == PATTERN_STEM ? span_slice(text, 1, text.len) : text);
		buf_append_text(out, marks[item->kind].after);
	}
}

static void explain_field(const struct query *query, const struct query_node *node,
    struct buf *out)
{
	buf_append_text(out, "@");
	buf_append(out, query_span(query, node->field));
	buf_append_text(out, ":");
}

static void explain_outside(const struct query *query, const struct query_node *node,
    struct buf *out)
{
	switch (node->leaf) {
	case SEARCH_LEAF_NEAR:
		buf_append_text(out, "NEAR ");
		for (int i = 0; i < SEARCH_HASH_BYTES; i++)
			buf_printf(out, "%02x", node->hash[i]);
		buf_printf(out, " %u", node->distance);
		break;
	case SEARCH_LEAF_PALETTE:
		buf_append_text(out, "PALETTE ");
		explain_items(query, node, "|", out);
		break;
	case SEARCH_LEAF_NEAR_MISSING:
		buf_append_text(out, "MISSING @phash");
		break;
	case SEARCH_LEAF_PALETTE_MISSING:
		buf_append_text(out, "MISSING @palette");
		break;
	}
}

static void explain_node(const struct query *query, const struct query_node *node,
    struct buf *out)
{
	static const char *const names[] = {"ALL", "TERM ", "PHRASE ", "PREFIX ", "TAG ", "RANGE ",
	    "GEO ", "MISSING ", "", "AND", "OR", "NOT", "OPTIONAL"};
	buf_append_text(out, names[node->kind]);
	switch (node->kind) {
	case QUERY_TERM: case QUERY_PHRASE: case QUERY_PREFIX:
		explain_mask(node->mask, out);
		if (node->field.len > 0)
			explain_field(query, node, out);
		explain_items(query, node, " ", out);
		if (node->slop > 0)
			buf_printf(out, " slop %u", node->slop);
		if (node->any_order)
			buf_append_text(out, " in any order");
		break;
	case QUERY_TAG:
		explain_field(query, node, out);
		buf_append_text(out, "{");
		explain_items(query, node, "|", out);
		buf_append_text(out, "}");
		break;
	case QUERY_RANGE:
		explain_field(query, node, out);
		if (node->has_numbers)
			buf_printf(out, "[%.17g %.17g]", node->low, node->high);
		if (node->has_dates)
			buf_printf(out, " dates [%.0f %.0f]", node->date_low, node->date_high);
		break;
	case QUERY_GEO:
		explain_field(query, node, out);
		buf_printf(out, "[%.7f %.7f %.1f m]", node->lon, node->lat, node->radius_m);
		break;
	case QUERY_MISSING:
		explain_field(query, node, out);
		break;
	case QUERY_OUTSIDE:
		explain_outside(query, node, out);
		break;
	default:
		break;
	}
	if (node->weight != 1)
		buf_printf(out, " weight %g", node->weight);
	buf_append_text(out, "\n");
}

void query_explain(const struct query *query, struct buf *out)
{
	/* The way back up; a query is never deeper. */
	uint32_t parents[SEARCH_DEPTH_MAX * 5 + 9], depth = 0, at = query->root;
	CHECK_OBJ(query, QUERY_MAGIC);
	while (at != QUERY_NIL) {
		const struct query_node *node = &query->nodes[at];
		for (uint32_t i = 0; i < depth; i++)
			buf_append_text(out, "  ");
		explain_node(query, node, out);
		if (node->first_child != QUERY_NIL) {
			ASSERT(depth < ARRAY_COUNT(parents));
			parents[depth++] = at;
			at = node->first_child;
			continue;
		}
		at = node->next;
		while (at == QUERY_NIL && depth > 0)
			at = query->nodes[parents[--depth]].next;
	}
}
