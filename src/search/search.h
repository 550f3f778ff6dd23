/* search/search.h: the full-text, tag, number, date and place index, in memory.
 *
 * Concepts
 *   An index holds documents under dense ids that only grow: a document that changes is
 *   added again under a new id and its old id is removed. Ids are arrival order, so the
 *   newest document has the highest id. Each document carries an owner, an opaque pointer
 *   of the caller's. Additions and removals show in every search started afterwards.
 *   Nothing here reads a clock, does I/O, or calls back except where a parameter says so.
 *
 * Built-in fields (all others are attributes)
 *   title, caption                        text
 *   tags, camera                          tag, and text: @camera:{canon*}, @camera:canon
 *   format, orientation, lens, tier       tag
 *   width height megapixels bytes frames iso aperture exposure focal    numeric
 *   created, taken                        date (Unix milliseconds)
 *   location                              geo
 *   An attribute is a tag whatever its name; its value also enters a numeric column when it
 *   reads as a number, and a date column when it is ISO 8601 with at least year and month.
 *   Names are case-sensitive. A field that no document has matches nothing, and
 *   ismissing() of it everything. An attribute named as a built-in field is not indexed.
 *
 * Text
 *   Words are runs of letters and digits after NFKC, case folding and removal of
 *   diacritics and strokes (o for the Danish letter, ae for the ligature); ideographs, kana,
 *   Thai and the like, and pictographs are one word each. Words are cut to
 *   SEARCH_TERM_BYTES_MAX bytes. Stop words, synonyms and stems are the query's: language.h.
 *   A word of a query without a field is sought in title, caption, tags and camera. Tags
 *   compare as a whole after the same folding, runs of blanks as one.
 *
 * Query grammar (FT.SEARCH's, dialect 2: AND binds tighter than |)
 *   red car | "red car" | (a|b) -c | ~opt | @title:(x y) | @title|caption:x | $p | *
 *   pre* | *suf | *in* | %fuzzy% | %%fuzzier%% (1, 2 changes) | w'a?b*'
 *   @tags:{cat|big dog|ca*|*at|w'c?t'} | @width:[1920 +inf] | @width:[(100 (200] | @iso:[400]
 *   @taken:[2024-01 (2024-06] | @location:[lon lat 5 km|m|mi|ft] | ismissing(@f)
 *   @phash:[64 hex digits, bits] | @palette:{red|blue}        (see outside.h)
 *   unit => {$weight: 2; $slop: 1; $inorder: true}
 *   A backslash takes the next byte literally. A hyphen inside a word (t-shirt) belongs to
 *   it, as do ' _ . and /, and a word that analysis splits is a phrase. In a date range an
 *   inclusive lower bound is the first millisecond of what was named, an inclusive upper
 *   bound the last.
 *   On an attribute a bound that reads as number and as date (2024) serves as both.
 *   A prefix, suffix or infix needs 2 characters, a fuzzy word one more than its changes;
 *   none has a limit of words. They are found in the sorted dictionary, an infix by looking
 *   at every word of it. "-cat" alone is all but cat.
 *   $slop: so many words may stand between those of a phrase, which keeps its order unless
 *   $inorder is false; (a b) => {$slop: 1} is one in any order. At most 32 words.
 *
 * Score
 *   BM25 (Robertson and Zaragoza 2009) over the words of title, caption, tags and camera
 *   together: idf = ln(1 + (N - df + .5) / (df + .5)), tf saturates at 255. N and the mean
 *   length count live documents; df counts removed ones until the sweep meets them. A
 *   phrase scores as its words; a pattern that matches adds 1; $weight multiplies (0 to
 *   1000) what its unit adds; tags, ranges and negated parts add nothing. A score is a
 *   whole multiple of 2^-15. Equal scores and equal sort keys: newest first.
 */
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/span.h"
#include "search/language.h"
#include "search/outside.h"
#include "search/values.h"

enum {
	SEARCH_TERM_BYTES_MAX = 64,       /* of one word; the rest is cut */
	SEARCH_TAG_BYTES_MAX = 256,       /* of one folded tag; a longer one ends in a hash */
	SEARCH_FIELDS_MAX = 4096,         /* built-in fields and attribute names in one index */
	SEARCH_COUNT_FAST = 1000,         /* COUNT FAST counts exactly up to here */
	SEARCH_ERROR_BYTES = 160,
	SEARCH_MEMORY_MAX = 64 << 20,     /* for the wide prefixes and facets of one search */
	SEARCH_VISIT_MAX = 256,
	SEARCH_FACETS_MAX = 16,
	SEARCH_FACET_VALUES = 10,
};

/* ---- The index ---------------------------------------------------------------------- */

struct index;

struct index_options {
	double   k1, b;                   /* BM25; both 0: 1.2 and 0.75 */
	uint64_t hash_seed;               /* random, so that a client cannot choose collisions */
};

