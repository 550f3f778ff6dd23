/* search/parse.c: query_parse: the grammar of search.h, read byte by byte with an explicit
 * stack of groups, so that nesting costs no machine stack.
 *
 * A group collects alternatives, an alternative collects a conjunction of units; signs (-
 * and ~) and a field wait for the next unit. query_join makes nodes when a list closes,
 * which puts children before parents.
 */
#include "search/analyze.h"
#include "search/query.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { NEAR_BYTES_MAX = 32, NAME_BYTES_MAX = 1 << 10 };

struct group {
	struct query_list alternatives, conjunction;
	size_t  offset;                   /* of '(' */
	uint16_t scope;                   /* for words in it: a mask, as query_node has it */
	uint16_t next_scope;              /* for the next unit only; 0: scope */
	bool    has_sign, dropped;        /* dropped: a stop word, in this alternative */
	bool    negated, optional, negated_inside;     /* of the next unit: -, ~, and - after ~ */
};

struct parser {
	struct parse  parse;
	struct group  groups[SEARCH_DEPTH_MAX + 1];
	uint32_t      depth;
	struct buf    raw;                /* a word without its backslashes */
};

/* ---- Errors --------------------------------------------------------------------------- */

enum err parse_fail(struct parse *parse, enum err err, size_t offset, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(parse->error->text, sizeof(parse->error->text), format, args);
	va_end(args);
	/* The text becomes a line of the protocol. */
	for (char *c = parse->error->text; *c != 0; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = '?';
	parse->error->offset = offset;
	return err;
}

enum err parse_syntax(struct parse *parse, size_t offset)
{
	size_t from = offset < parse->text.len ? offset : parse->text.len, until;
	if (from == parse->text.len)      /* at the end: the last word there is */
		while (from > 0 && !parse_is_blank(parse->text.ptr[from - 1]) &&
		    parse->text.len - from < NEAR_BYTES_MAX)
			from--;
	until = from;
	while (until < parse->text.len && until - from < NEAR_BYTES_MAX &&
	    !parse_is_blank(parse->text.ptr[until]))
		until++;
	/* Not in the middle of a character. */
	while (until < parse->text.len && until > from && (parse->text.ptr[until] & 0xc0) == 0x80)
		until--;
	return parse_fail(parse, ERR_INVALID, offset, "Syntax error at offset %zu near %.*s",
	    offset, (int)(until - from), (const char *)parse->text.ptr + from);
}

enum err parse_count_term(struct parse *parse)
{
	if (++parse->terms <= SEARCH_TERMS_MAX)
		return OK;
	return parse_fail(parse, ERR_TOOLARGE, parse->at, "Query has more than %d terms",
	    SEARCH_TERMS_MAX);
}

void parse_skip_blanks(struct parse *parse)
{
	while (parse_is_blank(parse_peek(parse)))
		parse->at++;
}

enum err parse_param(struct parse *parse, struct span *value)
{
	size_t start = parse->at++;
	ASSERT(parse->text.ptr[start] == '$');
	while (parse_peek(parse) == '_' || (parse_is_word_byte(parse_peek(parse)) &&
	    parse_peek(parse) < 0x80))
		parse->at++;
	struct span name = span_slice(parse->text, start + 1, parse->at - start - 1);
	if (name.len == 0)
		return parse_syntax(parse, start);
	for (size_t i = 0; i < parse->options->param_count; i++) {
		if (!span_equal(parse->options->params[i].name, name))
			continue;
		*value = parse->options->params[i].value;
		parse->param_bytes += value->len;
		if (parse->param_bytes > SEARCH_QUERY_BYTES_MAX)
			return parse_fail(parse, ERR_TOOLARGE, start,
			    "Query with its parameters is longer than %d bytes",
			    SEARCH_QUERY_BYTES_MAX);
		return OK;
	}
	return parse_fail(parse, ERR_INVALID, start, "No such parameter `%.*s`",
	    (int)(name.len < NEAR_BYTES_MAX ? name.len : NEAR_BYTES_MAX), (const char *)name.ptr);
}

/* ---- Groups and units ------------------------------------------------------------------- */

static struct group *top(struct parser *parser)
{
	return &parser->groups[parser->depth];
}

static uint16_t next_scope(struct parser *parser)
{
	struct group *group = top(parser);
	return group->next_scope != 0 ? group->next_scope : group->scope;
}

static uint32_t wrap(struct query *query, enum query_kind kind, uint32_t node)
{
	struct query_list list = {0};
	query_list_push(query, &list, node);
	return query_join(query, kind, &list);
}

/* A whole unit, or QUERY_NIL for one that analysis left nothing of. Attributes follow it. */
static enum err unit_end(struct parser *parser, uint32_t node)
{
	struct group *group = top(parser);
	struct query *query = parser->parse.query;
	enum err err = parse_attributes(&parser->parse, &node);
	if (err != OK)
		return err;
	if (node != QUERY_NIL) {
		if (group->negated_inside)
			node = wrap(query, QUERY_NOT, node);
		if (group->optional)
			node = wrap(query, QUERY_OPTIONAL, node);
		if (group->negated)
			node = wrap(query, QUERY_NOT, node);
		query_list_push(query, &group->conjunction, node);
	}
	group->next_scope = 0;
	group->has_sign = group->negated = group->optional = group->negated_inside = false;
	return OK;
}

static void alternative_end(struct parser *parser)
{
	struct group *group = top(parser);
	uint32_t node = query_join(parser->parse.query, QUERY_AND, &group->conjunction);
	if (node != QUERY_NIL)
		query_list_push(parser->parse.query, &group->alternatives, node);
	group->conjunction = (struct query_list){0};
	group->dropped = false;
}

static enum err group_open(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	if (parser->depth == SEARCH_DEPTH_MAX)
		return parse_fail(parse, ERR_TOOLARGE, parse->at,
		    "Query is nested more than %d levels deep", SEARCH_DEPTH_MAX);
	uint16_t scope = next_scope(parser);
	parser->groups[++parser->depth] = (struct group){.scope = scope, .offset = parse->at};
	parse->at++;
	return OK;
}

/* Of nothing but stop words there is nothing to be found. */
static void conjunction_fill(struct parser *parser)
{
	struct group *group = top(parser);
	struct query *query = parser->parse.query;
	if (group->conjunction.count > 0 || !group->dropped)
		return;
	uint32_t all = query_add_node(query, QUERY_ALL);
	query_list_push(query, &group->conjunction, wrap(query, QUERY_NOT, all));
}

/* At ')' or the end of the query. */
static enum err group_close(struct parser *parser, uint32_t *node)
{
	struct group *group = top(parser);
	struct parse *parse = &parser->parse;
	conjunction_fill(parser);
	if (group->has_sign || group->next_scope != 0 || group->conjunction.count == 0)
		return parse_syntax(parse, parse->at);
	alternative_end(parser);
	*node = query_join(parse->query, QUERY_OR, &group->alternatives);
	ASSERT(*node != QUERY_NIL);
	return OK;
}

static enum err take_close(struct parser *parser)
{
	uint32_t node;
	if (parser->depth == 0)
		return parse_syntax(&parser->parse, parser->parse.at);
	enum err err = group_close(parser, &node);
	if (err != OK)
		return err;
	parser->parse.at++;
	parser->depth--;
	return unit_end(parser, node);
}

static enum err take_pipe(struct parser *parser)
{
	struct group *group = top(parser);
	conjunction_fill(parser);
	if (group->has_sign || group->next_scope != 0 || group->conjunction.count == 0)
		return parse_syntax(&parser->parse, parser->parse.at);
	alternative_end(parser);
	parser->parse.at++;
	return OK;
}

static enum err take_sign(struct parser *parser, int sign)
{
	struct group *group = top(parser);
	if (group->next_scope != 0)
		return parse_syntax(&parser->parse, parser->parse.at);
	group->has_sign = true;
	if (sign == '~') {
		/* ~-~x is ~x: what stands inside an optional never excludes. */
		group->negated_inside = group->negated_inside && !group->optional;
		group->optional = true;
	} else if (group->optional) {
		group->negated_inside = !group->negated_inside;
	} else {
		group->negated = !group->negated;
	}
	parser->parse.at++;
	return OK;
}

/* ---- Words ------------------------------------------------------------------------------ */

struct word_sink {
	struct parser *parser;
	uint32_t       node;              /* QUERY_NIL before the first word */
	enum err       err;
};

static void word_emit(void *ctx, struct span word, uint32_t position, struct span source)
{
	struct word_sink *sink = ctx;
	struct query *query = sink->parser->parse.query;
	UNUSED(position);
	UNUSED(source);
	if (sink->err != OK)
		return;
	sink->err = parse_count_term(&sink->parser->parse);
	if (sink->err != OK)
		return;
	if (sink->node == QUERY_NIL)
		sink->node = query_add_node(query, QUERY_TERM);
	else
		query->nodes[sink->node].kind = QUERY_PHRASE;
	query->nodes[sink->node].mask = next_scope(sink->parser);
	query_add_item(query, sink->node, word, PATTERN_WORD);
}

/* "foo-ba*": the last word alone is open, the others stand before it as they are. */
static enum err prefix_split(struct parser *parser, uint32_t *node, size_t offset)
{
	struct query *query = parser->parse.query;
	struct query_node *words = &query->nodes[*node];
	struct query_item last = query->items[words->first_item + words->item_count - 1];
	struct span text = query_span(query, last.text);
	if (analyze_is_single(text))
		return OK;                /* each ideograph is whole already */
	if (analyze_length(text) < 2)
		return parse_fail(&parser->parse, ERR_INVALID, offset,
		    "A prefix needs at least 2 characters");
	if (words->item_count == 1) {
		words->kind = QUERY_PREFIX;
		query->items[words->first_item].kind = PATTERN_PREFIX;
		return OK;
	}
	words->item_count--;
	words->kind = words->item_count == 1 ? QUERY_TERM : QUERY_PHRASE;
	uint32_t prefix = query_add_node(query, QUERY_PREFIX);
	query->nodes[prefix].mask = query->nodes[*node].mask;
	/* The item is there already; a node's items lie side by side. */
	query->nodes[prefix].first_item = query->item_count - 1;
	query->nodes[prefix].item_count = 1;
	query->items[query->item_count - 1].kind = PATTERN_PREFIX;
	struct query_list list = {0};
	query_list_push(query, &list, *node);
	query_list_push(query, &list, prefix);
	*node = query_join(query, QUERY_AND, &list);
	return OK;
}

/* The letters of a single word, which are copied to `bytes`; empty: it is none. */
static struct span word_text(
    const struct query *query, uint32_t node, uint8_t bytes[SEARCH_TERM_BYTES_MAX])
{
	if (node == QUERY_NIL || query->nodes[node].kind != QUERY_TERM)
		return (struct span){0};
	struct span text = query_span(query, query->items[query->nodes[node].first_item].text);
	ASSERT(text.len <= SEARCH_TERM_BYTES_MAX);
	memcpy(bytes, text.ptr, text.len);
	return span_of(bytes, text.len);
}

/* Whatever has the same stem as this word, in the fields of its mask that have a language. */
static void push_stems(struct parser *parser, uint32_t node, struct query_list *list)
{
	struct query *query = parser->parse.query;
	const struct query_words *words = parser->parse.options->words;
	uint8_t bytes[SEARCH_TERM_BYTES_MAX], stem[1 + SEARCH_TERM_BYTES_MAX];
	struct span text = word_text(query, node, bytes);
	for (uint32_t i = 0; text.len > 0 && i < ARRAY_COUNT(words->languages); i++) {
		if (words->languages[i] == 0 || (query->nodes[node].mask >> i & 1) == 0)
			continue;
		stem[0] = words->languages[i];
		size_t len = 1 + stem_word(stem[0], text, stem + 1, SEARCH_TERM_BYTES_MAX);
		uint32_t child = query_add_node(query, QUERY_PREFIX);
		query->nodes[child].mask = (uint16_t)(1U << i);
		query_add_item(query, child, span_of(stem, len), PATTERN_STEM);
		query_list_push(query, list, child);
	}
}

/* The word, with whatever means the same: any of them. QUERY_NIL: it is a stop word. */
static enum err word_widen(struct parser *parser, uint32_t *node)
{
	struct query *query = parser->parse.query;
	const struct query_options *options = parser->parse.options;
	const struct query_words *words = options == NULL ? NULL : options->words;
	uint8_t bytes[SEARCH_TERM_BYTES_MAX];
	struct query_list list = {0};
	struct span text = words == NULL ? (struct span){0} : word_text(query, *node, bytes);
	if (text.len == 0)
		return OK;
	if (words->is_stopped(words->ctx, text)) {
		ASSERT(*node + 1 == query->node_count);
		query->node_count--;
		query->item_count--;
		*node = QUERY_NIL;
		top(parser)->dropped = true;
		return OK;
	}
	query_list_push(query, &list, *node);
	push_stems(parser, *node, &list);
	for (uint32_t at = 0;; at++) {
		struct word_sink sink = {parser, QUERY_NIL, OK};
		struct span other = words->synonym(words->ctx, text, at);
		if (other.len == 0)
			break;
		analyze_words(other, word_emit, &sink);
		if (sink.err != OK)
			return sink.err;
		if (sink.node == QUERY_NIL)
			continue;
		query_list_push(query, &list, sink.node);
		push_stems(parser, sink.node, &list);
	}
	*node = query_join(query, QUERY_OR, &list);
	return OK;
}

/* Words of `text` as one unit: a term, a phrase, or with `prefix` an open end. */
static enum err take_text(struct parser *parser, struct span text, bool prefix, size_t offset)
{
	struct word_sink sink = {parser, QUERY_NIL, OK};
	analyze_words(text, word_emit, &sink);
	if (sink.err == OK && prefix && sink.node != QUERY_NIL)
		sink.err = prefix_split(parser, &sink.node, offset);
	else if (sink.err == OK)
		sink.err = word_widen(parser, &sink.node);
	return sink.err == OK ? unit_end(parser, sink.node) : sink.err;
}

/* Bytes that hold a word together when a word byte follows. */
static bool is_joint(int byte)
{
	return byte == '-' || byte == '_' || byte == '\'' || byte == '.' || byte == '/';
}

static void scan_word(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	buf_clear(&parser->raw);
	for (;;) {
		int byte = parse_peek(parse);
		int after = parse->at + 1 < parse->text.len ? parse->text.ptr[parse->at + 1] : -1;
		if (byte == '\\' && after >= 0)
			byte = parse->text.ptr[++parse->at];
		else if (is_joint(byte) ? !parse_is_word_byte(after) : !parse_is_word_byte(byte))
			return;
		buf_append_u8(&parser->raw, (uint8_t)byte);
		parse->at++;
	}
}

static bool take_star(struct parser *parser)
{
	bool star = parse_peek(&parser->parse) == '*';
	parser->parse.at += star;
	return star;
}

/* ---- Patterns --------------------------------------------------------------------------- */

/* At a word or a parameter that stands for one. */
static enum err scan_word_or_param(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	struct span value;
	if (parse_peek(parse) != '$') {
		scan_word(parser);
		return parser->raw.len > 0 ? OK : parse_syntax(parse, parse->at);
	}
	enum err err = parse_param(parse, &value);
	buf_clear(&parser->raw);
	if (err == OK)
		buf_append(&parser->raw, value);
	return err;
}

/* The word in raw becomes a pattern; it must be one word, of so many characters. */
static enum err take_pattern(
    struct parser *parser, enum pattern_kind kind, size_t length_min, size_t offset)
{
	struct parse *parse = &parser->parse;
	struct query *query = parse->query;
	struct word_sink sink = {parser, QUERY_NIL, OK};
	analyze_words(buf_span(&parser->raw), word_emit, &sink);
	if (sink.err != OK)
		return sink.err;
	if (sink.node == QUERY_NIL || query->nodes[sink.node].item_count != 1)
		return parse_fail(parse, ERR_INVALID, offset, "A pattern is one word");
	struct query_item *item = &query->items[query->nodes[sink.node].first_item];
	if (analyze_length(query_span(query, item->text)) < length_min)
		return parse_fail(parse, ERR_INVALID, offset,
		    "A pattern of this kind needs at least %zu characters", length_min);
	query->nodes[sink.node].kind = QUERY_PREFIX;
	item->kind = kind;
	return unit_end(parser, sink.node);
}

/* *word or *word* */
static enum err take_ending(struct parser *parser)
{
	size_t offset = parser->parse.at++;
	enum err err = scan_word_or_param(parser);
	if (err != OK)
		return err;
	bool infix = take_star(parser);
	return take_pattern(parser, infix ? PATTERN_INFIX : PATTERN_SUFFIX, 2, offset);
}

/* %word% or %%word%% */
static enum err take_fuzzy(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	size_t offset = parse->at, distance = 0;
	for (; parse_peek(parse) == '%'; parse->at++)
		distance++;
	if (distance > 2)
		return parse_fail(
		    parse, ERR_UNSUPPORTED, offset, "Fuzzy matching goes to 2 changes");
	enum err err = scan_word_or_param(parser);
	if (err != OK)
		return err;
	for (size_t i = 0; i < distance; i++)
		if (parse_peek(parse) != '%' || (parse->at++, false))
			return parse_syntax(parse, offset);
	return take_pattern(parser, distance == 1 ? PATTERN_FUZZY_1 : PATTERN_FUZZY_2,
	    distance + 1, offset);
}

static enum err take_wildcard(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	uint8_t folded[SEARCH_TAG_BYTES_MAX];
	struct span pattern, value;
	size_t offset = parse->at;
	enum err err = parse_wildcard(parse, &pattern);
	if (err == OK)
		err = parse_count_term(parse);
	if (err == OK && pattern.len > 1 && pattern.ptr[0] == '$') {
		size_t end = parse->at;
		parse->at = offset + 2;
		err = parse_param(parse, &value);
		parse->at = end;
		pattern = value;
	}
	if (err != OK)
		return err;
	size_t len = analyze_tag(pattern, folded);
	if (len == 0)
		return parse_syntax(parse, offset);
	uint32_t node = query_add_node(parse->query, QUERY_PREFIX);
	parse->query->nodes[node].mask = next_scope(parser);
	query_add_item(parse->query, node, span_of(folded, len), PATTERN_WILDCARD);
	return unit_end(parser, node);
}

static enum err take_missing(struct parser *parser);

static enum err take_word(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	size_t offset = parse->at;
	if (span_is(span_slice(parse->text, offset, 2), "w'"))
		return take_wildcard(parser);
	scan_word(parser);
	ASSERT(parse->at > offset);
	if (span_is(buf_span(&parser->raw), "ismissing") && parse_peek(parse) == '(')
		return take_missing(parser);
	bool prefix = take_star(parser);
	return take_text(parser, buf_span(&parser->raw), prefix, offset);
}

static enum err take_word_param(struct parser *parser)
{
	struct span value;
	size_t offset = parser->parse.at;
	enum err err = parse_param(&parser->parse, &value);
	if (err != OK)
		return err;
	bool prefix = take_star(parser);
	return take_text(parser, value, prefix, offset);
}

static enum err take_phrase(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	size_t offset = parse->at++;
	buf_clear(&parser->raw);
	for (;; parse->at++) {
		int byte = parse_peek(parse);
		if (byte < 0)
			return parse_syntax(parse, offset);
		if (byte == '"')
			break;
		if (byte == '\\' && parse->at + 1 < parse->text.len)
			byte = parse->text.ptr[++parse->at];
		buf_append_u8(&parser->raw, (uint8_t)byte);
	}
	parse->at++;
	struct span text = buf_span(&parser->raw), value;
	if (text.len > 1 && text.ptr[0] == '$') {      /* "$p" stands for the phrase in p */
		size_t end = parse->at;
		parse->at = offset + 1;
		enum err err = parse_param(parse, &value);
		if (err != OK)
			return err;
		if (parse->at + 1 != end)
			return parse_syntax(parse, offset);
		parse->at = end;
		text = value;
	}
	return take_text(parser, text, false, offset);
}

/* ---- Fields ----------------------------------------------------------------------------- */

/* A name at parse->at, unescaped into raw; at most NAME_BYTES_MAX bytes. */
static enum err scan_name(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	size_t offset = parse->at;
	buf_clear(&parser->raw);
	for (;;) {
		int byte = parse_peek(parse);
		if (byte == '\\' && parse->at + 1 < parse->text.len)
			byte = parse->text.ptr[++parse->at];
		else if (!parse_is_word_byte(byte) && byte != '_' && byte != '-' && byte != '.')
			break;
		buf_append_u8(&parser->raw, (uint8_t)byte);
		parse->at++;
	}
	if (parser->raw.len == 0 || parser->raw.len > NAME_BYTES_MAX)
		return parse_syntax(parse, offset);
	return OK;
}

static enum err take_missing(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	ASSERT(parse_peek(parse) == '(');
	parse->at++;
	parse_skip_blanks(parse);
	if (parse_peek(parse) != '@')
		return parse_syntax(parse, parse->at);
	parse->at++;
	enum err err = scan_name(parser);
	if (err == OK)
		err = parse_count_term(parse);
	if (err != OK)
		return err;
	parse_skip_blanks(parse);
	if (parse_peek(parse) != ')')
		return parse_syntax(parse, parse->at);
	parse->at++;
	struct span name = buf_span(&parser->raw);
	bool near = span_is(name, "phash"), palette = span_is(name, "palette");
	uint32_t node = query_add_node(
	    parse->query, near || palette ? QUERY_OUTSIDE : QUERY_MISSING);
	parse->query->nodes[node].leaf =
	    near ? SEARCH_LEAF_NEAR_MISSING : SEARCH_LEAF_PALETTE_MISSING;
	parse->query->nodes[node].field = query_add_text(parse->query, buf_span(&parser->raw));
	return unit_end(parser, node);
}

/* Of an attribute with words; 0: it is none. */
static uint16_t text_bit(const struct parser *parser, struct span name)
{
	const struct query_words *words = parser->parse.options->words;
	for (uint32_t i = 0; words != NULL && i < words->text_count; i++)
		if (span_equal(words->texts[i], name))
			return (uint16_t)(1U << QUERY_TEXT_SHIFT << i);
	return 0;
}

/* "@a|b:" into a mask of text fields; 0 if one of them has no words. The last name stays
 * in raw; *count tells how many there were. */
static enum err scan_names(struct parser *parser, uint16_t *mask, uint32_t *count)
{
	struct parse *parse = &parser->parse;
	bool all_text = true;
	*mask = 0;
	*count = 0;
	do {
		parse->at++;              /* '@' or '|' */
		enum err err = scan_name(parser);
		if (err != OK)
			return err;
		uint32_t id = schema_find(buf_span(&parser->raw));
		uint16_t bit = id == SCHEMA_COUNT ? text_bit(parser, buf_span(&parser->raw))
		                                  : schema_field(id)->text_mask;
		all_text = all_text && bit != 0;
		*mask |= bit;
		(*count)++;
	} while (parse_peek(parse) == '|');
	if (!all_text)
		*mask = 0;
	parse_skip_blanks(parse);
	if (parse_peek(parse) != ':')
		return parse_syntax(parse, parse->at);
	parse->at++;
	parse_skip_blanks(parse);
	return OK;
}

static enum err take_field(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	size_t offset = parse->at;
	uint32_t count, node;
	uint16_t mask;
	if (top(parser)->next_scope != 0)
		return parse_syntax(parse, offset);
	enum err err = scan_names(parser, &mask, &count);
	if (err != OK)
		return err;
	struct span name = buf_span(&parser->raw);
	int byte = parse_peek(parse);
	if (byte == '[' || byte == '{') {
		if (count > 1)
			return parse_syntax(parse, parse->at);
		err =
		    byte == '[' ? parse_range(parse, name, &node) : parse_tags(parse, name, &node);
		return err == OK ? unit_end(parser, node) : err;
	}
	if (mask == 0)
		return parse_fail(parse, ERR_INVALID, offset, "Field `%.*s` is not a text field",
		    (int)(name.len < NEAR_BYTES_MAX ? name.len : NEAR_BYTES_MAX),
		    (const char *)name.ptr);
	top(parser)->next_scope = mask;
	return OK;                        /* the unit comes next */
}

/* ---- The whole -------------------------------------------------------------------------- */

static enum err take_all(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	int after = parse->at + 1 < parse->text.len ? parse->text.ptr[parse->at + 1] : -1;
	if (parse_is_word_byte(after) || after == '\\' || after == '$')
		return take_ending(parser);
	if (top(parser)->next_scope != 0)
		return parse_syntax(parse, parse->at);
	parse->at++;
	enum err err = parse_count_term(parse);
	return err == OK ? unit_end(parser, query_add_node(parse->query, QUERY_ALL)) : err;
}

static enum err take_one(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	int byte = parse_peek(parse);
	int after = parse->at + 1 < parse->text.len ? parse->text.ptr[parse->at + 1] : -1;
	if (parse_is_word_byte(byte) || (byte == '\\' && after >= 0))
		return take_word(parser);
	switch (byte) {
	case '(': return group_open(parser);
	case ')': return take_close(parser);
	case '|': return take_pipe(parser);
	case '-': case '~': return take_sign(parser, byte);
	case '@': return take_field(parser);
	case '"': return take_phrase(parser);
	case '$': return take_word_param(parser);
	case '*': return take_all(parser);
	case '%': return take_fuzzy(parser);
	case '{': case '}': case '[': case ']': case ':':
		return parse_syntax(parse, parse->at);
	case '=':
		if (after == '>')         /* attributes of nothing */
			return parse_syntax(parse, parse->at);
		break;
	default:
		break;
	}
	parse->at++;                      /* blanks and other punctuation part words */
	return OK;
}

static enum err parse_all(struct parser *parser)
{
	struct parse *parse = &parser->parse;
	if (parse->text.len > SEARCH_QUERY_BYTES_MAX)
		return parse_fail(parse, ERR_TOOLARGE, 0, "Query is longer than %d bytes",
		    SEARCH_QUERY_BYTES_MAX);
	uint32_t dialect = parse->options->dialect;
	if (dialect > 4)
		return parse_fail(
		    parse, ERR_INVALID, 0, "DIALECT requires an integer between 1 and 4");
	if (dialect == 1)
		return parse_fail(parse, ERR_UNSUPPORTED, 0, "DIALECT 1 is not supported");
	while (parse->at < parse->text.len) {
		enum err err = take_one(parser);
		if (err != OK)
			return err;
	}
	if (parser->depth > 0)
		return parse_syntax(parse, parse->text.len);
	enum err err = group_close(parser, &parse->query->root);
	if (err != OK)
		return err;
	const struct query_words *words = parse->options->words;
	if (words != NULL && words->text_count > 0)
		query_spread_texts(parse->query, words);
	query_spread_weights(parse->query);
	return OK;
}

enum err query_parse(struct query **out, struct memory *memory, struct span text,
    const struct query_options *options, struct query_error *error)
{
	static const struct query_options none = {0};
	struct parser parser;
	ASSERT(memory != NULL);
	ASSERT(error != NULL);
	*error = (struct query_error){0};
	parser.parse = (struct parse){.query = query_new(memory), .text = text, .error = error,
	    .options = options != NULL ? options : &none};
	uint32_t texts = options == NULL || options->words == NULL ? 0 : options->words->text_count;
	ASSERT(texts <= QUERY_TEXTS_MAX);
	parser.groups[0] = (struct group){.scope = (uint16_t)((1U << QUERY_TEXT_SHIFT << texts) - 1)};
	parser.depth = 0;
	buf_init(&parser.raw, memory);
	enum err err = parse_all(&parser);
	buf_fini(&parser.raw);
	*out = err == OK ? parser.parse.query : NULL;
	if (err != OK)
		query_free(parser.parse.query);
	return err;
}
