/* search/run.h: a search under way: the query bound to an index, and where it stands.
 * Internal.
 *
 * The ids are walked in windows of 4096 from the newest down, so that among equals the
 * first one found is the one to keep. In a window each node narrows a bitmap of
 * candidates: a leaf clears what it does not match, AND hands the bitmap from child to
 * child (cheapest first), OR unites, NOT subtracts. The nodes are visited with an explicit
 * stack, one leaf a unit, so that a search can stop after any leaf. Scoring leaves add to
 * one float a document of the window.
 *
 * A query that needs a rare term is walked by that term's postings instead: a batch is one
 * run of them, at most 128 candidates, and the bitmaps have two words instead of 64
 * (lists.c). "Slot" is the place of a document in its window or batch.
 *
 * Where no exact total is wanted, what cannot enter the results is passed over: a block
 * whose best possible score is too low (Ding and Suel, "Faster top-k document retrieval
 * using block-max indexes", 2011); a document whose score so far is, with all that the
 * parts still to come can add; and in an OR the words that cannot lift a document into the
 * results by themselves are asked only about documents that others found (Turtle and
 * Flood, "Query evaluation: strategies and optimizations", 1995: MAXSCORE).
 */
#pragma once
#include "search/facet.h"
#include "search/profile.h"
#include "search/prune.h"
#include "search/top.h"
#include "search/wide.h"

enum { SEARCH_MAGIC = 0x48435253, RUN_CURSORS_MAX = 16 };

/* Of scores: what a node and those below it can add; that with what siblings after it can; and
 * what can at most come after it. */
struct bounds {
	float bound, rest, after;
};

struct node {
	enum query_kind kind;
	uint8_t        mask;
	bool           scores;            /* it or a leaf below adds to scores */
	bool           guarded;           /* AND below an OR or ~: see match.c */
	bool           must;              /* every result matches it */
	bool           drives;            /* its matches choose the windows: under no NOT or ~ */
	bool           has_numbers, has_dates;
	uint32_t       first_child, child_count;     /* in search->order */
	uint32_t       depth;             /* of its tree: 1 for a leaf */
	uint64_t       cost;              /* documents it may match, about */
	uint32_t       before;            /* for window_next */
	float          weight;
	uint32_t       slop;
	bool           any_order;
	float          bound;             /* highest score that it and what is below can add */
	float          rest;              /* sum of this bound and those of siblings after it */
	bool           in_order;          /* what was asked before it is in a document's score, and */
	float          after;             /* ... this, at most, comes after it */
	bool           sleeps;            /* an OR's word that no longer drives */
	struct bounds  here;              /* in this window, if the search prunes; bounds.c */
	uint16_t       space;             /* of its terms */
	struct field  *field;
	struct cursor *cursors;
	uint32_t       cursor_count;
	struct wide   *wide;
	void          *outside;           /* the provider's; QUERY_OUTSIDE */
	bool           outside_ready;
	uint32_t       first_item, item_count;
	double         low, high, date_low, date_high;
	double         lon, lat, radius_m;
};

struct frame {
	uint32_t node, child;
	bool     quiet;                   /* nothing below adds scores */
	bool     again;                   /* guarded: the pass that adds them */
	uint64_t mask[WINDOW_WORDS];      /* candidates in, matches out */
	uint64_t found[WINDOW_WORDS];     /* OR: united so far */
};

enum window_state { WINDOW_FOUND, WINDOW_PASSED, WINDOW_LACKS, WINDOW_END };

enum search_phase {
	PHASE_PRIME, PHASE_EXPAND, PHASE_WINDOW, PHASE_MATCH, PHASE_ACCEPT, PHASE_SHOW, PHASE_COLLECT,
	PHASE_SORT, PHASE_FACETS, PHASE_DONE
};

