/* search/prime.c: what score a document must at least have to get into the results, before any
 * was found.
 *
 * A word that is enough for a match (the only one of the query, or one of an OR at its root)
 * tells: its blocks with the highest bounds are read first, and if as many documents as are
 * wanted have a score there, no document below the last of these will do. The walk from the
 * newest block down then passes over nearly all of the others from the start, instead of
 * learning that from what it meets.
 */
#include "search/bound.h"
#include "search/simd.h"

enum { PRIME_WANTED_MAX = 128, PRIME_BLOCKS = 24, PRIME_RUNS_MIN = 4, PRIME_RUNS_MAX = 1 << 14,
	MEMO_BITS = 8 };

struct choice {
	float    bound;
	uint32_t run;
};

/* Blocks with the highest bounds, best first; scores so far, best first. */
struct prime {
	struct choice choices[PRIME_BLOCKS];
	uint32_t      choice_count;
	float         scores[PRIME_WANTED_MAX];
	uint32_t      score_count, wanted;
};

static bool node_primes(const struct node *node)
{
	return node->kind == QUERY_TERM && node->mask == FIELD_ANY && node->cursor_count == 1 &&
	    node->cursors[0].term->list.block_count >= PRIME_RUNS_MIN;
}

bool search_can_prime(const struct search *search)
{
	const struct node *root = search_root(search);
	if (!search->scoring || search->top.sort != SORT_SCORE || search->shows_all ||
	    search->options.accept != NULL || search->top.cap == 0 ||
	    search->top.cap > PRIME_WANTED_MAX)
		return false;
	if (search->options.count == SEARCH_EXACT && !search->total_is_known)
		return false;
	return root->kind == QUERY_OR || node_primes(root);
}

static void choice_offer(struct prime *prime, float bound, uint32_t run)
{
	uint32_t at = prime->choice_count;
	if (at == PRIME_BLOCKS && bound <= prime->choices[at - 1].bound)
		return;
	at -= at == PRIME_BLOCKS;
	for (; at > 0 && prime->choices[at - 1].bound < bound; at--)
		prime->choices[at] = prime->choices[at - 1];
	prime->choices[at] = (struct choice){bound, run};
	prime->choice_count += prime->choice_count < PRIME_BLOCKS;
}

/* Once there are enough, most others are told from the worst of these without a division. Of the
 * rest many have the same limits: what follows from them is kept. */
static void choose(struct prime *prime, const struct search *search, const struct cursor *cursor)
{
	const struct postings *list = &cursor->term->list;
	const float *worst = &prime->choices[PRIME_BLOCKS - 1].bound;
	struct bound_test test = {0};
	float made = 0;
	struct { uint32_t key; float bound; } memo[1 << MEMO_BITS];
	memset(memo, 0, sizeof(memo));
	uint32_t end = list->block_count > PRIME_RUNS_MAX ? list->block_count - PRIME_RUNS_MAX : 0;
	for (uint32_t run = list->block_count; run-- > end;) {
		const struct posting_best *best = &list->skips[run].best;
		if (prime->choice_count == PRIME_BLOCKS) {
			if (made != *worst)
				test = bound_test_above(search, cursor->weight, *worst);
			made = *worst;
			if (bound_test_is_less(&test, best))
				continue;
		}
		uint32_t key;
		memcpy(&key, best, sizeof(key));
		uint32_t at = key * 0x9e3779b1u >> (32 - MEMO_BITS);
		if (memo[at].key != key) {        /* never 0: the highest tf is in it */
			memo[at].key = key;
			memo[at].bound = best_bound(search, cursor->weight, best);
		}
		choice_offer(prime, memo[at].bound, run);
	}
}

static bool is_filled(const struct prime *prime)
{
	return prime->score_count == prime->wanted;
}

static void score_offer(struct prime *prime, float score)
{
	uint32_t at = prime->score_count;
	at -= is_filled(prime);
	for (; at > 0 && prime->scores[at - 1] < score; at--)
		prime->scores[at] = prime->scores[at - 1];
	prime->scores[at] = score;
	prime->score_count += !is_filled(prime);
}

static void offer_live(
    struct prime *prime, const struct search *search, uint32_t docid, float score)
{
	if (is_filled(prime) && score <= prime->scores[prime->wanted - 1])
		return;
	if (docid < search->limit && docs_is_live(&search->index->docs, docid))
		score_offer(prime, score);
}

static void read_run(struct prime *prime, const struct search *search, struct cursor *cursor,
    uint32_t at)
{
	float scores[PACK_COUNT];
	const struct posting_run *run = &cursor->run;
	cursor_load(cursor, at, PART_TFS);
	run_scores(search, run, cursor->weight, scores);
	for (uint32_t i = 0; i < run->count; i++)
		offer_live(prime, search, run->docids[i], scores[i]);
}

/* Once there are enough: of those alone that have the word often enough. */
static void read_often(struct prime *prime, const struct search *search, struct cursor *cursor,
    uint32_t at)
{
	const struct posting_run *run = &cursor->run;
	const struct posting_best *best = &cursor->term->list.skips[at].best;
	struct score_limit limit = {.slack = 1, .limit = prime->scores[prime->wanted - 1]};
	uint32_t tf = tf_below_limit(search, cursor->weight, best, &limit);
	if (tf == 0) {
		read_run(prime, search, cursor, at);
		return;
	}
	cursor_load(cursor, at, PART_TFS);
	uint32_t places[PACK_COUNT], count = 0;
	for (uint32_t from = 0; from < PACK_COUNT; from += 64) {
		uint64_t bits = simd_bytes_above_64(run->tfs + from, (uint8_t)tf);
		for (; bits != 0; bits &= bits - 1) {
			uint32_t i = from + (uint32_t)__builtin_ctzll(bits);
			if (i >= run->count)
				break;
			docs_prefetch_length(&search->index->docs, run->docids[i]);
			places[count++] = i;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t docid = run->docids[places[i]];
		uint32_t length = docs_length(&search->index->docs, docid);
		offer_live(prime, search, docid,
		    term_score(search, cursor->weight, run->tfs[places[i]], length));
	}
}

static void prime_word(struct search *search, struct node *node)
{
	struct prime prime = {.wanted = search->top.cap};
	struct cursor *cursor = &node->cursors[0];
	choose(&prime, search, cursor);
	for (uint32_t i = 0; i < prime.choice_count; i++) {
		if (is_filled(&prime) && prime.choices[i].bound <= prime.scores[prime.wanted - 1])
			break;
		if (is_filled(&prime))
			read_often(&prime, search, cursor, prime.choices[i].run);
		else
			read_run(&prime, search, cursor, prime.choices[i].run);
		search->blocks_read++;
	}
	if (is_filled(&prime) && prime.scores[prime.wanted - 1] > search->floor)
		search->floor = prime.scores[prime.wanted - 1];
}

bool search_prime(struct search *search)
{
	struct node *root = &search->nodes[search->root];
	if (root->kind != QUERY_OR) {
		prime_word(search, root);
		return false;
	}
	while (search->primed < root->child_count) {
		struct node *child = &search->nodes[search->order[root->first_child + search->primed++]];
		/* One that cannot beat what is known already is not asked. */
		if (!node_primes(child) || child->bound <= search->floor)
			continue;
		prime_word(search, child);
		return true;
	}
	return false;
}
