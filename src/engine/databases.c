/* engine/databases.c: see databases.h. */
#include "engine/databases.h"

#include "engine/block.h"
#include "engine/chunk.h"
#include "engine/internal.h"
#include "engine/tracking.h"
#include "engine/transaction.h"

/* Among the settings of a checkpoint, where no policy has such a name. */
static const struct span dump_name = {(const uint8_t *)"\1databases", 10};

/* Each number stands for itself. */
static struct database_map map_plain(void)
{
	struct database_map map;
	for (uint8_t i = 0; i < DATABASE_COUNT; i++)
		map.of[i] = i;
	return map;
}

void databases_init(struct engine *engine)
{
	engine->databases.place = (struct place){0};
	engine->databases.map = map_plain();
}

uint8_t database_of(const struct engine *engine, int64_t number)
{
	ASSERT(number >= 0 && number < DATABASE_COUNT);
	return engine->databases.map.of[number];
}

static unsigned map_number(const struct database_map *map, uint8_t db)
{
	unsigned number = 0;
	while (number < DATABASE_COUNT && map->of[number] != db)
		number++;
	ASSERT(number < DATABASE_COUNT);
	return number;
}

unsigned database_number(const struct engine *engine, uint8_t db)
{
	return map_number(&engine->databases.map, db);
}

void database_map_swap(struct database_map *map, uint8_t first, uint8_t second)
{
	ASSERT(first < DATABASE_COUNT);
	ASSERT(second < DATABASE_COUNT);
	uint8_t kept = map->of[first];
	map->of[first] = map->of[second];
	map->of[second] = kept;
}

static bool map_parse(struct span text, struct database_map *out)
{
	uint32_t seen = 0;
	if (text.len != sizeof(out->of))
		return false;
	memcpy(out->of, text.ptr, sizeof(out->of));
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (out->of[i] < DATABASE_COUNT)
			seen |= UINT32_C(1) << out->of[i];
	return seen == (UINT32_C(1) << DATABASE_COUNT) - 1;
}

/* Whoever uses a number uses what it stands for from here on. */
static void databases_install(struct engine *engine, const struct database_map *map)
{
	uint8_t now[DATABASE_COUNT];          /* by the inner number that was meant so far */
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		now[engine->databases.map.of[i]] = map->of[i];
	engine->databases.map = *map;
	for (struct list *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		session->db = now[session->db];
	}
	watch_renumbered(engine, now);
	blocked_renumbered(engine, now);
	if (engine->tracking != NULL)
		tracking_flushed(engine);
}

static void keep_place(struct engine *engine, struct place place)
{
	if (engine->databases.place.segment != 0)
		store_release(engine->store, engine->databases.place);
	engine->databases.place = place;
}

/* Into the log; whether it is what counts already is the caller's business. */
static enum err map_log(struct engine *engine, const struct database_map *map, uint64_t *lsn)
{
	struct record record = {
		.type = RECORD_SETTING,
		.db = RECORD_ALL_DBS,
		.key = SPAN_LIT(DATABASES_SETTING),
		.value = span_of(map->of, sizeof(map->of)),
		.sync = SYNC_ALWAYS,
	};
	enum err err = engine_append(engine, &record);
	if (err != OK)
		return err;
	keep_place(engine, record.place);
	*lsn = record.lsn;
	return OK;
}

enum err databases_swap(struct engine *engine, uint8_t first, uint8_t second, uint64_t *lsn)
{
	struct database_map map = engine->databases.map;
	database_map_swap(&map, first, second);
	enum err err = map_log(engine, &map, lsn);
	if (err == OK)
		databases_install(engine, &map);
	return err;
}

enum err databases_log_again(struct engine *engine)
{
	uint64_t lsn;
	return map_log(engine, &engine->databases.map, &lsn);
}

/* ---- The log, and checkpoints ---- */

bool databases_setting(struct engine *engine, const struct record *record)
{
	struct database_map map;
	if (!span_is(record->key, DATABASES_SETTING))
		return false;
	struct span text = record->body != NULL ? body_span(record->body) : record->value;
	keep_place(engine, record->place);
	if (map_parse(text, &map))
		databases_install(engine, &map);
	else
		log_warning(engine->log, "the record that says which database is which cannot be read");
	return true;
}

bool databases_setting_is_live(const struct engine *engine, const struct record *record)
{
	return span_is(record->key, DATABASES_SETTING) &&
	    place_equal(engine->databases.place, record->place);
}

bool databases_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to)
{
	if (!span_is(record->key, DATABASES_SETTING) || !place_equal(engine->databases.place, from))
		return false;
	engine->databases.place = to;
	return true;
}

void databases_dump(const struct engine *engine, struct buf *out)
{
	const struct databases *databases = &engine->databases;
	struct span map = span_of(databases->map.of, sizeof(databases->map.of));
	if (databases->place.segment != 0)
		put_setting(out, dump_name, databases->place, map);
}

bool databases_load(struct engine *engine, struct span name, struct span text, struct place place)
{
	struct database_map map;
	if (!span_equal(name, dump_name))
		return false;
	engine->databases.place = place;
	if (map_parse(text, &map))
		databases_install(engine, &map);
	else
		log_warning(engine->log, "the checkpoint does not say which database is which");
	return true;
}

void databases_clear(struct engine *engine)
{
	struct database_map map = map_plain();
	databases_install(engine, &map);
	engine->databases.place = (struct place){0};
}