struct search {
	uint32_t        magic;
	struct index   *index;
	struct memory  *memory;
	struct search_options options;
	enum search_phase phase, phase_next;         /* next: after PHASE_PRIME */
	uint32_t        limit;            /* ids from here on came later */
	bool            lists;            /* batches are runs of the driver, not windows */
	struct cursor  *driver;
	struct node    *driver_node;
	uint32_t        scorers;          /* leaves that add to scores */
	uint32_t        below;            /* lists: ids from here on are done */
	uint32_t        window;           /* windows: at work on */
	uint32_t        low, high;        /* ids of this window or batch lie between */
	uint32_t        words;            /* of its bitmaps */
	uint32_t        docids[PACK_COUNT];          /* lists: the candidates, ascending */
	bool            driver_scores;    /* its leaf does, when a batch begins or (late) ends */
	bool            driver_is_late;   /* this batch */
	uint32_t        driver_run, driver_version;  /* that run, while the list is unchanged */
	struct query *texts; /* items and bytes of the query, if expansions need them */
	struct node    *nodes;
	uint32_t        node_count, root;
	uint32_t       *order;            /* children, in order of evaluation */
	uint32_t        order_count;
	uint32_t        expanding;        /* node */
	bool            has_wide;
	size_t          wide_bytes;
	struct frame   *frames;
	uint32_t        frame_count, frame_cap;
	bool            scoring;
	float           threshold;        /* scores up to it cannot enter any more */
	float           floor;            /* enough documents have that score, or more; see prime.c */
	uint32_t        primed;           /* children of the root that were asked for it */
	bool            prunes;           /* now */
	struct dense_prune prune;
	float           slack;            /* 1, or more where sums are not exact */
	struct facet   *facets;
	uint32_t        facet_count, facet_at;       /* at work on */
	size_t          facet_bytes;
	uint32_t        shown;            /* slots from here on are accepted, or visited */
	bool            holds_ordinals;   /* counted in index->ordinal_users */
	bool            shows_all;        /* no match may be passed over */
	struct field   *sort_field;       /* NULL: no document has it */
	const struct column *sort_column;
	struct top      top;
	struct buf      text;             /* scratch: a title */
	struct title_words *title_words;  /* NULL, or of a sort by title */
	uint64_t        total;
	bool            total_is_known;   /* from the start */
	bool            total_is_least;   /* ... as a lower bound */
	uint64_t        units, blocks_read, blocks_skipped, windows;        /* for search_profile */
	uint64_t        removed;          /* index->removed when matches were checked */
	bool            quietly, known;   /* in the first, or second, of two passes; see match.c */
	bool            counted;          /* ... and the total has the matches of this window */
	bool            skipped;          /* something was passed over: total is a lower bound */
	struct search_hit *hits;
	const struct search_budget *budget;          /* of this step */
	uint64_t        unit_us;          /* what the longest of the last units took */
	struct profile_work profile;
	uint64_t        matches[WINDOW_WORDS];
	uint64_t        touched[WINDOW_WORDS];       /* documents with a score to clear */
	float           scores[WINDOW_DOCS];
	const float    *inverse_tf;       /* of the index */
	float           norm_base, norm_slope;       /* k1 * (1 - b + b * length / mean) */
};

static inline uint32_t search_docid(const struct search *search, uint32_t slot)
{
	return search->lists ? search->docids[slot] : (search->window << WINDOW_SHIFT) + slot;
}

/* Scores are whole multiples of 2^-15, so that sums below SCORE_EXACT are exact in any
 * order: bounds hold to the last bit, and equal ones are known to be equal. */
#define SCORE_EXACT 256.0f
#define SCORE_STEP (1.0f / 32768)

static inline float score_round(float score)
{
	const float magic = 384;          /* the last bit of a float there counts 2^-15 */
	float sum = score + magic;
	return score < 127 ? sum - magic : score;
}

/* Rises with tf and falls with length also as floats are rounded, so that bounds hold. */
static inline float term_score(const struct search *search, float weight, uint8_t tf,
    uint32_t length)
{
	float norm = search->norm_base + search->norm_slope * (float)length;
	return score_round(weight / (1 + norm * search->inverse_tf[tf]));
}

static inline void add_score(struct search *search, uint32_t slot, float score)
{
	search->scores[slot] += score;
	search->touched[slot / 64] |= 1ULL << (slot % 64);
}

/* Is this score too low to enter the results? What comes later loses against its equals. */
static inline bool is_hopeless(const struct search *search, float bound)
{
	return bound * search->slack <= search->threshold;
}

/* Something was passed over: the total is not known, unless this window was counted before. */
static inline void search_skip(struct search *search)
{
	search->skipped |= !search->counted;
}

