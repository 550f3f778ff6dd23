/* search/query.h: the parsed query: a tree in an array, children before parents. Internal.
 *
 * No node is reached by recursion: parents walk `first_child` and `next`, and whole-tree
 * passes run over the array from the leaves up.
 */
#pragma once
#include "search/pattern.h"
#include "search/schema.h"

enum { QUERY_MAGIC = 0x59525551, QUERY_NIL = 0xffffffff,
	PHRASE_WORDS_MAX = 32,            /* with $slop or in any order */
	QUERY_TEXT_SHIFT = 4,             /* a mask's bits from here on: attributes with words */
};

enum query_kind {
	QUERY_ALL,
	QUERY_TERM,                       /* one word in `mask` */
	QUERY_PHRASE,                     /* its items, side by side, in one field of `mask` */
	QUERY_PREFIX,                     /* one item, of any kind but PATTERN_WORD */
	QUERY_TAG,                        /* any of its items, in `field` */
	QUERY_RANGE,                      /* numbers and/or dates, bounds inclusive */
	QUERY_GEO,
	QUERY_MISSING,
	QUERY_OUTSIDE,                    /* what search_provider answers */
	QUERY_AND, QUERY_OR,              /* two children or more */
	QUERY_NOT, QUERY_OPTIONAL,        /* one child */
};

struct query_text {
	uint32_t at, len;                 /* in query->bytes */
};

struct query_item {
	struct query_text text;           /* folded */
	enum pattern_kind kind;
};

struct query_node {
	enum query_kind   kind;
	uint16_t          mask;           /* FIELD_*; while parsing, above: QUERY_TEXT_SHIFT */
	bool              has_numbers, has_dates;
	uint32_t          first_child, next, child_count;
	uint32_t          first_item, item_count;
	struct query_text field;          /* of words: the attribute they stand in; empty: mask */
	double            low, high;                 /* numbers */
	double            date_low, date_high;
	double            lon, lat, radius_m;
	double            weight;         /* of its score */
	uint32_t          slop;           /* QUERY_PHRASE: words that may stand between */
	bool              any_order;
	enum search_leaf_kind leaf;       /* QUERY_OUTSIDE */
	uint32_t          distance;
	uint8_t           hash[SEARCH_HASH_BYTES];
};

struct query {
	uint32_t           magic;
	struct memory     *memory;
	struct query_node *nodes;
	uint32_t           node_count, node_cap;
	struct query_item *items;
	uint32_t           item_count, item_cap;
	uint8_t           *bytes;
	uint32_t           byte_count, byte_cap;
	uint32_t           root;
};

static inline struct span query_span(const struct query *query, struct query_text text)
{
	ASSERT(text.at + text.len <= query->byte_count);
	if (text.len == 0)
		return (struct span){0};      /* of a query without any there are no bytes */
	return span_of(query->bytes + text.at, text.len);
}

/* ---- Building (query_build.c) --------------------------------------------------------- */

struct query *query_new(struct memory *memory);
struct query_text query_add_text(struct query *query, struct span text);
/* A leaf; items added next belong to it. */
uint32_t query_add_node(struct query *query, enum query_kind kind);
void query_add_item(
    struct query *query, uint32_t node, struct span text, enum pattern_kind kind);

/* Children in order of arrival. */
struct query_list {
	uint32_t first, last, count;
};
void query_list_push(struct query *query, struct query_list *list, uint32_t node);
/* QUERY_NIL for none, the one itself for one. Flattens nothing. */
uint32_t query_join(struct query *query, enum query_kind kind, const struct query_list *list);

/* Words, phrases and patterns that may stand in attributes become any of several: one in the fields
 * of their mask, one in each of those attributes. */
struct query_words;
void query_spread_texts(struct query *query, const struct query_words *words);

/* Every node's weight counts for what is below it. */
void query_spread_weights(struct query *query);

/* ---- Parsing: what parse.c and its helpers share ---------------------------------------- */

struct parse {
	struct query               *query;
	struct span                 text;
	size_t                      at;
	const struct query_options *options;
	struct query_error         *error;
	uint32_t                    terms;
	size_t                      param_bytes;     /* substituted so far */
};

/* Each fills the error and returns its code. */
enum err parse_syntax(struct parse *parse, size_t offset);
enum err parse_fail(struct parse *parse, enum err err, size_t offset, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Counts one word, tag or range against SEARCH_TERMS_MAX. */
MUST_CHECK enum err parse_count_term(struct parse *parse);

/* At '$': the value of the parameter. */
MUST_CHECK enum err parse_param(struct parse *parse, struct span *value);

void parse_skip_blanks(struct parse *parse);

/* After "@name:" at '[' or '{'; *node becomes the leaf (fields.c). */
MUST_CHECK enum err parse_range(struct parse *parse, struct span name, uint32_t *node);
MUST_CHECK enum err parse_tags(struct parse *parse, struct span name, uint32_t *node);

/* At "w'": what stands up to the closing quote, backslashes included. */
MUST_CHECK enum err parse_wildcard(struct parse *parse, struct span *pattern);

/* At "=> {$weight: 2; $slop: 1; $inorder: true}", if it is there: into the node, which may
 * be another one then (parse_attributes.c). */
MUST_CHECK enum err parse_attributes(struct parse *parse, uint32_t *node);

static inline int parse_peek(const struct parse *parse)
{
	return parse->at < parse->text.len ? parse->text.ptr[parse->at] : -1;
}

/* Letters, digits, and every byte beyond ASCII. */
static inline bool parse_is_word_byte(int byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	    (byte >= '0' && byte <= '9') || byte >= 0x80;
}

static inline bool parse_is_blank(int byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}