/* Every byte is counted for `memory`, which outlives the index. */
struct index *index_new(struct memory *memory, const struct index_options *options);
void index_free(struct index *index);         /* no search on it may be left */

enum search_kind {
	SEARCH_TEXT,                      /* text */
	SEARCH_TAG,                       /* text; one entry for each tag */
	SEARCH_NUMERIC,                   /* number; nan and infinities are left out */
	SEARCH_DATE,                      /* date_ms */
	SEARCH_GEO,                       /* lon, lat in degrees; kept to 1e-7 */
	SEARCH_ATTRIBUTE,                 /* text; decides for itself, see Concepts */
	SEARCH_TEXT_TAG,                  /* of an attribute (declare.h): words, and one tag */
};

struct search_field {
	struct span      name;
	enum search_kind kind;            /* that of the built-in field, or SEARCH_ATTRIBUTE */
	struct span      text;            /* any bytes; bad UTF-8 becomes U+FFFD, a separator */
	double           number;
	int64_t          date_ms;
	double           lon, lat;
};

/* Copies what it needs. Fields may repeat only if they are tags; otherwise the last one
 * counts. ERR_FULL, with nothing changed: all 2^32 - 2 ids are used, rebuild the index. */
MUST_CHECK enum err index_add(struct index *index, const struct search_field *fields, size_t count,
    void *owner, uint32_t *docid);

/* Ids that were never given or are removed already are ignored. */
void index_remove(struct index *index, uint32_t docid);

/* NULL unless the document is there. */
void *index_owner(const struct index *index, uint32_t docid);
void index_set_owner(struct index *index, uint32_t docid, void *owner);

struct index_stats {
	uint64_t docs;                    /* live */
	uint64_t docs_deleted;            /* removed and not yet swept */
	uint64_t docids_used;
	uint64_t removed;                 /* ever */
	uint64_t terms, postings, fields;
	uint64_t attributes_refused;      /* not indexed: over SEARCH_FIELDS_MAX names */
	uint64_t bytes_postings, bytes_dictionary, bytes_documents, bytes_columns;
	uint64_t bytes;                   /* all of it */
	uint64_t sweeps;                  /* passes ended */
};
void index_get_stats(const struct index *index, struct index_stats *stats);

/* ---- Time slices -------------------------------------------------------------------- */

/* How long a call may go on: until `units` small pieces of work (a block of postings, or a
 * window of 4096 documents for one term; 1 to 20 us each) are done or `clock_us` has
 * reached `deadline_us`. 0 units: no such limit. NULL clock: no such limit. A call always
 * does at least one unit. */
struct search_budget {
	uint64_t units;
	uint64_t (*clock_us)(void *ctx);
	void    *ctx;
	uint64_t deadline_us;
};

/* Reclaims what removed documents left: re-packs posting blocks of which a quarter or more
 * is dead, drops empty terms, frees ranges of dead documents. OK when the pass is through,
 * ERR_AGAIN when the budget ended it: call again. Safe between the slices of a search. Does
 * nothing during a dump (persist.h). */
MUST_CHECK enum err index_sweep(struct index *index, const struct search_budget *budget);

/* A pass is under way or has an eighth of all documents to reclaim. */
bool index_sweep_is_due(const struct index *index);

/* ---- Queries ------------------------------------------------------------------------ */

struct query;

struct query_param {
	struct span name, value;          /* $name in the query stands for value */
};

struct query_options {
	const struct query_param *params;
	size_t                    param_count;
	uint32_t                  dialect;        /* 0 or 2..4, which agree here */
	const struct query_words *words;          /* NULL, or language.h */
};

struct query_error {
	size_t offset;                            /* in the query's bytes */
	char   text[SEARCH_ERROR_BYTES];          /* UTF-8 as the query is; without "-ERR " */
};

/* Parses `text`, which need not outlive the call. `options` may be NULL.
 *   ERR_INVALID      "Syntax error at offset 3 near x", "No such parameter `p`", ...
 *   ERR_TOOLARGE     over SEARCH_QUERY_BYTES_MAX, SEARCH_TERMS_MAX or SEARCH_DEPTH_MAX
 *   ERR_UNSUPPORTED  three changes, another attribute than those above; the text names it
 * On error *out is NULL and *error is filled. */
MUST_CHECK enum err query_parse(struct query **out, struct memory *memory, struct span text,
    const struct query_options *options, struct query_error *error);
void query_free(struct query *query);

/* Appends the parsed tree, one node a line, indented by two blanks a level. */
struct buf;
void query_explain(const struct query *query, struct buf *out);

/* Appends `text`, the value of `field`, with tags[0] before and tags[1] behind every word
 * that the query asks for there. False if there was none. */
