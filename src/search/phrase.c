/* search/phrase.c: do the words of a phrase stand together in a document? Side by side, or
 * with some others between them ($slop), in their order or in any ($inorder). */
#include "search/run.h"
#include "search/spots.h"

/* Keeps of `at` (ascending ends of the phrase so far) those that the next word follows. */
static uint32_t phrase_follow(uint32_t *at, uint32_t count, const uint32_t *next,
    uint32_t next_count)
{
	uint32_t kept = 0;
	for (uint32_t i = 0, j = 0; i < count && j < next_count;) {
		if (next[j] < at[i] + 1) {
			j++;
		} else if (next[j] > at[i] + 1) {
			i++;
		} else {
			at[kept++] = next[j++];
			i++;
		}
	}
	return kept;
}

/* Do the words, all of which are in the document, stand side by side? */
static bool phrase_is_exact(struct node *node, uint32_t docid)
{
	uint32_t at[POSTING_TF_MAX], next[POSTING_TF_MAX], count = 0;
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		struct cursor *cursor = &node->cursors[i];
		uint32_t found = cursor_positions(cursor, docid, next);
		if (i > 0) {
			count = phrase_follow(at, count, next, found);
		} else {
			for (uint32_t j = 0; j < found; j++)
				if ((1u << position_field(next[j]) & node->mask) != 0)
					at[count++] = next[j];
		}
		if (count == 0)
			return false;
	}
	return true;
}

/* Positions of every word, in the order of the phrase. */
struct word_positions {
	uint32_t at[PHRASE_WORDS_MAX][POSTING_TF_MAX];
	uint32_t counts[PHRASE_WORDS_MAX], count;
};

static bool in_fields(const struct node *node, uint32_t first, uint32_t last)
{
	return position_field(first) == position_field(last) &&
	    (1u << position_field(first) & node->mask) != 0;
}

/* From each place of the first word, the nearest of each next one behind the one before. */
static bool phrase_is_ordered(const struct node *node, const struct word_positions *words)
{
	uint32_t next[PHRASE_WORDS_MAX] = {0};
	for (uint32_t start = 0; start < words->counts[0]; start++) {
		uint32_t first = words->at[0][start], last = first;
		for (uint32_t i = 1; i < words->count; i++) {
			while (next[i] < words->counts[i] && words->at[i][next[i]] <= last)
				next[i]++;
			if (next[i] == words->counts[i])
				return false;
			last = words->at[i][next[i]];
		}
		if (last - first - (words->count - 1) <= node->slop && in_fields(node, first, last))
			return true;
	}
	return false;
}

/* The shortest span that holds all words: whichever stands first moves on. */
static bool phrase_is_near(const struct node *node, const struct word_positions *words)
{
	uint32_t next[PHRASE_WORDS_MAX] = {0};
	for (;;) {
		uint32_t least = 0, first = UINT32_MAX, last = 0;
		for (uint32_t i = 0; i < words->count; i++) {
			uint32_t position = words->at[i][next[i]];
			last = position > last ? position : last;
			if (position < first) {
				first = position;
				least = i;
			}
		}
		if (last - first - (words->count - 1) <= node->slop && in_fields(node, first, last))
			return true;
		if (++next[least] == words->counts[least])
			return false;
	}
}

/* Positions of all words of the document; they are all in it. */
static bool phrase_at(struct node *node, uint32_t docid)
{
	struct word_positions words;
	if (node->slop == 0 && !node->any_order)
		return phrase_is_exact(node, docid);
	ASSERT(node->cursor_count <= PHRASE_WORDS_MAX);
	words.count = node->cursor_count;
	for (uint32_t i = 0; i < words.count; i++) {
		words.counts[i] = cursor_positions(&node->cursors[i], docid, words.at[i]);
		if (words.counts[i] == 0)
			return false;
	}
	return node->any_order ? phrase_is_near(node, &words) : phrase_is_ordered(node, &words);
}

/* Of a document that has all words. */
static float phrase_score(struct search *search, struct node *node, uint32_t docid)
{
	uint32_t length = docs_length(&search->index->docs, docid);
	float score = 0;
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		struct cursor *cursor = &node->cursors[i];
		uint32_t tf = cursor_tf(cursor, docid);
		if (tf > 0)
			score += term_score(search, cursor->weight, (uint8_t)tf, length);
	}
	return score;
}

/* ---- Side by side: many documents at a time ------------------------------------------------- */

enum meeting { MEETS_NOT, MEETS_MAYBE, MEETS };

/* Do two words that follow each other in the phrase stand side by side? First positions mostly
 * tell. MEETS: these do, in one of the fields. */
