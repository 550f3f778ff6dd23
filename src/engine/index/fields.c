/* engine/index/fields.c: the declarations of attributes; see fields.h. */
#include "engine/index/fields.h"

#include "base/hash.h"
#include "base/number.h"
#include "engine/chunk.h"
#include "engine/index/refill.h"
#include "search/declare.h"

struct fields {
	struct engine *engine;
	struct list    declarations;
	uint64_t       counts[DATABASE_COUNT], words;        /* words: of these, language.h's */
	bool           is_late[DATABASE_COUNT];      /* declared when documents were there */
};

static const char *const type_names[FIELD_TYPE_COUNT] = {
    "tag", "numeric", "date", "geo", "bool", "text", "words"};

const char *field_type_name(enum field_type type)
{
	ASSERT((unsigned)type < FIELD_TYPE_COUNT);
	return type_names[type];
}

bool field_type_parse(struct span name, enum field_type *out)
{
	for (unsigned i = 0; i < FIELD_TYPE_COUNT; i++) {
		if (!span_is(name, type_names[i]))
			continue;
		*out = (enum field_type)i;
		return true;
	}
	return false;
}

const struct list *fields_list(const struct engine *engine)
{
	return &engine->fields->declarations;
}

static struct span declared_name(const struct field_declaration *declaration)
{
	return span_of(declaration->name, declaration->name_len);
}

static struct field_declaration *find(
    const struct fields *fields, uint8_t db, struct span name)
{
	const struct list *all = &fields->declarations;
	if (fields->counts[db] == 0)
		return NULL;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db == db && span_equal(declared_name(one), name))
			return one;
	}
	return NULL;
}

const struct field_declaration *fields_find(
    const struct engine *engine, uint8_t db, struct span name)
{
	return find(engine->fields, db, name);
}

/* ---- The index ---- */

static enum search_kind kind_of(const struct field_declaration *declaration)
{
	static const enum search_kind kinds[FIELD_TYPE_COUNT] = {
	    [FIELD_TYPE_TAG] = SEARCH_TAG, [FIELD_TYPE_NUMERIC] = SEARCH_NUMERIC,
	    [FIELD_TYPE_DATE] = SEARCH_DATE, [FIELD_TYPE_GEO] = SEARCH_GEO,
	    [FIELD_TYPE_BOOL] = SEARCH_TAG, [FIELD_TYPE_TEXT] = SEARCH_TEXT,
	};
	if (declaration->type == FIELD_TYPE_TEXT && declaration->sortable)
		return SEARCH_TEXT_TAG;
	return kinds[declaration->type];
}

/* NULL: back to what attributes are by themselves. */
static void tell_index(struct engine *engine, uint8_t db, struct span name,
    const struct field_declaration *declaration)
{
	struct fields *fields = engine->fields;
	struct index *index = engine->indexes[db];
	if (index == NULL || (declaration != NULL && declaration->type == FIELD_TYPE_WORDS))
		return;
	bool had = index_find_field(index, name) != NULL;
	index_declare(index, name, declaration != NULL ? kind_of(declaration) : SEARCH_ATTRIBUTE);
	if (!had)
		return;
	fields->is_late[db] = true;
	if (!engine->loading)
		refill_start(engine, db);
}

void fields_declare(struct engine *engine, uint8_t db)
{
	const struct list *all = &engine->fields->declarations;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db == db && one->type != FIELD_TYPE_WORDS)
			index_declare(engine->indexes[db], declared_name(one), kind_of(one));
	}
}

uint64_t fields_tag(const struct engine *engine, uint8_t db)
{
	const struct list *all = &engine->fields->declarations;
	uint64_t tag = 2;                 /* of how documents are made, if that should change */
	for (struct list *at = all->next; at != all; at = at->next) {
		struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db == db && one->type != FIELD_TYPE_WORDS)
			tag += hash_key(declared_name(one), 1 + (uint64_t)kind_of(one));
	}
	return tag;
}

/* ---- Coming and going ---- */