MUST_CHECK bool query_highlight(const struct query *query, struct span field, struct span text,
    const struct span tags[2], struct buf *out);

/* ---- Searches ----------------------------------------------------------------------- */

struct search;

enum search_count {
	SEARCH_FAST,                      /* exact up to SEARCH_COUNT_FAST, then a lower bound */
	SEARCH_EXACT,
	SEARCH_NONE,                      /* no total; the fastest */
};

/* Every match that is accepted, once, newest first, at most SEARCH_VISIT_MAX a call, during
 * search_step. `scores` is NULL where nothing scores. The callee must not change the index. */
typedef void search_visit(void *ctx, const uint32_t *docids, const float *scores, size_t count);

struct search_options {
	uint64_t    offset, limit;        /* at most SEARCH_OFFSET_MAX, _LIMIT_MAX; 0 0 only counts */
	struct span sort_field;           /* empty: by score */
	bool        sort_descending;      /* missing values come last either way */
	bool        with_scores;          /* also where a sort field orders */
	enum search_count count;
	bool      (*accept)(void *ctx, void *owner);     /* NULL, or a filter such as INKEYS */
	void       *accept_ctx;
	search_visit *visit;              /* NULL, or who is shown every match */
	void       *visit_ctx;
	const struct span *facets;        /* fields; the search copies what it needs */
	size_t      facet_count;          /* at most SEARCH_FACETS_MAX */
	bool        iterators;            /* for search_get_iterators */
};

struct search_hit {
	uint32_t docid;
	float    score;                   /* 0 if scores were neither asked nor needed */
	void    *owner;                   /* as of search_results */
};

/* Sorting by: a numeric or date field; a tag field (its first tag, folded); title (its words,
 * folded, word by word, whatever stands between them); an attribute (as number if any
 * document has it so, else date, else text). Texts compare whole. The search copies what it
 * needs of `query` and sees the documents that exist now; those removed while it runs
 * drop out, those added do not come in.
 * ERR_TOOLARGE: LIMIT, facets. ERR_INVALID: the field cannot be sorted by (caption,
 * location), or counted as a facet (those and title), or a colour is none.
 * ERR_UNSUPPORTED: a leaf without its provider. */
MUST_CHECK enum err search_start(struct search **out, struct index *index,
    const struct query *query, const struct search_options *options);

/* Goes on until the end (OK) or the end of the budget (ERR_AGAIN). ERR_OVERLOADED: the
 * query's wide prefixes, or the titles of the results, need more memory than
 * SEARCH_MEMORY_MAX; the search has ended. */
MUST_CHECK enum err search_step(struct search *search, const struct search_budget *budget);

struct search_results {
	uint64_t                 total;           /* 0 with SEARCH_NONE */
	bool                     total_is_exact;  /* else a lower bound */
	const struct search_hit *hits;            /* borrowed until search_free */
	size_t                   count;
};

/* After search_step returned OK. Documents removed since are left out of the hits. */
void search_get_results(struct search *search, struct search_results *results);

/* The commonest values of facet field `at` over all matches, commonest first, among equals
 * in order of the value; at most SEARCH_FACET_VALUES. Counts are exact whatever `count`
 * says. Returns how many; borrowed until search_free or the next change of the index. */
struct search_facet_value {
	struct span text;                 /* folded tag; empty for a number or date */
	double      number;
	uint64_t    docs;
};
size_t search_get_facet(
    struct search *search, size_t at, const struct search_facet_value **values);

/* What the search did so far. */
struct search_profile {
	uint64_t units;                   /* see search_budget */
	uint64_t blocks_read, blocks_skipped;     /* of postings; skipped by their bounds */
	uint64_t windows;                 /* of 4096 documents that were looked into */
};
void search_get_profile(const struct search *search, struct search_profile *profile);

/* What each part of the query did, a parent before its children, which are in the order in
 * which they were asked. Times are the budget's clock's. None unless the search has ended and
 * options.iterators asked for it; borrowed until search_free. */
struct search_iterator {
	const char *type;                 /* TEXT, PHRASE, PATTERN, TAG, NUMERIC, INTERSECT, ... */
	struct span text;                 /* words, or the range; may be empty */
	uint32_t depth, children;
	uint64_t documents;               /* that it may match, about */
	uint64_t us;                      /* with those below it */
	uint64_t matches;                 /* that it gave, of what was asked of it */
	uint64_t blocks_read, blocks_skipped;
};
size_t search_get_iterators(const struct search *search, const struct search_iterator **iterators);

/* Appends the plan, one node a line in the order in which they are asked, indented by two
 * blanks a level: words and how many documents have them (df), documents that a part may
 * match (cost), the highest score it can add. Nothing once the search has ended. */
void search_explain(const struct search *search, struct buf *out);

/* At any time, also before the end. */
void search_free(struct search *search);
