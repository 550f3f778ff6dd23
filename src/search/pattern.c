/* search/pattern.c: see pattern.h.
 *
 * Fuzzy: rows of the table of edit distances (Wagner and Fischer 1974), one a character of
 * the word, of which only the band of width 2 * d + 1 around the diagonal can hold d or
 * less. When a whole row is over d, no word that begins like this one fits, so that the
 * walk through the sorted dictionary goes on behind all of them.
 */
#include "search/pattern.h"

enum { POINTS_MAX = SEARCH_TERM_BYTES_MAX + 4 };

static size_t character_len(uint8_t first)
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* One character as a number that differs where they differ; *at moves behind it. */
static uint32_t character_take(struct span text, size_t *at)
{
	size_t len = character_len(text.ptr[*at]);
	uint32_t value = 0;
	ASSERT(*at < text.len);
	for (; len > 0 && *at < text.len; len--)
		value = value << 8 | text.ptr[(*at)++];
	return value;
}

/* ---- Fuzzy ---------------------------------------------------------------------------- */

static bool fuzzy_match(struct span pattern, struct span word, int distance, size_t *dead)
{
	uint32_t points[POINTS_MAX];
	int rows[2][POINTS_MAX + 1], count = 0, row = 0;
	for (size_t at = 0; at < pattern.len && count < POINTS_MAX;)
		points[count++] = character_take(pattern, &at);
	for (int i = 0; i <= count; i++)
		rows[0][i] = i;
	for (size_t at = 0; at < word.len;) {
		uint32_t point = character_take(word, &at);
		int *before = rows[row++ & 1], *now = rows[row & 1];
		int from = row - distance < 1 ? 1 : row - distance;
		int until = row + distance > count ? count : row + distance;
		int least = now[from - 1] = from == 1 ? row : distance + 1;
		for (int i = from; i <= until; i++) {
			int best = before[i - 1] + (points[i - 1] != point);
			/* Outside the band all is too far. */
			int above = i == row + distance ? distance + 1 : before[i] + 1;
			best = above < best ? above : best;
			best = now[i - 1] + 1 < best ? now[i - 1] + 1 : best;
			now[i] = best;
			least = best < least ? best : least;
		}
		if (least > distance || from > count + 1) {
			*dead = at;
			return false;
		}
	}
	return row - count <= distance && count - row <= distance && rows[row & 1][count] <= distance;
}

/* ---- Wildcards ------------------------------------------------------------------------ */

static bool wildcard_one(struct span pattern, size_t *at, struct span word, size_t *in)
{
	if (*at >= pattern.len || *in >= word.len)
		return false;
	if (pattern.ptr[*at] == '?') {
		(*at)++;
		(void)character_take(word, in);
		return true;
	}
	if (pattern.ptr[*at] == '\\' && *at + 1 < pattern.len)
		(*at)++;
	return pattern.ptr[(*at)++] == word.ptr[(*in)++];
}

/* The last star takes one character more whenever what follows it fails. */
static bool wildcard_match(struct span pattern, struct span word)
{
	size_t at = 0, in = 0, star = SIZE_MAX, star_in = 0;
	for (;;) {
		if (at < pattern.len && pattern.ptr[at] == '*') {
			star = ++at;
			star_in = in;
			continue;
		}
		if (at == pattern.len && in == word.len)
			return true;
		size_t next = at;
		if (wildcard_one(pattern, &next, word, &in)) {
			at = next;
			continue;
		}
		if (star == SIZE_MAX || star_in >= word.len)
			return false;
		(void)character_take(word, &star_in);
		at = star;
		in = star_in;
	}
}

/* ---- All ------------------------------------------------------------------------------ */

static bool holds(struct span word, struct span part)
{
	return part.len <= word.len && (part.len == 0 ||
	    memmem(word.ptr, word.len, part.ptr, part.len) != NULL);
}

static bool stem_match(struct span pattern, struct span word)
{
	uint8_t stem[SEARCH_TERM_BYTES_MAX];
	ASSERT(pattern.len > 1);
	size_t len = stem_word(pattern.ptr[0], word, stem, sizeof(stem));
	return span_equal(span_of(stem, len), span_slice(pattern, 1, pattern.len));
}

/* Stemming cuts endings off, and may write the last letter that it leaves in another way. */
static struct span stem_prefix(struct span pattern)
{
	size_t len = pattern.len;
	while (len > 2 && (pattern.ptr[len - 1] & 0xc0) == 0x80)
		len--;
	return span_slice(pattern, 1, len > 2 ? len - 1 : pattern.len);
}

bool pattern_match(enum pattern_kind kind, struct span pattern, struct span word, size_t *dead)
{
	*dead = 0;
	switch (kind) {
	case PATTERN_WORD:
		return span_equal(pattern, word);
	case PATTERN_PREFIX:
		return span_equal(span_slice(word, 0, pattern.len), pattern);
	case PATTERN_SUFFIX:
		return word.len >= pattern.len &&
		    span_equal(span_slice(word, word.len - pattern.len, pattern.len), pattern);
	case PATTERN_INFIX:
		return holds(word, pattern);
	case PATTERN_FUZZY_1:
		return fuzzy_match(pattern, word, 1, dead);
	case PATTERN_FUZZY_2:
		return fuzzy_match(pattern, word, 2, dead);
	case PATTERN_WILDCARD:
		return wildcard_match(pattern, word);
	case PATTERN_STEM:
		return stem_match(pattern, word);
	}
	return false;
}

struct span pattern_prefix(enum pattern_kind kind, struct span pattern)
{
	size_t len = 0;
	if (kind == PATTERN_WORD || kind == PATTERN_PREFIX)
		return pattern;
	if (kind == PATTERN_STEM)
		return stem_prefix(pattern);
	if (kind != PATTERN_WILDCARD)
		return span_slice(pattern, 0, 0);
	while (len < pattern.len && pattern.ptr[len] != '*' && pattern.ptr[len] != '?' &&
	    pattern.ptr[len] != '\\')
		len++;
	return span_slice(pattern, 0, len);
}