static enum meeting spots_meet(const struct spot *a, const struct spot *b, uint8_t fields)
{
	uint32_t at[POSTING_TF_MAX], next[POSTING_TF_MAX];
	bool only = a->tf == 1 && b->tf == 1;
	if (a->tf == 0 || b->tf == 0)
		return MEETS_NOT;
	if (b->position == a->position + 1 && (1u << position_field(a->position) & fields) != 0)
		return MEETS;
	if (only || (a->tf == 1 && b->position > a->position) ||
	    (b->tf == 1 && a->position > b->position))
		return MEETS_NOT;
	uint32_t count = spot_positions(a, at), kept = 0;
	for (uint32_t i = 0; i < count; i++)
		if ((1u << position_field(at[i]) & fields) != 0)
			at[kept++] = at[i];
	kept = phrase_follow(at, kept, next, spot_positions(b, next));
	return kept > 0 ? MEETS_MAYBE : MEETS_NOT;
}

/* Of up to SPOTS_MAX ascending ids: those that have the phrase. */
static void phrase_narrow_exact(
    struct node *node, const uint32_t *docids, uint32_t count, uint64_t found[SPOTS_MAX / 64])
{
	struct spot spots[2][SPOTS_MAX];
	uint64_t unsure[SPOTS_MAX / 64] = {0};
	cursor_spots(&node->cursors[0], docids, count, spots[0]);
	for (uint32_t word = 1; word < node->cursor_count; word++) {
		const struct spot *before = spots[(word - 1) % 2], *at = spots[word % 2];
		uint8_t fields = word == 1 ? node->mask : FIELD_ANY;
		cursor_spots(&node->cursors[word], docids, count, spots[word % 2]);
		for (uint32_t i = 0; i < count; i++) {
			uint64_t bit = 1ULL << (i % 64);
			if ((found[i / 64] & bit) == 0)
				continue;
			enum meeting meeting = spots_meet(&before[i], &at[i], fields);
			if (meeting == MEETS_NOT)
				found[i / 64] &= ~bit;
			else if (meeting == MEETS_MAYBE)
				unsure[i / 64] |= bit;
		}
	}
	/* That two each do is enough where there are no more than two. */
	for (uint32_t i = 0; i < count && node->cursor_count != 2; i++)
		if ((found[i / 64] & unsure[i / 64] & 1ULL << (i % 64)) != 0 &&
		    !phrase_is_exact(node, docids[i]))
			found[i / 64] &= ~(1ULL << (i % 64));
}

static void phrase_narrow(
    struct node *node, const uint32_t *docids, uint32_t count, uint64_t found[SPOTS_MAX / 64])
{
	if (node->slop == 0 && !node->any_order && node->cursor_count > 1) {
		phrase_narrow_exact(node, docids, count, found);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		if (!phrase_at(node, docids[i]))
			found[i / 64] &= ~(1ULL << (i % 64));
}

/* ---- Candidates ----------------------------------------------------------------------------- */

struct candidates {
	uint32_t slots[SPOTS_MAX], docids[SPOTS_MAX], count;
	float    scores[SPOTS_MAX];
};

static void candidates_check(struct search *search, struct node *node, bool scores,
    struct candidates *candidates, uint64_t *mask)
{
	uint64_t found[SPOTS_MAX / 64];
	memset(found, 0xff, sizeof(found));
	if (!(search->known && node->must))
		phrase_narrow(node, candidates->docids, candidates->count, found);
	for (uint32_t i = 0; i < candidates->count; i++) {
		uint32_t slot = candidates->slots[i];
		if ((found[i / 64] >> (i % 64) & 1) == 0) {
			mask[slot / 64] &= ~(1ULL << (slot % 64));
			continue;
		}
		if (!scores)
			continue;
		float score = search->prunes ? candidates->scores[i]
		    : phrase_score(search, node, candidates->docids[i]);
		add_score(search, slot, score);
	}
	candidates->count = 0;
}

/* Positions are looked at last: they cost most. */
void phrase_match_list(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	struct candidates candidates;
	candidates.count = 0;
	if (node->cursor_count == 0) {
		memset(mask, 0, search->words * sizeof(*mask));
		return;
	}
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t docid = search_docid(search, slot), at = candidates.count;
			if (scores && search->prunes) {
				candidates.scores[at] = phrase_score(search, node, docid);
				if (is_hopeless(search, candidates.scores[at] +
				    others_here(search, node))) {
					search_skip(search);
					mask[word] &= ~(bits & -bits);
					continue;
				}
			}
			candidates.slots[at] = slot;
			candidates.docids[at] = docid;
			if (++candidates.count == SPOTS_MAX)
				candidates_check(search, node, scores, &candidates, mask);
		}
	}
	if (candidates.count > 0)
		candidates_check(search, node, scores, &candidates, mask);
}
