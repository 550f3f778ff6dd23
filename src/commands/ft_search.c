/* commands/ft_search.c: FT.SEARCH, FT.AGGREGATE, FT.SUGGET, FT.EXPLAIN over the one index there
 * is, `images`: the words of RediSearch 2.6 become those of IMG.SEARCH and its kin. A word
 * that has no counterpart is refused, never passed over.
 */
#include "commands/image.h"

#include "engine/index/language.h"

#include "base/number.h"

#include <stdio.h>

enum { WORDS_MAX = 512, FT_QUERY_MAX = SEARCH_QUERY_BYTES_MAX };

/* False: an error was replied. */
bool ft_index_is_known(struct call *call, struct span name)
{
	if (span_equal(name, SPAN_LIT("images")))
		return true;
	call_error(call, "ERR %.*s: no such index", (int)(name.len < 64 ? name.len : 64),
	    (const char *)name.ptr);
	return false;
}

/* One translation: words of IMG.SEARCH, and what is added to the query. */
struct ft_words {
	struct call *call;
	struct span  argv[WORDS_MAX];
	uint32_t     argc, at;
	struct buf   query;
	bool         has_fields, has_slop, in_order;
	int64_t      slop;
};

static bool add_word(struct ft_words *words, struct span word)
{
	if (words->argc == WORDS_MAX) {
		call_error(words->call, "TOOLARGE at most %d words", WORDS_MAX);
		return false;
	}
	words->argv[words->argc++] = word;
	return true;
}

static struct span word_at(const struct ft_words *words, uint32_t ahead)
{
	return words->call->argv[words->at + ahead];
}

static bool add_text(struct ft_words *words, const char *text)
{
	return add_word(words, span_text(text));
}

static bool left(struct ft_words *words, uint32_t count)
{
	if (words->call->argc - words->at > count)
		return true;
	reply_syntax_error(words->call);
	return false;
}

/* The word and so many behind it, as they are. */
static bool copy_words(struct ft_words *words, uint32_t count)
{
	if (!left(words, count))
		return false;
	for (uint32_t i = 0; i <= count; i++)
		if (!add_word(words, words->call->argv[words->at++]))
			return false;
	return true;
}

/* WORD n ..., with n words. */
static bool copy_counted(struct ft_words *words)
{
	int64_t count;
	if (!left(words, 1))
		return false;
	if (!number_parse_range(words->call->argv[words->at + 1], 0, SEARCH_LIMIT_MAX, &count)) {
		call_error(words->call, "ERR a count is missing or not a number");
		return false;
	}
	for (uint32_t i = 0; span_is(word_at(words, 0), "RETURN") && i < (uint32_t)count; i++) {
		if (left(words, 2 + i) && !span_is(word_at(words, 2 + i), "AS"))
			continue;
		if (words->call->argc > words->at + 2 + i)
			call_error(words->call, "ERR RETURN with AS is not available in this version");
		return false;
	}
	return copy_words(words, 1 + (uint32_t)count);
}

/* SORTBY field [ASC|DESC] */
static bool copy_sort(struct ft_words *words)
{
	const struct call *call = words->call;
	bool order = words->at + 2 < call->argc &&
	    (span_is(call->argv[words->at + 2], "ASC") || span_is(call->argv[words->at + 2], "DESC"));
	return copy_words(words, order ? 2 : 1);
}

static void append_span(struct buf *out, struct span text)
{
	buf_append(out, text);
}

/* FILTER field min max */
static bool add_filter(struct ft_words *words)
{
	if (!left(words, 3))
		return false;
	buf_append_text(&words->query, " @");
	append_span(&words->query, word_at(words, 1));
	buf_append_text(&words->query, ":[");
	append_span(&words->query, word_at(words, 2));
	buf_append_u8(&words->query, ' ');
	append_span(&words->query, word_at(words, 3));
	buf_append_u8(&words->query, ']');
	words->at += 4;
	return true;
}

/* GEOFILTER field lon lat radius unit */
static bool add_geofilter(struct ft_words *words)
{
	if (!left(words, 5))
		return false;
	buf_append_text(&words->query, " @");
	append_span(&words->query, word_at(words, 1));
	buf_append_text(&words->query, ":[");
	for (uint32_t i = 2; i <= 5; i++) {
		append_span(&words->query, word_at(words, i));
		buf_append_u8(&words->query, i < 5 ? ' ' : ']');
	}
	words->at += 6;
	return true;
}