static inline const struct node *search_root(const struct search *search)
{
	return &search->nodes[search->root];
}

/* All that parts of the query other than one of this bound can add. */
static inline float bound_of_others(const struct search *search, float bound)
{
	return search_root(search)->bound * search->slack - bound;
}

/* The same in this window or batch. */
static inline float others_here(const struct search *search, const struct node *node)
{
	return search_root(search)->here.bound * search->slack - node->here.bound;
}

/* ---- bounds.c -------------------------------------------------------------------------- */

/* Bounds of all nodes for ids between low and high. */
void bounds_narrow(struct search *search);
/* For all ids. */
void bounds_copy(struct search *search);

/* ---- leaf.c ---------------------------------------------------------------------------- */

/* Clears in `mask` what the leaf does not match in this window; adds scores. */
void leaf_match(struct search *search, struct node *node, bool scores,
    uint64_t mask[WINDOW_WORDS]);

/* The greatest window below `window` in which the leaf may match anything, or DOCID_NONE. */
uint32_t leaf_before(struct search *search, struct node *node, uint32_t window);

/* Highest score within these limits; that of one run. */
float best_bound(const struct search *search, float weight, const struct posting_best *best);
float run_bound(const struct search *search, const struct cursor *cursor, uint32_t at);

double geo_distance(double lon1, double lat1, double lon2, double lat2);

/* Of all postings of a run decoded to PART_TFS. */
void run_scores(const struct search *search, const struct posting_run *run, float weight,
    float scores[PACK_COUNT]);

/* ---- prime.c --------------------------------------------------------------------------- */

/* A lower bound of the scores that make it into the results, from the best blocks of one word
 * that is enough for a match. False: there is no more to ask. */
MUST_CHECK bool search_prime(struct search *search);
bool search_can_prime(const struct search *search);

/* ---- lists.c --------------------------------------------------------------------------- */

/* As leaf_match, each candidate on its own, in batches and windows; window_next for batches. */
void leaf_match_list(struct search *search, struct node *node, bool scores, uint64_t *mask);
MUST_CHECK enum window_state list_next(struct search *search);
/* A dense word in a window. */
void dense_match_window(struct search *search, struct node *node, bool scores, uint64_t *mask);
/* The driver's scores of all matches of a batch, if they were not needed before. */
void list_score_late(struct search *search);

/* ---- phrase.c -------------------------------------------------------------------------- */

/* Clears candidates that do not have the phrase; adds scores of those that do. */
void phrase_match_list(struct search *search, struct node *node, bool scores, uint64_t *mask);

/* ---- bind.c ---------------------------------------------------------------------------- */

/* Cursors on these terms. */
void node_set_terms(
    struct search *search, struct node *node, struct term **terms, uint32_t count);

/* Makes nodes, cursors, order and frames of search from the query. */
MUST_CHECK enum err search_bind(struct search *search, const struct query *query);
MUST_CHECK enum err search_bind_sort(struct search *search);

/* ---- match.c --------------------------------------------------------------------------- */

/* Looks for the next window worth a look, and sets the frames up for it. WINDOW_PASSED:
 * some were passed over, ask again. */
MUST_CHECK enum window_state window_next(struct search *search);

void frame_begin(struct search *search);
bool search_is_quiet_first(const struct search *search);

/* Evaluates up to and including one leaf; true when the window's matches are known. */
MUST_CHECK bool window_match(struct search *search);

/* Counts and offers some matches; true when all are (collect.c). */
MUST_CHECK bool window_collect(struct search *search);

/* Clears what is not accepted; shows the rest to the visitor; some of it, true when all. */
MUST_CHECK bool window_accept(struct search *search);
MUST_CHECK bool window_visit(struct search *search);

void matches_check(struct search *search);
/* Drops what is not live: the candidates of lists are taken as they come. */
void matches_drop_dead(struct search *search, uint64_t *mask);
/* Counts, and drops, matches that come after the worst result by the sort key. */
void matches_narrow(struct search *search);

/* Gives up what was found in this window: all of its documents are gone. */
void window_abandon(struct search *search);

/* May results be left uncounted from here on, if they cannot enter? */
bool search_may_skip(const struct search *search);
/* May matches go uncounted from here on? Sets `threshold` and `prunes` for what follows. */
bool search_prunes(struct search *search);