static void forget(struct engine *engine, struct field_declaration *declaration)
{
	if (declaration->place.segment != 0)
		store_release(engine->store, declaration->place);
	list_remove(&declaration->link);
	engine->fields->counts[declaration->db]--;
	engine->fields->words -= declaration->type == FIELD_TYPE_WORDS;
	uint8_t *text = (uint8_t *)(uintptr_t)declaration->text.ptr;
	memory_free(&engine->memory.engine, text, declaration->text.len);
	memory_free(&engine->memory.engine, declaration, sizeof(*declaration));
}

static void install(struct engine *engine, const struct field_declaration *declaration)
{
	struct fields *fields = engine->fields;
	struct field_declaration *old = find(fields, declaration->db, declared_name(declaration));
	bool same = old != NULL && old->type == declaration->type &&
	    (old->type != FIELD_TYPE_TEXT || old->sortable == declaration->sortable);
	if (old != NULL)
		forget(engine, old);
	struct field_declaration *copy = memory_alloc(&engine->memory.engine, sizeof(*copy));
	*copy = *declaration;
	if (copy->text.len > 0) {
		uint8_t *text = memory_alloc(&engine->memory.engine, copy->text.len);
		memcpy(text, declaration->text.ptr, copy->text.len);
		copy->text.ptr = text;
	}
	fields->words += copy->type == FIELD_TYPE_WORDS;
	list_init(&copy->link);
	list_append(&fields->declarations, &copy->link);
	fields->counts[copy->db]++;
	if (!same)
		tell_index(engine, copy->db, declared_name(copy), copy);
}

static void uninstall(struct engine *engine, struct field_declaration *declaration)
{
	struct field_declaration copy = *declaration;
	forget(engine, declaration);
	if (copy.type != FIELD_TYPE_WORDS)
		tell_index(engine, copy.db, declared_name(&copy), NULL);
}

static void key_of(const struct field_declaration *declaration, struct buf *out)
{
	buf_printf(out, FIELD_SETTING "%u:", declaration->db);
	buf_append(out, declared_name(declaration));
}

/* The SETTING record of a declaration; an empty text removes it. */
static enum err log_setting(struct engine *engine, const struct field_declaration *declaration,
    struct span text, struct record *record)
{
	struct buf key;
	buf_init(&key, &engine->memory.engine);
	key_of(declaration, &key);
	*record = (struct record){.type = RECORD_SETTING, .db = RECORD_ALL_DBS,
	    .key = buf_span(&key), .value = text, .sync = SYNC_ALWAYS};
	enum err err = store_append(engine->store, record);
	record->key = (struct span){0};
	buf_fini(&key);
	return err;
}

static void format(const struct field_declaration *declaration, struct buf *out)
{
	buf_printf(out, "%s%s", field_type_name(declaration->type),
	    declaration->sortable ? " SORTABLE" : "");
	if (declaration->type != FIELD_TYPE_WORDS)
		return;
	buf_append_text(out, " ");
	buf_append(out, declaration->text);
}

uint32_t fields_texts(const struct engine *engine, uint8_t db, struct span names[])
{
	const struct list *all = &engine->fields->declarations;
	uint32_t count = 0;
	for (struct list *at = all->next; at != all && count < FIELD_TEXTS_MAX; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->db == db && one->type == FIELD_TYPE_TEXT)
			names[count++] = declared_name(one);
	}
	return count;
}

static bool text_has_room(
    const struct engine *engine, const struct field_declaration *declaration)
{
	struct span names[FIELD_TEXTS_MAX];
	const struct field_declaration *old =
	    find(engine->fields, declaration->db, declared_name(declaration));
	return (old != NULL && old->type == FIELD_TYPE_TEXT) ||
	    fields_texts(engine, declaration->db, names) < FIELD_TEXTS_MAX;
}

enum err fields_add(
    struct engine *engine, const struct field_declaration *declaration, uint64_t *lsn)
{
	struct fields *fields = engine->fields;
	struct record record;
	struct buf text;
	if (fields->counts[declaration->db] >= FIELDS_PER_DATABASE_MAX &&
	    find(fields, declaration->db, declared_name(declaration)) == NULL)
		return ERR_TOOLARGE;
	if (declaration->type == FIELD_TYPE_TEXT && !text_has_room(engine, declaration))
		return ERR_FULL;
	buf_init(&text, &engine->memory.engine);
	format(declaration, &text);
	enum err err = log_setting(engine, declaration, buf_span(&text), &record);
	buf_fini(&text);
	if (err != OK)
		return err;
	struct field_declaration copy = *declaration;
	copy.place = record.place;
	install(engine, &copy);
	*lsn = record.lsn;
	return OK;
}