/* INFIELDS n field ...: the query is asked of these alone. */
static bool add_fields(struct ft_words *words)
{
	int64_t count;
	struct buf scoped;
	if (!left(words, 1) || words->has_fields)
		return left(words, 1) && (reply_syntax_error(words->call), false);
	if (!number_parse_range(word_at(words, 1), 1, 64, &count)) {
		call_error(words->call, "ERR INFIELDS needs a number of fields");
		return false;
	}
	if (!left(words, 1 + (uint32_t)count))
		return false;
	buf_init(&scoped, words->query.memory);
	for (uint32_t i = 0; i < (uint32_t)count; i++) {
		buf_append_u8(&scoped, i == 0 ? '@' : '|');
		append_span(&scoped, word_at(words, 2 + i));
	}
	buf_append_u8(&scoped, ':');
	buf_append(&scoped, buf_span(&words->query));
	buf_clear(&words->query);
	buf_append(&words->query, buf_span(&scoped));
	buf_fini(&scoped);
	words->has_fields = true;
	words->at += 2 + (uint32_t)count;
	return true;
}

/* HIGHLIGHT [FIELDS n field ...] [TAGS open close] */
static bool copy_highlight(struct ft_words *words)
{
	if (!copy_words(words, 0))
		return false;
	for (;;) {
		bool more = words->at < words->call->argc;
		if (more && span_is(word_at(words, 0), "FIELDS")) {
			if (!copy_counted(words))
				return false;
		} else if (more && span_is(word_at(words, 0), "TAGS")) {
			if (!copy_words(words, 2))
				return false;
		} else {
			return true;
		}
	}
}

/* SLOP n: so many other words between those of the query. */
static bool add_slop(struct ft_words *words)
{
	if (!left(words, 1))
		return false;
	if (!number_parse_range(word_at(words, 1), 0, 1000, &words->slop)) {
		call_error(words->call, "ERR SLOP needs a number from 0 to 1000");
		return false;
	}
	words->has_slop = true;
	words->at += 2;
	return true;
}

/* What of these was asked belongs to the whole query. */
static void close_query(struct ft_words *words)
{
	if (!words->has_slop && !words->in_order)
		return;
	buf_append_text(&words->query, "=>{");
	if (words->has_slop)
		buf_printf(&words->query, "$slop:%lld;", (long long)words->slop);
	if (words->in_order)
		buf_append_text(&words->query, "$inorder:true;");
	buf_append_u8(&words->query, '}');
}

enum ft_kind {
	FT_PLAIN, FT_ONE, FT_TWO, FT_COUNTED, FT_SORT, FT_FILTER, FT_GEO, FT_FIELDS,
	FT_HIGHLIGHT, FT_SLOP, FT_INORDER,
};

static const struct {
	const char  *name;
	enum ft_kind kind;
} ft_options[] = {
    {"NOCONTENT", FT_PLAIN}, {"WITHSCORES", FT_PLAIN}, {"RETURN", FT_COUNTED},
    {"SORTBY", FT_SORT}, {"LIMIT", FT_TWO}, {"INKEYS", FT_COUNTED}, {"TIMEOUT", FT_ONE},
    {"PARAMS", FT_COUNTED}, {"DIALECT", FT_ONE}, {"FILTER", FT_FILTER},
    {"GEOFILTER", FT_GEO}, {"INFIELDS", FT_FIELDS}, {"HIGHLIGHT", FT_HIGHLIGHT},
    {"SLOP", FT_SLOP}, {"INORDER", FT_INORDER},
    {"VERBATIM", FT_PLAIN}, {"NOSTOPWORDS", FT_PLAIN},
};

static bool take_option(struct ft_words *words)
{
	struct span word = word_at(words, 0);
	size_t at = 0;
	while (at < ARRAY_COUNT(ft_options) && !span_is(word, ft_options[at].name))
		at++;
	if (at == ARRAY_COUNT(ft_options)) {
		call_error(words->call, "ERR %.*s is not available in this version",
		    (int)(word.len < 64 ? word.len : 64), (const char *)word.ptr);
		return false;
	}
	switch (ft_options[at].kind) {
	case FT_PLAIN:
		return copy_words(words, 0);
	case FT_ONE:
		return copy_words(words, 1);
	case FT_TWO:
		return copy_words(words, 2);
	case FT_COUNTED:
		return copy_counted(words);
	case FT_SORT:
		return copy_sort(words);
	case FT_FILTER:
		return add_filter(words);
	case FT_GEO:
		return add_geofilter(words);
	case FT_FIELDS:
		return add_fields(words);
	case FT_HIGHLIGHT:
		return copy_highlight(words);
	case FT_SLOP:
		return add_slop(words);
	case FT_INORDER:
		words->in_order = true;
		break;
	}
	words->at++;
	return true;
}

