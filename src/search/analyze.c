/* search/analyze.c: see analyze.h. */
#include "search/analyze.h"

#include <utf8proc.h>

enum {
	FOLD_MAX = 32,                    /* code points that one may become (U+FDFA: 18) */
	WORD_POINTS = 96,                 /* enough for 64 bytes before composition */
	TAG_POINTS = 384,
	TAG_HEX = 16,
	REPLACEMENT = 0xfffd,
};

enum class { CLASS_BREAK, CLASS_WORD, CLASS_SINGLE, CLASS_MARK, CLASS_DIACRITIC };

struct range {
	int32_t first, last;
};

static bool ranges_hold(const struct range *ranges, size_t count, int32_t point)
{
	for (size_t i = 0; i < count; i++)
		if (point >= ranges[i].first && point <= ranges[i].last)
			return true;
	return false;
}

/* Scripts written without blanks between words. */
static bool is_unspaced(int32_t point)
{
	static const struct range ranges[] = {
		{0x0e00, 0x0eff},         /* Thai, Lao */
		{0x1000, 0x109f},         /* Myanmar */
		{0x1780, 0x17ff},         /* Khmer */
		{0x2e80, 0x2fdf}, {0x3005, 0x3007}, {0x3021, 0x3029}, {0x3040, 0x30ff},
		{0x31f0, 0x31ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff},
		{0x20000, 0x3ffff},
	};
	return point >= 0x0e00 && ranges_hold(ranges, ARRAY_COUNT(ranges), point);
}

static bool is_diacritic(int32_t point)
{
	static const struct range ranges[] = {
		{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05c7}, {0x0610, 0x061a},
		{0x064b, 0x065f}, {0x0670, 0x0670}, {0x06d6, 0x06ed}, {0x1ab0, 0x1aff},
		{0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f},
	};
	return ranges_hold(ranges, ARRAY_COUNT(ranges), point);
}

static enum class classify(int32_t point)
{
	switch (utf8proc_category(point)) {
	case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO:
		return is_unspaced(point) ? CLASS_SINGLE : CLASS_WORD;
	case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
		return is_diacritic(point) ? CLASS_DIACRITIC : CLASS_MARK;
	case UTF8PROC_CATEGORY_SO:
		return point >= 0x2600 && point != REPLACEMENT ? CLASS_SINGLE : CLASS_BREAK;
	default:
		return CLASS_BREAK;
	}
}

/* Letters with a stroke and the like, which Unicode does not take apart. Returns how many. */
static size_t fold_letter(int32_t point, int32_t out[2])
{
	static const struct {
		int32_t point;
		char    letters[3];
	} rows[] = {{0xe6, "ae"}, {0xf0, "d"}, {0xf8, "o"}, {0xfe, "th"}, {0x111, "d"}, {0x127, "h"},
	    {0x131, "i"}, {0x142, "l"}, {0x153, "oe"}, {0x167, "t"}};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		if (rows[i].point != point)
			continue;
		out[0] = rows[i].letters[0];
		out[1] = rows[i].letters[1];
		return rows[i].letters[1] == 0 ? 1 : 2;
	}
	out[0] = point;
	return 1;
}

/* Hangul syllables stay whole: as jamo they would be three times as long. */
static size_t fold_point(int32_t point, int32_t out[FOLD_MAX])
{
	if (point >= 0xac00 && point <= 0xd7a3) {
		out[0] = point;
		return 1;
	}
	int bound_class = UTF8PROC_BOUNDCLASS_START;
	utf8proc_ssize_t count = utf8proc_decompose_char(point, out, FOLD_MAX,
	    UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE,
	    &bound_class);
	if (count == 1 && out[0] >= 0xe6 && out[0] <= 0x167)
		return fold_letter(out[0], out);
	return count < 0 || count > FOLD_MAX ? 0 : (size_t)count;
}

/* Takes one code point off; a bad byte is taken alone, as REPLACEMENT. */
static int32_t take_point(struct span text, size_t *at)
{
	int32_t point;
	ASSERT(*at < text.len);
	utf8proc_ssize_t used =
	    utf8proc_iterate(text.ptr + *at, (utf8proc_ssize_t)(text.len - *at), &point);
	if (used <= 0) {
		*at += 1;
		return REPLACEMENT;
	}
	*at += (size_t)used;
	return point;
}

