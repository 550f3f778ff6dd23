/* base/glob.c: see glob.h. */
#include "base/glob.h"

static uint8_t fold(uint8_t c, bool ignore_case)
{
	return ignore_case && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Matches one character class at pattern[*at] == '['; leaves *at behind the ']'. */
static bool glob_class(struct span pattern, size_t *at, uint8_t c, bool ignore_case)
{
	size_t p = *at + 1;
	bool negate = p < pattern.len && pattern.ptr[p] == '^';
	bool found = false;
	if (negate)
		p++;
	while (p < pattern.len && pattern.ptr[p] != ']') {
		if (pattern.ptr[p] == '\\' && p + 1 < pattern.len) {
			p++;
			found |= fold(pattern.ptr[p], ignore_case) == c;
		} else if (p + 2 < pattern.len && pattern.ptr[p + 1] == '-') {
			uint8_t low = fold(pattern.ptr[p], ignore_case);
			uint8_t high = fold(pattern.ptr[p + 2], ignore_case);
			if (low > high) {
				uint8_t swap = low;
				low = high;
				high = swap;
			}
			found |= c >= low && c <= high;
			p += 2;
		} else {
			found |= fold(pattern.ptr[p], ignore_case) == c;
		}
		p++;
	}
	*at = p < pattern.len ? p + 1 : p;
	return found != negate;
}

/* Matches the one pattern element at *at against c and moves *at behind it. */
static bool glob_one(struct span pattern, size_t *at, uint8_t raw, bool ignore_case)
{
	uint8_t c = fold(raw, ignore_case);
	switch (pattern.ptr[*at]) {
	case '?':
		(*at)++;
		return true;
	case '[':
		return glob_class(pattern, at, c, ignore_case);
	case '\\':
		if (*at + 1 < pattern.len)
			(*at)++;
		/* fall through */
	default:
		return fold(pattern.ptr[(*at)++], ignore_case) == c;
	}
}

bool glob_match(struct span pattern, struct span text, bool ignore_case)
{
	size_t p = 0, t = 0;
	size_t star_p = SIZE_MAX, star_t = 0;
	if (text.len == 0)
		return pattern.len == 0;
	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star_p = ++p;
			star_t = t;
			continue;
		}
		if (p < pattern.len) {
			size_t next = p;
			if (glob_one(pattern, &next, text.ptr[t], ignore_case)) {
				p = next;
				t++;
				continue;
			}
		}
		if (star_p == SIZE_MAX)
			return false;
		p = star_p;
		t = ++star_t;
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}
