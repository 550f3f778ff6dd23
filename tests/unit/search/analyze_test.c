/* tests/unit/search/analyze_test.c: words and tags of many scripts. */
#include "base/buf.h"
#include "search/analyze.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void emit(void *ctx, struct span word, uint32_t position, struct span source)
{
	struct buf *out = ctx;
	cr_assert_gt(source.len, 0);
	if (position > 0)
		buf_append_text(out, "/");
	cr_assert_leq(word.len, SEARCH_TERM_BYTES_MAX);
	cr_assert_gt(word.len, 0);
	buf_append(out, word);
}

static void check_words(struct span text, const char *expected)
{
	struct memory memory = {0};
	struct buf out;
	buf_init(&out, &memory);
	analyze_words(text, emit, &out);
	cr_assert(span_equal(buf_span(&out), span_text(expected)), "%.*s: %.*s, not %s",
	    (int)text.len, (const char *)text.ptr, (int)out.len, (char *)out.ptr, expected);
	buf_fini(&out);
}

static void words(const char *text, const char *expected)
{
	check_words(span_text(text), expected);
}

static void tag(const char *text, const char *expected)
{
	uint8_t out[SEARCH_TAG_BYTES_MAX];
	size_t len = analyze_tag(span_text(text), out);
	cr_assert(span_equal(span_of(out, len), span_text(expected)), "%s: %.*s, not %s", text,
	    (int)len, (char *)out, expected);
}

static void emit_source(void *ctx, struct span word, uint32_t position, struct span source)
{
	struct buf *out = ctx;
	UNUSED(word);
	if (position > 0)
		buf_append_text(out, "/");
	buf_append(out, source);
}

Test(analyze, what_a_word_was_in_the_text_is_told)
{
	static const char *const texts[][2] = {{"  Red car, now", "Red/car/now"},
	    {"Caf\u00e9 Fl\u00f6te x", "Caf\u00e9/Fl\u00f6te/x"}, {"a\u00e9 b", "a\u00e9/b"},
	    {"x\u2014Yes", "x/Yes"}, {"one\u4e2dTwo", "one/\u4e2d/Two"}};
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct memory memory = {0};
		struct buf out;
		buf_init(&out, &memory);
		analyze_words(span_text(texts[i][0]), emit_source, &out);
		cr_assert(span_equal(buf_span(&out), span_text(texts[i][1])), "%s: %.*s",
		    texts[i][0], (int)out.len, (char *)out.ptr);
		buf_fini(&out);
	}
}

Test(analyze, words_are_runs_of_letters_and_digits)
{
	words("", "");
	words(" .,;- ", "");
	words("Red car", "red/car");
	words("IMG_1234.JPG", "img/1234/jpg");
	words("f/2.8 EOS-5D", "f/2/8/eos/5d");
	words("don't", "don/t");
}

Test(analyze, case_and_diacritics_fold)
{
	words("Caf\xc3\xa9 CAFE\xcc\x81", "cafe/cafe");
	words("Stra\xc3\x9f" "e", "strasse");
	words("\xc3\x98re \xc5\x82\xc4\xb1 \xc3\x86r\xc3\xb8", "ore/li/aero");
	words(
	    "\xce\x91\xce\xb8\xce\xae\xce\xbd\xce\xb1", "\xce\xb1\xce\xb8\xce\xb7\xce\xbd\xce\xb1");
	words("\xd0\x9c\xd0\x9e\xd0\xa1\xd0\x9a\xd0\x92\xd0\x90",
	    "\xd0\xbc\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0");
	words("\xc4\xb0stanbul", "istanbul");
	words("\xd9\x85\xd9\x8f\xd8\xad\xd9\x8e", "\xd9\x85\xd8\xad");
}

Test(analyze, compatibility_forms_fold)
{
	words("\xef\xbc\xb2\xef\xbd\x85\xef\xbd\x84", "red");
	words("\xef\xac\x81le", "file");
	words("x\xc2\xb2", "x2");
	words("so\xc2\xad" "ft", "soft");
}

