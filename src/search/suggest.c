/* search/suggest.c: see suggest.h. */
#include "search/suggest.h"

#include "search/analyze.h"
#include "search/index.h"

#include <stdlib.h>

enum { SUGGEST_MAGIC = 0x53474754, LETTERS_MAX = 64, TERMS_PER_UNIT = 16 };

struct suggest {
	uint32_t       magic;
	struct index  *index;
	struct memory *memory;
	bool           fuzzy;
	size_t         most, count;
	struct suggestion *found;         /* `most`; unordered until the end */
	uint8_t        head[SUGGEST_BYTES_MAX];      /* the words before the last, with a blank */
	uint32_t       head_len;
	uint8_t        words[SUGGEST_BYTES_MAX], tag[SEARCH_TAG_BYTES_MAX];
	uint32_t       word_len, tag_len;
	/* where the walk goes on */
	bool           in_tags, begun, done;
	uint16_t       tag_space;
	uint8_t        key[SEARCH_TAG_BYTES_MAX];
	uint32_t       key_len;
};

static void take_word(void *ctx, struct span word, uint32_t position, struct span source)
{
	struct suggest *suggest = ctx;
	UNUSED(position);
	UNUSED(source);
	uint32_t len = suggest->head_len + suggest->word_len + 1;
	if (suggest->word_len > 0 && len <= sizeof(suggest->head)) {
		memcpy(suggest->head + suggest->head_len, suggest->words, suggest->word_len);
		suggest->head[len - 1] = ' ';
		suggest->head_len = len;
	}
	suggest->word_len = (uint32_t)word.len;
	memcpy(suggest->words, word.ptr, word.len);
}

struct suggest *suggest_new(struct index *index, struct span text, bool fuzzy, size_t most)
{
	uint32_t id;
	ASSERT(most > 0 && most <= SUGGEST_MAX);
	struct suggest *suggest = memory_zalloc(index->memory, sizeof(*suggest));
	suggest->magic = SUGGEST_MAGIC;
	suggest->index = index;
	suggest->memory = index->memory;
	suggest->fuzzy = fuzzy;
	suggest->most = most;
	suggest->found = memory_alloc(index->memory, most * sizeof(*suggest->found));
	text = span_slice(text, 0, SUGGEST_BYTES_MAX);
	analyze_words(text, take_word, suggest);
	suggest->tag_len = (uint32_t)analyze_tag(text, suggest->tag);
	if (index_field(index, SPAN_LIT("tags"), &id) != NULL)
		suggest->tag_space = (uint16_t)(id + 1);
	suggest->in_tags = suggest->word_len == 0;
	suggest->done = suggest->in_tags && suggest->tag_len == 0;
	return suggest;
}

void suggest_free(struct suggest *suggest)
{
	if (suggest == NULL)
		return;
	DROP_OBJ(suggest, SUGGEST_MAGIC);
	struct memory *memory = suggest->memory;
	memory_free(memory, suggest->found, suggest->most * sizeof(*suggest->found));
	memory_free(memory, suggest, sizeof(*suggest));
}

/* ---- What was found ---- */

static int compare(const void *a, const void *b)
{
	const struct suggestion *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return span_compare(span_of(x->text, x->len), span_of(y->text, y->len));
}

static void offer(struct suggest *suggest, struct span text, uint64_t weight)
{
	struct suggestion one = {.weight = weight};
	uint32_t head = suggest->in_tags ? 0 : suggest->head_len;
	memcpy(one.text, suggest->head, head);
	memcpy(one.text + head, text.ptr, text.len);
	one.len = head + (uint32_t)text.len;
	size_t worst = 0;
	for (size_t i = 0; i < suggest->count; i++) {
		struct suggestion *other = &suggest->found[i];
		if (other->len == one.len && memcmp(other->text, one.text, one.len) == 0) {
			/* A word that is also a tag. */
			other->weight = other->weight > weight ? other->weight : weight;
			return;
		}
		if (compare(other, &suggest->found[worst]) > 0)
			worst = i;
	}
	if (suggest->count < suggest->most)
		suggest->found[suggest->count++] = one;
	else if (compare(&one, &suggest->found[worst]) < 0)
		suggest->found[worst] = one;
}

