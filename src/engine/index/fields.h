/* engine/index/fields.h: attributes of which an operator said what they are (IMG.INDEX).
 *
 * Without that an attribute is a tag, and a number or a date too if it reads as one. A
 * declaration says that it is one thing only, or that it is a text, a place ("lon,lat") or true
 * or false. Declarations belong to a database and are SETTING records "index-field:DB:NAME".
 *
 * When one comes or goes and documents have that attribute, the documents are made again from
 * the images' metadata, one by one from the oldest on, while searches go on: until the end of
 * that, what was declared holds for a part of them, and the newest are not always first.
 */
#pragma once
#include "engine/internal.h"

enum field_type { FIELD_TYPE_TAG, FIELD_TYPE_NUMERIC, FIELD_TYPE_DATE, FIELD_TYPE_GEO, FIELD_TYPE_BOOL,
	FIELD_TYPE_TEXT,          /* its words are sought; with SORTABLE it is a tag as well */
	FIELD_TYPE_WORDS,         /* no attribute: language.h */
	FIELD_TYPE_COUNT };
enum { FIELDS_PER_DATABASE_MAX = 256, FIELD_TEXTS_MAX = 12, FIELD_TEXT_MAX = 8192 };

struct field_declaration {
	struct list     link;             /* in order of arrival */
	uint8_t         db;
	uint32_t        name_len;
	char            name[ATTR_NAME_MAX];
	enum field_type type;
	bool            sortable;         /* as it was said; all but texts are in any case */
	struct span     text;             /* FIELD_TYPE_WORDS: one word a line; the copy's own */
	struct place    place;            /* of its SETTING record */
};

const char *field_type_name(enum field_type type);
MUST_CHECK bool field_type_parse(struct span name, enum field_type *out);

/* Logs and installs it, in the place of an older one of that name. ERR_TOOLARGE: too many;
 * ERR_FULL: too many texts. */
MUST_CHECK enum err fields_add(
    struct engine *engine, const struct field_declaration *declaration, uint64_t *lsn);
MUST_CHECK enum err fields_delete(
    struct engine *engine, uint8_t db, struct span name, uint64_t *lsn);      /* ERR_NOTFOUND */
/* Writes all of them once more. */
MUST_CHECK enum err fields_log_again(struct engine *engine);
/* The keys of their SETTING records; is one declared that has this key? */
#define FIELD_SETTING "index-field:"
void fields_each_key(struct engine *engine, void (*each)(void *ctx, struct span key), void *ctx);
bool fields_have_key(const struct engine *engine, struct span key);
/* Of all databases. */
const struct list *fields_list(const struct engine *engine);
/* NULL: it was not declared. */
const struct field_declaration *fields_find(
    const struct engine *engine, uint8_t db, struct span name);
/* The names of the texts of a database; borrowed. Returns how many, at most FIELD_TEXTS_MAX. */
uint32_t fields_texts(const struct engine *engine, uint8_t db, struct span names[]);
/* Documents that are still to be made again, of this database. */
uint64_t fields_left(const struct engine *engine, uint8_t db);
void fields_info(const struct engine *engine, struct buf *out);

/* ---- For the engine ---- */

void fields_new(struct engine *engine);
void fields_free(struct engine *engine);
void fields_opened(struct engine *engine);
bool fields_step(struct engine *engine);
/* A number that stands for all declarations of this database. */
uint64_t fields_tag(const struct engine *engine, uint8_t db);
/* The index of this database was just made. */
void fields_declare(struct engine *engine, uint8_t db);
/* As the tiers' functions of these names, for the SETTING records of declarations. */
bool fields_setting(struct engine *engine, const struct record *record);
bool fields_setting_follow(struct engine *engine, const struct record *record);
bool fields_setting_relocated(struct engine *engine, struct place from, struct place to);
bool fields_setting_is_live(const struct engine *engine, const struct record *record);
void fields_clear(struct engine *engine);
/* A checkpoint's settings: {name, place, text}; a name that begins with NUL is a declaration. */
void fields_dump(const struct engine *engine, struct buf *out);
bool fields_load(struct engine *engine, struct span name, struct span text, struct place place);