/* Puts marks after one base letter into canonical order, then composes. */
static size_t compose(int32_t *points, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		int32_t point = points[i];
		int class = utf8proc_get_property(point)->combining_class;
		size_t at = i;
		while (class != 0 && at > 0 &&
		    utf8proc_get_property(points[at - 1])->combining_class > class) {
			points[at] = points[at - 1];
			at--;
		}
		points[at] = point;
	}
	utf8proc_ssize_t composed = utf8proc_normalize_utf32(points, (utf8proc_ssize_t)count,
	    UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	return composed < 0 ? 0 : (size_t)composed;
}

/* Whole characters only, at most `max` bytes; *cut tells whether some were left out. */
static size_t encode(const int32_t *points, size_t count, uint8_t *out, size_t max, bool *cut)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[4];
		if (points[i] < 0x80 && len < max) {
			out[len++] = (uint8_t)points[i];
			continue;
		}
		size_t size = (size_t)utf8proc_encode_char(points[i], bytes);
		if (len + size > max) {
			*cut = true;
			break;
		}
		memcpy(out + len, bytes, size);
		len += size;
	}
	return len;
}

/* ---- Words -------------------------------------------------------------------------- */

struct splitter {
	int32_t       points[WORD_POINTS];
	size_t        count;
	bool          plain;              /* ASCII only */
	bool          marked;             /* holds a mark that may compose */
	bool          single;
	uint32_t      position;
	struct span   text;
	size_t        from, to;           /* of the word at hand, in the text */
	size_t        here, next;         /* of the character at hand */
	analyze_emit *emit;
	void         *ctx;
};

static void split_flush(struct splitter *split)
{
	uint8_t word[SEARCH_TERM_BYTES_MAX];
	size_t len = 0;
	bool cut = false;
	if (split->count == 0)
		return;
	if (split->plain) {
		len = split->count < sizeof(word) ? split->count : sizeof(word);
		for (size_t i = 0; i < len; i++)
			word[i] = (uint8_t)split->points[i];
	} else {
		if (split->marked)
			split->count = compose(split->points, split->count);
		len = encode(split->points, split->count, word, sizeof(word), &cut);
	}
	split->count = 0;
	split->plain = true;
	split->marked = split->single = false;
	if (len > 0)
		split->emit(split->ctx, span_of(word, len), split->position++,
		    span_slice(split->text, split->from, split->to - split->from));
}

static void split_push(struct splitter *split, int32_t point)
{
	if (split->count == 0)
		split->from = split->here;
	split->to = split->next;
	if (split->count < WORD_POINTS)
		split->points[split->count++] = point;
}

static void split_point(struct splitter *split, int32_t point)
{
	switch (classify(point)) {
	case CLASS_WORD:
		if (split->single)
			split_flush(split);
		split_push(split, point);
		split->plain &= point < 0x80;
		break;
	case CLASS_SINGLE:
		split_flush(split);
		split_push(split, point);
		split->single = true;
		split->plain = false;
		break;
	case CLASS_MARK:
		if (split->count == 0)
			break;
		split_push(split, point);
		split->marked = true;
		split->plain = false;
		break;
	case CLASS_DIACRITIC:
		if (split->count > 0)
			split->to = split->next;
		break;
	case CLASS_BREAK:
		split_flush(split);
		break;
	}
}

/* 0 for what ends a word. */
static uint8_t fold_ascii(uint8_t byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return (uint8_t)(byte | 0x20);
	bool is_word = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
	return is_word ? byte : 0;
}

/* A word of ASCII alone that begins at `at`: goes out at once. Returns its end; `at`: there is none. */
static size_t split_plain(struct splitter *split, size_t at)
{
	uint8_t word[SEARCH_TERM_BYTES_MAX], folded = 0;
	const struct span text = split->text;
	size_t len = 0, end = at;
	for (; end < text.len && text.ptr[end] < 0x80; end++) {
		folded = fold_ascii(text.ptr[end]);
		if (folded == 0)
			break;
		if (len < sizeof(word))
			word[len++] = folded;
	}
	if (len == 0 || (end < text.len && text.ptr[end] >= 0x80))
		return at;
	split->emit(split->ctx, span_of(word, len), split->position++,
	    span_slice(text, at, end - at));
	return end;
}