enum err fields_delete(struct engine *engine, uint8_t db, struct span name, uint64_t *lsn)
{
	struct record record;
	struct field_declaration *declaration = find(engine->fields, db, name);
	if (declaration == NULL)
		return ERR_NOTFOUND;
	enum err err = log_setting(engine, declaration, (struct span){0}, &record);
	if (err != OK)
		return err;
	*lsn = record.lsn;
	uninstall(engine, declaration);
	return OK;
}

enum err fields_log_again(struct engine *engine)
{
	const struct list *all = &engine->fields->declarations;
	struct record record;
	struct buf text;
	enum err err = OK;
	buf_init(&text, &engine->memory.engine);
	for (struct list *at = all->next; err == OK && at != all; at = at->next) {
		struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		buf_clear(&text);
		format(one, &text);
		err = log_setting(engine, one, buf_span(&text), &record);
		if (err != OK)
			break;
		if (one->place.segment != 0)
			store_release(engine->store, one->place);
		one->place = record.place;
	}
	buf_fini(&text);
	return err;
}

void fields_each_key(struct engine *engine, void (*each)(void *ctx, struct span key), void *ctx)
{
	const struct list *all = &engine->fields->declarations;
	struct buf key;
	buf_init(&key, &engine->memory.engine);
	for (struct list *at = all->next; at != all; at = at->next) {
		buf_clear(&key);
		key_of(LIST_OF(at, struct field_declaration, link), &key);
		each(ctx, buf_span(&key));
	}
	buf_fini(&key);
}

/* ---- Recovery ---- */

/* "index-field:DB:NAME". */
static bool parse_key(struct span key, struct field_declaration *out)
{
	const struct span prefix = SPAN_LIT(FIELD_SETTING);
	int64_t db;
	if (!span_equal(span_slice(key, 0, prefix.len), prefix))
		return false;
	key = span_slice(key, prefix.len, key.len);
	const uint8_t *colon = key.len == 0 ? NULL : memchr(key.ptr, ':', key.len);
	if (colon == NULL)
		return false;
	size_t at = (size_t)(colon - key.ptr);
	struct span name = span_slice(key, at + 1, key.len);
	if (!number_parse_range(span_slice(key, 0, at), 0, DATABASE_COUNT - 1, &db) ||
	    name.len == 0 || name.len > ATTR_NAME_MAX)
		return false;
	*out = (struct field_declaration){.db = (uint8_t)db, .name_len = (uint32_t)name.len};
	memcpy(out->name, name.ptr, name.len);
	return true;
}

bool fields_have_key(const struct engine *engine, struct span key)
{
	struct field_declaration named;
	return parse_key(key, &named) && find(engine->fields, named.db, declared_name(&named)) != NULL;
}

static bool parse_text(struct span text, struct field_declaration *out)
{
	const struct span sortable = SPAN_LIT(" SORTABLE"), words = SPAN_LIT("words ");
	if (span_equal(span_slice(text, 0, words.len), words)) {
		out->type = FIELD_TYPE_WORDS;
		out->text = span_slice(text, words.len, text.len);
		return true;
	}
	size_t type = text.len;
	if (text.len > sortable.len &&
	    span_equal(span_slice(text, text.len - sortable.len, text.len), sortable)) {
		out->sortable = true;
		type -= sortable.len;
	}
	return field_type_parse(span_slice(text, 0, type), &out->type);
}

