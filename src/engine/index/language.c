/* engine/index/language.c: see language.h. */
#include "engine/index/language.h"

void language_name(struct field_declaration *declaration, const char *kind, struct span of)
{
	int len = snprintf(declaration->name, sizeof(declaration->name), "%c%s:", LANGUAGE_MARK, kind);
	ASSERT(len > 0 && (size_t)len < sizeof(declaration->name));
	size_t room = sizeof(declaration->name) - (size_t)len;
	size_t take = of.len < room ? of.len : room;
	if (take > 0)
		memcpy(declaration->name + len, of.ptr, take);
	declaration->name_len = (uint32_t)((size_t)len + take);
	declaration->type = FIELD_TYPE_WORDS;
}

bool language_is(const struct field_declaration *declaration, const char *kind, struct span *of)
{
	struct field_declaration wanted;
	if (declaration->type != FIELD_TYPE_WORDS)
		return false;
	language_name(&wanted, kind, (struct span){0});
	struct span name = span_of(declaration->name, declaration->name_len);
	*of = span_slice(name, wanted.name_len, name.len);
	return span_equal(span_slice(name, 0, wanted.name_len), span_of(wanted.name, wanted.name_len));
}

struct span language_line(const struct field_declaration *declaration, uint32_t at)
{
	struct span rest = declaration->text;
	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
		if (at-- == 0)
			return span_slice(rest, 0, len);
		rest = span_slice(rest, len + (end != NULL), rest.len);
	}
	return (struct span){0};
}

static bool has_line(const struct field_declaration *declaration, struct span word)
{
	struct span line;
	for (uint32_t at = 0; (line = language_line(declaration, at)).len > 0; at++)
		if (span_equal(line, word))
			return true;
	return false;
}

/* ---- What a query asks ---- */

static bool word_is_stopped(void *ctx, struct span word)
{
	const struct language *language = ctx;
	const struct list *all = fields_list(language->engine);
	struct span of;
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db == language->db && language_is(one, "stop", &of) && has_line(one, word))
			return true;
	}
	return false;
}

static struct span word_synonym(void *ctx, struct span word, uint32_t nth)
{
	const struct language *language = ctx;
	const struct list *all = fields_list(language->engine);
	struct span of, line;
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db != language->db || !language_is(one, "syn", &of) || !has_line(one, word))
			continue;
		for (uint32_t i = 0; (line = language_line(one, i)).len > 0; i++)
			if (!span_equal(line, word) && nth-- == 0)
				return line;
	}
	return (struct span){0};
}

/* Its place in words.languages; behind them all: it has no words. */
static uint32_t field_of(const struct language *language, struct span name)
{
	uint32_t field = query_language_field(name);
	if (field < QUERY_LANGUAGE_FIELDS)
		return field;
	for (uint32_t i = 0; i < language->words.text_count; i++)
		if (span_equal(name, language->texts[i]))
			return QUERY_LANGUAGE_FIELDS + i;
	return ARRAY_COUNT(language->words.languages);
}

void language_get(struct engine *engine, uint8_t db, struct language *out)
{
	const struct list *all = fields_list(engine);
	struct span of;
	*out = (struct language){.engine = engine, .db = db,
	    .words = {.ctx = out, .is_stopped = word_is_stopped, .synonym = word_synonym}};
	out->words.texts = out->texts;
	out->words.text_count = fields_texts(engine, db, out->texts);
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db != db || !language_is(one, "stem", &of))
			continue;
		uint32_t field = field_of(out, of);
		if (field < ARRAY_COUNT(out->words.languages))
			out->words.languages[field] = stem_language(language_line(one, 0));
	}
}

static bool nothing_is_stopped(void *ctx, struct span word)
{
	UNUSED(ctx);
	UNUSED(word);
	return false;
}

static struct span no_synonym(void *ctx, struct span word, uint32_t nth)
{
	UNUSED(ctx);
	UNUSED(word);
	UNUSED(nth);
	return (struct span){0};
}

void language_limit(struct language *language, bool verbatim, bool no_stop_words)
{
	if (no_stop_words)
		language->words.is_stopped = nothing_is_stopped;
	if (!verbatim)
		return;
	language->words.synonym = no_synonym;
	memset(language->words.languages, 0, sizeof(language->words.languages));
}
