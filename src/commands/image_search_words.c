/* commands/image_search_words.c: the words of IMG.SEARCH behind its query. */
#include "commands/image_search.h"

#include "base/number.h"

enum { SIMILAR_DISTANCE = 31 };

static bool parse_count_of(struct call *call, uint32_t at, uint64_t max, uint64_t *out)
{
	int64_t value;
	if (at >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	if (!number_parse_i64(call->argv[at], &value) || value < 0) {
		reply_not_integer(call);
		return false;
	}
	if ((uint64_t)value > max) {
		call_error(call, "TOOLARGE a number in this query may be at most %llu",
		    (unsigned long long)max);
		return false;
	}
	*out = (uint64_t)value;
	return true;
}

/* "n word word ..." at argv[*at + 1]. */
static bool parse_words(
    struct call *call, uint32_t *at, uint32_t max, uint32_t *from, uint32_t *count)
{
	uint64_t words;
	if (!parse_count_of(call, *at + 1, max, &words))
		return false;
	if (call->argc - *at - 2 < words) {
		reply_syntax_error(call);
		return false;
	}
	*from = *at + 2;
	*count = (uint32_t)words;
	*at += 2 + *count;
	return true;
}

static bool parse_limit(struct call *call, uint32_t *at, struct search_words *words)
{
	if (!parse_count_of(call, *at + 1, SEARCH_OFFSET_MAX, &words->offset) ||
	    !parse_count_of(call, *at + 2, SEARCH_LIMIT_MAX, &words->limit))
		return false;
	*at += 3;
	return true;
}

static bool parse_sort(struct call *call, uint32_t *at, struct search_words *words)
{
	if (*at + 1 >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	words->sort_field = call->argv[*at + 1];
	*at += 2;
	if (*at < call->argc &&
	    (span_is(call->argv[*at], "ASC") || span_is(call->argv[*at], "DESC"))) {
		words->sort_descending = span_is(call->argv[*at], "DESC");
		(*at)++;
	}
	return true;
}

static bool parse_count_mode(struct call *call, uint32_t *at, struct search_words *words)
{
	struct span mode = *at + 1 < call->argc ? call->argv[*at + 1] : (struct span){0};
	if (span_is(mode, "EXACT"))
		words->count = SEARCH_EXACT;
	else if (span_is(mode, "FAST"))
		words->count = SEARCH_FAST;
	else if (span_is(mode, "NONE"))
		words->count = SEARCH_NONE;
	else {
		reply_syntax_error(call);
		return false;
	}
	*at += 2;
	return true;
}

static bool parse_params(struct call *call, uint32_t *at, struct search_words *words)
{
	uint32_t from, count;
	if (!parse_words(call, at, 2 * PARAMS_MAX, &from, &count))
		return false;
	if (count % 2 != 0) {
		call_error(call, "ERR Parameters must be specified in PARAM VALUE pairs");
		return false;
	}
	words->param_count = count / 2;
	for (uint32_t i = 0; i < count / 2; i++)
		words->params[i] =
		    (struct query_param){call->argv[from + 2 * i], call->argv[from + 2 * i + 1]};
	return true;
}

/* HIGHLIGHT [FIELDS n field ...] [TAGS open close] */
static bool parse_highlight(struct call *call, uint32_t *at, struct search_words *words)
{
	words->highlight = true;
	words->marks[0] = SPAN_LIT("<b>");
	words->marks[1] = SPAN_LIT("</b>");
	(*at)++;
	if (*at < call->argc && span_is(call->argv[*at], "FIELDS") &&
	    !parse_words(call, at, RETURN_MAX, &words->marked_from, &words->marked_count))
		return false;
	if (*at >= call->argc || !span_is(call->argv[*at], "TAGS"))
		return true;
	if (call->argc - *at < 3) {
		reply_syntax_error(call);
		return false;
	}
	words->marks[0] = call->argv[*at + 1];
	words->marks[1] = call->argv[*at + 2];
	*at += 3;
	return true;
}

/* SIMILAR key [MAXDIST d] */
static bool parse_similar(struct call *call, uint32_t *at, struct search_words *words)
{
	if (*at + 1 >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	words->similar = true;
	words->similar_key = call->argv[*at + 1];
	words->similar_distance = SIMILAR_DISTANCE;
	*at += 2;
	if (*at >= call->argc || !span_is(call->argv[*at], "MAXDIST"))
		return true;
	if (!parse_count_of(call, *at + 1, SEARCH_HASH_BITS, &words->similar_distance))
		return false;
	*at += 2;
	return true;
}

enum {
	S_NOCONTENT = 1,
	S_RETURN = 2,
	S_SORT = 4,
	S_LIMIT = 8,
	S_SCORES = 16,
	S_COUNT = 32,
	S_KEYS = 64,
	S_TIMEOUT = 128,
	S_PARAMS = 256,
	S_DIALECT = 512,
	S_FACET = 1024,
	S_HIGHLIGHT = 2048,
	S_SIMILAR = 4096,
	S_EXPLAIN = 8192,
	S_PROFILE = 16384
};

static unsigned option_bit(struct span word)
{
	static const struct { const char *name; unsigned bit;
	} names[] = {
	    {"NOCONTENT", S_NOCONTENT},
	    {"RETURN", S_RETURN},
	    {"SORTBY", S_SORT},
	    {"LIMIT", S_LIMIT},
	    {"WITHSCORES", S_SCORES},
	    {"COUNT", S_COUNT},
	    {"INKEYS", S_KEYS},
	    {"TIMEOUT", S_TIMEOUT},
	    {"PARAMS", S_PARAMS},
	    {"DIALECT", S_DIALECT},
	    {"FACET", S_FACET},
	    {"HIGHLIGHT", S_HIGHLIGHT},
	    {"SIMILAR", S_SIMILAR},
	    {"EXPLAIN", S_EXPLAIN},
	    {"PROFILE", S_PROFILE},
	};
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (span_is(word, names[i].name))
			return names[i].bit;
	return 0;
}

static bool parse_search_option(
    struct call *call, uint32_t *at, unsigned bit, struct search_words *words)
{
	uint64_t number;
	switch (bit) {
	case S_NOCONTENT:
		words->no_content = true;
		(*at)++;
		return true;
	case S_SCORES:
		words->with_scores = true;
		(*at)++;
		return true;
	case S_RETURN:
		words->has_return = true;
		return parse_words(call, at, RETURN_MAX, &words->return_from, &words->return_count);
	case S_SORT:
		return parse_sort(call, at, words);
	case S_LIMIT:
		return parse_limit(call, at, words);
	case S_COUNT:
		return parse_count_mode(call, at, words);
	case S_KEYS:
		return parse_words(
		    call, at, SEARCH_LIMIT_MAX, &words->keys_from, &words->keys_count);
	case S_PARAMS:
		return parse_params(call, at, words);
	case S_FACET:
		return parse_words(
		    call, at, SEARCH_FACETS_MAX, &words->facets_from, &words->facets_count);
	case S_HIGHLIGHT:
		return parse_highlight(call, at, words);
	case S_SIMILAR:
		return parse_similar(call, at, words);
	case S_EXPLAIN:
		words->explain = true;
		(*at)++;
		return true;
	case S_PROFILE:
		words->profile = true;
		(*at)++;
		return true;
	case S_DIALECT:
		if (!parse_count_of(call, *at + 1, 4, &number))
			return false;
		*at += 2;
		return true;
	default:
		if (!parse_count_of(call, *at + 1, 600000, &words->timeout_ms))
			return false;
		*at += 2;
		return true;
	}
}

bool image_search_words(struct call *call, struct search_words *words)
{
	unsigned seen = 0;
	words->limit = 10;
	words->timeout_ms = (uint64_t)call->engine->settings->search_timeout_ms;
	for (uint32_t at = 2; at < call->argc;) {
		unsigned bit = option_bit(call->argv[at]);
		if (bit == 0 || (seen & bit)) {
			reply_syntax_error(call);
			return false;
		}
		seen |= bit;
		if (!parse_search_option(call, &at, bit, words))
			return false;
	}
	if (words->explain && words->profile) {
		reply_syntax_error(call);
		return false;
	}
	return true;
}