Test(analyze, scripts_without_blanks_give_single_characters)
{
	words("\xe6\x9d\xb1\xe4\xba\xac" "Tower",
	    "\xe6\x9d\xb1/\xe4\xba\xac/tower");
	words("\xe3\x82\xac", "\xe3\x82\xac");
	words("\xef\xbd\xb6\xef\xbe\x9e", "\xe3\x82\xac");       /* half-width ka and dakuten */
	words("abc\xe6\x9d\xb1" "def", "abc/\xe6\x9d\xb1/def");
	words("\xed\x95\x9c\xea\xb5\xad \xec\x84\x9c\xec\x9a\xb8",
	    "\xed\x95\x9c\xea\xb5\xad/\xec\x84\x9c\xec\x9a\xb8");
	words("\xf0\x9f\x90\xb1\xf0\x9f\x90\xb6", "\xf0\x9f\x90\xb1/\xf0\x9f\x90\xb6");
}

Test(analyze, marks_of_other_scripts_stay)
{
	words("\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80",
	    "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80");
	words("\xcc\x81", "");
}

Test(analyze, bad_utf8_separates)
{
	words("a\xff" "b", "a/b");
	words("a\xe6\x9d", "a");
	words("\xc0\xaf", "");
	words("\xed\xa0\x80x", "x");
	check_words(SPAN_LIT("a\0b"), "a/b");
}

Test(analyze, long_words_are_cut_between_characters)
{
	char text[512], expected[SEARCH_TERM_BYTES_MAX + 1];
	memset(text, 'a', sizeof(text));
	text[511] = 0;
	memset(expected, 'a', sizeof(expected));
	expected[SEARCH_TERM_BYTES_MAX] = 0;
	words(text, expected);
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xd0\xb0", 2);
	text[510] = 0;
	text[0] = 'x';
	text[1] = 'x';
	memcpy(expected, text, SEARCH_TERM_BYTES_MAX);
	words(text, expected);
}

Test(analyze, tags_fold_as_a_whole)
{
	tag("  Big \t DOG ", "big dog");
	tag("Canon EOS-5D/Mk. II", "canon eos-5d/mk. ii");
	tag("\xc3\x9cn\xc3\xaf" "code", "unicode");
	tag("", "");
	tag(" \t ", "");
	tag("a\xff", "a\xef\xbf\xbd");
	tag("\xe3\x82\xab\xe3\x82\x99", "\xe3\x82\xac");
}

Test(analyze, long_tags_keep_a_beginning_and_a_hash)
{
	uint8_t one[SEARCH_TAG_BYTES_MAX], two[SEARCH_TAG_BYTES_MAX], three[SEARCH_TAG_BYTES_MAX];
	char text[1024];
	memset(text, 'a', sizeof(text));
	cr_assert_eq(analyze_tag(span_of(text, 256), one), 256);
	cr_assert(span_equal(span_of(one, 256), span_of(text, 256)), "exactly full: no hash");
	cr_assert_eq(analyze_tag(span_of(text, 1000), one), SEARCH_TAG_BYTES_MAX);
	text[999] = 'b';
	cr_assert_eq(analyze_tag(span_of(text, 1000), two), SEARCH_TAG_BYTES_MAX);
	text[999] = 'B';
	cr_assert_eq(analyze_tag(span_of(text, 1000), three), SEARCH_TAG_BYTES_MAX);
	cr_assert(span_equal(span_of(one, 240), span_of(two, 240)));
	cr_assert_not(span_equal(span_of(one, 256), span_of(two, 256)), "the end counts");
	cr_assert(span_equal(span_of(two, 256), span_of(three, 256)), "case does not");
}

Test(analyze, singles_are_known)
{
	cr_assert(analyze_is_single(SPAN_LIT("\xe6\x9d\xb1")));
	cr_assert_not(analyze_is_single(SPAN_LIT("a")));
	cr_assert_not(analyze_is_single(SPAN_LIT("\xd0\xb0")));
	cr_assert_not(analyze_is_single(SPAN_LIT("")));
	cr_assert_eq(analyze_length(SPAN_LIT("a\xd0\xb0\xe6\x9d\xb1")), 3);
}
