/* search/phrase.c: do the words of a phrase stand together in a document? Side by side, or
 * with some others between them ($slop), in their order or in any ($inorder). */
#include "search/run.h"

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

/* Positions are looked at last: they cost most. */
bool phrase_has(struct search *search, struct node *node, uint32_t slot, bool scores)
{
	uint32_t docid = search_docid(search, slot);
	float score = 0;
	if (node->cursor_count == 0)
		return false;
	if (scores) {
		score = phrase_score(search, node, docid);
		if (search->prunes &&
		    is_hopeless(search, score + others_here(search, node))) {
			search_skip(search);
			return false;
		}
	}
	bool known = search->known && node->must;
	if (!known && !phrase_at(node, docid))
		return false;
	if (scores)
		add_score(search, slot, score);
	return true;
}
