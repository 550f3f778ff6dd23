/* commands/image_language.c: IMG.INDEX STOPWORDS, SYNONYM, STEM and LANGUAGE: what is made of
 * the words of queries in the selected database (engine/index/language.h). */
#include "commands/image.h"

#include "engine/index/language.h"

static void reply_change(struct call *call, enum err err, uint64_t lsn, struct span name)
{
	if (err == ERR_TOOLARGE)
		call_error(call, "TOOLARGE at most %d declarations a database, of %d bytes each",
		    FIELDS_PER_DATABASE_MAX, FIELD_TEXT_MAX);
	else if (err == ERR_NOTFOUND)
		reply_int(call->reply, 0);
	else if (err != OK)
		call_fail(call, err, name);
	if (err != OK)
		return;
	call->gate = lsn > call->gate ? lsn : call->gate;
	reply_int(call->reply, 1);
}

static const struct field_declaration *find(
    struct call *call, const struct field_declaration *declaration)
{
	return fields_find(call->engine, call->session->db,
	    span_of(declaration->name, declaration->name_len));
}

static void forget(struct call *call, const struct field_declaration *declaration)
{
	uint64_t lsn = 0;
	struct span name = span_of(declaration->name, declaration->name_len);
	enum err err = fields_delete(call->engine, call->session->db, name, &lsn);
	reply_change(call, err, lsn, call->argv[2]);
}

static void declare(struct call *call, struct field_declaration *declaration, const struct buf *text)
{
	uint64_t lsn = 0;
	enum err err = ERR_TOOLARGE;
	declaration->text = buf_span(text);
	if (text->len <= FIELD_TEXT_MAX)
		err = fields_add(call->engine, declaration, &lsn);
	reply_change(call, err, lsn, call->argv[2]);
}

/* One more line, folded, unless it is there. False: it says nothing. */
static bool line_add(struct buf *text, struct span word)
{
	uint8_t folded[QUERY_FOLD_MAX];
	struct field_declaration so_far = {.text = buf_span(text)};
	struct span line;
	size_t len = query_fold(word, folded);
	if (len == 0 || memchr(folded, '\n', len) != NULL)
		return false;
	for (uint32_t at = 0; (line = language_line(&so_far, at)).len > 0; at++)
		if (span_equal(line, span_of(folded, len)))
			return true;
	if (text->len > 0)
		buf_append_u8(text, '\n');
	buf_append(text, span_of(folded, len));
	return true;
}

/* Words of the command from argv[from] on. False: an error was replied. */
static bool lines_add(struct call *call, uint32_t from, struct buf *text)
{
	for (uint32_t at = from; at < call->argc; at++) {
		if (text->len <= FIELD_TEXT_MAX && !line_add(text, call->argv[at])) {
			call_error(call, "ERR a word of letters or digits is expected");
			return false;
		}
	}
	return true;
}

/* STOPWORDS SET word ... | NONE */
void cmd_index_stopwords(struct call *call)
{
	struct field_declaration declaration = {.db = call->session->db};
	struct buf text;
	language_name(&declaration, "stop", (struct span){0});
	if (span_is(call->argv[2], "NONE") && call->argc == 3) {
		forget(call, &declaration);
		return;
	}
	if (!span_is(call->argv[2], "SET") || call->argc == 3) {
		reply_syntax_error(call);
		return;
	}
	buf_init(&text, &call->engine->memory.engine);
	if (lines_add(call, 3, &text))
		declare(call, &declaration, &text);
	buf_fini(&text);
}

/* SYNONYM ADD group word ... | DEL group */
void cmd_index_synonym(struct call *call)
{
	enum { GROUP_BYTES_MAX = 48 };
	struct field_declaration declaration = {.db = call->session->db};
	struct buf text;
	struct span group = call->argv[3];
	if (group.len == 0 || group.len > GROUP_BYTES_MAX) {
		call_error(call, "ERR the name of a group has 1 to %d bytes", GROUP_BYTES_MAX);
		return;
	}
	language_name(&declaration, "syn", group);
	if (span_is(call->argv[2], "DEL") && call->argc == 4) {
		forget(call, &declaration);
		return;
	}
	if (!span_is(call->argv[2], "ADD") || call->argc == 4) {
		reply_syntax_error(call);
		return;
	}
	const struct field_declaration *old = find(call, &declaration);
	buf_init(&text, &call->engine->memory.engine);
	if (old != NULL)
		buf_append(&text, old->text);
	if (lines_add(call, 4, &text))
		declare(call, &declaration, &text);
	buf_fini(&text);
}

/* What was said of an attribute may be taken back when it is a text no more. */
static bool has_words(struct call *call, struct span field)
{
	const struct field_declaration *declared =
	    fields_find(call->engine, call->session->db, field);
	return query_language_field(field) < QUERY_LANGUAGE_FIELDS || span_is(call->argv[3], "NONE") ||
	    (declared != NULL && declared->type == FIELD_TYPE_TEXT);
}

/* STEM field language | NONE */
void cmd_index_stem(struct call *call)
{
	struct field_declaration declaration = {.db = call->session->db};
	struct buf text;
	struct span field = call->argv[2], language = call->argv[3];
	if (!has_words(call, field)) {
		call_error(call, "ERR words are sought in title, caption, tags, camera and attributes "
		    "of TYPE text");
		return;
	}
	if (field.len > LANGUAGE_FIELD_MAX) {
		call_error(call, "TOOLARGE the name of the field has more than %d bytes",
		    LANGUAGE_FIELD_MAX);
		return;
	}
	language_name(&declaration, "stem", field);
	if (span_is(language, "NONE")) {
		forget(call, &declaration);
		return;
	}
	if (stem_language(language) == 0) {
		call_error(call, "ERR no such language: %.*s",
		    (int)(language.len < 32 ? language.len : 32), (const char *)language.ptr);
		return;
	}
	buf_init(&text, &call->engine->memory.engine);
	buf_append(&text, language);
	declare(call, &declaration, &text);
	buf_fini(&text);
}

/* ---- What there is ---- */

static void reply_lines(struct call *call, const struct field_declaration *declaration)
{
	struct span line;
	uint32_t count = 0;
	while (declaration != NULL && language_line(declaration, count).len > 0)
		count++;
	reply_array(call->reply, count);
	for (uint32_t at = 0; at < count; at++) {
		line = language_line(declaration, at);
		reply_bulk(call->reply, line);
	}
}

/* A map by group or field. */
static void reply_kind(struct call *call, const char *kind)
{
	const struct list *all = fields_list(call->engine);
	struct span of;
	size_t count = 0;
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		count += one->db == call->session->db && language_is(one, kind, &of);
	}
	reply_map(call->reply, count);
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db != call->session->db || !language_is(one, kind, &of))
			continue;
		reply_bulk(call->reply, of);
		if (strcmp(kind, "stem") == 0)
			reply_bulk(call->reply, language_line(one, 0));
		else
			reply_lines(call, one);
	}
}

void cmd_index_language(struct call *call)
{
	struct field_declaration stop = {.db = call->session->db};
	language_name(&stop, "stop", (struct span){0});
	reply_map(call->reply, 3);
	reply_text(call->reply, "stopwords");
	reply_lines(call, find(call, &stop));
	reply_text(call->reply, "synonyms");
	reply_kind(call, "syn");
	reply_text(call->reply, "stems");
	reply_kind(call, "stem");
}