bool fields_setting(struct engine *engine, const struct record *record)
{
	struct field_declaration declaration;
	if (!parse_key(record->key, &declaration))
		return false;
	struct field_declaration *old =
	    find(engine->fields, declaration.db, declared_name(&declaration));
	if (record->value.len == 0) {
		if (old != NULL)
			uninstall(engine, old);
		return true;
	}
	if (!parse_text(record->value, &declaration)) {
		log_warning(engine->log, "the declaration %.*s cannot be read; it is ignored",
		    (int)record->key.len, (const char *)record->key.ptr);
		return true;
	}
	declaration.place = record->place;
	install(engine, &declaration);
	return true;
}

bool fields_setting_follow(struct engine *engine, const struct record *record)
{
	struct field_declaration declaration;
	if (record->value.len == 0 || !parse_key(record->key, &declaration))
		return false;
	struct field_declaration *old =
	    find(engine->fields, declaration.db, declared_name(&declaration));
	if (old == NULL || old->place.segment == 0)
		return false;
	store_release(engine->store, old->place);
	old->place = record->place;
	return true;
}

static struct field_declaration *find_place(const struct engine *engine, struct place place)
{
	const struct list *all = &engine->fields->declarations;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (one->place.segment != 0 && one->place.segment == place.segment &&
		    one->place.offset == place.offset)
			return one;
	}
	return NULL;
}

bool fields_setting_relocated(struct engine *engine, struct place from, struct place to)
{
	struct field_declaration *declaration = find_place(engine, from);
	if (declaration != NULL)
		declaration->place = to;
	return declaration != NULL;
}

bool fields_setting_is_live(const struct engine *engine, const struct record *record)
{
	return find_place(engine, record->place) != NULL;
}

void fields_clear(struct engine *engine)
{
	struct list *all = &engine->fields->declarations;
	while (!list_is_empty(all)) {
		struct field_declaration *one = LIST_OF(all->next, struct field_declaration, link);
		one->place = (struct place){0};
		forget(engine, one);
	}
}

void fields_dump(const struct engine *engine, struct buf *out)
{
	const struct list *all = &engine->fields->declarations;
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		struct buf name, text;
		buf_init(&name, &engine->fields->engine->memory.engine);
		buf_init(&text, &engine->fields->engine->memory.engine);
		buf_append_u8(&name, 0);
		buf_printf(&name, FIELD_SETTING "%u:", one->db);
		buf_append(&name, declared_name(one));
		format(one, &text);
		put_setting(out, buf_span(&name), one->place, buf_span(&text));
		buf_fini(&name);
		buf_fini(&text);
	}
}

bool fields_load(struct engine *engine, struct span name, struct span text, struct place place)
{
	struct field_declaration declaration;
	if (name.len == 0 || name.ptr[0] != 0)
		return false;
	if (!parse_key(span_slice(name, 1, name.len), &declaration) ||
	    !parse_text(text, &declaration))
		return true;
	declaration.place = place;
	install(engine, &declaration);
	return true;
}

/* ---- Birth and death ---- */

void fields_new(struct engine *engine)
{
	struct fields *fields = memory_zalloc(&engine->memory.engine, sizeof(*fields));
	fields->engine = engine;
	list_init(&fields->declarations);
	engine->fields = fields;
	refill_new(engine);
}

void fields_free(struct engine *engine)
{
	if (engine->fields == NULL)
		return;
	refill_free(engine);
	fields_clear(engine);
	memory_free(&engine->memory.engine, engine->fields, sizeof(*engine->fields));
	engine->fields = NULL;
}

/* Declarations that the log told behind the images that they are about. */
void fields_opened(struct engine *engine)
{
	for (unsigned db = 0; db < DATABASE_COUNT; db++)
		if (engine->fields->is_late[db])
			refill_start(engine, (uint8_t)db);
}

bool fields_step(struct engine *engine)
{
	return refill_step(engine);
}

uint64_t fields_left(const struct engine *engine, uint8_t db)
{
	return refill_left(engine, db);
}

void fields_info(const struct engine *engine, struct buf *out)
{
	uint64_t declared = 0, left = 0;
	declared -= engine->fields->words;
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		declared += engine->fields->counts[db];
		left += refill_left(engine, (uint8_t)db);
	}
	buf_printf(out, "search_fields_declared:%llu\r\nsearch_refill_left:%llu\r\n",
	    (unsigned long long)declared, (unsigned long long)left);
}