/* ---- One letter away ---- */

static uint32_t letters_of(struct span text, uint32_t letters[LETTERS_MAX])
{
	uint32_t count = 0;
	for (size_t i = 0; i < text.len && count < LETTERS_MAX; i++) {
		if ((text.ptr[i] & 0xc0) == 0x80 && count > 0)
			letters[count - 1] = letters[count - 1] << 6 | (text.ptr[i] & 0x3f);
		else
			letters[count++] = text.ptr[i];
	}
	return count;
}

static uint32_t same_letters(
    const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count)
{
	uint32_t same = 0;
	while (same < a_count && same < b_count && a[same] == b[same])
		same++;
	return same;
}

/* Does a beginning of `text` differ from `typed` by one letter at most? Up to the first
 * difference both agree; behind it, one of three ways must lead to the end of what was typed. */
static bool begins_nearly(struct span text, struct span typed)
{
	uint32_t a[LETTERS_MAX], b[LETTERS_MAX];
	uint32_t a_count = letters_of(typed, a), b_count = letters_of(text, b);
	uint32_t at = same_letters(a, a_count, b, b_count);
	if (at == a_count || at + 1 == a_count)
		return at == a_count || a_count > 1;
	for (uint32_t way = 0; way < 3; way++) {
		uint32_t skip_a = at + (way != 1), skip_b = at + (way != 0);
		if (skip_b > b_count)
			continue;
		if (same_letters(a + skip_a, a_count - skip_a, b + skip_b, b_count - skip_b) ==
		    a_count - skip_a)
			return true;
	}
	return false;
}

/* ---- The walk ---- */

static struct span typed_text(const struct suggest *suggest)
{
	return suggest->in_tags ? span_of(suggest->tag, suggest->tag_len)
	                        : span_of(suggest->words, suggest->word_len);
}

/* Some terms. True: the space is through. */
static bool walk_some(struct suggest *suggest)
{
	struct dict *dict = &suggest->index->dict;
	uint16_t space = suggest->in_tags ? suggest->tag_space : SPACE_WORDS;
	struct span typed = typed_text(suggest), none = {0};
	struct span within = suggest->fuzzy ? none : typed;
	struct dict_cursor cursor;
	if (suggest->begun)
		dict_seek(dict, space, span_of(suggest->key, suggest->key_len), true, &cursor);
	else
		dict_seek(dict, space, within, false, &cursor);
	for (unsigned i = 0; i < TERMS_PER_UNIT; i++) {
		const struct term *term = dict_next(dict, space, within, &cursor);
		if (term == NULL)
			return true;
		struct span text = term_text(term);
		ASSERT(text.len <= sizeof(suggest->key));
		memcpy(suggest->key, text.ptr, text.len);
		suggest->key_len = (uint32_t)text.len;
		suggest->begun = true;
		if (term_df(term) > 0 && (!suggest->fuzzy || begins_nearly(text, typed)))
			offer(suggest, text, term_df(term));
	}
	return false;
}

enum err suggest_step(struct suggest *suggest, const struct search_budget *budget)
{
	uint64_t spent = 0;
	CHECK_OBJ(suggest, SUGGEST_MAGIC);
	while (!suggest->done) {
		if (walk_some(suggest)) {
			suggest->begun = false;
			suggest->done = suggest->in_tags || suggest->tag_len == 0;
			suggest->in_tags = true;
		}
		if (budget_is_spent(budget, ++spent))
			return suggest->done ? OK : ERR_AGAIN;
	}
	return OK;
}

size_t suggest_get(struct suggest *suggest, const struct suggestion **out)
{
	ASSERT(suggest->done);
	qsort(suggest->found, suggest->count, sizeof(*suggest->found), compare);
	*out = suggest->found;
	return suggest->count;
}
