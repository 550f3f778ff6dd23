/* search/parse_attributes.c: what may follow a unit of a query:
 * => {$weight: 2; $slop: 1; $inorder: true}. */
#include "search/query.h"

#include "base/number.h"

enum { SLOP_MAX = 1000, NAME_MAX_SHOWN = 32 };

struct attributes {
	double weight;
	bool   has_slop, has_order, any_order;
	int64_t slop;
};

static struct span take_run(struct parse *parse)
{
	size_t from = parse->at;
	while (parse_is_word_byte(parse_peek(parse)) || parse_peek(parse) == '.' ||
	    parse_peek(parse) == '-' || parse_peek(parse) == '+' || parse_peek(parse) == '_')
		parse->at++;
	return span_slice(parse->text, from, parse->at - from);
}

static enum err attribute_set(
    struct parse *parse, size_t offset, struct span name, struct span value,
    struct attributes *out)
{
	bool good;
	if (span_is(name, "weight")) {
		good = number_parse_double(value, &out->weight) && out->weight >= 0 &&
		    out->weight <= 1000;
	} else if (span_is(name, "slop")) {
		good = number_parse_range(value, 0, SLOP_MAX, &out->slop);
		out->has_slop = true;
	} else if (span_is(name, "inorder")) {
		out->any_order = span_is(value, "false");
		good = out->any_order || span_is(value, "true");
		out->has_order = true;
	} else {
		return parse_fail(parse, ERR_UNSUPPORTED, offset,
		    "Attribute $%.*s is not supported",
		    (int)(name.len < NAME_MAX_SHOWN ? name.len : NAME_MAX_SHOWN),
		    (const char *)name.ptr);
	}
	return good ? OK : parse_fail(parse, ERR_INVALID, offset, "Bad value of $%.*s",
	    (int)name.len, (const char *)name.ptr);
}

/* "$name: value" */
static enum err attribute_take(struct parse *parse, struct attributes *out)
{
	struct span value;
	size_t offset = parse->at;
	if (parse_peek(parse) != '$')
		return parse_syntax(parse, offset);
	parse->at++;
	struct span name = take_run(parse);
	parse_skip_blanks(parse);
	if (name.len == 0 || parse_peek(parse) != ':')
		return parse_syntax(parse, offset);
	parse->at++;
	parse_skip_blanks(parse);
	if (parse_peek(parse) == '$') {
		enum err err = parse_param(parse, &value);
		if (err != OK)
			return err;
	} else {
		value = take_run(parse);
	}
	parse_skip_blanks(parse);
	return attribute_set(parse, offset, name, value, out);
}

/* (a b) of plain words in one scope becomes a phrase: their items lie side by side. */
static bool node_becomes_phrase(struct query *query, struct query_node *node)
{
	if (node->kind != QUERY_AND)
		return node->kind == QUERY_PHRASE;
	const struct query_node *first = &query->nodes[node->first_child];
	uint32_t items = 0;
	for (uint32_t child = node->first_child; child != QUERY_NIL;
	     child = query->nodes[child].next) {
		const struct query_node *word = &query->nodes[child];
		if (word->kind != QUERY_TERM || word->mask != first->mask ||
		    word->first_item != first->first_item + items || word->weight != 1)
			return false;
		items++;
	}
	node->kind = QUERY_PHRASE;
	node->mask = first->mask;
	node->first_item = first->first_item;
	node->item_count = items;
	node->first_child = QUERY_NIL;
	node->child_count = 0;
	node->any_order = true;
	return true;
}

/* Does a word stand twice in it? */
static bool phrase_repeats(const struct query *query, const struct query_node *node)
{
	for (uint32_t i = 0; i < node->item_count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (span_equal(query_span(query, query->items[node->first_item + i].text),
			    query_span(query, query->items[node->first_item + j].text)))
				return true;
	return false;
}

static enum err attributes_apply(
    struct parse *parse, size_t offset, const struct attributes *from, struct query_node *node)
{
	node->weight *= from->weight;
	if ((!from->has_slop && !from->has_order) || node->kind == QUERY_TERM)
		return OK;
	if (!node_becomes_phrase(parse->query, node))
		return parse_fail(parse, ERR_UNSUPPORTED, offset,
		    "$slop and $inorder are for words and phrases");
	node->slop = (uint32_t)from->slop;
	if (from->has_order)
		node->any_order = from->any_order;
	if (!from->has_slop && !node->any_order)
		node->slop = SLOP_MAX;    /* (a b) => {$inorder: true}: anywhere after */
	if ((node->slop > 0 || node->any_order) && node->item_count > PHRASE_WORDS_MAX)
		return parse_fail(parse, ERR_TOOLARGE, offset,
		    "A phrase with $slop has at most %d words", PHRASE_WORDS_MAX);
	if (node->any_order && phrase_repeats(parse->query, node))
		return parse_fail(parse, ERR_UNSUPPORTED, offset,
		    "A phrase in any order has no word twice");
	return OK;
}

enum err parse_attributes(struct parse *parse, uint32_t *node)
{
	struct attributes attributes = {.weight = 1};
	size_t start = parse->at;
	parse_skip_blanks(parse);
	size_t offset = parse->at;
	if (!span_is(span_slice(parse->text, offset, 2), "=>")) {
		parse->at = start;
		return OK;
	}
	parse->at += 2;
	parse_skip_blanks(parse);
	if (parse_peek(parse) != '{')
		return parse_syntax(parse, offset);
	do {
		parse->at++;              /* '{' or ';' */
		parse_skip_blanks(parse);
		if (parse_peek(parse) == '}')
			break;
		enum err err = attribute_take(parse, &attributes);
		if (err != OK)
			return err;
	} while (parse_peek(parse) == ';');
	if (parse_peek(parse) != '}')
		return parse_syntax(parse, parse->at);
	parse->at++;
	if (*node == QUERY_NIL)
		return OK;
	return attributes_apply(parse, offset, &attributes, &parse->query->nodes[*node]);
}