void analyze_words(struct span text, analyze_emit *emit, void *ctx)
{
	struct splitter split;
	ASSERT(emit != NULL);
	split.count = 0;
	split.plain = true;
	split.marked = split.single = false;
	split.position = 0;
	split.text = text;
	split.from = split.to = split.here = split.next = 0;
	split.emit = emit;
	split.ctx = ctx;
	for (size_t at = 0; at < text.len;) {
		if (split.count == 0)
			at = split_plain(&split, at);
		if (at == text.len)
			break;
		split.here = at;
		if (text.ptr[at] < 0x80) {
			uint8_t folded = fold_ascii(text.ptr[at++]);
			split.next = at;
			if (folded == 0 || split.single)
				split_flush(&split);
			if (folded != 0)
				split_push(&split, folded);
			continue;
		}
		int32_t points[FOLD_MAX];
		size_t count = fold_point(take_point(text, &at), points);
		split.next = at;
		for (size_t i = 0; i < count; i++)
			split_point(&split, points[i]);
	}
	split_flush(&split);
}

bool analyze_is_single(struct span word)
{
	size_t at = 0;
	if (word.len == 0 || word.ptr[0] < 0x80)
		return false;
	return classify(take_point(word, &at)) == CLASS_SINGLE;
}

size_t analyze_length(struct span word)
{
	size_t count = 0;
	for (size_t i = 0; i < word.len; i++)
		count += (word.ptr[i] & 0xc0) != 0x80;
	return count;
}

/* ---- Tags --------------------------------------------------------------------------- */

struct tag_folder {
	int32_t  points[TAG_POINTS];
	size_t   count;
	bool     blank;                   /* a blank waits for the next character */
	bool     plain, cut;
	uint64_t hash;                    /* FNV-1a over all folded characters */
};

static bool is_blank(int32_t point)
{
	if (point < 0x80)
		return point == ' ' || (point >= '\t' && point <= '\r');
	return point == 0xa0 || utf8proc_category(point) == UTF8PROC_CATEGORY_ZS;
}

static void tag_push(struct tag_folder *tag, int32_t point)
{
	tag->hash = (tag->hash ^ (uint32_t)point) * 0x100000001b3;
	tag->plain &= point < 0x80;
	if (tag->count < TAG_POINTS)
		tag->points[tag->count++] = point;
	else
		tag->cut = true;
}

static void tag_point(struct tag_folder *tag, int32_t point)
{
	if (is_blank(point)) {
		tag->blank = tag->count > 0;
		return;
	}
	if (point >= 0x300 && is_diacritic(point))
		return;
	if (tag->blank)
		tag_push(tag, ' ');
	tag->blank = false;
	tag_push(tag, point);
}

size_t analyze_tag(struct span text, uint8_t out[SEARCH_TAG_BYTES_MAX])
{
	static const char hex[] = "0123456789abcdef";
	struct tag_folder tag;
	tag.count = 0;
	tag.blank = tag.cut = false;
	tag.plain = true;
	tag.hash = 0xcbf29ce484222325;
	for (size_t at = 0; at < text.len;) {
		uint8_t byte = text.ptr[at];
		if (byte < 0x80) {
			at++;
			tag_point(&tag, byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
			continue;
		}
		int32_t points[FOLD_MAX];
		size_t count = fold_point(take_point(text, &at), points);
		for (size_t i = 0; i < count; i++)
			tag_point(&tag, points[i]);
	}
	if (!tag.plain)
		tag.count = compose(tag.points, tag.count);
	size_t len = encode(tag.points, tag.count, out, SEARCH_TAG_BYTES_MAX, &tag.cut);
	if (!tag.cut)
		return len;
	bool ignored;
	len = encode(tag.points, tag.count, out, SEARCH_TAG_BYTES_MAX - TAG_HEX, &ignored);
	for (int i = 0; i < TAG_HEX; i++)
		out[len++] = (uint8_t)hex[tag.hash >> (60 - 4 * i) & 15];
	return len;
}