/* Runs IMG.SEARCH in its stead. Everything it needs later it copies. */
static void run_search(struct call *call, const struct ft_words *words)
{
	const struct span *argv = call->argv;
	uint32_t argc = call->argc;
	call->argv = words->argv;
	call->argc = words->argc;
	cmd_img_search(call);
	call->argv = argv;
	call->argc = argc;
}

/* All words from argv[query] on. False: an error was replied. */
static bool translate(struct ft_words *words, struct call *call, uint32_t query)
{
	bool good = true;
	words->call = call;
	words->at = query + 1;
	words->argc = 2;
	buf_init(&words->query, &call->engine->memory.engine);
	buf_append_u8(&words->query, '(');
	append_span(&words->query, span_slice(call->argv[query], 0, FT_QUERY_MAX + 1));
	buf_append_u8(&words->query, ')');
	while (good && words->at < call->argc)
		good = take_option(words);
	close_query(words);
	bool plain = words->query.len == call->argv[query].len + 2;
	words->argv[0] = SPAN_LIT("IMG.SEARCH");
	words->argv[1] = plain ? call->argv[query] : buf_span(&words->query);
	return good;
}

static void words_free(struct call *call, struct ft_words *words)
{
	buf_fini(&words->query);
	memory_free(&call->engine->memory.engine, words, sizeof(*words));
}

void ft_search_run(struct call *call, uint32_t query)
{
	struct ft_words *words = memory_zalloc(&call->engine->memory.engine, sizeof(*words));
	if (translate(words, call, query) && add_text(words, "COUNT") && add_text(words, "EXACT"))
		run_search(call, words);
	words_free(call, words);
}

/* ---- FT.EXPLAIN ---- */

static size_t params_of(const struct ft_words *words, struct query_param *params)
{
	int64_t count;
	uint32_t at = 2;
	while (at < words->argc && !span_is(words->argv[at], "PARAMS"))
		at++;
	if (at + 1 >= words->argc ||
	    !number_parse_range(words->argv[at + 1], 0, 2 * IMAGE_PARAMS_MAX, &count))
		return 0;
	for (int64_t i = 0; i < count / 2; i++)
		params[i] = (struct query_param){
		    words->argv[at + 2 + 2 * i], words->argv[at + 3 + 2 * i]};
	return (size_t)count / 2;
}

static void explain(struct call *call, const struct ft_words *words)
{
	struct query_param params[IMAGE_PARAMS_MAX];
	struct language language;
	language_get(call->engine, call->session->db, &language);
	const struct query_options options = {.params = params,
	    .param_count = params_of(words, params), .words = &language.words};
	struct query_error error;
	struct query *query;
	struct buf text;
	enum err err = query_parse(
	    &query, &call->engine->memory.search, words->argv[1], &options, &error);
	if (err != OK) {
		call_error(call, "%s %s", err == ERR_TOOLARGE ? "TOOLARGE" : "ERR", error.text);
		return;
	}
	buf_init(&text, &call->engine->memory.replies);
	query_explain(query, &text);
	reply_bulk(call->reply, buf_span(&text));
	buf_fini(&text);
	query_free(query);
}

void cmd_ft_explain(struct call *call)
{
	if (!ft_index_is_known(call, call->argv[1]))
		return;
	struct ft_words *words = memory_zalloc(&call->engine->memory.engine, sizeof(*words));
	if (translate(words, call, 2))
		explain(call, words);
	words_free(call, words);
}

void cmd_ft_search(struct call *call)
{
	if (ft_index_is_known(call, call->argv[1]))
		ft_search_run(call, 2);
}

void cmd_ft_aggregate(struct call *call)
{
	if (ft_index_is_known(call, call->argv[1]))
		image_aggregate_run(call, 2, true);
}

void cmd_ft_sugget(struct call *call)
{
	if (span_equal(call->argv[1], SPAN_LIT("images")))
		image_suggest_run(call, 2, true);
	else
		reply_array(call->reply, 0);      /* a dictionary that nobody has filled */
}
